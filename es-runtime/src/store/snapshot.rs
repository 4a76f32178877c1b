use sha2::{Digest, Sha256};

use crate::aggregate::Fingerprint;
use crate::event::{CommandId, Position, StoredEventRef, StreamId, Timestamp};

/// An aggregate's state at a version of its stream: a way to read fewer events, and never the
/// truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamId,
    /// What made it: only the same may use it.
    pub fingerprint: Fingerprint,
    /// The version of the last event that is in the state.
    pub version: u64,
    /// The state as JSON.
    pub state: String,
    /// Ties the state to its stream, its fingerprint and the last event that is in it.
    pub seal: [u8; 32],
    /// When it was made, by the service's clock.
    pub time: Timestamp,
}

/// Snapshots that nobody needs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// The aggregate's name.
    pub aggregate: String,
    /// Those of this fingerprint stay.
    pub keep: Fingerprint,
    /// Those that were made at this time or later stay.
    pub before: Timestamp,
}

/// The last event that is in a state: of two histories with the same version it tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub version: u64,
    pub position: Position,
    pub command: Option<CommandId>,
}

impl From<StoredEventRef<'_>> for Last {
    fn from(event: StoredEventRef<'_>) -> Self {
        Self {
            version: event.version,
            position: event.position,
            command: event.command_id,
        }
    }
}

/// The first key of the streams of an aggregate, and the first behind them: `account-` and
/// `account.`.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Outdated {
    pub(crate) fn streams(&self) -> [String; 2] {
        const BEHIND_DASH: char = '.';
        let Self { aggregate, .. } = self;
        [format!("{aggregate}-"), format!("{aggregate}{BEHIND_DASH}")]
    }
}

impl Snapshot {
    /// The seal of a state after the event `last`.
    ///
    /// A state that was damaged, that stands in another row, or whose last event is not the one in
    /// the log, does not have it. It is no signature: whoever can write the table can make one.
    pub(crate) fn seal_of(
        fingerprint: Fingerprint,
        stream: &StreamId,
        last: Last,
        state: &str,
    ) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(fingerprint.as_bytes());
        hash.update(last.version.to_be_bytes());
        hash.update(last.position.get().to_be_bytes());
        hash.update(last.command.map_or(0, |id| id.as_u128()).to_be_bytes());
        hash.update((stream.as_str().len() as u64).to_be_bytes());
        hash.update(stream.as_str());
        hash.update(state);
        hash.finalize().into()
    }
}
