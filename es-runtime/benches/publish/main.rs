//! What is published against programs written by hand, on the same database, in the same run, in
//! turn.
//!
//! ```sh
//! cargo bench -p es-runtime --all-features --bench publish                  # everything
//! cargo bench -p es-runtime --all-features --bench publish -- feed_pages    # one by its name
//! ES_BENCH_SIZE=short cargo bench -p es-runtime --all-features --bench publish
//! ```
//!
//! Each line `ratio NAME OURS LIMIT OURS/LIMIT` is a median over the rounds, in events a second;
//! more is better. A run of everything writes `docs/benchmarks-publishing.md`, as does one with
//! `ES_BENCH_WRITE=1`.

mod build;
mod by_hand;
mod cases;
mod domain;
mod feed;
mod page;
mod relay;
// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

use cases::CASES;
use es_servers::Postgres;
use support::page::Page;
use support::report::Report;
use support::start::{Bench, Scale};
use support::{database, fill, machine, measure};

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    /// Events of the log.
    events: usize,
}

/// Accounts of the log.
const ACCOUNTS: usize = 10_000;

impl Size {
    fn of(scale: Scale) -> Result<Self, String> {
        Ok(match scale {
            Scale::Short => Self {
                rounds: 3,
                events: 100_000,
            },
            Scale::Full => Self {
                rounds: 5,
                events: 1_000_000,
            },
        })
    }

    fn page(self) -> Page {
        let Self { rounds, events } = self;
        Page {
            file: "benchmarks-publishing.md",
            title: "Benchmarks of publishing",
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
        job: |job| panic!("`{job}` is no job"),
    };
    bench.start(Size::of, Size::page, |name, server, size, report| {
        Box::pin(run_case(name, server, size, report))
    })
}

async fn run_case(name: &'static str, server: &Postgres, size: Size, report: &mut Report) {
    let comparison = match name {
        "integration_build" => build::build(server, name, ACCOUNTS, size).await,
        "integration_build_spread" => build::build(server, name, size.events / 2, size).await,
        "relay_rabbitmq" => relay::rabbitmq(server, name, size).await,
        "feed_pages" => feed::pages(server, name, size).await,
        _ => unreachable!("`{name}` is not measured anywhere"),
    };
    report.add(comparison);
}
