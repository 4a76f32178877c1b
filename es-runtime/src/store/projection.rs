//! Versions of read models and of integration streams, as the store knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{NewReaction, ParkedChange, ParkedKey, Row, StreamVersion, Table};
#[cfg(feature = "runtime")]
use crate::event::SLICES;
use crate::event::{Position, Timestamp};

/// Names what a cursor belongs to: one version of a read model or of an integration stream, or a
/// process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectionId {
    /// What it makes.
    pub kind: ProjectionKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
}

/// What a projection makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProjectionKind {
    /// Rows of a read model.
    ReadModel,
    /// Events of an integration stream.
    Stream,
    /// Commands and timers of a process.
    Process,
}

impl From<&Table> for ProjectionId {
    fn from(table: &Table) -> Self {
        let name = table.name.to_owned();
        Self {
            kind: ProjectionKind::ReadModel,
            name,
            version: table.version,
        }
    }
}

impl From<&StreamVersion> for ProjectionId {
    fn from(stream: &StreamVersion) -> Self {
        let name = stream.stream.clone();
        Self {
            kind: ProjectionKind::Stream,
            name,
            version: stream.version,
        }
    }
}

impl ProjectionId {
    /// The process of this name, of which there is one version.
    pub fn process(name: impl Into<String>) -> Self {
        Self {
            kind: ProjectionKind::Process,
            name: name.into(),
            version: 1,
        }
    }
}

/// `balances@2`.
impl fmt::Display for ProjectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// Where a version stands in its life. One that no database has heard of yet is a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It works through history and is not complete yet.
    Building,
    /// It is complete and follows the log beside the live version.
    Shadow,
    /// It is what people and other services read.
    Live,
    /// Another version is live; this one goes on beside it, for those who still read it, and as the
    /// way back.
    Deprecated,
    /// It is over: its rows are gone, and its number is never used again.
    Retired,
}

impl Phase {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    const ALL: [Self; 5] = [
        Self::Building,
        Self::Shadow,
        Self::Live,
        Self::Deprecated,
        Self::Retired,
    ];

    /// The word that databases keep and people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }

    /// The phase of a kept word.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }

    /// Whether its rows or events are complete, and may be read.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Shadow | Self::Live | Self::Deprecated)
    }
}

/// `live`.
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the store knows of a projection version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProjectionState {
    /// Where it stands in its life.
    pub phase: Phase,
    /// Since when, by the database's clock.
    pub since: Timestamp,
    /// The last position of the log that its rows or events reflect, all of them.
    pub cursor: Position,
    /// Raised whenever somebody changes what its workers must know: the fence of all of it.
    pub epoch: u64,
    /// The parts that its keys are divided in, each with a cursor of its own. None once it is
    /// retired.
    pub slices: Vec<SliceState>,
    /// The families of events that it reacts to: the aggregates' names.
    pub reacts: BTreeSet<String>,
    /// How far the parts had come, by their first slice, when it was begun anew: what they reacted
    /// to before, they do not react to again.
    pub reacted: BTreeMap<u16, Position>,
    /// Why a person stopped it, and when.
    pub paused: Option<Noted>,
    /// Where it must not go on, so that it can be compared.
    pub hold: Option<Hold>,
    /// What a comparison with the live version found.
    pub comparison: Option<Comparison>,
    /// Whether somebody asked for a comparison.
    pub comparison_wanted: bool,
    /// How many keys are set aside, since an event failed.
    pub parked: u64,
    /// The tables of a hand-written projection, without the version. None for a read model, whose
    /// one table has its name.
    pub tables: Vec<String>,
    /// Somebody compares it.
    pub comparing: Option<Comparing>,
    /// Why it could not be compared when that was tried last.
    pub not_compared: Option<Noted>,
    /// From when on it may be gone, if it is deprecated and somebody said.
    pub sunset: Option<Timestamp>,
    /// The last instance that ran its code.
    pub run: Option<Sighting>,
    /// The last instance that read it.
    pub read: Option<Sighting>,
}

/// A part of a projection's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SliceState {
    /// Which of the 1,024 slices of keys.
    pub slices: Range<u16>,
    /// The last position of the log that it reflects.
    pub cursor: Position,
    /// Who works on it.
    pub owner: Option<String>,
    /// Why it stands still: nobody gets beyond this.
    pub failure: Option<Noted>,
}

/// A sentence of somebody's, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Why.
    pub reason: String,
    /// When, by the database's clock.
    pub at: Timestamp,
}

/// Somebody was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Who.
    pub who: String,
    /// When, by the database's clock.
    pub at: Timestamp,
}

/// A position that a version must not pass for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The position.
    pub at: Position,
    /// Until when, by the database's clock.
    pub until: Timestamp,
}

/// Somebody compares a version with the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparing {
    /// Since when, by the database's clock.
    pub since: Timestamp,
    /// Until when nobody else does; it saves work alone.
    pub until: Timestamp,
}

/// What a comparison of a version with the live one found, at one position of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The version that it was compared with.
    pub with: u32,
    /// The position that both reflected.
    pub position: Position,
    /// Keys that were compared: those with a row in either version.
    pub keys: u64,
    /// Keys whose rows differ as was declared.
    pub expected: u64,
    /// Keys whose rows differ, and should not.
    pub differing: u64,
    /// Some of those that differ and should not.
    pub sample: Vec<Difference>,
    /// Who compared.
    pub by: String,
    /// When it began, by the database's clock.
    pub began: Timestamp,
    /// When it ended, by the database's clock.
    pub at: Timestamp,
}

/// `with version 1 at position 90: 3 of 20 rows differ and should not, 2 as declared`.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            with,
            position,
            keys,
            expected,
            differing,
            ..
        } = self;
        write!(f, "with version {with} at position {position}: ")?;
        match (differing, expected) {
            (0, 0) => write!(f, "all {keys} rows are the same"),
            (0, _) => write!(f, "{expected} of {keys} rows differ as declared"),
            _ => write!(
                f,
                "{differing} of {keys} rows differ and should not, {expected} as declared"
            ),
        }
    }
}

/// A key whose rows differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// The row of the live version, for people to read; nothing if it has none.
    pub old: Option<String>,
    /// The row of the compared version.
    pub new: Option<String>,
}

/// From a position on, whose reactions to events count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The events behind this position.
    pub after: Position,
    /// The version that reacts to them.
    pub version: u32,
}

/// All versions of one read model or integration stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage {
    /// By their number.
    pub versions: BTreeMap<u32, ProjectionState>,
    /// Who reacts, by position: dense from the first event that anybody reacts to.
    pub handovers: Vec<Handover>,
}

impl Lineage {
    /// The names, without the version, of the tables of a version of `id`.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn tables(&self, id: &ProjectionId, version: u32) -> Vec<ProjectionId> {
        let state = self.versions.get(&version);
        let tables = state.map_or(&[][..], |state| &state.tables);
        let named = |name: &String| ProjectionId {
            name: name.clone(),
            version,
            ..id.clone()
        };
        match tables {
            [] => vec![named(&id.name)],
            tables => tables.iter().map(named).collect(),
        }
    }

    /// The version that is live.
    pub fn live(&self) -> Option<u32> {
        let live = |(_, state): &(&u32, &ProjectionState)| state.phase == Phase::Live;
        self.versions.iter().find(live).map(|(version, _)| *version)
    }

    /// The names that views have now: the tables of the live version.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn views(&self, id: &ProjectionId) -> Vec<ProjectionId> {
        let live = self.live().map(|live| self.tables(id, live));
        live.unwrap_or_default()
    }
}

/// Who wants to work on a part of a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The version.
    pub projection: ProjectionId,
    /// The part: its slices of keys.
    pub slices: Range<u16>,
    /// Who.
    pub owner: String,
    /// For how long, unless it is claimed again.
    pub lease: Duration,
}

#[cfg(feature = "runtime")]
impl Claim {
    /// Whether there are other parts, which instances share.
    pub(crate) fn is_divided(&self) -> bool {
        self.slices != (0..SLICES)
    }
}

/// What a worker must know before it goes on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Claimed {
    /// Whether the part is the claimer's now; else somebody else works on it, or nobody may.
    pub owned: bool,
    /// Where the part stands.
    pub cursor: Position,
    /// All versions, as they are now.
    pub lineage: Lineage,
    /// The keys of this version that are set aside.
    pub parked: Vec<ParkedKey>,
}

/// A cursor's move over a page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Whose cursor.
    pub projection: ProjectionId,
    /// Of which part: its first slice.
    pub slice: u16,
    /// What the mover knew of the version.
    pub epoch: u64,
    /// Where it must stand now.
    pub from: Position,
    /// Where it goes.
    pub to: Position,
}

impl Advance {
    /// A guard of every move: it begins where the mover believes.
    #[cfg(feature = "runtime")]
    pub(crate) const FROM: &str = "a cursor moves from where it stands";
    /// Another: the mover knows all changes.
    #[cfg(feature = "runtime")]
    pub(crate) const KNOWING: &str = "a cursor moves by who knows all changes";

    /// A move of an undivided projection whose life nobody changed yet.
    pub fn new(projection: impl Into<ProjectionId>, from: Position, to: Position) -> Self {
        Self {
            projection: projection.into(),
            slice: 0,
            epoch: 0,
            from,
            to,
        }
    }

    /// The same by a mover who knows of the changes up to `epoch`.
    #[must_use]
    pub fn knowing(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }
}

/// What became of a cursor's move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advanced {
    /// The cursor moved, and all that belongs to the move was written.
    Moved,
    /// The cursor stood elsewhere, or the mover did not know all that it must: another instance was
    /// faster. Nothing was written.
    Fenced,
}

/// The new row of a key, or that it has none.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The key.
    pub key: String,
    /// The row after the change.
    pub row: Option<Row>,
}

/// What a page makes of a read model, to be written together with the cursor's move.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Written {
    /// The rows that change. Of several changes of one key the last one counts.
    pub rows: Vec<RowChange>,
    /// What changes of the keys that are set aside.
    pub parked: Vec<ParkedChange>,
    /// The reactions to its events, in order.
    pub reactions: Vec<NewReaction>,
}

impl FromIterator<RowChange> for Written {
    fn from_iter<I: IntoIterator<Item = RowChange>>(rows: I) -> Self {
        Vec::from_iter(rows).into()
    }
}

impl From<Vec<RowChange>> for Written {
    fn from(rows: Vec<RowChange>) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Claimed {
    /// What the claimer is told, of the version as it was found.
    pub(crate) fn of(
        state: &ProjectionState,
        claim: &Claim,
        lineage: Lineage,
        parked: Vec<ParkedKey>,
    ) -> Self {
        let slice = state
            .slices
            .iter()
            .find(|s| s.slices.start == claim.slices.start);
        Self {
            owned: slice.is_some_and(|slice| slice.owner.as_ref() == Some(&claim.owner)),
            cursor: slice.map_or(Position::START, |slice| slice.cursor),
            lineage,
            parked,
        }
    }
}

/// A change in the life of a version. Who makes it and why is kept.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// It reacts to these families of events. Said before it is worked on: a version never changes
    /// what it reacts to.
    React(BTreeSet<String>),
    /// It has worked through history.
    Complete,
    /// It becomes the live one. One that follows the live version beside it must have been compared
    /// within `fresh`, without differences that nobody declared, unless it is `forced` for a reason.
    Promote {
        /// How old the comparison may be.
        fresh: Duration,
        /// Why it need not be the same.
        forced: Option<String>,
    },
    /// The version that was live before becomes it again, and this one waits beside it.
    RollBack {
        /// Why.
        reason: String,
    },
    /// Nobody new should read it. Of streams; a read model's version is deprecated by another's
    /// promotion. Said again, it announces another day.
    Deprecate {
        /// From when on it may be gone.
        sunset: Option<Timestamp>,
    },
    /// Its deprecation is taken back: it is live again, without a day on which it may be gone. Of
    /// streams, where a command deprecated it; what the code declares is the code's.
    Reinstate,
    /// It ends, if nobody ran or read it for `quiet`, or for a reason all the same. A stream may
    /// end while it is run, and not before its sunset.
    Retire {
        /// How long nobody must have been seen.
        quiet: Duration,
        /// Why it ends although somebody was.
        forced: Option<String>,
    },
    /// It begins anew, from the first event.
    Rebuild {
        /// Why.
        reason: String,
    },
    /// Its keys that are set aside are tried again by its workers, or one of them.
    RetryParked {
        /// The key; nothing for all.
        key: Option<String>,
    },
    /// What waits for a key that is set aside is given up: the row stays as it is, and later events
    /// go on from there.
    DropParked {
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// It stands still until it is resumed.
    Pause {
        /// Why.
        reason: String,
    },
    /// It goes on.
    Resume,
    /// A comparison is asked for.
    WantComparison,
    /// It is about to be compared with the live version: until [`Release`](Self::Release), or for
    /// `hold`, neither goes beyond the furthest position that a part of them has reached. Nobody
    /// else compares it for `lease`.
    Hold {
        /// For how long at most, whatever becomes of who compares.
        hold: Duration,
        /// How long who compares may be silent.
        lease: Duration,
    },
    /// They were seen as they are at that position, and go on. Said again while they are compared.
    Release {
        /// How long who compares may be silent.
        lease: Duration,
    },
    /// A comparison was made. If the version was begun anew since, or changed its phase, it is
    /// forgotten.
    Compared(Box<Comparison>),
    /// A comparison was tried in vain.
    NotCompared {
        /// Why.
        reason: String,
    },
}

impl Change {
    /// How old a comparison may be at a promotion unless something is said.
    pub const FRESH: Duration = Duration::from_mins(15);
}

/// What happened in the life of a version, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifeEntry {
    /// Whose life.
    pub projection: ProjectionId,
    /// What was done: `promote`.
    pub what: String,
    /// The phase that it was in afterwards.
    pub phase: Phase,
    /// Where its cursor stood.
    pub cursor: Position,
    /// Why, if somebody said.
    pub reason: Option<String>,
    /// Who did it.
    pub by: String,
    /// When, by the database's clock.
    pub at: Timestamp,
}

/// The states of a version that are kept as one text.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Noted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    pub comparison_wanted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub reacts: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reacted: BTreeMap<u16, Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparing: Option<Comparing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<Noted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sunset: Option<Timestamp>,
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Record {
    pub(crate) fn of(state: &ProjectionState) -> Self {
        Self {
            paused: state.paused.clone(),
            hold: state.hold,
            comparison: state.comparison.clone(),
            comparison_wanted: state.comparison_wanted,
            tables: state.tables.clone(),
            reacts: state.reacts.clone(),
            reacted: state.reacted.clone(),
            comparing: state.comparing,
            not_compared: state.not_compared.clone(),
            sunset: state.sunset,
        }
    }

    /// The state of a version, of which the parts are still to be added.
    pub(crate) fn state(self, phase: Phase, since: Timestamp) -> ProjectionState {
        ProjectionState {
            phase,
            since,
            cursor: Position::START,
            epoch: 0,
            slices: Vec::new(),
            reacts: self.reacts,
            reacted: self.reacted,
            paused: self.paused,
            hold: self.hold,
            comparison: self.comparison,
            comparison_wanted: self.comparison_wanted,
            parked: 0,
            tables: self.tables,
            comparing: self.comparing,
            not_compared: self.not_compared,
            sunset: self.sunset,
            run: None,
            read: None,
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl ProjectionState {
    /// Adds a part that was read at the moment `now`.
    pub(crate) fn add(&mut self, slice: SliceState, epoch: u64, now: Timestamp) {
        self.slices.push(slice);
        self.cursor = super::life::slowest(&self.slices);
        self.epoch = epoch;
        self.hold = self.hold.filter(|hold| hold.until > now);
        self.comparing = self.comparing.filter(|comparing| comparing.until > now);
    }
}
