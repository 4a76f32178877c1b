//! From internal events to integration events: pure, with the aggregate's state kept at hand.

use std::collections::HashMap;

use super::versions::{down, encoded};
use super::{Cast, IntegrationEvent, Publish};
use crate::aggregate::{Evolve, IntoEvents, Loaded};
use crate::error::Result;
use crate::event::{Recorded, StoredEventRef, StreamId};

/// States kept at hand; beyond it all are dropped and read again when needed.
const STATES: usize = 10_000;

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

pub(crate) struct AggregateMapper<A: Evolve, I> {
    states: HashMap<StreamId, Loaded<A>>,
    publish: fn(&Recorded<A::Event>, &A) -> Vec<I>,
    /// From `I` down to the version that is fed, step by step; none for `I` itself.
    way: Vec<Cast>,
}

impl<A: Evolve, I: Publish<A>> AggregateMapper<A, I> {
    pub(crate) fn new(way: Vec<Cast>) -> Self {
        let publish =
            |event: &Recorded<A::Event>, after: &A| I::publish(event, after).into_events();
        Self {
            states: HashMap::new(),
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
        if !self.states.contains_key(event.stream) {
            if self.states.len() >= STATES {
                self.states.clear();
            }
            self.states.insert(event.stream.parse()?, Loaded::default());
        }
        let Some(state) = self.states.get_mut(event.stream) else {
            return Ok(());
        };
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
        let version = self.states.get(event.stream).map_or(0, Loaded::version);
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
