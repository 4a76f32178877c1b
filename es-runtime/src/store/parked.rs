//! Keys of a projection that are set aside because an event failed, with the events behind it.

#[cfg(feature = "runtime")]
use crate::error::{Error, Kind};
use crate::event::{Position, Timestamp};

/// A key that is set aside: the event that failed, and those that wait behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedKey {
    /// The key.
    pub key: String,
    /// The event that failed, the first that waits. The row is as before it.
    pub position: Position,
    /// Why it failed last.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it is parked, by the database's clock.
    pub since: Timestamp,
    /// How many events wait, the one that failed included.
    pub waiting: u64,
    /// Whether somebody asked for another try, which no worker has made yet.
    pub requested: bool,
}

#[cfg(feature = "runtime")]
impl ParkedKey {
    /// Why the row is not what was asked for.
    pub(crate) fn error(self, projection: &super::ProjectionId) -> Error {
        Error::new(Kind::Parked {
            projection: projection.to_string(),
            key: self.key,
            position: self.position,
            reason: self.reason,
        })
    }
}

/// What a move of a cursor changes of the keys that are parked.
///
/// The law: what the mover believes of a parked key is compared, as the cursor is. If another
/// instance was faster, the move is [`Fenced`](super::Advanced::Fenced).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParkedChange {
    /// A key that was not parked is, from the first of these events on.
    Park {
        /// The key.
        key: String,
        /// The event that failed, and those behind it that touch the key, in order.
        events: Vec<Position>,
        /// Why it failed.
        reason: String,
    },
    /// Events wait behind those of a parked key.
    Wait {
        /// The key.
        key: String,
        /// The events, in order.
        events: Vec<Position>,
    },
    /// A parked key was tried again from its first waiting event on.
    Retried {
        /// The key.
        key: String,
        /// The event that waited first.
        from: Position,
        /// What still waits; nothing if the key goes on with the others.
        left: Option<StillParked>,
    },
}

/// Where a try stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillParked {
    /// The event that waits first now.
    pub position: Position,
    /// Why it failed; nothing if it was not tried yet, and is to be.
    pub reason: Option<String>,
}
