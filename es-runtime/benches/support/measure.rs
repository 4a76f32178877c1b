//! Rates and latencies.

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

    /// A rate that another program measured.
    pub(crate) fn at(rate: f64) -> Self {
        Self {
            rate,
            latencies: Vec::new(),
        }
    }

    /// As many things as there are latencies.
    pub(crate) fn timed(mut latencies: Vec<Duration>, time: Duration) -> Self {
        latencies.sort_unstable();
        Self {
            rate: latencies.len() as f64 / time.as_secs_f64(),
            latencies,
        }
    }

    /// Each operation did `count` of what is counted.
    pub(crate) fn each(mut self, count: usize) -> Self {
        self.rate *= count as f64;
        self
    }

    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let last = self.latencies.len().checked_sub(1)?;
        Some(self.latencies[last * percent / 100])
    }
}

/// One thing after the other.
pub(crate) trait Work: Send + 'static {
    /// Does the `n`th, from 0.
    fn once(&mut self, n: usize) -> impl Future<Output = ()> + Send;
}

/// Lets all workers work side by side for a while; answers how long each operation took, and how
/// long all of it.
pub(crate) async fn latencies<W: Work>(
    workers: &mut Vec<W>,
    time: Duration,
) -> (Vec<Duration>, Duration) {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for mut worker in workers.drain(..) {
        running.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < time {
                let asked = Instant::now();
                worker.once(latencies.len()).await;
                latencies.push(asked.elapsed());
            }
            (worker, latencies)
        });
    }
    let mut all = Vec::new();
    for (worker, latencies) in running.join_all().await {
        workers.push(worker);
        all.extend(latencies);
    }
    (all, began.elapsed())
}

/// A round of all workers, side by side.
pub(crate) async fn together<W: Work>(workers: &mut Vec<W>, time: Duration) -> Round {
    let (latencies, elapsed) = latencies(workers, time).await;
    Round::timed(latencies, elapsed)
}

/// Ours and the limit, round by round.
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) ours: Vec<Round>,
    pub(crate) limit: Vec<Round>,
    /// What `pgbench` reached with the limit's own statement, where it can run it.
    pub(crate) pgbench: Vec<Round>,
}

impl Comparison {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ours: Vec::new(),
            limit: Vec::new(),
            pgbench: Vec::new(),
        }
    }

    pub(crate) fn ratio(&self) -> f64 {
        quotient(&self.ours, &self.limit)
    }

    /// How near the limit's program comes to `pgbench`.
    pub(crate) fn checked(&self) -> Option<f64> {
        (!self.pgbench.is_empty()).then(|| quotient(&self.limit, &self.pgbench))
    }

    /// A limit that is slower than `pgbench` is not one, and the comparison says nothing.
    pub(crate) fn is_void(&self) -> bool {
        self.checked().is_some_and(|checked| checked < 0.9)
    }
}

/// The median of the rounds' quotients: rounds beside each other saw the same machine.
fn quotient(these: &[Round], those: &[Round]) -> f64 {
    let pairs = these.iter().zip(those);
    median(pairs.map(|(this, that)| this.rate / that.rate)).unwrap_or(f64::NAN)
}

pub(crate) fn rate(rounds: &[Round]) -> f64 {
    median(rounds.iter().map(|round| round.rate)).unwrap_or(f64::NAN)
}

/// The median over the rounds, in milliseconds.
pub(crate) fn percentile(rounds: &[Round], percent: usize) -> Option<f64> {
    let each = rounds.iter().filter_map(|round| round.percentile(percent));
    median(each.map(|latency| latency.as_secs_f64() * 1e3))
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// One comparison, measured in turn: ours, the limit, ours, the limit, …
macro_rules! in_turn {
    ($name:expr, $size:expr, $ours:expr, $limit:expr $(, $pgbench:expr)?) => {{
        let mut comparison = $crate::measure::Comparison::new($name);
        for _ in 0..$size.rounds {
            comparison.ours.push($ours.await);
            comparison.limit.push($limit.await);
            $(comparison.pgbench.push($pgbench.await);)?
        }
        comparison
    }};
}
pub(crate) use in_turn;
