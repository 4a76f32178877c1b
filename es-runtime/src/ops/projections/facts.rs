//! What is known of a version, as people and programs see it.

use std::time::Duration;

use serde::Serialize;

use super::Now;
use crate::event::{Position, Timestamp};
use crate::ops::words::{between, counted, number, span};
use crate::store::{
    Comparison, Handover, Hold, LifeEntry, Noted, Phase, ProjectionId, ProjectionKind,
    ProjectionState, Sighting, SliceState,
};

/// A version, as JSON has it. The names of the fields stay.
#[derive(Serialize)]
pub(super) struct Facts<'a> {
    projection: String,
    kind: &'static str,
    name: &'a str,
    version: u32,
    phase: &'static str,
    since: Timestamp,
    cursor: Position,
    head: Position,
    lag: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<Build>,
    owners: Vec<&'a str>,
    run: Option<&'a Sighting>,
    read: Option<&'a Sighting>,
    paused: Option<&'a Noted>,
    failures: Vec<Failure<'a>>,
    comparison: Option<&'a Comparison>,
    comparison_wanted: bool,
    not_compared: Option<&'a Noted>,
    parked: u64,
}

/// A part that stands still.
#[derive(Serialize)]
struct Failure<'a> {
    slices: [u16; 2],
    #[serde(flatten)]
    why: &'a Noted,
}

impl<'a> Facts<'a> {
    pub(super) fn of(id: &'a ProjectionId, state: &'a ProjectionState, now: &Now) -> Self {
        let failure = |slice: &'a SliceState| {
            let slices = [slice.slices.start, slice.slices.end];
            let why = slice.failure.as_ref()?;
            Some(Failure { slices, why })
        };
        Self {
            projection: id.to_string(),
            kind: kind(id).0,
            name: &id.name,
            version: id.version,
            phase: state.phase.as_str(),
            since: state.since,
            cursor: state.cursor,
            head: now.head,
            lag: lag(state, now),
            build: Build::of(state, now),
            owners: owners(state),
            run: state.run.as_ref(),
            read: state.read.as_ref(),
            paused: state.paused.as_ref(),
            failures: state.slices.iter().filter_map(failure).collect(),
            comparison: state.comparison.as_ref(),
            comparison_wanted: state.comparison_wanted,
            not_compared: state.not_compared.as_ref(),
            parked: state.parked,
        }
    }
}

/// All that is known of a version, as JSON has it.
#[derive(Serialize)]
pub(super) struct AllFacts<'a> {
    #[serde(flatten)]
    pub(super) facts: Facts<'a>,
    pub(super) slices: Vec<Slice<'a>>,
    pub(super) hold: Option<&'a Hold>,
    pub(super) reacts: Vec<Reacts>,
    pub(super) life: Vec<Entry<'a>>,
}

#[derive(Serialize)]
pub(super) struct Slice<'a> {
    slices: [u16; 2],
    cursor: Position,
    owner: Option<&'a str>,
    failure: Option<&'a Noted>,
}

impl<'a> Slice<'a> {
    pub(super) fn of(slice: &'a SliceState) -> Self {
        Self {
            slices: [slice.slices.start, slice.slices.end],
            cursor: slice.cursor,
            owner: slice.owner.as_deref(),
            failure: slice.failure.as_ref(),
        }
    }
}

/// To which events a version reacts: behind `after`, up to `until`.
#[derive(Serialize)]
pub(super) struct Reacts {
    pub(super) after: Position,
    pub(super) until: Option<Position>,
}

impl Reacts {
    /// The stretches of the log whose events are the version's.
    pub(super) fn of(version: u32, handovers: &[Handover]) -> Vec<Self> {
        let ends = handovers.iter().skip(1).map(|next| Some(next.after));
        let ends = ends.chain([None]);
        let stretches = handovers.iter().zip(ends);
        let own = stretches.filter(|(handover, _)| handover.version == version);
        let reacts = own.map(|(handover, until)| Self {
            after: handover.after,
            until,
        });
        reacts.collect()
    }
}

/// Something that happened in a version's life.
#[derive(Serialize)]
pub(in crate::ops) struct Entry<'a> {
    at: Timestamp,
    what: &'a str,
    phase: &'static str,
    cursor: Position,
    reason: Option<&'a str>,
    by: &'a str,
}

impl<'a> Entry<'a> {
    pub(in crate::ops) fn of(entry: &'a LifeEntry) -> Self {
        Self {
            at: entry.at,
            what: &entry.what,
            phase: entry.phase.as_str(),
            cursor: entry.cursor,
            reason: entry.reason.as_deref(),
            by: &entry.by,
        }
    }
}

/// How fast a version is being built, on the average since it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(in crate::ops) struct Build {
    events_per_second: u64,
    seconds_left: Option<u64>,
}

impl Build {
    pub(in crate::ops) fn of(state: &ProjectionState, now: &Now) -> Option<Self> {
        if state.phase != Phase::Building {
            return None;
        }
        let millis = between(state.since, now.time).as_millis().max(1);
        let done = u128::from(state.cursor.get());
        let left = u128::from(lag(state, now)) * millis;
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Some(Self {
            events_per_second: whole(done * 1000 / millis),
            seconds_left: (left / 1000).checked_div(done).map(whole),
        })
    }

    /// `2,000 events/s, 3 s left`.
    pub(in crate::ops) fn text(self) -> String {
        let left = self.seconds_left.map(Duration::from_secs).map(span);
        let left = left.map_or("nobody knows how long".to_owned(), |left| {
            format!("about {left} left")
        });
        let rate = number(self.events_per_second);
        format!("{rate} events/s on average, {left}")
    }
}

/// The kind for programs, and for people.
pub(super) fn kind(id: &ProjectionId) -> (&'static str, &'static str) {
    match id.kind {
        ProjectionKind::ReadModel => ("read-model", "read model"),
        ProjectionKind::Stream => ("stream", "stream"),
        ProjectionKind::Process => ("process", "process"),
    }
}

/// The events that it has not reached; what is retired has nothing to reach.
pub(in crate::ops) fn lag(state: &ProjectionState, now: &Now) -> u64 {
    match state.phase {
        Phase::Retired => 0,
        _ => now.head.get().saturating_sub(state.cursor.get()),
    }
}

/// The instances that work on it now.
pub(in crate::ops) fn owners(state: &ProjectionState) -> Vec<&str> {
    let mut owners: Vec<_> = state
        .slices
        .iter()
        .filter_map(|s| s.owner.as_deref())
        .collect();
    owners.sort_unstable();
    owners.dedup();
    owners
}

/// Why it stands still, if it does, and since when.
pub(in crate::ops) fn standstill(state: &ProjectionState) -> Option<&Noted> {
    let failures = state
        .slices
        .iter()
        .filter_map(|slice| slice.failure.as_ref());
    state.paused.as_ref().or(failures.min_by_key(|why| why.at))
}

/// The comparison in a word or two.
pub(super) fn compared(state: &ProjectionState) -> String {
    match &state.comparison {
        _ if state.comparing.is_some() => "under way".to_owned(),
        _ if state.comparison_wanted => "asked for".to_owned(),
        None => "-".to_owned(),
        Some(found) if found.differing > 0 => counted(found.differing, "differs", "differ"),
        Some(_) => "same".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handover(after: u64, version: u32) -> Handover {
        let after = Position::new(after);
        Handover { after, version }
    }

    #[test]
    fn who_reacts_to_what_is_a_stretch_of_the_log() {
        let handovers = [handover(0, 1), handover(7, 2), handover(9, 1)];
        let stretches = |version| {
            let reacts = Reacts::of(version, &handovers).into_iter();
            let ends = reacts.map(|r| (r.after.get(), r.until.map(Position::get)));
            ends.collect::<Vec<_>>()
        };
        assert_eq!(stretches(1), [(0, Some(7)), (9, None)]);
        assert_eq!(stretches(2), [(7, Some(9))]);
        assert_eq!(stretches(3), []);
    }
}
