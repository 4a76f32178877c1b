//! Read models against programs written by hand, on the same database, in the same run, in turn.
//!
//! ```sh
//! cargo bench -p es-runtime --all-features --bench projections                    # everything
//! cargo bench -p es-runtime --all-features --bench projections -- rebuild_keyed   # one by its name
//! ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench projections
//! ```
//!
//! Each line `ratio NAME OURS LIMIT OURS/LIMIT` is a median over the rounds, in events a second;
//! more is better. A run of everything writes `docs/benchmarks-projections.md`, as does one with
//! `ES_BENCH_WRITE=1`.

mod by_hand;
mod cases;
mod commands;
mod domain;
mod jobs;
mod page;
mod rebuild;
#[path = "../support/mod.rs"]
mod support;
mod visible;

use std::time::Duration;

use cases::CASES;
use es_servers::Postgres;
use support::page::Page;
use support::report::Report;
use support::start::{Bench, Scale};
use support::{child, database, fill, machine, measure, memory, pace, report};

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    /// How long commands are sent.
    round: Duration,
    /// Events of the log.
    events: usize,
}

/// Accounts of the log, where their rows fit into memory.
const ACCOUNTS: usize = 10_000;

impl Size {
    fn of(scale: Scale) -> Result<Self, String> {
        Ok(match scale {
            Scale::Short => Self {
                rounds: 3,
                round: Duration::from_secs(1),
                events: 100_000,
            },
            Scale::Full => Self {
                rounds: 5,
                round: Duration::from_secs(3),
                events: 1_000_000,
            },
        })
    }

    fn page(self) -> Page {
        let Self { rounds, events, .. } = self;
        let seconds = self.round.as_secs();
        Page {
            file: "benchmarks-projections.md",
            title: "Benchmarks of read models",
            introduction: page::INTRODUCTION,
            measured: format!("{rounds} rounds, {events} events, commands for {seconds} s"),
            repeat: page::REPEAT,
        }
    }
}

fn main() -> Result<(), String> {
    let bench = Bench {
        cases: CASES,
        too_long: &[],
        job: jobs::run,
    };
    bench.start(Size::of, Size::page, |name, server, size, report| {
        Box::pin(run_case(name, server, size, report))
    })
}

async fn run_case(name: &'static str, server: &Postgres, size: Size, report: &mut Report) {
    let comparison = match name {
        "rebuild_keyed" => rebuild::rebuild(server, name, ACCOUNTS, size).await,
        "rebuild_keyed_spread" => rebuild::rebuild(server, name, size.events / 2, size).await,
        "rebuild_memory" => {
            return rebuild::memory(server, name, size.events / 2, size, report).await;
        }
        "execute_during_rebuild" => {
            return commands::during_rebuild(server, name, ACCOUNTS, size, report).await;
        }
        "row_visible" => return visible::row_visible(server, name, size, report).await,
        _ => unreachable!("`{name}` is not measured anywhere"),
    };
    report.add(comparison);
}
