//! The work of a read model: decode, fold, write rows and cursor together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::driver::Work;
use super::fold::Folding;
use super::kept::Kept;
use super::parking::{Parking, Refusals, carefully, park, read_at};
use super::reacting::{Reacting, Reactions, Turn, declare};
use super::{Fold, Projection, React};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Position, Recorded, SLICES, StoredEventRef, StoredEvents, slice_of};
use crate::store::{
    Advance, Advanced, Claimed, EventStore, ParkedChange, ProjectionId, ProjectionState, RowChange,
    StillParked, Written,
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
    parking: Parking,
}

/// Without what it keeps in memory.
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
            parking: Parking::default(),
        }
    }
}

/// Adds what a stored event is today.
type Decode<P> = fn(StoredEventRef<'_>, &mut Decoded<P>) -> Result<()>;
/// Events, each with the keys that it touches.
pub(super) type Decoded<P> = Vec<(Vec<String>, Box<dyn Folding<P>>)>;

/// The events of each key, in order.
type Events<P> = BTreeMap<String, Vec<Arc<dyn Folding<P>>>>;

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
            parking: Parking::default(),
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
            self.decode_in_turn(event, &mut events)?;
        }
        if self.slices != (0..SLICES) {
            for (keys, _) in &mut events {
                keys.retain(|key| self.slices.contains(&slice_of(key)));
            }
        }
        Ok(events)
    }

    /// What the page makes; nothing if a key fails.
    async fn fold<S: EventStore>(
        &mut self,
        store: &S,
        advance: &Advance,
        page: &StoredEvents,
    ) -> Result<Option<Written>> {
        let mut written = Written::default();
        let mut reactions = Reactions::default();
        self.kept.begin(advance);
        let mut stored = page.iter();
        while stored.len() > 0 {
            let mut events = self.decode(stored.by_ref().take(AT_ONCE))?;
            written.parked.extend(self.parking.hold_back(&mut events));
            let keys = events.iter().flat_map(|(keys, _)| keys);
            let missing = self.kept.missing(keys.map(String::as_str));
            if !missing.is_empty() {
                let rows = store.read_rows(&P::TABLE, missing.clone()).await?;
                if self.kept.add(missing, rows).is_err() {
                    return Ok(None);
                }
            }
            for (keys, event) in events {
                for key in keys {
                    let own = event.reacts().then(|| key.clone());
                    let fold = || {
                        self.kept.change(key, |row| match &own {
                            Some(key) => event.react(key, row, &mut reactions),
                            None => event.fold(row),
                        });
                    };
                    // After a panic, nothing that is kept is believed.
                    if catch_unwind(AssertUnwindSafe(fold)).is_err() {
                        return Ok(None);
                    }
                }
            }
            if stored.len() > 0 {
                yield_now().await;
            }
        }
        let (Ok(rows), Ok(reactions)) = (self.kept.changes(), reactions.finish()) else {
            return Ok(None);
        };
        (written.rows, written.reactions) = (rows, reactions);
        Ok(Some(written))
    }

    /// Does again, event by event, what failed as a page: keys that fail are parked.
    async fn apply_carefully<S: EventStore>(
        &mut self,
        store: &S,
        advance: &Advance,
        page: &StoredEvents,
    ) -> Result<Advanced> {
        let mut events = self.decode(page.iter())?;
        let waiting = self.parking.hold_back(&mut events);
        let events = by_key(events);
        let rows = store.read_rows(&P::TABLE, events.keys().cloned().collect());
        let rows: BTreeMap<_, _> = rows.await?.into_iter().collect();
        let mut refused = Refusals::default();
        loop {
            let mut written = Written::default();
            written.parked.clone_from(&waiting);
            for (key, events) in &events {
                let row = rows.get(key).cloned();
                let mut done = carefully::<P>(key, row, events, refused.of(key));
                written.reactions.append(&mut done.reactions);
                if done.changed {
                    let (key, row) = (key.clone(), done.row);
                    written.rows.push(RowChange { key, row });
                }
                if let Some((position, reason)) = done.failed {
                    written.parked.push(park(key, events, position, reason));
                    self.parking.check(&advance.projection, &written.parked)?;
                }
            }
            let done = self.write(store, advance, written.clone()).await;
            match done {
                Err(error) if refused.add::<P>(&written, &error) => {}
                done => return done,
            }
        }
    }

    /// Folds the events that wait for a key, as many as one step may take.
    async fn retry_key<S: EventStore>(
        &mut self,
        store: &S,
        advance: &Advance,
        key: String,
        from: Position,
    ) -> Result<Advanced> {
        let id = &advance.projection;
        let mut waiting = store.parked_events(id, &key, AT_ONCE + 1).await?;
        if waiting.first() != Some(&from) {
            // Another instance was faster.
            return Ok(Advanced::Fenced);
        }
        let next = waiting.split_off(waiting.len().min(AT_ONCE));
        let mut events = Vec::with_capacity(waiting.len());
        let broken = read_at(store, &waiting, |event| {
            self.decode_in_turn(event, &mut events)
        })
        .await?;
        let mut events = by_key(events);
        let events = events.remove(&key).unwrap_or_default();
        let row = store.read_rows(&P::TABLE, vec![key.clone()]).await?;
        let row = row.into_iter().next().map(|(_, row)| row);
        let mut refused = Refusals::default();
        loop {
            let done = carefully::<P>(&key, row.clone(), &events, refused.of(&key));
            let failed = done.failed.or_else(|| broken.clone());
            let left = match failed {
                Some((position, reason)) => Some((position, Some(reason))),
                None => next.first().map(|position| (*position, None)),
            };
            let left = left.map(|(position, reason)| StillParked { position, reason });
            let mut written = Written::default();
            if done.changed {
                let (key, row) = (key.clone(), done.row);
                written.rows.push(RowChange { key, row });
            }
            written.reactions = done.reactions;
            let key = key.clone();
            written
                .parked
                .push(ParkedChange::Retried { key, from, left });
            let done = self.write(store, advance, written.clone()).await;
            match done {
                Err(error) if refused.add::<P>(&written, &error) => {}
                done => return done,
            }
        }
    }

    /// Writes what was made, moves the cursor, and remembers what is parked then.
    async fn write<S: EventStore>(
        &mut self,
        store: &S,
        advance: &Advance,
        written: Written,
    ) -> Result<Advanced> {
        self.turn.check(&advance.projection, &self.reacts())?;
        let reacts = !written.reactions.is_empty();
        let parked = written.parked.clone();
        let advanced = store.advance_rows(advance.clone(), &P::TABLE, written);
        let advanced = advanced.await?;
        if advanced == Advanced::Moved {
            self.parking.committed(&advance.projection, &parked);
            if reacts {
                self.bell.notify_one();
            }
        }
        Ok(advanced)
    }

    /// As [`decode_one`](Self::decode_one), with its reactions where they are this part's.
    fn decode_in_turn(&self, event: StoredEventRef<'_>, events: &mut Decoded<P>) -> Result<()> {
        let reacting = self.reacting.get(event.aggregate());
        match reacting.filter(|_| self.turn.takes(P::VERSION, event.position)) {
            Some(decode) => decode(event, events),
            None => self.decode_one(event, events),
        }
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

/// The events of each key, in order.
fn by_key<P>(events: Decoded<P>) -> Events<P> {
    let mut sorted = Events::<P>::new();
    for (keys, event) in events {
        let event: Arc<dyn Folding<P>> = event.into();
        for key in keys {
            sorted.entry(key).or_default().push(event.clone());
        }
    }
    sorted
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
        self.parking.claimed(slices, claimed);
    }

    fn parked(&self) -> u64 {
        self.parking.count()
    }

    async fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        page: &StoredEvents,
    ) -> Result<Advanced> {
        if let Some(written) = self.fold(store, &advance, page).await? {
            let advanced = self.write(store, &advance, written).await;
            match advanced {
                Err(error) if error.is_not_unique() => {}
                advanced => {
                    if let Ok(Advanced::Moved) = advanced {
                        self.kept.moved(&advance);
                    }
                    return advanced;
                }
            }
        }
        self.apply_carefully(store, &advance, page).await
    }

    async fn retry(&mut self, store: &S, advance: Advance) -> Result<Option<Advanced>> {
        match self.parking.wanted() {
            Some((key, from)) => self.retry_key(store, &advance, key, from).await.map(Some),
            None => Ok(None),
        }
    }
}
