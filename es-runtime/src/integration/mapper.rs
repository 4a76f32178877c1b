//! From internal events to integration events: pure, with the aggregate's state kept at hand.

use std::collections::HashMap;

use super::versions::{down, encoded};
use super::{Cast, IntegrationEvent, Publish};
use crate::aggregate::{Evolve, IntoEvents, Loaded};
use crate::error::Result;
use crate::event::{Recorded, StoredEventRef, StreamId};

/// States kept at hand, this many at least and twice as many at most; others are read again when
/// needed.
const STATES: usize = 100_000;

/// Maps the events of one aggregate for one version of a stream.
pub(crate) trait Mapper: Send {
    /// The aggregate's name.
    fn aggregate(&self) -> &'static str;

    /// The version of the state at hand that comes before `event`: the events after it, up to
    /// `event`, must be [`replay`](Self::replay)ed first.
    fn known_before(&mut self, event: StoredEventRef<'_>) -> u64;

    /// Brings the state at hand one event forward.
    fn replay(&mut self, event: StoredEventRef<'_>) -> Result<()>;

    /// Brings the state forward and answers what the world is told of the event: variants and
    /// payloads.
    fn publish(&mut self, event: StoredEventRef<'_>) -> Result<Vec<(usize, String)>>;
}

/// The states that were used last: when `young` is full, it becomes `old`, and what was old and is
/// not used meanwhile goes.
struct States<A> {
    young: HashMap<StreamId, Loaded<A>>,
    old: HashMap<StreamId, Loaded<A>>,
}

impl<A: Evolve> States<A> {
    fn version(&self, stream: &str) -> u64 {
        let state = self.young.get(stream).or_else(|| self.old.get(stream));
        state.map_or(0, Loaded::version)
    }

    fn remove(&mut self, stream: &str) {
        self.young.remove(stream);
        self.old.remove(stream);
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

pub(crate) struct AggregateMapper<A: Evolve, I> {
    states: States<A>,
    publish: fn(&Recorded<A::Event>, &A) -> Vec<I>,
    /// From `I` down to the version that is fed, step by step; none for `I` itself.
    way: Vec<Cast>,
}

impl<A: Evolve, I: Publish<A>> AggregateMapper<A, I> {
    pub(crate) fn new(way: Vec<Cast>) -> Self {
        let publish =
            |event: &Recorded<A::Event>, after: &A| I::publish(event, after).into_events();
        Self {
            states: States {
                young: HashMap::new(),
                old: HashMap::new(),
            },
            publish,
            way,
        }
    }
}

impl<A: Evolve, I> AggregateMapper<A, I> {
    /// Brings the state one stored event forward, and shows each of its parts with the state after
    /// it.
    fn advance(
        &mut self,
        event: StoredEventRef<'_>,
        mut show: impl FnMut(&Recorded<A::Event>, &A) -> Result<()>,
    ) -> Result<()> {
        let parts = Recorded::<A::Event>::decode(event)?;
        let state = self.states.of(event.stream)?;
        debug_assert_eq!(state.version() + 1, event.version);
        state.count();
        for part in parts {
            state.evolve(&part.data);
            show(&part, state.state())?;
        }
        Ok(())
    }
}

impl<A: Evolve, I: IntegrationEvent> Mapper for AggregateMapper<A, I> {
    fn aggregate(&self) -> &'static str {
        A::NAME
    }

    fn known_before(&mut self, event: StoredEventRef<'_>) -> u64 {
        let version = self.states.version(event.stream);
        if version < event.version {
            return version;
        }
        // The state went ahead with a page that was not written after all.
        self.states.remove(event.stream);
        0
    }

    fn replay(&mut self, event: StoredEventRef<'_>) -> Result<()> {
        self.advance(event, |_, _| Ok(()))
    }

    fn publish(&mut self, event: StoredEventRef<'_>) -> Result<Vec<(usize, String)>> {
        let (publish, mut events) = (self.publish, Vec::new());
        self.advance(event, |part, after| {
            events.extend(encoded(publish(part, after))?);
            Ok(())
        })?;
        down(&self.way, events)
    }
}
