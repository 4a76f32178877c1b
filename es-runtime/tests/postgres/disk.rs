//! A full disk: appends fail and say so, nothing is half there, readers read on, and after room is
//! made everything continues.

use std::time::Duration;

use es_runtime::event::Position;
use es_runtime::postgres::{PostgresStore, sqlx};
use es_servers::{Postgres, SmallDisk, skip};
use fastrand::Rng;
use tokio::time::timeout;

use crate::gate::admin;
use crate::load::{Load, Progress, Reads, State, seeded, size};
use crate::until::until;

fn load() -> Load {
    let appends = size(30, 600);
    Load {
        writers: 12,
        appends,
    }
}

/// PostgreSQL's words depend on whether half a page had room.
fn no_space(state: &State) -> bool {
    let says_so = |error: &String| {
        error.contains("No space left on device") || error.contains("could not extend file")
    };
    state.errors.keys().any(says_so)
}

/// The table on the full disk is the events', or the one that is written after them.
async fn a_full_disk_under(table: &str) {
    let disk = match SmallDisk::mount(16) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    let mut random = seeded();
    let server = Postgres::start();
    let url = server.database();
    let connect = async || PostgresStore::connect(&url).await.unwrap();
    let (stores, reader) = ([connect().await, connect().await], connect().await);
    let space = server.own_folder(disk.path(), "space");
    let mut admin = admin(&url).await;
    for statement in [
        format!("CREATE TABLESPACE small LOCATION '{}'", space.display()),
        format!("ALTER TABLE {table} SET TABLESPACE small"),
    ] {
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement));
        statement.execute(&mut admin).await.unwrap();
    }
    let attack = async |progress: &Progress, random: &mut Rng| {
        progress.advances(random.u64(1..load().total() / 4)).await;
        disk.fill();
        progress.reaches(no_space).await;
        let full = Position::new(progress.state().seen.saturating_sub(1));
        assert_eq!(
            reader.read_log(full, 1).await.unwrap().len(),
            1,
            "readers read on"
        );
        disk.make_room();
        Ok(vec![])
    };
    let state = load()
        .under(&stores, &reader, &mut random, attack)
        .await
        .unwrap();
    assert!(
        no_space(&state),
        "the disk was never full: {:?}",
        state.errors
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_under_the_events_loses_nothing() {
    a_full_disk_under("es.event").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_under_the_commands_leaves_no_event_without_one() {
    a_full_disk_under("es.command").await;
}

/// Without room for its write-ahead log the server stops altogether.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_under_the_write_ahead_log_loses_nothing() {
    let disk = match SmallDisk::mount(32) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    let mut random = seeded();
    let mut server = Postgres::start_with_wal_in(disk.path());
    let url = server.database();
    let connect = async || PostgresStore::connect(&url).await.unwrap();
    let (stores, reader) = ([connect().await, connect().await], connect().await);
    let mut glutton = admin(&url).await;
    let attack = async |progress: &Progress, random: &mut Rng| {
        progress.advances(random.u64(1..load().total() / 4)).await;
        disk.fill();
        // There may be segments left from before: somebody uses them up.
        let fill = "SELECT pg_logical_emit_message(false, '', repeat('x', 1000000))";
        while sqlx::query(fill).execute(&mut glutton).await.is_ok() {}
        let full = async || {
            server
                .log()
                .contains("No space left on device")
                .then_some(())
        };
        until("the server notices the full disk", full).await;
        disk.make_room();
        let more = progress.state().acknowledged + 1;
        let more = || progress.reaches(move |state| state.acknowledged >= more);
        // It may have given up since, or be about to.
        while timeout(Duration::from_millis(100), more()).await.is_err() {
            server.revive();
        }
        Ok(vec![])
    };
    // Its callers need not notice: what was in doubt is asked again once the server is back.
    load()
        .under(&stores, &reader, &mut random, attack)
        .await
        .unwrap();
}
