//! Writes snapshots beside the commands: who hands one over does not wait, and does not hear of
//! errors.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::snapshots::{Counters, count};
use crate::aggregate::Fingerprint;
use crate::event::StreamId;
use crate::runtime::{Stop, panic_message};
use crate::store::{EventStore, Snapshot};

/// Snapshots that wait; what comes then is dropped, and due again with the next load.
const WAITING: usize = 256;
/// Snapshots that are written at once.
const BATCH: usize = 32;
/// How long a shutdown waits for what is left.
const GRACE: Duration = Duration::from_secs(5);

/// A snapshot to be made and written.
pub(super) struct Job {
    pub(super) stream: StreamId,
    pub(super) version: u64,
    /// The snapshot that is kept and wrong, which goes first.
    pub(super) wrong: Option<(Fingerprint, u64)>,
    pub(super) make: Box<dyn FnOnce() -> Result<Snapshot, String> + Send>,
    pub(super) counters: Arc<Counters>,
}

/// What waits to be written: of each stream the latest alone.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<HashMap<StreamId, Job>>,
    news: Notify,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, HashMap<StreamId, Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the job will be done, or a later one of its stream.
    pub(super) fn offer(&self, mut job: Job) -> bool {
        let mut waiting = self.waiting();
        if let Some(earlier) = waiting.remove(&job.stream) {
            // What one of them found to be wrong goes, whichever is written.
            let wrong = job.wrong.or(earlier.wrong);
            job = if earlier.version > job.version {
                earlier
            } else {
                job
            };
            job.wrong = wrong;
        } else if waiting.len() >= WAITING {
            return false;
        }
        waiting.insert(job.stream.clone(), job);
        drop(waiting);
        self.news.notify_one();
        true
    }

    fn take(&self) -> Vec<Job> {
        let mut waiting = self.waiting();
        let streams: Vec<_> = waiting.keys().take(BATCH).cloned().collect();
        let jobs = streams.iter().filter_map(|stream| waiting.remove(stream));
        jobs.collect()
    }
}

/// Writes what is handed over until it is asked to stop, and then what is left.
pub(super) async fn run<S: EventStore>(queue: Arc<Queue>, store: S, stop: Stop) {
    let mut stopping = stop.clone();
    let late = async move {
        stopping.asked().await;
        sleep(GRACE).await;
    };
    tokio::select! {
        () = work(&queue, &store, stop) => {}
        () = late => tracing::warn!("snapshots were left unwritten; they are made again"),
    }
}

async fn work<S: EventStore>(queue: &Queue, store: &S, mut stop: Stop) {
    loop {
        let jobs = queue.take();
        if !jobs.is_empty() {
            write(store, jobs).await;
        } else if stop.is_asked() {
            return;
        } else {
            tokio::select! {
                () = queue.news.notified() => {}
                () = stop.asked() => {}
            }
        }
    }
}

async fn write<S: EventStore>(store: &S, jobs: Vec<Job>) {
    let wrong = |job: &Job| Some((job.stream.clone(), job.wrong?));
    let wrong: Vec<_> = jobs.iter().filter_map(wrong).collect();
    // A large state takes its time, which other tasks should not wait for.
    let made = tokio::task::spawn_blocking(|| jobs.into_iter().filter_map(make).collect());
    let made: Vec<_> = match made.await {
        Ok(made) => made,
        Err(error) => {
            let reason = panic_message(error);
            return tracing::error!(reason, "the states of snapshots were not written as JSON");
        }
    };
    for (stream, (fingerprint, version)) in wrong {
        let removed = store.remove_snapshot(&stream, fingerprint, version).await;
        if let Err(error) = removed {
            tracing::warn!(%stream, %error, "a wrong snapshot was not removed");
        }
    }
    if made.is_empty() {
        return;
    }
    let (snapshots, counters): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    let written = store.write_snapshots(snapshots).await;
    for counters in counters {
        count(match written {
            Ok(()) => &counters.written,
            Err(_) => &counters.dropped,
        });
    }
    if let Err(error) = written {
        tracing::warn!(%error, "snapshots were not written; they are made again");
    }
}

/// The snapshot, unless none can be made of the state.
fn make(job: Job) -> Option<(Snapshot, Arc<Counters>)> {
    let made = catch_unwind(AssertUnwindSafe(job.make));
    match made.unwrap_or_else(|_| Err("its `Serialize` or `Deserialize` panicked".to_owned())) {
        Ok(snapshot) => Some((snapshot, job.counters)),
        Err(why) => {
            count(&job.counters.dropped);
            tracing::error!(stream = %job.stream, version = job.version, why,
                "no snapshot can be made of the state");
            None
        }
    }
}
