//! The work of a read model: decode, fold, write rows and cursor together.

use std::ops::Range;

use super::driver::Work;
use super::fold::{Folding, Page, Rows};
use super::{Fold, OutOfRange, Projection};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Recorded, SLICES, StoredEventRef, StoredEvents};
use crate::store::{
    Advance, Advanced, Claimed, EventStore, ProjectionId, ProjectionState, RowChange,
};

/// One version of a read model with the families of events that it folds.
pub(crate) struct ReadModel<P> {
    sources: Vec<Source<P>>,
    /// The keys that this part folds.
    slices: Range<u16>,
}

/// Adds what a stored event is today.
type Decode<P> = fn(StoredEventRef<'_>, &mut Decoded<P>) -> Result<()>;
type Decoded<P> = Vec<Box<dyn Folding<P>>>;

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
                events.push(Box::new(part));
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

    /// Decodes the events of the page that concern this read model: all of its families' streams.
    fn decode(&self, page: &StoredEvents) -> Result<Page<P>> {
        let mut events = Vec::with_capacity(page.len());
        for event in page.iter() {
            if let Some(source) = self.source(event.aggregate()) {
                (source.decode)(event, &mut events)?;
            }
        }
        Ok(Page::new(events, &self.slices))
    }
}

/// Says which row of which projection holds a value that cannot be kept.
fn misfit<P: Projection>(key: &str) -> impl FnOnce(OutOfRange) -> Error {
    let what = format!("the row `{key}` of `{}`", P::TABLE);
    |error| Error::caused_by(Kind::OutOfRange { what }, error)
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
        })
    }

    async fn prepare(&mut self, store: &S) -> Result<ProjectionState> {
        store.prepare_table(&P::TABLE).await
    }

    fn claimed(&mut self, slices: &Range<u16>, _: &Claimed) {
        self.slices = slices.clone();
    }

    async fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        page: &StoredEvents,
    ) -> Result<Advanced> {
        let page = self.decode(page)?;
        let keys: Vec<_> = page.keys().into_iter().collect();
        let mut rows = Rows::new();
        if !keys.is_empty() {
            for (key, row) in store.read_rows(&P::TABLE, keys).await? {
                let row = P::from_row(row).map_err(misfit::<P>(&key))?;
                rows.insert(key, Some(row));
            }
        }
        let change = |(key, row): (String, Option<P>)| {
            let row = row
                .map(|row| row.to_row().map_err(misfit::<P>(&key)))
                .transpose()?;
            Ok(RowChange { key, row })
        };
        let changes = page
            .fold(rows)
            .into_iter()
            .map(change)
            .collect::<Result<Vec<_>>>()?;
        store.advance_rows(advance, &P::TABLE, changes.into()).await
    }
}
