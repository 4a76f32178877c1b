//! Snapshots of one aggregate: when they are made, when one is believed, and what is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::load::{Known, PAGE, replay};
use super::writer::{Job, Queue};
use crate::aggregate::{Evolve, Fingerprint};
use crate::error::{Error, Kind, Result};
use crate::event::{Clock, StoredEventRef, StreamId};
use crate::runtime::without;
use crate::store::{EventStore, Last, Snapshot};

/// When a snapshot of an aggregate is made.
///
/// ```
/// use std::time::Duration;
/// use es_runtime::Snapshots;
///
/// let policy = Snapshots::every(100).or_slower_than(Duration::from_millis(5));
/// # let _ = policy;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshots {
    every: Option<u64>,
    slower_than: Option<Duration>,
}

impl Snapshots {
    /// When this many events came after the last one; at least one.
    pub const fn every(events: u32) -> Self {
        let events = if events == 0 { 1 } else { events };
        Self {
            every: Some(events as u64),
            slower_than: None,
        }
    }

    /// When reading the events took longer than this.
    pub const fn slower_than(load: Duration) -> Self {
        Self {
            every: None,
            slower_than: Some(load),
        }
    }

    /// Also when this many events came after the last one.
    pub const fn or_every(self, events: u32) -> Self {
        Self {
            every: Self::every(events).every,
            ..self
        }
    }

    /// Also when reading the events took longer than this.
    pub const fn or_slower_than(self, load: Duration) -> Self {
        Self {
            slower_than: Some(load),
            ..self
        }
    }

    fn due_by_events(&self, events: u64) -> bool {
        self.every.is_some_and(|every| events >= every)
    }

    fn due_by_time(&self, events: u64, took: Duration) -> bool {
        events > 0 && self.slower_than.is_some_and(|most| took > most)
    }
}

/// How the states of an aggregate were come by since the service started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStats {
    /// Loads that began with a snapshot.
    pub used: u64,
    /// Loads that found none of this fingerprint.
    pub absent: u64,
    /// Snapshots that could not be read, or were not believed: broken, or not of this history.
    pub refused: u64,
    /// Snapshots that were written.
    pub written: u64,
    /// Snapshots that were not written: too many were waiting, the database failed, or the state
    /// does not survive its JSON.
    pub dropped: u64,
    /// Whether a snapshot was found to say something else than its events, so that none is used
    /// any more.
    pub off: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    used: AtomicU64,
    absent: AtomicU64,
    refused: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    off: AtomicBool,
}

pub(super) fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

/// Reads and makes the snapshots of one aggregate. What it needs of the state's type is kept as
/// functions, so that aggregates without snapshots need not have it.
pub(super) struct Snapshotter<A> {
    policy: Snapshots,
    fingerprint: Fingerprint,
    state: StateType<A>,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
}

/// What a state can do beside what all aggregates can.
struct StateType<A> {
    write: fn(&A) -> serde_json::Result<String>,
    read: fn(&str) -> serde_json::Result<A>,
    same: fn(&A, &A) -> bool,
}

impl<A> Clone for StateType<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for StateType<A> {}

/// Why a snapshot is not believed.
type Refusal = String;

impl<A: Evolve> Snapshotter<A> {
    pub(super) fn new(policy: Snapshots, clock: Arc<dyn Clock>, queue: Arc<Queue>) -> Result<Self>
    where
        A: Serialize + DeserializeOwned + PartialEq,
    {
        let unencodable = |error| {
            let what = format!("the first state of `{}`", A::NAME);
            Error::caused_by(Kind::Unencodable { what }, error)
        };
        Ok(Self {
            policy,
            fingerprint: Fingerprint::of::<A>().map_err(unencodable)?,
            state: StateType {
                write: |state| serde_json::to_string(state),
                read: |json| serde_json::from_str(json),
                same: PartialEq::eq,
            },
            clock,
            queue,
            counters: Arc::default(),
        })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn stats(&self) -> SnapshotStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        SnapshotStats {
            used: get(&counters.used),
            absent: get(&counters.absent),
            refused: get(&counters.refused),
            written: get(&counters.written),
            dropped: get(&counters.dropped),
            off: self.is_off(),
        }
    }

    fn is_off(&self) -> bool {
        self.counters.off.load(Ordering::Relaxed)
    }

    /// The state as the store has it, by a snapshot if there is one that is believed.
    pub(super) async fn load<S: EventStore>(
        &self,
        store: &S,
        stream: &StreamId,
    ) -> Result<Known<A>> {
        if self.is_off() {
            return replay(store, stream, Known::nothing(), u64::MAX).await;
        }
        let found = match store.read_snapshot(stream, self.fingerprint, PAGE).await {
            Ok(found) => found,
            // If it is the database that is away, the events will tell.
            Err(error) => {
                count(&self.counters.refused);
                tracing::warn!(%stream, %error, "no snapshot can be read; loading all events");
                return replay(store, stream, Known::nothing(), u64::MAX).await;
            }
        };
        let (mut known, page) = match found {
            (None, ref page) => {
                count(&self.counters.absent);
                (Known::nothing(), page)
            }
            (Some(snapshot), ref page) => match self.believe(stream, &snapshot, page.events.get(0))
            {
                Ok((state, last)) => {
                    let known = Known::from_snapshot(state, last);
                    let known = self.prove(store, stream, known).await?;
                    (known, page)
                }
                Err(why) => {
                    count(&self.counters.refused);
                    tracing::warn!(%stream, version = snapshot.version, why,
                        "a snapshot is not used; loading all events");
                    let all = replay(store, stream, Known::nothing(), u64::MAX).await?;
                    self.replace(stream, &all, snapshot.version);
                    return Ok(all);
                }
            },
        };
        // The snapshot's own last event came with the others.
        let version = known.version();
        let events = page.events.iter();
        known.apply(events.skip_while(|event| event.version <= version))?;
        if page.more {
            known = replay(store, stream, known, u64::MAX).await?;
        }
        Ok(known)
    }

    /// The state of a snapshot that is whole, of this fingerprint and stream, and of this history:
    /// its last event, which is the first one that was read, is the one that it was sealed with.
    fn believe(
        &self,
        stream: &StreamId,
        snapshot: &Snapshot,
        last: Option<StoredEventRef<'_>>,
    ) -> Result<(A, Last), Refusal> {
        if snapshot.fingerprint != self.fingerprint || snapshot.stream != *stream {
            return Err("the store answered with another one than was asked for".to_owned());
        }
        let Some(last) = last else {
            return Err("the stream does not go that far".to_owned());
        };
        let last = Last::from(last);
        let seal = Snapshot::seal_of(self.fingerprint, stream, last, &snapshot.state);
        if snapshot.seal != seal && !without("a snapshot is sealed") {
            return Err("it is damaged, or of another history".to_owned());
        }
        let state = (self.state.read)(&snapshot.state);
        let state = state.map_err(|error| format!("it does not decode: {error}"))?;
        Ok((state, last))
    }

    /// Compares a snapshot with the events that it stands for: the first one that is used, the
    /// second, the fourth, and so on. What a fingerprint cannot see, a new meaning of old events, shows
    /// here. Answers the state that may be used.
    async fn prove<S: EventStore>(
        &self,
        store: &S,
        stream: &StreamId,
        known: Known<A>,
    ) -> Result<Known<A>> {
        if !count(&self.counters.used).is_power_of_two() {
            return Ok(known);
        }
        let all = replay(store, stream, Known::nothing(), known.version()).await?;
        let (told, real) = (known.loaded().state(), all.loaded().state());
        let same = all.last() == known.last() && (self.state.same)(told, real);
        if same || without("a snapshot is compared with its events") {
            return Ok(known);
        }
        self.counters.off.store(true, Ordering::Relaxed);
        tracing::error!(%stream, version = known.version(),
            "a snapshot says something else than its events, so no snapshot of `{}` is used any \
             more: raise `snapshot = …` in its `#[aggregate(…)]`, since what its events mean has \
             changed", A::NAME);
        Ok(all)
    }

    /// Whether a snapshot is due after `more` events.
    pub(super) fn due(&self, known: &Known<A>, more: u64) -> bool {
        let events = (known.version() + more).saturating_sub(known.snapshot);
        !self.is_off() && self.policy.due_by_events(events)
    }

    /// Hands a state over to be written, if that is due.
    pub(super) fn offer(&self, stream: &StreamId, known: &mut Known<A>) {
        if self.due(known, 0) {
            self.hand_over(stream, known, None);
        }
    }

    /// Hands over a state that took this long to load, if that is due.
    pub(super) fn loaded(&self, stream: &StreamId, known: &mut Known<A>, took: Duration) {
        let events = known.version() - known.snapshot;
        if !self.is_off() && self.policy.due_by_time(events, took) {
            self.hand_over(stream, known, None);
        }
    }

    /// Takes the place of a snapshot that was not believed.
    fn replace(&self, stream: &StreamId, known: &Known<A>, wrong: u64) {
        self.hand_over(stream, &mut known.clone(), Some(wrong));
    }

    fn hand_over(&self, stream: &StreamId, known: &mut Known<A>, wrong: Option<u64>) {
        let Some(last) = known.last() else { return };
        let (fingerprint, state, clock) = (self.fingerprint, self.state, self.clock.clone());
        let (loaded, of) = (known.loaded().clone(), stream.clone());
        let make = move || {
            let text = state.to_text(loaded.state())?;
            Ok(Snapshot {
                seal: Snapshot::seal_of(fingerprint, &of, last, &text),
                stream: of,
                fingerprint,
                version: last.version,
                state: text,
                time: clock.now(),
            })
        };
        let job = Job {
            stream: stream.clone(),
            version: last.version,
            wrong: wrong.map(|version| (fingerprint, version)),
            make: Box::new(make),
            counters: self.counters.clone(),
        };
        if self.queue.offer(job) {
            known.snapshot = last.version;
        } else {
            count(&self.counters.dropped);
        }
    }
}

impl<A> StateType<A> {
    /// The state as JSON, if that is the whole of it.
    fn to_text(self, state: &A) -> Result<String, String> {
        let text = (self.write)(state).map_err(|error| error.to_string())?;
        let again = (self.read)(&text).map_err(|error| format!("it does not decode: {error}"))?;
        if (self.same)(state, &again) || without("a snapshot is the whole state") {
            Ok(text)
        } else {
            Err(
                "its JSON is another state when it is read; does serde leave something out?"
                    .to_owned(),
            )
        }
    }
}
