//! Work at a fixed rate: what arrives does not wait for what came before it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::measure::Work;

/// How long each of the things took, by its number, and how many a second they really were.
pub(crate) type Paced = (Vec<Duration>, f64);

/// Does `count` things, `rate` a second, each at its moment, by as many workers as are needed to
/// keep the pace.
pub(crate) async fn paced<W: Work>(workers: &mut Vec<W>, rate: usize, count: usize) -> Paced {
    let took = Arc::new(Mutex::new(vec![Duration::ZERO; count]));
    let (began, step) = (Instant::now(), workers.len());
    let mut running = JoinSet::new();
    for (first, mut worker) in workers.drain(..).enumerate() {
        let took = took.clone();
        running.spawn(async move {
            for n in (first..count).step_by(step) {
                sleep_until(began + Duration::from_micros((n * 1_000_000 / rate) as u64)).await;
                let asked = Instant::now();
                worker.once(n).await;
                took.lock().expect("no panic")[n] = asked.elapsed();
            }
            worker
        });
    }
    *workers = running.join_all().await;
    let rate = count as f64 / began.elapsed().as_secs_f64();
    let took = std::mem::take(&mut *took.lock().expect("no panic"));
    (took, rate)
}

/// Microseconds of the machine's clock, which its processes share.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_micros()).expect("in this age")
}
