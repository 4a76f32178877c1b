use super::{Decide, Evolve};

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
