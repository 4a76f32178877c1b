//! The life of a projection version, pure: the rules that every store applies.

use super::{Phase, ProjectionId, ProjectionKind, ProjectionState, Table};
use crate::error::{Error, Kind, Result};
use crate::event::Position;

/// A projection that nobody has worked on yet.
pub(crate) const NEW: ProjectionState = ProjectionState {
    phase: Phase::Building,
    cursor: Position::START,
};

/// The phase after history is worked through; `live` tells whether some version of it is live.
pub(crate) fn complete(phase: Phase, kind: ProjectionKind, live: bool) -> Phase {
    match (phase, kind) {
        (Phase::Building, ProjectionKind::ReadModel) if live => Phase::Shadow,
        (Phase::Building, _) => Phase::Live,
        (done, _) => done,
    }
}

/// Whether a version of a read model may become the live one.
pub(crate) fn promotable(projection: &ProjectionId, state: &ProjectionState) -> Result<()> {
    if state.phase != Phase::Building {
        return Ok(());
    }
    let why = format!(
        "it is still being built, at position {}; wait for it",
        state.cursor
    );
    Err(Error::new(Kind::NotPromotable {
        projection: projection.to_string(),
        why,
    }))
}

/// Whether the stored columns are the declared ones.
pub(crate) fn same_columns(table: &Table, stored: &str) -> Result<()> {
    let declared = table.fingerprint();
    if stored == declared {
        return Ok(());
    }
    let (projection, stored) = (table.to_string(), stored.to_owned());
    Err(Error::new(Kind::ChangedColumns {
        projection,
        stored,
        declared,
    }))
}

impl Phase {
    /// The word that databases keep and the feed tells.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "feed"))]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Shadow => "shadow",
            Self::Live => "live",
        }
    }

    /// The phase of a kept word.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Building, Self::Shadow, Self::Live]
            .into_iter()
            .find(|p| p.as_str() == word)
    }
}
