//! Rates and latencies, and how they are shown.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// What one round gave.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Operations in a second.
    pub(crate) rate: f64,
    /// Latencies, sorted; none where only the rate is known.
    latencies: Vec<Duration>,
}

impl Round {
    /// So many things in so much time.
    pub(crate) fn of(count: usize, time: Duration) -> Self {
        Self {
            rate: count as f64 / time.as_secs_f64(),
            latencies: Vec::new(),
        }
    }

    fn percentile(&self, percent: usize) -> Option<Duration> {
        let last = self.latencies.len().checked_sub(1)?;
        Some(self.latencies[last * percent / 100])
    }
}

/// Lets `workers` do one thing after the other for a while.
pub(crate) async fn together<F, W, O>(workers: usize, time: Duration, work: W) -> Round
where
    W: Fn(usize) -> F,
    F: FnMut(usize) -> O + Send + 'static,
    O: Future<Output = ()> + Send,
{
    let began = Instant::now();
    let mut running = JoinSet::new();
    for worker in 0..workers {
        let mut once = work(worker);
        running.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < time {
                let asked = Instant::now();
                once(latencies.len()).await;
                latencies.push(asked.elapsed());
            }
            latencies
        });
    }
    let mut latencies: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    let elapsed = began.elapsed();
    latencies.sort_unstable();
    Round {
        latencies,
        ..Round::of(0, elapsed)
    }
    .counted(elapsed)
}

impl Round {
    fn counted(mut self, time: Duration) -> Self {
        self.rate = self.latencies.len() as f64 / time.as_secs_f64();
        self
    }
}

/// Ours and the limit, round by round.
pub(crate) struct Comparison {
    name: String,
    pub(crate) ours: Vec<Round>,
    pub(crate) limit: Vec<Round>,
}

impl Comparison {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ours: Vec::new(),
            limit: Vec::new(),
        }
    }
}

fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

fn latencies(rounds: &[Round]) -> String {
    let at = |percent| median(rounds.iter().filter_map(|round| round.percentile(percent)));
    match (at(50), at(99)) {
        (Some(p50), Some(p99)) => {
            format!(
                "{:.2} / {:.2}",
                p50.as_secs_f64() * 1e3,
                p99.as_secs_f64() * 1e3
            )
        }
        _ => String::new(),
    }
}

/// All comparisons of a run.
#[derive(Default)]
pub(crate) struct Report(Vec<Comparison>);

impl Report {
    /// Adds a comparison and says how it went.
    pub(crate) fn add(&mut self, comparison: Comparison) {
        let Comparison { name, ours, limit } = &comparison;
        let rate = |rounds: &[Round]| median(rounds.iter().map(|r| r.rate)).unwrap_or(f64::NAN);
        let ratios = ours
            .iter()
            .zip(limit)
            .map(|(ours, limit)| ours.rate / limit.rate);
        let ratio = median(ratios).unwrap_or(f64::NAN);
        println!(
            "ratio {name} {:.0} {:.0} {ratio:.2}",
            rate(ours),
            rate(limit)
        );
        self.0.push(comparison);
    }

    /// The table: rates and, where they were taken, latencies in milliseconds.
    pub(crate) fn print(&self) {
        println!("\n| name | ours/s | limit/s | ours p50 / p99 ms | limit p50 / p99 ms |");
        println!("|---|---|---|---|---|");
        for Comparison { name, ours, limit } in &self.0 {
            let rate = |rounds: &[Round]| median(rounds.iter().map(|r| r.rate)).unwrap_or(f64::NAN);
            let (ours_ms, limit_ms) = (latencies(ours), latencies(limit));
            println!(
                "| {name} | {:.0} | {:.0} | {ours_ms} | {limit_ms} |",
                rate(ours),
                rate(limit)
            );
        }
    }
}
