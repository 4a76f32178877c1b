//! What people may read of a life later, and in which words.

use super::{Occasion, refused};
use crate::error::Error;
use crate::store::ParkedKey;
use crate::store::handover::pass_on;
use crate::store::projection::{Change, LifeEntry, Lineage, ProjectionId, ProjectionState};

/// What people may read of the change later: an entry for each version whose phase it changed, and
/// for the one that it was about.
pub(crate) fn told(
    id: &ProjectionId,
    before: &Lineage,
    after: &Lineage,
    change: &Change,
    by: &str,
    at: &Occasion,
) -> Vec<LifeEntry> {
    if !change.is_told() || before == after {
        return Vec::new();
    }
    let found = |lineage: &Lineage| {
        let found = lineage.versions.get(&id.version)?.comparison.as_ref()?;
        Some((found.with, found.expected, found.differing))
    };
    let compared = match change {
        // Made again and again; told when it finds something else.
        Change::Compared(_) if found(before) == found(after) => return Vec::new(),
        Change::Compared(comparison) => Some(comparison.to_string()),
        _ => None,
    };
    let phase = |lineage: &Lineage, version| lineage.versions.get(version).map(|s| s.phase);
    let touched = after.versions.iter().filter(|(version, _)| {
        **version == id.version || phase(before, version) != phase(after, version)
    });
    let given_up = || {
        let mut lineage = before.clone();
        pass_on(id.version, &mut lineage);
        lineage.owes(id.version)
    };
    let reason = || match (change, change.reason()) {
        (Change::Deprecate { sunset: Some(at) }, _) => Some(format!("may be gone from {at} on")),
        (Change::Retire { .. }, Some(forced)) => Some(match given_up() {
            Some(owed) => format!("{forced} (given up: {owed})"),
            None => forced.to_owned(),
        }),
        (_, reason) => reason.map(str::to_owned),
    };
    let entry = |(version, state): (&u32, &ProjectionState)| LifeEntry {
        projection: ProjectionId {
            version: *version,
            ..id.clone()
        },
        what: change.verb().to_owned(),
        phase: state.phase,
        cursor: state.cursor,
        reason: reason().or(compared.clone()),
        by: by.to_owned(),
        at: at.now,
    };
    touched.map(entry).collect()
}

/// Why a key can be neither tried again nor given up.
pub(crate) fn not_parked(id: &ProjectionId, change: &Change, key: &str) -> Error {
    let why = format!("the key `{key}` is not parked; list those that are");
    refused(id, change.verb(), why)
}

/// What was told is about this key.
pub(crate) fn tell_given_up(told: &mut [LifeEntry], parked: &ParkedKey) {
    let ParkedKey {
        key,
        position,
        waiting,
        ..
    } = parked;
    let events = if *waiting == 1 { "event" } else { "events" };
    for entry in told {
        let why = entry.reason.take().unwrap_or_default();
        let what = format!("`{key}` goes on without {waiting} {events} from position {position}");
        entry.reason = Some(format!("{what}: {why}"));
    }
}

impl Change {
    /// What is done, for people: `promote`.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::React(_) => "react",
            Self::Complete => "complete",
            Self::Promote { .. } => "promote",
            Self::RollBack { .. } => "roll back",
            Self::Deprecate { .. } => "deprecate",
            Self::Reinstate => "reinstate",
            Self::Retire { .. } => "retire",
            Self::Rebuild { .. } => "rebuild",
            Self::RetryParked { .. } => "retry",
            Self::DropParked { .. } => "drop",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::WantComparison
            | Self::Hold { .. }
            | Self::Release { .. }
            | Self::Compared(_)
            | Self::NotCompared { .. } => "compare",
        }
    }

    /// Why it is done, as somebody said.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Promote { forced, .. } | Self::Retire { forced, .. } => forced.as_deref(),
            Self::RollBack { reason }
            | Self::Rebuild { reason }
            | Self::DropParked { reason, .. }
            | Self::Pause { reason } => Some(reason),
            Self::RetryParked { key } => key.as_deref(),
            _ => None,
        }
    }

    /// Whether it belongs to the life that people read of later.
    pub(crate) fn is_told(&self) -> bool {
        !matches!(
            self,
            Self::React(_)
                | Self::Hold { .. }
                | Self::Release { .. }
                | Self::WantComparison
                | Self::NotCompared { .. }
        )
    }
}
