//! Given / when / then for processes: an input, the events, and what follows from them.

use std::fmt::Debug;

use super::{Effects, Hears, Process, Recipient, Sent};
use crate::event::{Recorded, Timestamp};

/// A process with a past. Start here:
/// `given_process("t1", […]).when(input).then([…]).effects(…)`.
#[must_use = "a past alone tests nothing; add `.when(input)`"]
pub fn given_process<P: Process>(
    id: impl Into<String>,
    events: impl IntoIterator<Item = P::Event>,
) -> GivenProcess<P> {
    let (mut state, mut version) = (P::default(), 0);
    for event in events {
        state.evolve(&event);
        version += 1;
    }
    GivenProcess {
        id: id.into(),
        state,
        version,
        now: Timestamp::default(),
    }
}

/// A past, waiting for an input.
#[derive(Debug)]
#[must_use = "a past alone tests nothing; add `.when(input)`"]
pub struct GivenProcess<P> {
    id: String,
    state: P,
    version: u64,
    now: Timestamp,
}

impl<P: Process> GivenProcess<P> {
    /// When it happens; the beginning of 1970 unless something is said.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// The input under test.
    pub fn when(self, input: P::Command) -> WhenProcess<P> {
        WhenProcess {
            outcome: self.state.decide(input),
            given: self,
        }
    }

    /// The input under test is that `command` to the aggregate `to` was accepted.
    ///
    /// # Panics
    /// When the process need not know.
    #[track_caller]
    pub fn when_accepted<A: Recipient>(self, to: &str, command: &A::Command) -> WhenProcess<P>
    where
        P: Hears<A>,
    {
        self.heard(P::hear(Sent { to, command }, Ok(())))
    }

    /// The input under test is that `command` to the aggregate `to` was refused.
    ///
    /// # Panics
    /// When the process need not know.
    #[track_caller]
    pub fn when_refused<A: Recipient>(
        self,
        to: &str,
        command: &A::Command,
        reason: &A::Error,
    ) -> WhenProcess<P>
    where
        P: Hears<A>,
    {
        self.heard(P::hear(Sent { to, command }, Err(reason)))
    }

    #[track_caller]
    fn heard(self, input: Option<P::Command>) -> WhenProcess<P> {
        match input {
            Some(input) => self.when(input),
            None => panic!("the process makes nothing of that answer"),
        }
    }
}

/// A decision, waiting to be compared.
#[must_use = "a decision that is not compared tests nothing; add `.then([…])`"]
pub struct WhenProcess<P: Process> {
    given: GivenProcess<P>,
    outcome: Result<Vec<P::Event>, P::Error>,
}

impl<P: Process> WhenProcess<P>
where
    P::Event: PartialEq + Debug,
{
    /// Exactly these events happen.
    ///
    /// # Panics
    /// When something else happens.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = P::Event>) -> ThenProcess<P> {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.outcome {
            Ok(events) => assert_eq!(*events, expected, "other events than expected"),
            Err(error) => panic!("expected {expected:?}, but it was rejected: {error}"),
        }
        let GivenProcess {
            id,
            mut state,
            version,
            now,
        } = self.given;
        let mut effects = Effects::new();
        for (event, n) in expected.into_iter().zip(1..) {
            state.evolve(&event);
            let mut event = Recorded::example(&id, version + n, event);
            event.time = now;
            effects.extend(P::effects(&event, &state));
        }
        ThenProcess { state, effects }
    }

    /// It is accepted and nothing happens.
    ///
    /// # Panics
    /// When something happens or the input is rejected.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// It is rejected for exactly this reason.
    ///
    /// # Panics
    /// When it is accepted, or rejected for another reason.
    #[track_caller]
    pub fn then_error(self, expected: P::Error)
    where
        P::Error: PartialEq,
    {
        match self.outcome {
            Ok(events) => panic!("expected the error {expected:?}, but {events:?} happened"),
            Err(error) => assert_eq!(error, expected, "rejected for another reason"),
        }
    }
}

/// What follows from the events, waiting to be compared.
#[derive(Debug)]
pub struct ThenProcess<P> {
    state: P,
    effects: Effects<P>,
}

impl<P: Process> ThenProcess<P> {
    /// Exactly this follows, in this order. Answers the new state, to look at.
    ///
    /// # Panics
    /// When something else follows.
    #[track_caller]
    pub fn effects(self, expected: Effects<P>) -> P {
        assert_eq!(self.effects, expected, "other effects than expected");
        self.state
    }

    /// Nothing follows. Answers the new state, to look at.
    ///
    /// # Panics
    /// When something follows.
    #[track_caller]
    pub fn no_effects(self) -> P {
        self.effects(Effects::new())
    }

    /// The state after the events.
    pub fn state(&self) -> &P {
        &self.state
    }
}
