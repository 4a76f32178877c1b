//! The life of a projection version, pure: the rules that every store applies in one transaction.
//!
//! ```text
//! draft ─▶ building ─▶ shadow ─▶ live ─▶ deprecated ─▶ retired
//!              │          ▲        ▲          │
//!              └─▶ live   └────────┴──────────┘ rolled back, promoted again
//! ```

mod ending;
mod promotion;
mod told;

pub(crate) use told::{not_parked, tell_given_up, told};

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use self::ending::{rebuildable, retirable};
use self::promotion::{complete, promotable, promote, rolls_back_to};
use super::handover::{begin_span, is_over, may_react, pass_on};
use super::projection::{
    Change, Comparing, Comparison, Hold, Lineage, Noted, Phase, ProjectionId, ProjectionKind,
    ProjectionState, SliceState,
};
use super::{ConsumerState, Table};
use crate::error::{Error, Kind, Result};
use crate::event::{Position, SLICES, Timestamp};

/// How far behind a version may be to count as one that follows, in events.
const NEAR: u64 = 1000;

/// Who changes something, and when by the database's clock.
#[derive(Clone, Debug)]
pub(crate) struct Occasion {
    pub now: Timestamp,
    pub head: Position,
    /// Who reads what is changed, if it is an integration stream.
    pub consumers: Vec<ConsumerState>,
}

impl Occasion {
    pub(crate) fn new(now: Timestamp, head: Position) -> Self {
        let consumers = Vec::new();
        Self {
            now,
            head,
            consumers,
        }
    }
}

/// What the store has to do beside keeping the states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The name without a version stands for this version's table.
    PointView(u32),
    /// This version's table is emptied, and its parked keys are forgotten.
    Empty(u32),
    /// The parked keys of the version that is changed are forgotten.
    ForgetParked,
    /// Its parked keys are to be tried again, or this one; one that is not parked is refused with
    /// [`not_parked`].
    RetryParked(Option<String>),
    /// What waits for this key is given up; one that is not parked is refused with [`not_parked`].
    DropParked(String),
    /// The name without a version stands for nothing any more.
    DropView,
}

/// Makes the version known, if no database has heard of it.
pub(crate) fn prepare(lineage: &mut Lineage, version: u32, slices: u16, at: &Occasion) {
    if lineage.versions.contains_key(&version) {
        return;
    }
    if lineage.versions.values().all(is_over) {
        // Whoever comes first reacts to what happens from now on, and not to history.
        begin_span(lineage, at.head, version);
    }
    let state = ProjectionState {
        phase: Phase::Building,
        since: at.now,
        cursor: Position::START,
        epoch: 0,
        slices: divided(slices).map(fresh).collect(),
        reacts: BTreeSet::new(),
        reacted: BTreeMap::new(),
        paused: None,
        hold: None,
        comparison: None,
        comparison_wanted: false,
        parked: 0,
        tables: Vec::new(),
        comparing: None,
        not_compared: None,
        sunset: None,
        run: None,
        read: None,
    };
    lineage.versions.insert(version, state);
}

/// The slices of keys in so many parts.
pub(crate) fn divided(parts: u16) -> impl Iterator<Item = Range<u16>> {
    let parts = parts.clamp(1, SLICES);
    let edge = move |part: u16| {
        let edge = u32::from(part) * u32::from(SLICES) / u32::from(parts);
        u16::try_from(edge).unwrap_or(SLICES)
    };
    (0..parts).map(move |part| edge(part)..edge(part + 1))
}

/// A part that nobody has worked on.
fn fresh(slices: Range<u16>) -> SliceState {
    SliceState {
        slices,
        cursor: Position::START,
        owner: None,
        failure: None,
    }
}

/// Applies the change, or says why not. After an error, nothing of the lineage counts.
pub(crate) fn change(
    id: &ProjectionId,
    lineage: &mut Lineage,
    change: &Change,
    at: &Occasion,
) -> Result<Vec<Effect>> {
    let Some(state) = lineage.versions.get(&id.version) else {
        let what = format!("`{id}`");
        return Err(Error::new(Kind::Unregistered { what }));
    };
    let refuse = |what, why: String| Err(refused(id, what, why));
    if state.phase == Phase::Retired {
        let why = "it is retired; raise the version to make it anew".to_owned();
        return match change {
            // Said twice, or by somebody who has not heard.
            Change::Retire { .. } => Ok(Vec::new()),
            _ => refuse(change.verb(), why),
        };
    }
    match change {
        Change::React(reacts) => {
            may_react(id, state, reacts)?;
            let reacts = reacts.clone();
            with(id.version, lineage, |state| state.reacts = reacts);
            Ok(Vec::new())
        }
        Change::Complete => Ok(complete(id, lineage, at)),
        Change::Promote { fresh, forced } => {
            promotable(id, lineage, *fresh, forced.as_deref(), at)?;
            Ok(promote(id, lineage, Phase::Deprecated, at))
        }
        Change::RollBack { .. } => {
            let before = rolls_back_to(id, lineage)?;
            let before = ProjectionId {
                version: before,
                ..id.clone()
            };
            Ok(promote(&before, lineage, Phase::Shadow, at))
        }
        Change::Deprecate { sunset } => {
            if id.kind == ProjectionKind::ReadModel {
                return refuse("deprecate", "promote another version instead".to_owned());
            }
            if state.phase == Phase::Building {
                return refuse("deprecate", "it is still being built".to_owned());
            }
            // Said again with another day: it is deprecated since the first time.
            if state.phase != Phase::Deprecated {
                enter(id.version, lineage, Phase::Deprecated, at);
            }
            note(id.version, lineage, |state| state.sunset = *sunset);
            Ok(Vec::new())
        }
        Change::Reinstate => {
            if id.kind == ProjectionKind::ReadModel {
                return refuse("reinstate", "promote it, or roll back".to_owned());
            }
            if state.phase != Phase::Deprecated {
                let why = format!("no command deprecated it: it is {}", state.phase);
                return refuse("reinstate", why);
            }
            enter(id.version, lineage, Phase::Live, at);
            note(id.version, lineage, |state| state.sunset = None);
            Ok(Vec::new())
        }
        Change::Retire { quiet, forced } => {
            let was = state.phase;
            pass_on(id.version, lineage);
            retirable(id, lineage, *quiet, forced.as_deref(), at)?;
            enter(id.version, lineage, Phase::Retired, at);
            if let Some(state) = lineage.versions.get_mut(&id.version) {
                state.slices.clear();
                (state.paused, state.hold, state.comparison) = (None, None, None);
                (state.comparing, state.not_compared) = (None, None);
                state.comparison_wanted = false;
            }
            let view = id.kind == ProjectionKind::ReadModel && was == Phase::Live;
            let view = view.then_some(Effect::DropView);
            Ok(std::iter::once(Effect::ForgetParked).chain(view).collect())
        }
        Change::Rebuild { .. } => {
            rebuildable(id, lineage)?;
            // Nobody is like it any more.
            let like = |c: &Comparison| c.with == id.version;
            for state in lineage.versions.values_mut() {
                state.comparison.take_if(|comparison| like(comparison));
            }
            enter(id.version, lineage, Phase::Building, at);
            with(id.version, lineage, |state| {
                let seen = |slice: &SliceState| (slice.slices.start, state.seen(slice));
                state.reacted = state.slices.iter().map(seen).collect();
                state.cursor = Position::START;
                for slice in &mut state.slices {
                    (slice.cursor, slice.failure) = (Position::START, None);
                }
                (state.hold, state.comparison, state.comparing) = (None, None, None);
            });
            Ok(vec![Effect::Empty(id.version)])
        }
        Change::RetryParked { key } => {
            with(id.version, lineage, |_| {});
            Ok(vec![Effect::RetryParked(key.clone())])
        }
        Change::DropParked { key, .. } => {
            with(id.version, lineage, |_| {});
            Ok(vec![Effect::DropParked(key.clone())])
        }
        Change::Pause { reason } => {
            let (reason, at) = (reason.clone(), at.now);
            with(id.version, lineage, |s| {
                s.paused = Some(Noted { reason, at })
            });
            Ok(Vec::new())
        }
        Change::Resume => {
            with(id.version, lineage, |state| {
                state.paused = None;
                state
                    .slices
                    .iter_mut()
                    .for_each(|slice| slice.failure = None);
            });
            Ok(Vec::new())
        }
        Change::WantComparison => {
            match state.phase {
                Phase::Building => return refuse("compare", building(state)),
                Phase::Live => return refuse("compare", ITSELF.to_owned()),
                _ => {}
            }
            note(id.version, lineage, |state| state.comparison_wanted = true);
            Ok(Vec::new())
        }
        Change::Hold { hold, lease } => {
            self::hold(id, lineage, *hold, *lease, at)?;
            Ok(Vec::new())
        }
        Change::Release { lease } => {
            let held = state.hold;
            for state in lineage.versions.values_mut() {
                state.hold.take_if(|hold| Some(*hold) == held);
            }
            note(id.version, lineage, |state| {
                state.comparing.take_if(|_| lease.is_zero());
                if let Some(comparing) = &mut state.comparing {
                    comparing.until = later(at.now, *lease);
                }
            });
            Ok(Vec::new())
        }
        Change::Compared(comparison) => {
            let comparison = Comparison {
                at: at.now,
                ..(**comparison).clone()
            };
            // Its rows are not those that were compared, if it was begun anew since.
            let same = state.cursor >= comparison.position && state.since <= comparison.began;
            note(id.version, lineage, |state| {
                state.comparing = None;
                if same {
                    state.comparison = Some(comparison);
                    (state.comparison_wanted, state.not_compared) = (false, None);
                }
            });
            Ok(Vec::new())
        }
        Change::NotCompared { reason } => {
            note(id.version, lineage, |state| {
                let known = state.not_compared.as_ref();
                if known.is_none_or(|known| known.reason != *reason) {
                    let (reason, at) = (reason.clone(), at.now);
                    state.not_compared = Some(Noted { reason, at });
                }
            });
            Ok(Vec::new())
        }
    }
}

/// How far all parts have come.
pub(crate) fn slowest(slices: &[SliceState]) -> Position {
    let cursors = slices.iter().map(|slice| slice.cursor);
    cursors.min().unwrap_or(Position::START)
}

/// A hold whose time is over holds nobody.
pub(crate) fn expire_holds(lineage: &mut Lineage, now: Timestamp) {
    for state in lineage.versions.values_mut() {
        state.hold = state.hold.filter(|hold| hold.until > now);
        state.comparing = state.comparing.filter(|comparing| comparing.until > now);
    }
}

/// Why the rules do not allow it.
pub(crate) fn refused(id: &ProjectionId, what: &'static str, why: String) -> Error {
    let projection = id.to_string();
    Error::new(Kind::LifeRefused {
        projection,
        what,
        why,
    })
}

pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(micros))
}

/// Changes what the version's workers must know: they look again before they go on.
fn with(version: u32, lineage: &mut Lineage, change: impl FnOnce(&mut ProjectionState)) {
    if let Some(state) = lineage.versions.get_mut(&version) {
        change(state);
        state.epoch += 1;
    }
}

/// Changes what only people read, and whoever compares.
fn note(version: u32, lineage: &mut Lineage, change: impl FnOnce(&mut ProjectionState)) {
    lineage.versions.get_mut(&version).map(change);
}

fn enter(version: u32, lineage: &mut Lineage, phase: Phase, at: &Occasion) {
    with(version, lineage, |state| {
        (state.phase, state.since) = (phase, at.now);
    });
}

fn building(state: &ProjectionState) -> String {
    format!(
        "it is still being built, at position {}; wait for it",
        state.cursor
    )
}

/// Why a version is not compared.
const ITSELF: &str = "it is live: compare the version that is to follow it";

/// Holds a version and the live one where they can be compared: a moment away from here.
fn hold(
    id: &ProjectionId,
    lineage: &mut Lineage,
    time: Duration,
    lease: Duration,
    at: &Occasion,
) -> Result<()> {
    let refuse = |why| Err(refused(id, "compare", why));
    let Some(live) = lineage.live() else {
        return refuse("no version is live that it could be compared with".to_owned());
    };
    if live == id.version {
        return refuse(ITSELF.to_owned());
    }
    let (Some(state), Some(other)) = (
        lineage.versions.get(&id.version),
        lineage.versions.get(&live),
    ) else {
        return Ok(());
    };
    if state.phase == Phase::Building {
        return refuse(building(state));
    }
    if id.kind == ProjectionKind::Stream {
        return refuse("versions of a stream differ as their contracts say".to_owned());
    }
    still(id, "compare", state)?;
    let beside = ProjectionId {
        version: live,
        ..id.clone()
    };
    still(&beside, "compare with", other)?;
    if let Some(comparing) = state.comparing.filter(|comparing| comparing.until > at.now) {
        let Comparing { since, until } = comparing;
        return refuse(format!(
            "somebody compares it since {since}; another may begin at {until} at the latest"
        ));
    }
    let holds = [state.hold, other.hold].into_iter().flatten();
    if holds.into_iter().any(|hold| hold.until > at.now) {
        let why = format!("version {live} is compared with another one; wait for a moment");
        return refuse(why);
    }
    let slices = || state.slices.iter().chain(&other.slices);
    let furthest = slices().map(|slice| slice.cursor).max();
    let furthest = furthest.unwrap_or(Position::START);
    let behind = furthest.get() - state.cursor.min(other.cursor).get();
    if behind > NEAR {
        return refuse(format!(
            "it is at position {}, and version {live} at {}: wait until they have caught up",
            state.cursor, other.cursor
        ));
    }
    let hold = Hold {
        at: furthest,
        until: later(at.now, time),
    };
    for version in [id.version, live] {
        with(version, lineage, |state| state.hold = Some(hold));
    }
    note(id.version, lineage, |state| {
        let (since, until) = (at.now, later(at.now, lease));
        state.comparing = Some(Comparing { since, until });
    });
    Ok(())
}

/// Refuses what is stopped: its rows would stand still.
fn still(id: &ProjectionId, what: &'static str, state: &ProjectionState) -> Result<()> {
    let failure = state.slices.iter().find_map(|slice| slice.failure.as_ref());
    match state.paused.as_ref().or(failure) {
        Some(Noted { reason, .. }) => Err(refused(id, what, format!("it stands still: {reason}"))),
        None => Ok(()),
    }
}

/// Whether the stored columns are the declared ones.
pub(crate) fn same_columns(table: &Table, stored: &str) -> Result<()> {
    same(&table.into(), stored, &table.fingerprint())
}

/// Whether what was stored of a version is what is declared.
pub(crate) fn same(projection: &ProjectionId, stored: &str, declared: &str) -> Result<()> {
    if stored == declared {
        return Ok(());
    }
    let (projection, stored) = (projection.to_string(), stored.to_owned());
    let declared = declared.to_owned();
    Err(Error::new(Kind::ChangedColumns {
        projection,
        stored,
        declared,
    }))
}

#[cfg(test)]
mod tests;
