//! When a version may begin anew, and when it may end.

use std::time::Duration;

use super::{Occasion, later, refused};
use crate::error::Result;
use crate::event::span;
use crate::store::consumer;
use crate::store::projection::{
    Lineage, Phase, ProjectionId, ProjectionKind, ProjectionState, Sighting,
};

pub(super) fn rebuildable(id: &ProjectionId, lineage: &Lineage) -> Result<()> {
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
pub(super) fn parked_reactions(version: u32, lineage: &Lineage) -> u64 {
    let state = lineage.versions.get(&version);
    let reacts = state.filter(|state| !state.reacts.is_empty());
    reacts.map_or(0, |state| state.parked)
}

pub(super) fn retirable(
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
