//! When a version is complete, when it may become the live one, and which one was before it.

use std::time::Duration;

use super::{Effect, NEAR, Occasion, building, enter, later, refused, still};
use crate::error::Result;
use crate::event::Position;
use crate::store::handover::hand_over;
use crate::store::projection::{Lineage, Noted, Phase, ProjectionId, ProjectionKind};

/// History is worked through: a stream is live, and so is the first version of a read model; any
/// other waits beside the live one. Of several that are built for the first time, the lowest is the
/// first. Done twice, or before all parts have come that far, nothing.
pub(super) fn complete(id: &ProjectionId, lineage: &mut Lineage, at: &Occasion) -> Vec<Effect> {
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
        ProjectionKind::Stream | ProjectionKind::Process => {
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
pub(super) fn awaits_older(id: &ProjectionId, lineage: &Lineage) -> bool {
    let mut older = lineage.versions.range(..id.version);
    older.any(|(_, state)| {
        let stands = state.paused.is_some() || state.slices.iter().any(|s| s.failure.is_some());
        state.phase == Phase::Building && !stands
    })
}

/// Makes it the live version, whatever it was; the version that was live goes on as `old`.
pub(super) fn promote(
    id: &ProjectionId,
    lineage: &mut Lineage,
    old: Phase,
    at: &Occasion,
) -> Vec<Effect> {
    match lineage.live() {
        Some(live) if live == id.version => return Vec::new(),
        Some(live) => enter(live, lineage, old, at),
        None => {}
    }
    enter(id.version, lineage, Phase::Live, at);
    hand_over(lineage, id.version);
    vec![Effect::PointView(id.version)]
}

pub(super) fn promotable(
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

/// The version that was live before this one.
pub(super) fn rolls_back_to(id: &ProjectionId, lineage: &Lineage) -> Result<u32> {
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
