//! What it ran on, without which no figure means anything.

use std::fs;
use std::thread::available_parallelism;

use es_runtime::postgres::PgConnection;
use es_runtime::postgres::sqlx::{self, Row};

/// The settings that make a difference, as far as this server has them.
const SETTINGS: &str = "
    SELECT name, CASE WHEN name = 'shared_buffers' OR name LIKE '%wal_size'
                      THEN pg_size_pretty(setting::bigint * CASE unit WHEN '8kB' THEN 8192
                                                                      ELSE 1048576 END)
                      ELSE setting || coalesce(unit, '') END
    FROM pg_settings
    WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method',
                   'wal_compression', 'shared_buffers', 'max_wal_size', 'max_connections',
                   'data_checksums', 'commit_delay')
    ORDER BY name";

/// Facts, each with its name.
pub(crate) async fn facts(connection: &mut PgConnection) -> Vec<(String, String)> {
    let cpu = line("/proc/cpuinfo", "model name");
    let cores = available_parallelism().map_or(0, usize::from);
    let memory = line("/proc/meminfo", "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    let memory = format!("{:.1} GiB", kib / 1024.0 / 1024.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What follows is the machine's name for it.
    let release = kernel.trim().split('-').next().unwrap_or_default();
    let folder = ask(connection, "SHOW data_directory").await;
    let version = ask(connection, "SHOW server_version").await;
    let mut facts = vec![
        ("processor".to_owned(), format!("{cpu}, {cores} cores")),
        ("memory".to_owned(), memory),
        ("kernel".to_owned(), format!("Linux {release}")),
        ("file system".to_owned(), file_system(&folder)),
        ("PostgreSQL".to_owned(), version),
    ];
    let settings = sqlx::query(SETTINGS).fetch_all(connection).await;
    for setting in settings.expect("the settings") {
        facts.push((format!("`{}`", setting.get::<&str, _>(0)), setting.get(1)));
    }
    facts
}

pub(crate) async fn ask(connection: &mut PgConnection, question: &'static str) -> String {
    let answer = sqlx::query_scalar(question).fetch_one(connection).await;
    answer.expect("an answer")
}

fn line(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(found, _)| found.trim() == name);
    found.map_or_else(
        || "unknown".to_owned(),
        |(_, value)| value.trim().to_owned(),
    )
}

/// The kind of the file system that holds `folder`: of the mounts above it the nearest.
fn file_system(folder: &str) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|mount| {
        let mut fields = mount.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(place, _)| std::path::Path::new(folder).starts_with(place));
    let nearest = above.max_by_key(|(place, _)| place.len());
    nearest.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}
