//! The work of a read model: decode, fold, write rows and cursor together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::driver::Work;
use super::fold::Folding;
use super::kept::Kept;
use super::reacting::{Reacting, Reactions, Turn, declare};
use super::{Fold, Projection, React};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Recorded, SLICES, StoredEventRef, StoredEvents, slice_of};
use crate::store::{
    Advance, Advanced, Claimed, EventStore, ProjectionId, ProjectionState, Written,
};

/// Bytes of rows that are kept in memory for a read model, shared by its parts.
const KEPT: usize = 32 << 20;
/// Events that are decoded and folded before other tasks have their turn: less than a page, so that
/// a large page is not in memory twice.
const AT_ONCE: usize = 1000;

/// One version of a read model with the families of events that it folds.
pub(crate) struct ReadModel<P> {
    sources: Vec<Source<P>>,
    /// The keys that this part folds.
    slices: Range<u16>,
    kept: Kept<P>,
    /// How the events are decoded whose reactions are to be enqueued, by family.
    reacting: BTreeMap<&'static str, Decode<P>>,
    turn: Turn,
    /// Rung when there are new reactions.
    bell: Arc<Notify>,
}

// Also where `P` is not: nothing of it is held.
impl<P: Projection> Clone for ReadModel<P> {
    fn clone(&self) -> Self {
        let source = |source: &Source<P>| Source { ..*source };
        let sources = self.sources.iter().map(source).collect();
        Self {
            sources,
            slices: self.slices.clone(),
            kept: Kept::new(KEPT),
            reacting: self.reacting.clone(),
            turn: Turn::default(),
            bell: self.bell.clone(),
        }
    }
}

/// Adds what a stored event is today.
type Decode<P> = fn(StoredEventRef<'_>, &mut Decoded<P>) -> Result<()>;
/// Events, each with the keys that it touches.
pub(super) type Decoded<P> = Vec<(Vec<String>, Box<dyn Folding<P>>)>;

/// A family of events: those of one aggregate's streams.
struct Source<P> {
    aggregate: &'static str,
    decode: Decode<P>,
}

impl<P: Projection> ReadModel<P> {
    pub(crate) fn new() -> Self {
        Self {
            sources: Vec::new(),
            slices: 0..SLICES,
            kept: Kept::new(KEPT),
            reacting: BTreeMap::new(),
            turn: Turn::default(),
            bell: Arc::default(),
        }
    }

    /// Reacts to a family of events, and rings the bell; `false` if it does already.
    pub(crate) fn react<E: Event>(&mut self, bell: &Arc<Notify>) -> bool
    where
        P: React<E>,
    {
        let decode = |event: StoredEventRef<'_>, events: &mut Decoded<P>| {
            for part in Recorded::<E>::decode(event)? {
                let event: Box<dyn Folding<P>> = Box::new(Reacting(part));
                events.push((event.keys(), event));
            }
            Ok(())
        };
        self.bell = bell.clone();
        self.reacting.insert(E::NAME, decode).is_none()
    }

    /// The families that it reacts to.
    fn reacts(&self) -> BTreeSet<String> {
        self.reacting.keys().copied().map(str::to_owned).collect()
    }

    /// Adds a family of events; `false` if it is there already.
    pub(crate) fn add<E: Event>(&mut self) -> bool
    where
        P: Fold<E>,
    {
        if self.source(E::NAME).is_some() {
            return false;
        }
        let decode = |event: StoredEventRef<'_>, events: &mut Decoded<P>| {
            for part in Recorded::<E>::decode(event)? {
                let event: Box<dyn Folding<P>> = Box::new(part);
                events.push((event.keys(), event));
            }
            Ok(())
        };
        self.sources.push(Source {
            aggregate: E::NAME,
            decode,
        });
        true
    }

    /// The aggregates whose events it folds.
    pub(super) fn aggregates(&self) -> impl Iterator<Item = &'static str> {
        self.sources.iter().map(|source| source.aggregate)
    }

    fn source(&self, aggregate: &str) -> Option<&Source<P>> {
        self.sources
            .iter()
            .find(|source| source.aggregate == aggregate)
    }

    /// Decodes those of the events that concern this read model: all of its families' streams, with
    /// those of their keys that are this part's.
    fn decode<'e>(&self, stored: impl Iterator<Item = StoredEventRef<'e>>) -> Result<Decoded<P>> {
        let mut events = Vec::with_capacity(AT_ONCE);
        for event in stored {
            let reacting = self.reacting.get(event.aggregate());
            match reacting.filter(|_| self.turn.takes(P::VERSION, event.position)) {
                Some(decode) => decode(event, &mut events)?,
                None => self.decode_one(event, &mut events)?,
            }
        }
        if self.slices != (0..SLICES) {
            for (keys, _) in &mut events {
                keys.retain(|key| self.slices.contains(&slice_of(key)));
            }
        }
        Ok(events)
    }

    /// Adds what an event is today, if it concerns this read model.
    pub(super) fn decode_one(
        &self,
        event: StoredEventRef<'_>,
        events: &mut Decoded<P>,
    ) -> Result<()> {
        match self.source(event.aggregate()) {
            Some(source) => (source.decode)(event, events),
            None => Ok(()),
        }
    }
}

impl<S: EventStore, P: Projection> Work<S> for ReadModel<P> {
    fn id(&self) -> ProjectionId {
        (&P::TABLE).into()
    }

    fn another(&self) -> Option<Self> {
        Some(self.clone())
    }

    async fn prepare(&mut self, store: &S) -> Result<ProjectionState> {
        if let Some(family) = self
            .reacting
            .keys()
            .find(|family| self.source(family).is_none())
        {
            let what = format!(
                "`{}` over the events of `{family}`, to which it reacts",
                P::TABLE
            );
            return Err(Error::new(Kind::Unregistered { what }));
        }
        let state = store.prepare_table(&P::TABLE).await?;
        declare(store, &(&P::TABLE).into(), state, self.reacts()).await
    }

    async fn complete(&mut self, store: &S) -> Result<()> {
        store.complete_table(&P::TABLE).await
    }

    fn claimed(&mut self, slices: &Range<u16>, claimed: &Claimed) {
        self.turn.claimed(slices, claimed);
        if self.slices != *slices {
            self.slices = slices.clone();
            self.kept = Kept::new(KEPT / usize::from(SLICES) * slices.len());
        }
    }

    async fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        page: &StoredEvents,
    ) -> Result<Advanced> {
        self.turn.check(&advance.projection, &self.reacts())?;
        let mut reactions = Reactions::default();
        self.kept.begin(&advance);
        let mut stored = page.iter();
        while stored.len() > 0 {
            let events = self.decode(stored.by_ref().take(AT_ONCE))?;
            let keys = events.iter().flat_map(|(keys, _)| keys);
            let missing = self.kept.missing(keys.map(String::as_str));
            if !missing.is_empty() {
                let rows = store.read_rows(&P::TABLE, missing.clone()).await?;
                self.kept.add(missing, rows)?;
            }
            for (keys, event) in events {
                for key in keys {
                    if event.reacts() {
                        let own = key.clone();
                        let react = |row| event.react(&own, row, &mut reactions);
                        self.kept.change(key, react);
                    } else {
                        self.kept.change(key, |row| event.fold(row));
                    }
                }
            }
            if stored.len() > 0 {
                yield_now().await;
            }
        }
        let mut written = Written::from(self.kept.changes()?);
        written.reactions = reactions.finish()?;
        let reacts = !written.reactions.is_empty();
        let advanced = store
            .advance_rows(advance.clone(), &P::TABLE, written)
            .await?;
        if advanced == Advanced::Moved {
            self.kept.moved(&advance);
            if reacts {
                self.bell.notify_one();
            }
        }
        Ok(advanced)
    }
}
