//! Writes snapshots beside the commands: who hands one over does not wait, and does not hear of
//! errors.

use std::collections::{HashMap, HashSet};
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
    jobs: Mutex<Jobs>,
    news: Notify,
}

#[derive(Default)]
struct Jobs {
    waiting: HashMap<StreamId, Job>,
    writing: HashSet<StreamId>,
}

impl Queue {
    /// Every operation leaves the jobs whole before it can panic, so a poisoned lock guards good
    /// ones.
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the stream's snapshot will be written, this one or one near it.
    pub(super) fn offer(&self, mut job: Job) -> bool {
        let mut jobs = self.jobs();
        if let Some(earlier) = jobs.waiting.remove(&job.stream) {
            // What one of them found to be wrong goes, whichever is written.
            let wrong = job.wrong.or(earlier.wrong);
            job = if earlier.version > job.version {
                earlier
            } else {
                job
            };
            job.wrong = wrong;
        } else if job.wrong.is_none() && jobs.writing.contains(&job.stream) {
            // Who hands it over has not seen yet what is being written.
            return true;
        } else if jobs.waiting.len() >= WAITING {
            return false;
        }
        jobs.waiting.insert(job.stream.clone(), job);
        drop(jobs);
        self.news.notify_one();
        true
    }

    /// The next jobs to do; those before are done.
    fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs();
        let next: Vec<_> = jobs.waiting.keys().take(BATCH).cloned().collect();
        let taken = next.iter().filter_map(|stream| jobs.waiting.remove(stream));
        let taken = taken.collect();
        jobs.writing = next.into_iter().collect();
        taken
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;

    fn job(id: usize, version: u64, wrong: Option<u64>) -> Job {
        let stream = StreamId::new("account", id).unwrap();
        let fingerprint = Fingerprint::from_bytes([1; 16]);
        let of = stream.clone();
        let make = move || {
            Ok(Snapshot {
                stream: of,
                fingerprint,
                version,
                state: "{}".to_owned(),
                seal: [0; 32],
                time: Timestamp::default(),
            })
        };
        Job {
            stream,
            version,
            wrong: wrong.map(|version| (fingerprint, version)),
            make: Box::new(make),
            counters: Arc::default(),
        }
    }

    fn waiting(queue: &Queue) -> Vec<(u64, Option<u64>)> {
        let jobs = queue.jobs();
        let job = |job: &Job| (job.version, job.wrong.map(|(_, version)| version));
        jobs.waiting.values().map(job).collect()
    }

    #[test]
    fn of_a_stream_the_latest_waits_and_what_is_wrong_is_not_forgotten() {
        let queue = Queue::default();
        assert!(queue.offer(job(1, 5, Some(9))));
        assert!(queue.offer(job(1, 7, None)));
        assert!(queue.offer(job(1, 6, None)));
        assert_eq!(waiting(&queue), [(7, Some(9))]);
    }

    #[test]
    fn what_is_being_written_is_not_written_again_at_once() {
        let queue = Queue::default();
        assert!(queue.offer(job(1, 5, None)));
        assert_eq!(queue.take().len(), 1);
        assert!(queue.offer(job(1, 6, None)));
        assert_eq!(waiting(&queue), []);
        assert!(queue.offer(job(1, 6, Some(5))));
        assert_eq!(waiting(&queue), [(6, Some(5))]);
        queue.take();
        queue.take();
        assert!(queue.offer(job(1, 7, None)));
        assert_eq!(waiting(&queue), [(7, None)]);
    }

    #[test]
    fn a_full_queue_drops_what_comes_and_takes_what_replaces() {
        let queue = Queue::default();
        for id in 0..WAITING {
            assert!(queue.offer(job(id, 1, None)));
        }
        assert!(!queue.offer(job(WAITING, 1, None)));
        assert!(queue.offer(job(0, 2, None)));
        let mut taken = 0;
        while let batch @ 1.. = queue.take().len() {
            assert!(batch <= BATCH);
            taken += batch;
        }
        assert_eq!(taken, WAITING);
    }

    #[tokio::test]
    async fn what_waits_is_written_before_the_end() {
        use tokio::sync::watch;

        let (queue, store) = (
            Arc::new(Queue::default()),
            crate::store::memory::MemoryStore::new(),
        );
        for id in 0..100 {
            assert!(queue.offer(job(id, 3, None)));
        }
        let panics = Job {
            make: Box::new(|| panic!("a `Serialize` of a user's")),
            ..job(100, 3, None)
        };
        let counters = panics.counters.clone();
        assert!(queue.offer(panics));
        let stop = watch::Sender::new(true);
        run(queue, store.clone(), Stop::new(stop.subscribe())).await;
        for id in 0..100 {
            let Job { stream, .. } = job(id, 3, None);
            let of = Fingerprint::from_bytes([1; 16]);
            let (found, _) = store.read_snapshot(&stream, of, 1).await.unwrap();
            assert!(found.is_some_and(|snapshot| snapshot.version == 3), "{id}");
        }
        assert_eq!(count(&counters.dropped), 2);
    }
}
