//! The cursors of relays: how far each stream version went out over each transport.

use std::fmt;
use std::time::Duration;

use super::StreamVersion;
use super::projection::Noted;
use crate::event::Position;

/// Names the relay of one stream version over one transport: `accounts@2 over rabbitmq`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId {
    /// The transport's name.
    pub transport: String,
    /// The stream version.
    pub stream: StreamVersion,
}

impl fmt::Display for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} over {}", self.stream, self.transport)
    }
}

/// Somebody wants to be the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayClaim {
    /// Which one.
    pub relay: RelayId,
    /// Who.
    pub owner: String,
    /// For how long, unless it is claimed again.
    pub lease: Duration,
}

/// What a store knows of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayState {
    /// Which one.
    pub relay: RelayId,
    /// The last event that the broker is known to have; all before it, too.
    pub position: Position,
    /// Higher each time that somebody else becomes the relay: whoever was it before moves nothing.
    pub epoch: u64,
    /// Who is it now.
    pub owner: Option<String>,
    /// Why nothing went out at the last attempt; nothing once something did.
    pub failure: Option<Noted>,
}

/// A step of a relay's cursor, behind what the broker has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayMove {
    /// Whose.
    pub relay: RelayId,
    /// What the mover was told when it became the relay.
    pub epoch: u64,
    /// Where the mover believes it to stand.
    pub from: Position,
    /// Where it will stand.
    pub to: Position,
}

impl RelayMove {
    /// The guard that two relays of one stream do not undo each other's steps.
    pub(crate) const FENCE: &str = "a relay's cursor moves from where it stands";
}
