//! The states of aggregates, kept at hand by who goes through the log event by event.

use std::collections::HashMap;

use crate::aggregate::{Evolve, Loaded};
use crate::error::{Error, Kind, Result};
use crate::event::{Position, Recorded, StoredEventRef, StreamId};
use crate::store::{EventStore, StreamQuery};

/// States kept at hand, this many at least and twice as many at most; others are read again when
/// needed.
const STATES: usize = 100_000;
/// Events of one aggregate's past that are read at once to find its state.
const PAST: usize = 1000;

/// States of any aggregate.
pub(crate) trait Follow: Send {
    /// The version of the state at hand that comes before `event`: the events after it, up to
    /// `event`, must be [`replay`](Self::replay)ed first.
    fn known_before(&mut self, event: StoredEventRef<'_>) -> u64;

    /// Brings the state at hand one event forward.
    fn replay(&mut self, event: StoredEventRef<'_>) -> Result<()>;
}

/// The states that were used last: when `young` is full, it becomes `old`, and what was old and is
/// not used meanwhile goes.
pub(crate) struct States<A> {
    young: HashMap<StreamId, Loaded<A>>,
    old: HashMap<StreamId, Loaded<A>>,
}

impl<A: Evolve> States<A> {
    pub(crate) fn new() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// Brings the state one stored event forward, and shows each of its parts with the state after
    /// it.
    pub(crate) fn advance(
        &mut self,
        event: StoredEventRef<'_>,
        mut show: impl FnMut(&Recorded<A::Event>, &A) -> Result<()>,
    ) -> Result<()> {
        let parts = Recorded::<A::Event>::decode(event)?;
        let state = self.of(event.stream)?;
        debug_assert_eq!(state.version() + 1, event.version);
        state.count();
        for part in parts {
            state.evolve(&part.data);
            show(&part, state.state())?;
        }
        Ok(())
    }

    /// Forgets a state that may be half an event ahead.
    pub(crate) fn forget(&mut self, stream: &str) {
        self.young.remove(stream);
        self.old.remove(stream);
    }

    fn version(&self, stream: &str) -> u64 {
        let state = self.young.get(stream).or_else(|| self.old.get(stream));
        state.map_or(0, Loaded::version)
    }

    /// The state of a stream, of one without events if there is none at hand.
    fn of(&mut self, stream: &str) -> Result<&mut Loaded<A>> {
        if !self.young.contains_key(stream) {
            let (stream, state) = match self.old.remove_entry(stream) {
                Some(known) => known,
                None => (stream.parse()?, Loaded::default()),
            };
            if self.young.len() >= STATES {
                self.old = std::mem::take(&mut self.young);
            }
            return Ok(self.young.entry(stream).or_insert(state));
        }
        match self.young.get_mut(stream) {
            Some(state) => Ok(state),
            None => unreachable!("it is there"),
        }
    }
}

impl<A: Evolve> Follow for States<A> {
    fn known_before(&mut self, event: StoredEventRef<'_>) -> u64 {
        let version = self.version(event.stream);
        if version < event.version {
            return version;
        }
        // The state went ahead with a page that was not written after all.
        self.forget(event.stream);
        0
    }

    fn replay(&mut self, event: StoredEventRef<'_>) -> Result<()> {
        self.advance(event, |_, _| Ok(()))
    }
}

/// Brings a state to the version before `event`, from the log if need be.
pub(crate) async fn remember<S: EventStore>(
    store: &S,
    states: &mut dyn Follow,
    event: StoredEventRef<'_>,
) -> Result<()> {
    let mut known = states.known_before(event);
    if known + 1 == event.version {
        return Ok(());
    }
    let stream = event.stream.parse()?;
    while known + 1 < event.version {
        let missing = usize::try_from(event.version - 1 - known).unwrap_or(usize::MAX);
        let query = StreamQuery::after(known).limit(missing.min(PAST));
        let past = store.read_stream(&stream, query).await?.events;
        for event in past.iter() {
            states.replay(event)?;
        }
        if past.is_empty() {
            let (after, found) = (Position::new(known), event.position);
            return Err(Error::new(Kind::BrokenOrder { after, found }));
        }
        known += past.len() as u64;
    }
    Ok(())
}
