//! Where one version of a stream holds exactly what another version holds up to a position: both are
//! made of the same log.

#[cfg(any(feature = "feed", feature = "client"))]
use serde::{Deserialize, Serialize};

use crate::event::Position;
use crate::store::StreamCursor;

/// A place in a version of a stream, and the place in another version from which it was asked for: a
/// consumer that stands at the one may go on behind the other.
///
/// The law: what comes behind `at` was made of internal events behind those that `of` was made of, and
/// nothing that was is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The place in the other version, as the publisher has it.
    pub of: StreamCursor,
    /// The other version's last event that was made of the same internal event as the one at `of`.
    /// Behind `of`, a consumer there stands inside of what was one event, and has no place here until
    /// it has come so far.
    pub until: Position,
    /// The place in the version that was asked.
    pub at: StreamCursor,
    /// How far both are in what the publisher keeps to itself. Whoever goes on behind `at` says it when
    /// they ask for the next place: no event is made of it that they have not had.
    pub origin: Position,
}

/// The place on the wire.
#[cfg(any(feature = "feed", feature = "client"))]
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wire {
    position: Position,
    hash: String,
    origin: Position,
    of: WireOf,
}

#[cfg(any(feature = "feed", feature = "client"))]
#[derive(Debug, Serialize, Deserialize)]
struct WireOf {
    version: u32,
    position: Position,
    hash: String,
    until: Position,
}

#[cfg(any(feature = "feed", feature = "client"))]
impl Wire {
    #[cfg(feature = "feed")]
    pub(crate) fn new(of: u32, place: Place) -> Self {
        let hash = |cursor: StreamCursor| super::StreamHash::from_bytes(cursor.hash).to_string();
        Self {
            position: place.at.position,
            hash: hash(place.at),
            origin: place.origin,
            of: WireOf {
                version: of,
                position: place.of.position,
                hash: hash(place.of),
                until: place.until,
            },
        }
    }

    /// Nothing if it is not the place of that version.
    #[cfg(feature = "client")]
    pub(crate) fn place(&self, of: u32) -> Option<Place> {
        let cursor = |position, hash: &str| {
            let hash: super::StreamHash = hash.parse().ok()?;
            let hash = *hash.as_bytes();
            Some(StreamCursor { position, hash })
        };
        let place = Place {
            of: cursor(self.of.position, &self.of.hash)?,
            until: self.of.until,
            at: cursor(self.position, &self.hash)?,
            origin: self.origin,
        };
        Some(place).filter(|_| self.of.version == of)
    }
}
