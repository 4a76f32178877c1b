//! Makes this instance known to the others, and follows which of them run.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::versions::{Judge, Versions};
use crate::error::Result;
use crate::runtime::Stop;
use crate::store::{EventStore, Instance, NewInstance};

/// How often an instance says that it lives, and how long it counts as alive without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    pub(super) every: Duration,
    pub(super) timeout: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

/// How long leaving may take; after that, this instance counts as alive until its time-out.
const GRACE: Duration = Duration::from_secs(5);

/// This instance among the others.
#[derive(Debug)]
pub(super) struct Instances<S> {
    store: S,
    own: NewInstance,
    judges: Vec<Judge>,
    known: Mutex<Known>,
    /// One looks at a time, so that what is known is what was read last.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// Our own number.
    number: u64,
    versions: Arc<Versions>,
    /// Those that were not alive any more at the last heartbeat.
    expired: HashSet<u64>,
}

impl<S: EventStore> Instances<S> {
    /// An instance that nobody knows of, as on a store that only reads: it is no reason for others
    /// to write less.
    pub(super) fn unregistered(store: S, own: NewInstance, judges: Vec<Judge>) -> Self {
        Self {
            store,
            own,
            judges,
            known: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Registers, before anything is read or written.
    pub(super) async fn register(&self) -> Result<()> {
        let _alone = self.looking.lock().await;
        let all = self.store.register(&self.own).await?;
        let mut known = self.known();
        known.number = all.last().map_or(0, |own| own.number);
        // Those that nobody hears of any more were so before we came.
        known.expired = expired(&all);
        known.learn(&self.judges, &all);
        Ok(())
    }

    /// Every operation leaves it whole before it can panic, so a poisoned lock guards what is good.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is written while those run that are known.
    pub(super) fn versions(&self) -> Arc<Versions> {
        self.known().versions.clone()
    }

    /// Looks who runs now.
    pub(super) async fn look(&self) -> Result<()> {
        let _alone = self.looking.lock().await;
        let all = self.store.instances().await?;
        self.known().learn(&self.judges, &all);
        Ok(())
    }

    /// Says that this instance lives, and hears of the others.
    async fn beat(&self) -> Result<()> {
        let alone = self.looking.lock().await;
        let number = self.known().number;
        if let Some(all) = self.store.keep_alive(number, self.own.timeout).await? {
            let mut known = self.known();
            known.learn(&self.judges, &all);
            known.expired = expired(&all);
            return Ok(());
        }
        drop(alone);
        tracing::warn!(
            instance = number,
            "not heard of for too long: registers again"
        );
        self.register().await
    }
}

impl Known {
    /// The others that run. A database that was away makes everybody late: who is not alive any more
    /// has one more heartbeat's time to say that it is.
    fn running<'i>(&self, all: &'i [Instance]) -> Vec<&'i Instance> {
        let others = all.iter().filter(|instance| instance.number != self.number);
        let runs = |other: &&Instance| other.alive || !self.expired.contains(&other.number);
        others.filter(runs).collect()
    }

    fn learn(&mut self, judges: &[Judge], all: &[Instance]) {
        let newest = all.iter().map(|instance| instance.number).max();
        // Those that left have no row any more, and no number is given twice.
        let newest = newest.max(self.versions.newest).unwrap_or_default();
        let running = self.running(all);
        let versions = Versions::new(newest, judges, &running);
        if versions.restricted() != self.versions.restricted() {
            tracing::info!(events = ?versions.restricted(), "not written as they are today");
        }
        self.versions = Arc::new(versions);
    }
}

fn expired(all: &[Instance]) -> HashSet<u64> {
    let gone = all.iter().filter(|instance| !instance.alive);
    gone.map(|instance| instance.number).collect()
}

/// Keeps this instance among the others; dropped, it leaves.
pub(super) struct Presence {
    leave: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Presence {
    pub(super) fn new<S: EventStore>(instances: Arc<Instances<S>>, every: Duration) -> Self {
        let leave = watch::Sender::new(false);
        let task = tokio::spawn(stay(instances, every, Stop::new(leave.subscribe())));
        let task = Mutex::new(Some(task));
        Self { leave, task }
    }

    /// Leaves, and returns when the others can know.
    pub(super) async fn end(&self) {
        self.leave.send_replace(true);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.await.ok();
        }
    }
}

async fn stay<S: EventStore>(instances: Arc<Instances<S>>, every: Duration, mut stop: Stop) {
    let beats = async {
        loop {
            sleep(every).await;
            if let Err(error) = instances.beat().await {
                tracing::warn!(%error, "the other instances do not hear of this one");
            }
        }
    };
    tokio::select! {
        () = beats => {}
        () = stop.asked() => {}
    }
    let number = instances.known().number;
    match timeout(GRACE, instances.store.deregister(number)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "counts as alive until its time-out"),
        Err(_) => tracing::warn!("could not leave in time; counts as alive until its time-out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::store::Knowledge;

    fn instance(number: u64, alive: bool) -> Instance {
        Instance {
            number,
            service: "bank".to_owned(),
            knows: Knowledge::new(),
            started: Timestamp::default(),
            seen: Timestamp::default(),
            alive,
        }
    }

    fn runs(known: &Known, all: &[Instance]) -> Vec<u64> {
        let running = known.running(all);
        running.iter().map(|instance| instance.number).collect()
    }

    /// After an outage all are late: nobody is given up before it could say that it lives.
    #[test]
    fn who_is_late_has_one_more_heartbeat() {
        let mut known = Known {
            number: 3,
            ..Known::default()
        };
        let late = [instance(1, false), instance(2, true), instance(3, true)];
        assert_eq!(runs(&known, &late), [1, 2]);
        // Looking in between is no heartbeat.
        known.learn(&[], &late);
        assert_eq!(runs(&known, &late), [1, 2]);
        known.expired = expired(&late);
        assert_eq!(runs(&known, &late), [2]);
        let back = [instance(2, true), instance(3, true), instance(4, true)];
        assert_eq!(runs(&known, &back), [2, 4]);
    }

    #[test]
    fn whoever_left_was_known_all_the_same() {
        let mut known = Known::default();
        known.learn(&[], &[instance(3, true), instance(9, true)]);
        assert_eq!(known.versions.newest, Some(9));
        known.learn(&[], &[instance(3, true)]);
        assert_eq!(known.versions.newest, Some(9));
        known.learn(&[], &[instance(10, true)]);
        assert_eq!(known.versions.newest, Some(10));
    }
}
