//! From internal events to integration events: pure, with the aggregate's state kept at hand.

use super::states::{Follow, States};
use super::versions::{down, encoded};
use super::{Cast, IntegrationEvent, Publish};
use crate::aggregate::{Evolve, IntoEvents};
use crate::error::Result;
use crate::event::{Recorded, StoredEventRef};

/// Maps the events of one aggregate for one version of a stream.
pub(crate) trait Mapper: Send {
    /// The aggregate's name.
    fn aggregate(&self) -> &'static str;

    /// The states at hand, which must stand before an event that is to be
    /// [`publish`](Self::publish)ed.
    fn states(&mut self) -> &mut dyn Follow;

    /// Brings the state forward and answers what the world is told of the event: variants and
    /// payloads.
    fn publish(&mut self, event: StoredEventRef<'_>) -> Result<Vec<(usize, String)>>;
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
            states: States::new(),
            publish,
            way,
        }
    }
}

impl<A: Evolve, I: IntegrationEvent> Mapper for AggregateMapper<A, I> {
    fn aggregate(&self) -> &'static str {
        A::NAME
    }

    fn states(&mut self) -> &mut dyn Follow {
        &mut self.states
    }

    fn publish(&mut self, event: StoredEventRef<'_>) -> Result<Vec<(usize, String)>> {
        let (publish, mut events) = (self.publish, Vec::new());
        self.states.advance(event, |part, after| {
            events.extend(encoded(publish(part, after))?);
            Ok(())
        })?;
        down(&self.way, events)
    }
}
