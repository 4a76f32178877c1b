use std::time::Duration;

/// How a store is, as far as one question tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Whether it answered.
    pub reachable: bool,
    /// What the server is; nothing if it did not answer.
    pub role: Option<Role>,
    /// What an acknowledged append survives; nothing if it did not answer.
    pub durability: Option<Durability>,
    /// How long the question took.
    pub latency: Duration,
    /// Appends that wait for their commit.
    pub waiting: usize,
    /// Why it was not reached, or what a person should look at.
    pub problem: Option<String>,
    /// Where it is and with which settings, for people: `one.internal:5432, synchronous_commit =
    /// on`.
    pub details: String,
}

/// Whether a store takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It repeats what another server wrote.
    Standby,
}

/// What an acknowledged append survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: it ends with the process.
    Process,
    /// A crash of the process, but not of the machine.
    Machine,
    /// A crash of the machine, if its disk tells the truth, but not its loss.
    Disk,
    /// The loss of the machine: a synchronous standby has it, too.
    Replicated,
}

impl StoreHealth {
    /// One that answered.
    pub(crate) fn answered(latency: Duration, durability: Durability, details: String) -> Self {
        Self {
            reachable: true,
            role: Some(Role::Primary),
            durability: Some(durability),
            latency,
            waiting: 0,
            problem: None,
            details,
        }
    }

    /// One that did not.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn silent(
        latency: Duration,
        problem: &crate::error::Error,
        details: String,
    ) -> Self {
        Self {
            reachable: false,
            role: None,
            durability: None,
            latency,
            waiting: 0,
            problem: Some(problem.to_string()),
            details,
        }
    }
}
