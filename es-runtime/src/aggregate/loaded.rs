use super::{Decide, Evolve};
use crate::event::Parts;

/// An aggregate as its events left it: the state and the version it stands for.
#[derive(Clone, Debug, Default)]
pub struct Loaded<A> {
    state: A,
    version: u64,
}

impl<A> Loaded<A> {
    /// A state that stands for the events up to `version`.
    pub(crate) fn new(state: A, version: u64) -> Self {
        Self { state, version }
    }
}

impl<A: Evolve> Loaded<A> {
    /// The state.
    pub fn state(&self) -> &A {
        &self.state
    }

    /// How many events it has.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Applies the stream's next event.
    pub fn apply(&mut self, event: &A::Event) {
        self.state.evolve(event);
        self.version += 1;
    }

    /// Applies the stream's next stored event: all that it is today, which counts as one.
    pub(crate) fn apply_parts(&mut self, parts: Parts<A::Event>) {
        parts.for_each(|event| self.state.evolve(&event));
        self.version += 1;
    }

    /// Changes the state by a part of the stream's next event, which the last part counts.
    pub(crate) fn evolve(&mut self, part: &A::Event) {
        self.state.evolve(part);
    }

    pub(crate) fn count(&mut self) {
        self.version += 1;
    }
}

impl<A: Decide> Loaded<A> {
    /// What the state answers to `command`.
    ///
    /// # Errors
    /// The aggregate's own reasons.
    pub fn decide(&self, command: A::Command) -> Result<Vec<A::Event>, A::Error> {
        self.state.decide(command)
    }
}
