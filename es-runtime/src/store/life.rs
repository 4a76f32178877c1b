//! The life of a projection version, pure: the rules that every store applies in one transaction.
//!
//! ```text
//! draft ─▶ building ─▶ shadow ─▶ live ─▶ deprecated ─▶ retired
//!              │          ▲        ▲          │
//!              └─▶ live   └────────┴──────────┘ rolled back, promoted again
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::handover::{begin_span, hand_over, is_over, may_react, pass_on};
use super::projection::{
    Change, Comparing, Comparison, Hold, LifeEntry, Lineage, Noted, Phase, ProjectionId,
    ProjectionKind, ProjectionState, Sighting, SliceState,
};
use super::{ConsumerState, ParkedKey, Table, consumer};
use crate::error::{Error, Kind, Result};
use crate::event::{Position, SLICES, Timestamp, span};

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
        slices: divided(slices),
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
fn divided(parts: u16) -> Vec<SliceState> {
    let parts = parts.clamp(1, SLICES);
    let edge = |part: u16| {
        let edge = u32::from(part) * u32::from(SLICES) / u32::from(parts);
        u16::try_from(edge).unwrap_or(SLICES)
    };
    let part = |part| SliceState {
        slices: edge(part)..edge(part + 1),
        cursor: Position::START,
        owner: None,
        failure: None,
    };
    (0..parts).map(part).collect()
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

impl Change {
    /// What is done, for people: `promote`.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::React(_) => "react",
            Self::Complete => "complete",
            Self::Promote { .. } => "promote",
            Self::RollBack { .. } => "roll back",
            Self::Deprecate { .. } => "deprecate",
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

/// History is worked through: a stream is live, and so is the first version of a read model; any
/// other waits beside the live one. Of several that are built for the first time, the lowest is the
/// first. Done twice, or before all parts have come that far, nothing.
fn complete(id: &ProjectionId, lineage: &mut Lineage, at: &Occasion) -> Vec<Effect> {
    let Some(state) = lineage.versions.get(&id.version) else {
        return Vec::new();
    };
    let furthest = state.slices.iter().map(|slice| slice.cursor.get()).max();
    let near = furthest
        .unwrap_or_default()
        .saturating_sub(state.cursor.get())
        <= NEAR;
    if state.phase != Phase::Building || !near {
        return Vec::new();
    }
    match id.kind {
        ProjectionKind::Stream => {
            enter(id.version, lineage, Phase::Live, at);
            Vec::new()
        }
        ProjectionKind::ReadModel if lineage.live().is_some() || awaits_older(id, lineage) => {
            enter(id.version, lineage, Phase::Shadow, at);
            Vec::new()
        }
        ProjectionKind::ReadModel => promote(id, lineage, Phase::Shadow, at),
    }
}

/// Whether an older version is about to be the first that is live.
fn awaits_older(id: &ProjectionId, lineage: &Lineage) -> bool {
    let mut older = lineage.versions.range(..id.version);
    older.any(|(_, state)| {
        let stands = state.paused.is_some() || state.slices.iter().any(|s| s.failure.is_some());
        state.phase == Phase::Building && !stands
    })
}

/// Makes it the live version, whatever it was; the version that was live goes on as `old`.
fn promote(id: &ProjectionId, lineage: &mut Lineage, old: Phase, at: &Occasion) -> Vec<Effect> {
    match lineage.live() {
        Some(live) if live == id.version => return Vec::new(),
        Some(live) => enter(live, lineage, old, at),
        None => {}
    }
    enter(id.version, lineage, Phase::Live, at);
    hand_over(lineage, id.version);
    vec![Effect::PointView(id.version)]
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

fn promotable(
    id: &ProjectionId,
    lineage: &Lineage,
    fresh: Duration,
    forced: Option<&str>,
    at: &Occasion,
) -> Result<()> {
    let refuse = |why| Err(refused(id, "promote", why));
    if id.kind == ProjectionKind::Stream {
        return refuse(
            "every complete version of a stream is live; there is nothing to promote".to_owned(),
        );
    }
    let Some(state) = lineage.versions.get(&id.version) else {
        return Ok(());
    };
    match state.phase {
        Phase::Building => return refuse(building(state)),
        Phase::Live => return Ok(()),
        Phase::Shadow | Phase::Deprecated | Phase::Retired => {}
    }
    still(id, "promote", state)?;
    let Some(live) = lineage.live() else {
        return Ok(());
    };
    let other = lineage
        .versions
        .get(&live)
        .map_or(Position::START, |state| state.cursor);
    if state.cursor.get() + NEAR < other.get() {
        let why = format!(
            "it is at position {}, and version {live} at {other}: wait until it has caught up",
            state.cursor
        );
        return refuse(why);
    }
    if forced.is_none() && state.parked > 0 {
        return refuse(format!(
            "{} of its keys are parked, and their rows stand still: mend what failed and try them \
             again, give them up, or force it and say why",
            state.parked
        ));
    }
    if forced.is_some() || state.phase == Phase::Deprecated {
        return Ok(());
    }
    match &state.comparison {
        None => refuse(match &state.not_compared {
            Some(Noted { reason, .. }) => {
                format!("it was not compared with version {live} yet: {reason}")
            }
            None => format!(
                "it was not compared with version {live}: declare how (`Builder::compare`) and \
                 wait for it, or force it and say why"
            ),
        }),
        Some(found) if found.with != live => refuse(format!(
            "it was compared with version {}, but version {live} is live: ask for a comparison",
            found.with
        )),
        Some(found) if later(found.at, fresh) < at.now => refuse(format!(
            "the last comparison is from {}, too long ago: ask for another",
            found.at
        )),
        Some(found) if found.differing > 0 => refuse(format!(
            "{} of {} rows differ from version {live} and should not: look at them, and build the \
             next version, declare the differences, or force it and say why",
            found.differing, found.keys
        )),
        Some(_) => Ok(()),
    }
}

/// Refuses what is stopped: its rows would stand still.
fn still(id: &ProjectionId, what: &'static str, state: &ProjectionState) -> Result<()> {
    let failure = state.slices.iter().find_map(|slice| slice.failure.as_ref());
    match state.paused.as_ref().or(failure) {
        Some(Noted { reason, .. }) => Err(refused(id, what, format!("it stands still: {reason}"))),
        None => Ok(()),
    }
}

/// The version that was live before this one.
fn rolls_back_to(id: &ProjectionId, lineage: &Lineage) -> Result<u32> {
    let refuse = |why: &str| Err(refused(id, "roll back", why.to_owned()));
    if lineage.live() != Some(id.version) {
        return refuse("it is not live");
    }
    let deprecated = lineage.versions.iter();
    let deprecated = deprecated.filter(|(_, state)| state.phase == Phase::Deprecated);
    let Some((version, state)) = deprecated.max_by_key(|(_, state)| state.since) else {
        return refuse("no version before it is kept up to date any more");
    };
    let before = ProjectionId {
        version: *version,
        ..id.clone()
    };
    still(&before, "roll back to", state)?;
    Ok(*version)
}

fn rebuildable(id: &ProjectionId, lineage: &Lineage) -> Result<()> {
    let refuse = |why: &str| Err(refused(id, "rebuild", why.to_owned()));
    let phase = lineage.versions.get(&id.version).map(|state| state.phase);
    match (id.kind, phase) {
        (ProjectionKind::Stream, Some(Phase::Live | Phase::Deprecated)) => {
            refuse("it was published, and what was published never changes: make the next version")
        }
        (ProjectionKind::ReadModel, Some(Phase::Live)) => refuse(
            "it is live: people would read half of it. Roll back first, or make the next version",
        ),
        _ if parked_reactions(id.version, lineage) > 0 => refuse(
            "keys are parked whose events it has still to react to: try them again or give them up",
        ),
        _ => Ok(()),
    }
}

/// Keys that are set aside, of a version that reacts.
fn parked_reactions(version: u32, lineage: &Lineage) -> u64 {
    let state = lineage.versions.get(&version);
    let reacts = state.filter(|state| !state.reacts.is_empty());
    reacts.map_or(0, |state| state.parked)
}

fn retirable(
    id: &ProjectionId,
    lineage: &Lineage,
    quiet: Duration,
    forced: Option<&str>,
    at: &Occasion,
) -> Result<()> {
    let refuse = |why| Err(refused(id, "retire", why));
    let Some(state) = lineage.versions.get(&id.version) else {
        return Ok(());
    };
    let others = |(version, other): (&u32, &ProjectionState)| {
        *version != id.version && other.phase != Phase::Retired
    };
    if state.phase == Phase::Live
        && id.kind == ProjectionKind::ReadModel
        && (lineage.versions.iter().any(others) || forced.is_none())
    {
        return refuse("it is live: promote another version first".to_owned());
    }
    if forced.is_some() {
        return Ok(());
    }
    let parked = parked_reactions(id.version, lineage);
    if parked > 0 {
        return refuse(format!(
            "{parked} of its keys are parked, to whose events it has still to react: try them \
             again, give them up, or force it and say why"
        ));
    }
    if let Some(owed) = lineage.owes(id.version) {
        return refuse(format!(
            "it owes {owed}, and is at {}: let it run until it has come so far, or force it, say \
             why, and they are given up",
            state.cursor
        ));
    }
    if id.kind == ProjectionKind::Stream {
        // Who runs its code only feeds it: what counts is who reads.
        let may_end = consumer::may_end(state, &at.consumers, quiet, at.now);
        return may_end.or_else(refuse);
    }
    let seen = |sighting: &Option<Sighting>, did: &str| {
        let sighting = sighting.as_ref()?;
        let recent = later(sighting.at, quiet) > at.now;
        recent.then(|| format!("{} {did} it at {}", sighting.who, sighting.at))
    };
    if let Some(who) = seen(&state.run, "ran").or_else(|| seen(&state.read, "read")) {
        return refuse(format!(
            "{who}, less than {} ago: take it out of the code, deploy, and retire it then",
            span(quiet)
        ));
    }
    Ok(())
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
