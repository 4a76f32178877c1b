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
const KEPT: usize = 64 << 20;
/// Events that are decoded or folded before other tasks have their turn.
const AT_ONCE: usize = 256;

/// One version of a read model with the families of events that it folds.
pub(crate) struct ReadModel<P> {
    sources: Vec<Source<P>>,
    /// The keys that this part folds.
    slices: Range<u16>,
    kept: Kept<P>,
}

/// Adds what a stored event is today.
type Decode<P> = fn(StoredEventRef<'_>, &mut Decoded<P>) -> Result<()>;
/// Events, each with the keys that it touches.
type Decoded<P> = Vec<(Vec<String>, Box<dyn Folding<P>>)>;

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

    fn source(&self, aggregate: &str) -> Option<&Source<P>> {
        self.sources
            .iter()
            .find(|source| source.aggregate == aggregate)
    }

    /// Decodes the events of the page that concern this read model: all of its families' streams,
    /// with those of their keys that are this part's.
    async fn decode(&self, page: &StoredEvents) -> Result<Decoded<P>> {
        let mut events = Vec::with_capacity(page.len());
        for (n, event) in page.iter().enumerate() {
            if let Some(source) = self.source(event.aggregate()) {
                (source.decode)(event, &mut events)?;
            }
            breathe(n).await;
        }
        if self.slices != (0..SLICES) {
            for (keys, _) in &mut events {
                keys.retain(|key| self.slices.contains(&slice_of(key)));
            }
        }
        Ok(events)
    }
}

/// Gives other tasks of the process their turn now and then.
async fn breathe(done: usize) {
    if done % AT_ONCE == AT_ONCE - 1 {
        yield_now().await;
    }
}

impl<S: EventStore, P: Projection> Work<S> for ReadModel<P> {
    fn id(&self) -> ProjectionId {
        (&P::TABLE).into()
    }

    fn another(&self) -> Option<Self> {
        let source = |source: &Source<P>| Source {
            aggregate: source.aggregate,
            decode: source.decode,
        };
        Some(Self {
            sources: self.sources.iter().map(source).collect(),
            slices: self.slices.clone(),
            kept: Kept::new(KEPT),
        })
    }

    async fn prepare(&mut self, store: &S) -> Result<ProjectionState> {
        store.prepare_table(&P::TABLE).await
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
        let events = self.decode(page).await?;
        self.kept.begin(&advance);
        let keys = events.iter().flat_map(|(keys, _)| keys);
        let missing = self.kept.missing(keys.map(String::as_str));
        if !missing.is_empty() {
            let rows = store.read_rows(&P::TABLE, missing.clone()).await?;
            self.kept.add(missing, rows)?;
        }
        for (n, (keys, event)) in events.into_iter().enumerate() {
            for key in keys {
                self.kept.change(key, |row| event.fold(row));
            }
            breathe(n).await;
        }
        let changes = self.kept.changes()?;
        let advanced = store
            .advance_rows(advance.clone(), &P::TABLE, changes.into())
            .await?;
        if advanced == Advanced::Moved {
            self.kept.moved(&advance);
        }
        Ok(advanced)
    }
}
