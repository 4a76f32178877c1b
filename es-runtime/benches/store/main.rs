//! The stores against the raw limit of the same database, in the same run, in turn.
//!
//! ```sh
//! cargo bench -p es-runtime --all-features --bench store                    # everything
//! cargo bench -p es-runtime --all-features --bench store -- append_32       # one by its name
//! ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench store
//! ```
//!
//! Each line `ratio NAME OURS LIMIT OURS/LIMIT` is a median over the rounds; more is better. A run
//! of everything writes `docs/benchmarks.md`, as does one with `ES_BENCH_WRITE=1`.

mod account;
mod append;
mod cases;
mod command;
mod growth;
mod import;
mod jobs;
mod latency;
mod page;
mod pgbench;
mod processes;
mod read;
mod rows;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use account::Account;
use cases::CASES;
use es_runtime::Builder;
use es_servers::Postgres;
use growth::Commands;
use support::measure::percentile;
use support::page::Page;
use support::report::Report;
use support::start::{Bench, Scale};
use support::{child, measure, memory, pace, report};

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    /// In whole seconds, as pgbench has them.
    round: Duration,
    /// Events that are read back.
    events: usize,
    /// Events of the small and of the large log.
    growth: (u64, u64),
}

impl Size {
    fn of(scale: Scale) -> Result<Self, String> {
        let mut size = match scale {
            Scale::Short => Self {
                rounds: 3,
                round: Duration::from_secs(1),
                events: 50_000,
                growth: (20_000, 400_000),
            },
            Scale::Full => Self {
                rounds: 5,
                round: Duration::from_secs(3),
                events: 1_000_000,
                growth: (1_000_000, 20_000_000),
            },
        };
        if let Ok(growth) = std::env::var("ES_BENCH_GROWTH") {
            let sizes = growth
                .split_once(',')
                .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
            let sizes = sizes.filter(|(from, to)| {
                *from >= 10_000 && from < to && from % 10 == 0 && to % 10 == 0
            });
            size.growth = sizes.ok_or_else(|| {
                format!(
                    "ES_BENCH_GROWTH is two numbers of events, the smaller first, from 10000 on \
                     and in tens: `1000000,20000000`, not `{growth}`"
                )
            })?;
        }
        Ok(size)
    }

    fn page(self) -> Page {
        let Self { rounds, events, .. } = self;
        let seconds = self.round.as_secs();
        Page {
            file: "benchmarks.md",
            title: "Benchmarks",
            introduction: page::INTRODUCTION,
            measured: format!("{rounds} rounds of {seconds} s, replays of {events} events"),
            repeat: page::REPEAT,
        }
    }
}

fn main() -> Result<(), String> {
    let bench = Bench {
        cases: CASES,
        too_long: &["growth"],
        job: jobs::run,
    };
    bench.start(Size::of, Size::page, |name, server, size, report| {
        Box::pin(run_case(name, server, size, report))
    })
}

async fn run_case(name: &'static str, server: &Postgres, size: Size, report: &mut Report) {
    let comparison = match name {
        "append_1" => append::single(server, name, 1, false, size).await,
        "append_8" => append::single(server, name, 8, false, size).await,
        "append_32" => append::single(server, name, 32, false, size).await,
        "append_128" => append::single(server, name, 128, false, size).await,
        "append_256" => append::single(server, name, 256, false, size).await,
        "named_32" => append::single(server, name, 32, true, size).await,
        "named_128" => append::single(server, name, 128, true, size).await,
        "append_32x4" => processes::appends(server, name, 32, size).await,
        "append_128x4" => processes::appends(server, name, 128, size).await,
        "import" => import::import(server, name, Commands::Unnamed, size).await,
        "import_named" => import::import(server, name, Commands::Kept, size).await,
        "batch_100" => append::batches(server, name, size).await,
        "command_32" => command::whole(server, name, 32, size, |bank| bank).await,
        "command_128" => command::whole(server, name, 128, size, |bank| bank).await,
        "command_cached_128" => {
            let cached = |bank: Builder| bank.cache::<Account>(command::ACCOUNTS);
            command::whole(server, name, 128, size, cached).await
        }
        "replay" => read::replay(server, name, size, report).await,
        "load_10k" => read::load(server, name, size).await,
        "load_10k_snapshot" => return read::load_snapshot(server, name, size, report).await,
        "sqlite_append_128" => sqlite::appends(name, 128, size).await,
        "sqlite_replay" => sqlite::replay(name, size).await,
        "follower" => return latency::follower(server, name, size, report).await,
        "bytes" => return growth::bytes(server, name, report).await,
        "growth" => return growth::growth(server, name, size, report).await,
        _ => unreachable!("`{name}` is not measured anywhere"),
    };
    let spread = match (
        percentile(&comparison.ours, 50),
        percentile(&comparison.ours, 99),
    ) {
        (Some(p50), Some(p99)) if name == "append_128" => Some(p99 / p50),
        _ => None,
    };
    report.add(comparison);
    if let Some(times) = spread {
        report.note(format!(
            "spread {name}: p99 is {times:.1} times p50 (bound 4)"
        ));
    }
}
