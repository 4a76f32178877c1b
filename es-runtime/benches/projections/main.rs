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
mod fill;
mod jobs;
mod page;
mod rebuild;
#[path = "../support/mod.rs"]
mod support;
mod visible;

use std::time::{Duration, Instant};

use cases::CASES;
use es_servers::Postgres;
use support::cases::Wanted;
use support::page::Page;
use support::report::Report;
use support::{child, database, machine, measure, memory, pace, report};

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    name: &'static str,
    rounds: usize,
    /// How long commands are sent.
    round: Duration,
    /// Events of the log.
    events: usize,
}

/// Accounts of the log, where their rows fit into memory.
const ACCOUNTS: usize = 10_000;

impl Size {
    fn chosen() -> Result<Self, String> {
        Ok(match std::env::var("ES_BENCH_SIZE").as_deref() {
            Ok("short") => Self {
                name: "short",
                rounds: 3,
                round: Duration::from_secs(1),
                events: 100_000,
            },
            Ok("full") | Err(_) => Self {
                name: "full",
                rounds: 5,
                round: Duration::from_secs(3),
                events: 1_000_000,
            },
            Ok(other) => return Err(format!("ES_BENCH_SIZE is `short` or `full`, not `{other}`")),
        })
    }
}

fn main() -> Result<(), String> {
    if let Ok(job) = std::env::var(child::JOB) {
        jobs::run(&job);
        return Ok(());
    }
    // `cargo test --all-targets` starts it as well, and measures nothing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let size = Size::chosen()?;
    let asked = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let asked: Vec<_> = asked.collect();
    let wanted = Wanted::of(CASES, &asked, &[])?;
    let complete = asked.is_empty() && size.name == "full";
    let write = complete || std::env::var("ES_BENCH_WRITE").is_ok_and(|write| write == "1");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(&wanted, size, write));
    Ok(())
}

async fn run(wanted: &Wanted, size: Size, write: bool) {
    let began = Instant::now();
    let (server, mut admin) = database::server().await;
    let mut report = Report::new(CASES);
    for case in CASES.iter().filter(|case| wanted.has(case)) {
        run_case(case.name, &server, size, &mut report).await;
    }
    println!("\n{}", report.table());
    println!("{:.0} s in all", began.elapsed().as_secs_f64());
    if write {
        let Size { rounds, events, .. } = size;
        let seconds = size.round.as_secs();
        let page = Page {
            file: "benchmarks-projections.md",
            title: "Benchmarks of read models",
            introduction: page::INTRODUCTION,
            size: size.name,
            measured: &format!("{rounds} rounds, {events} events, commands for {seconds} s"),
            repeat: page::REPEAT,
        };
        page.write(&report, &mut admin).await;
    }
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
