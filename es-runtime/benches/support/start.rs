//! From the command line to the page: what all benchmarks do in the same way.

use std::time::Instant;

use es_servers::Postgres;
use futures_util::future::BoxFuture;
use tokio::runtime::Runtime;

use super::cases::{Case, Wanted};
use super::page::Page;
use super::report::Report;
use super::{child, database};

/// How much is measured, in a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Enough to see that everything runs; the figures are noise.
    Short,
    /// What the documentation shows.
    Full,
}

impl Scale {
    fn chosen() -> Result<Self, String> {
        match std::env::var("ES_BENCH_SIZE").as_deref() {
            Ok("short") => Ok(Self::Short),
            Ok("full") | Err(_) => Ok(Self::Full),
            Ok(other) => Err(format!("ES_BENCH_SIZE is `short` or `full`, not `{other}`")),
        }
    }
}

/// Measures a case.
pub(crate) type RunCase<S> =
    for<'a> fn(&'static str, &'a Postgres, S, &'a mut Report) -> BoxFuture<'a, ()>;

/// A benchmark, beside what it measures.
pub(crate) struct Bench {
    pub(crate) cases: &'static [Case],
    /// Cases that a short run has no time for.
    pub(crate) too_long: &'static [&'static str],
    /// What a process beside this one does.
    pub(crate) job: fn(&str),
}

impl Bench {
    /// Measures what was asked for, case by case, and writes the page where it is to be written.
    ///
    /// All of it runs where services do: a program on the thread that has started the runtime is woken
    /// by another one whenever something comes, which would slow down what is written by hand.
    pub(crate) fn start<S: Copy + Send + 'static>(
        &self,
        size: fn(Scale) -> Result<S, String>,
        page: fn(S) -> Page,
        run_case: RunCase<S>,
    ) -> Result<(), String> {
        if let Ok(job) = std::env::var(child::JOB) {
            (self.job)(&job);
            return Ok(());
        }
        // `cargo test --all-targets` starts it as well, and measures nothing.
        if !std::env::args().any(|arg| arg == "--bench") {
            return Ok(());
        }
        let scale = Scale::chosen()?;
        let size = size(scale)?;
        let asked = std::env::args()
            .skip(1)
            .filter(|arg| !arg.starts_with("--"));
        let asked: Vec<_> = asked.collect();
        let too_long = match scale {
            Scale::Short => self.too_long,
            Scale::Full => &[],
        };
        let wanted = Wanted::of(self.cases, &asked, too_long)?;
        let complete = asked.is_empty() && scale == Scale::Full;
        let write = complete || std::env::var("ES_BENCH_WRITE").is_ok_and(|write| write == "1");
        let (cases, runtime) = (self.cases, Runtime::new().expect("a runtime"));
        let measuring = runtime.spawn(async move {
            let began = Instant::now();
            let (server, mut admin) = database::server().await;
            let mut report = Report::new(cases);
            for case in cases.iter().filter(|case| wanted.has(case)) {
                run_case(case.name, &server, size, &mut report).await;
            }
            println!("\n{}", report.table());
            println!("{:.0} s in all", began.elapsed().as_secs_f64());
            if write {
                page(size).write(scale, &report, &mut admin).await;
            }
        });
        runtime.block_on(measuring).expect("all was measured");
        Ok(())
    }
}
