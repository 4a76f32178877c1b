//! Given / when / then: a decision tested without a database, mocks or async.

use std::fmt::Debug;

use super::{Decide, Evolve};

/// An aggregate with a past. Start here: `given([…]).when(command).then([…])`.
#[must_use = "a past alone tests nothing; add `.when(command)`"]
pub fn given<A: Decide + Evolve>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    for event in events {
        state.evolve(&event);
    }
    Given { state }
}

/// A past, waiting for a command.
#[derive(Debug)]
#[must_use = "a past alone tests nothing; add `.when(command)`"]
pub struct Given<A> {
    state: A,
}

impl<A: Decide + Evolve> Given<A> {
    /// More past: the events that `command` emits, which must be accepted.
    ///
    /// # Panics
    /// When the command is rejected.
    #[track_caller]
    pub fn and(mut self, command: A::Command) -> Self {
        match self.state.decide(command) {
            Ok(events) => events.iter().for_each(|event| self.state.evolve(event)),
            Err(error) => panic!("the past was rejected: {error}"),
        }
        self
    }

    /// The command under test.
    pub fn when(self, command: A::Command) -> When<A> {
        When {
            outcome: self.state.decide(command),
            state: self.state,
        }
    }

    /// The state that the past led to.
    pub fn state(&self) -> &A {
        &self.state
    }
}

/// A decision, waiting to be compared.
#[derive(Debug)]
#[must_use = "a decision that is not compared tests nothing; add `.then([…])`"]
pub struct When<A: Decide> {
    outcome: Result<Vec<A::Event>, A::Error>,
    state: A,
}

impl<A: Decide + Evolve> When<A>
where
    A::Event: PartialEq + Debug,
{
    /// Exactly these events happen. Answers the new state, to look at.
    ///
    /// # Panics
    /// When something else happens.
    #[track_caller]
    pub fn then(mut self, expected: impl IntoIterator<Item = A::Event>) -> A {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.outcome {
            Ok(events) => assert_eq!(*events, expected, "other events than expected"),
            Err(error) => panic!("expected {expected:?}, but it was rejected: {error}"),
        }
        expected.iter().for_each(|event| self.state.evolve(event));
        self.state
    }

    /// It is accepted and nothing happens.
    ///
    /// # Panics
    /// When something happens or the command is rejected.
    #[track_caller]
    pub fn then_nothing(self) -> A {
        self.then([])
    }

    /// It is rejected for exactly this reason.
    ///
    /// # Panics
    /// When it is accepted, or rejected for another reason.
    #[track_caller]
    pub fn then_error(self, expected: A::Error)
    where
        A::Error: PartialEq,
    {
        match self.outcome {
            Ok(events) => panic!("expected the error {expected:?}, but {events:?} happened"),
            Err(error) => assert_eq!(error, expected, "rejected for another reason"),
        }
    }
}
