//! The stores against the raw limit of the same database, in the same run, in turn.
//!
//! ```sh
//! cargo bench -p es-runtime --all-features --bench store                    # everything
//! cargo bench -p es-runtime --all-features --bench store -- append_32       # some of it
//! ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench store
//! ```
//!
//! Each line `ratio NAME OURS LIMIT OURS/LIMIT` is a median over the rounds; more is better.

mod account;
mod append;
mod command;
mod measure;
mod read;
mod sqlite;

use std::time::Duration;

use es_servers::Postgres;
use measure::{Comparison, Report};

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    round: Duration,
    /// Events that are read back.
    events: usize,
}

impl Size {
    fn chosen() -> Self {
        match std::env::var("ES_BENCH_SIZE").as_deref() {
            Ok("short") => Self {
                rounds: 3,
                round: Duration::from_millis(700),
                events: 50_000,
            },
            _ => Self {
                rounds: 5,
                round: Duration::from_secs(3),
                events: 1_000_000,
            },
        }
    }
}

/// Which comparisons were asked for; all, if none was named.
struct Wanted(Vec<String>);

impl Wanted {
    fn has(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| name.contains(wanted.as_str()))
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // Cargo passes `--bench` on.
    let names = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let (wanted, size) = (Wanted(names.collect()), Size::chosen());
    let server = Postgres::start();
    let mut report = Report::default();
    for writers in [1, 8, 32, 128, 256] {
        let name = format!("append_{writers}");
        if wanted.has(&name) {
            report.add(append::single(&server, &name, writers, size).await);
        }
    }
    if wanted.has("batch_100") {
        report.add(append::batches(&server, size).await);
    }
    for callers in [32, 128] {
        let name = format!("command_{callers}");
        if wanted.has(&name) {
            report.add(command::whole(&server, &name, callers, size).await);
        }
    }
    if wanted.has("replay") {
        report.add(read::replay(&server, size).await);
    }
    if wanted.has("load_10k") {
        report.add(read::load(&server, size).await);
    }
    if wanted.has("sqlite_append_128") {
        report.add(sqlite::append(128, size).await);
    }
    report.print();
}

/// One comparison, measured in turn: ours, the limit, ours, the limit, …
macro_rules! in_turn {
    ($name:expr, $size:expr, $ours:expr, $limit:expr) => {{
        let mut comparison = $crate::Comparison::new($name);
        for _ in 0..$size.rounds {
            comparison.ours.push($ours.await);
            comparison.limit.push($limit.await);
        }
        comparison
    }};
}
use in_turn;
