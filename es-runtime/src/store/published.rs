//! Integration events as every store keeps them.

use std::fmt;

use crate::event::{Position, Timestamp};

/// One version of a public stream: `accounts@2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamVersion {
    /// The stream's name.
    pub stream: String,
    /// The version of its contract.
    pub version: u32,
}

impl fmt::Display for StreamVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.stream, self.version)
    }
}

/// One integration event: a row that never changes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its place in its stream version, dense from 1.
    pub position: Position,
    /// The place of the internal event that it was made from.
    pub source: Position,
    /// The public type, `bank.account-opened.v2`.
    pub event_type: String,
    /// The aggregate's id.
    pub subject: String,
    /// The variant's fields as JSON.
    pub payload: String,
    /// Who and why, as JSON, of what may be told outside.
    pub metadata: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// When it was projected.
    pub recorded: Timestamp,
    /// What keeps a redacted payload from being guessed.
    pub salt: [u8; 16],
    /// The running hash of the stream at this place.
    pub hash: [u8; 32],
}
