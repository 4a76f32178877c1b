//! A consumer against a program written by hand, on the same database, in the same run, in turn.
//!
//! ```sh
//! cargo bench -p es-runtime --all-features --bench consume                    # everything
//! cargo bench -p es-runtime --all-features --bench consume -- consume_inbox   # one by its name
//! ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench consume
//! ```
//!
//! Each line `ratio NAME OURS LIMIT OURS/LIMIT` is a median over the rounds, in events a second;
//! more is better. A run of everything writes `docs/benchmarks-consuming.md`, as does one with
//! `ES_BENCH_WRITE=1`.

mod by_hand;
mod cases;
mod latency;
mod ours;
mod page;
mod stream;
// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

use cases::CASES;
use es_runtime::Store;
use es_runtime::store::EventStore;
use es_servers::Postgres;
use support::page::Page;
use support::start::{Bench, Scale};
use support::{child, database, machine, measure, pace, report};

use crate::database::{connect, execute};
use crate::machine::ask;
use crate::measure::{Comparison, in_turn};

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    /// Events of the stream.
    events: usize,
}

impl Size {
    fn of(scale: Scale) -> Result<Self, String> {
        Ok(match scale {
            Scale::Short => Self {
                rounds: 3,
                events: 50_000,
            },
            Scale::Full => Self {
                rounds: 5,
                events: 200_000,
            },
        })
    }

    fn page(self) -> Page {
        let Self { rounds, events } = self;
        Page {
            file: "benchmarks-consuming.md",
            title: "Benchmarks of consuming",
            introduction: page::INTRODUCTION,
            measured: format!("{rounds} rounds, {events} events"),
            repeat: page::REPEAT,
        }
    }
}

fn main() -> Result<(), String> {
    let bench = Bench {
        cases: CASES,
        too_long: &[],
        job: latency::job,
    };
    bench.start(Size::of, Size::page, |name, server, size, report| {
        Box::pin(run_case(name, server, size, report))
    })
}

async fn run_case(name: &'static str, server: &Postgres, size: Size, report: &mut report::Report) {
    let comparison = match name {
        "consume_inbox" => in_postgres(server, name, size, 1).await,
        "consume_parts" => in_postgres(server, name, size, 4).await,
        "consume_inbox_sqlite" => in_sqlite(name, size).await,
        "effect_elsewhere" => return latency::remote(server, name, size, report).await,
        _ => unreachable!("`{name}` is not measured anywhere"),
    };
    report.add(comparison);
}

/// What was written, as one number.
const SUM: &str = "SELECT (count(*) + sum(balance))::text FROM balance";

async fn in_postgres(server: &Postgres, name: &str, size: Size, parts: u16) -> Comparison {
    let pages = stream::pages(size.events);
    let url = server.database();
    let mut admin = connect(&url).await;
    execute(&mut admin, ours::TABLE).await;
    let (mut rounds, mut written) = (0, String::new());
    in_turn!(
        name,
        size,
        async {
            rounds += 1;
            execute(&mut admin, "TRUNCATE balance; CHECKPOINT").await;
            let consumer = format!("round-{rounds}");
            let round = ours::in_postgres(&url, &consumer, pages.clone(), size.events, parts).await;
            written = ask(&mut admin, SUM).await;
            round
        },
        async {
            execute(&mut admin, "TRUNCATE balance; CHECKPOINT").await;
            let round = by_hand::in_postgres(&url, &pages, size.events).await;
            assert_eq!(ask(&mut admin, SUM).await, written, "rows that differ");
            round
        }
    )
}

/// A file with the table, and nothing in it.
async fn file(folder: &tempfile::TempDir, name: &str) -> String {
    let url = format!("sqlite://{}", folder.path().join(name).display());
    let store = Store::connect(&url).await.expect("a file");
    store.close().await;
    use es_runtime::sqlite::sqlx::{Connection, SqliteConnection, raw_sql};
    let mut database = SqliteConnection::connect(&url).await.expect("a file");
    let table = raw_sql(ours::TABLE).execute(&mut database);
    table.await.expect("a table");
    url
}

async fn in_sqlite(name: &str, size: Size) -> Comparison {
    let pages = stream::pages(size.events);
    in_turn!(
        name,
        size,
        async {
            let folder = tempfile::TempDir::new().expect("a folder");
            let url = file(&folder, "ours.db").await;
            ours::in_sqlite(&url, pages.clone(), size.events).await
        },
        async {
            let folder = tempfile::TempDir::new().expect("a folder");
            let url = file(&folder, "raw.db").await;
            by_hand::in_sqlite(&url, &pages, size.events).await
        }
    )
}
