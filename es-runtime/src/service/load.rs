//! How a state is come by: from the cache, from a snapshot and the events after it, or from all
//! events. Whatever the way, it is the state that all events give.

use std::sync::Arc;

use tokio::join;
use tokio::time::Instant;

use super::cache::Cache;
use super::snapshots::Snapshotter;
use crate::aggregate::{Aggregate, Evolve, Loaded};
use crate::error::Result;
use crate::event::{CommandId, StoredEventRef, StreamId, decode_event, read_back};
use crate::runtime::without;
use crate::store::{EventStore, Last, NewEvent, Outcome, SHORT, StreamQuery};

/// Events of a stream that are read at once.
pub(super) const PAGE: usize = 2_000;

/// A state with the last event that is in it. Clones share the state; who changes it gets one of
/// its own.
pub(super) struct Known<A> {
    loaded: Arc<Loaded<A>>,
    last: Option<Last>,
    /// The version of the newest snapshot that this came from or that was handed over since.
    pub(super) snapshot: u64,
}

impl<A> Clone for Known<A> {
    fn clone(&self) -> Self {
        Self {
            loaded: self.loaded.clone(),
            ..*self
        }
    }
}

impl<A> Known<A> {
    pub(super) fn loaded(&self) -> &Arc<Loaded<A>> {
        &self.loaded
    }

    pub(super) fn into_loaded(self) -> Arc<Loaded<A>> {
        self.loaded
    }

    pub(super) fn last(&self) -> Option<Last> {
        self.last
    }

    pub(super) fn version(&self) -> u64 {
        self.last.map_or(0, |last| last.version)
    }

    #[cfg(test)]
    pub(super) fn example(last: Last) -> Self
    where
        A: Default,
    {
        Self {
            loaded: Arc::default(),
            last: Some(last),
            snapshot: 0,
        }
    }
}

impl<A: Aggregate> Known<A> {
    /// The state before the first event.
    pub(super) fn nothing() -> Self {
        Self {
            loaded: Arc::default(),
            last: None,
            snapshot: 0,
        }
    }

    /// What a snapshot says, whose last event is `last`.
    pub(super) fn from_snapshot(state: A, last: Last) -> Self {
        Self {
            loaded: Arc::new(Loaded::new(state, last.version)),
            last: Some(last),
            snapshot: last.version,
        }
    }
}

impl<A: Evolve> Known<A> {
    pub(super) fn apply<'e>(
        &mut self,
        events: impl IntoIterator<Item = StoredEventRef<'e>>,
    ) -> Result<()> {
        let mut last = None;
        let loaded = Arc::make_mut(&mut self.loaded);
        for event in events {
            loaded.apply_parts(decode_event::<A::Event>(event)?);
            last = Some(event);
        }
        if let Some(last) = last {
            self.last = Some(last.into());
        }
        Ok(())
    }

    /// The state after events that are about to be appended. Nothing if what is written of them
    /// cannot be read: that is for the next reader to say.
    ///
    /// They are read back from their payloads, since that is what every other reader sees: what
    /// serde leaves out of an event, no state may hold.
    pub(super) fn after(&self, events: &[NewEvent]) -> Option<Loaded<A>> {
        let mut loaded = Loaded::clone(&self.loaded);
        for event in events {
            let (name, version) = (event.event_type, event.schema_version);
            loaded.apply_parts(read_back::<A::Event>(name, version, &event.payload)?);
        }
        Some(loaded)
    }

    /// Goes on to the state after a command, which was appended with this outcome.
    pub(super) fn advance(&mut self, loaded: Loaded<A>, outcome: Outcome, command: CommandId) {
        self.last = Some(Last {
            version: outcome.version,
            position: outcome.position(),
            command: Some(command),
        });
        self.loaded = Arc::new(loaded);
    }
}

/// Loads the states of one aggregate.
pub(super) struct Loader<'s, A, S> {
    pub(super) store: &'s S,
    pub(super) cache: Option<&'s Cache<A>>,
    pub(super) snapshots: Option<&'s Snapshotter<A>>,
}

impl<A: Evolve, S: EventStore> Loader<'_, A, S> {
    /// What the cache knows, which may be behind the store.
    pub(super) fn cached(&self, stream: &StreamId) -> Option<Known<A>> {
        self.cache?.get(stream)
    }

    /// The state as the store has it now.
    pub(super) async fn fresh(&self, stream: &StreamId) -> Result<Known<A>> {
        match self.cached(stream) {
            Some(known) => self.refresh(stream, known).await,
            None => self.load(stream).await,
        }
    }

    /// Brings what is known up to what the store has now, by the events after it.
    pub(super) async fn refresh(&self, stream: &StreamId, mut known: Known<A>) -> Result<Known<A>> {
        let Some(last) = known.last else {
            return self.load(stream).await;
        };
        // The last known event is read with them: in a log that was restored, another one may
        // stand in its place.
        let query = StreamQuery::after(last.version - 1).limit(SHORT).bare();
        let page = self.store.read_stream(stream, query).await?;
        let mut events = page.events.iter();
        match events.next() {
            Some(first) if Last::from(first) == last || without("a cached history is verified") => {
                known.apply(events)?;
                if page.more {
                    known = replay(self.store, stream, known, u64::MAX).await?;
                }
                self.keep(stream, &mut known);
                Ok(known)
            }
            _ => {
                tracing::warn!(%stream, version = last.version,
                    "what was known is not what the log holds; loading all of it");
                if let Some(cache) = self.cache {
                    cache.forget(stream, &known);
                }
                self.load(stream).await
            }
        }
    }

    /// The state from the store alone.
    async fn load(&self, stream: &StreamId) -> Result<Known<A>> {
        let started = Instant::now();
        let mut known = match self.snapshots {
            Some(snapshots) => snapshots.load(self.store, stream).await?,
            None => replay(self.store, stream, Known::nothing(), u64::MAX).await?,
        };
        if let Some(snapshots) = self.snapshots {
            snapshots.loaded(stream, &mut known, started.elapsed());
        }
        self.keep(stream, &mut known);
        Ok(known)
    }

    /// The state after events that are about to be appended, if somebody wants it.
    pub(super) fn next(&self, known: &Known<A>, events: &[NewEvent]) -> Option<Loaded<A>> {
        let due = |snapshots: &Snapshotter<A>| snapshots.due(known, events.len() as u64);
        let wanted = self.cache.is_some() || self.snapshots.is_some_and(due);
        if wanted && !events.is_empty() {
            known.after(events)
        } else {
            None
        }
    }

    /// Notes a state that the store has, or had just now.
    pub(super) fn keep(&self, stream: &StreamId, known: &mut Known<A>) {
        if let Some(snapshots) = self.snapshots {
            snapshots.offer(stream, known);
        }
        if let Some(cache) = self.cache.filter(|_| known.last.is_some()) {
            cache.put(stream, known);
        }
    }
}

/// Goes on from what is known by the events after it, up to the version `until`.
pub(super) async fn replay<A: Evolve, S: EventStore>(
    store: &S,
    stream: &StreamId,
    mut known: Known<A>,
    until: u64,
) -> Result<Known<A>> {
    let query = |after: u64, limit: usize| {
        let left = usize::try_from(until - after).unwrap_or(usize::MAX);
        StreamQuery::after(after).limit(limit.min(left)).bare()
    };
    // Most streams are short.
    let mut page = store
        .read_stream(stream, query(known.version(), SHORT))
        .await?;
    loop {
        let last = page.events.last().map(|event| event.version);
        let Some(last) = last.filter(|last| page.more && *last < until) else {
            known.apply(page.events.iter())?;
            return Ok(known);
        };
        // The database is asked for the next page before this one is applied.
        let (next, applied) = join!(
            biased;
            store.read_stream(stream, query(last, PAGE)),
            async { known.apply(page.events.iter()) },
        );
        applied?;
        page = next?;
    }
}
