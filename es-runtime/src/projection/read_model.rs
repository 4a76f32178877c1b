//! The work of a read model: decode, fold, write rows and cursor together.

use std::ops::Range;

use tokio::task::yield_now;

use super::driver::Work;
use super::fold::Folding;
use super::kept::Kept;
use super::{Fold, Projection};
use crate::error::Result;
use crate::event::{Event, Recorded, SLICES, StoredEventRef, StoredEvents, slice_of};
use crate::store::{Advance, Advanced, Claimed, EventStore, ProjectionId, ProjectionState};

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
        }
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
            self.decode_one(event, &mut events)?;
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
        store.prepare_table(&P::TABLE).await
    }

    async fn complete(&mut self, store: &S) -> Result<()> {
        store.complete_table(&P::TABLE).await
    }

    fn claimed(&mut self, slices: &Range<u16>, _: &Claimed) {
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
                    self.kept.change(key, |row| event.fold(row));
                }
            }
            if stored.len() > 0 {
                yield_now().await;
            }
        }
        let changes = self.kept.changes()?;
        let advanced = store
            .advance_rows(advance.clone(), &P::TABLE, changes)
            .await?;
        if advanced == Advanced::Moved {
            self.kept.moved(&advance);
        }
        Ok(advanced)
    }
}
