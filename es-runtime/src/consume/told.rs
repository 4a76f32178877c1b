//! What a consumer at work tells of itself.

use std::collections::BTreeMap;
use std::ops::Range;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{Position, slice_of};
use crate::store::{InboxClaimed, InboxEntity, InboxKey, InboxRepair};

/// How far a consumer has come, and what is in its way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Every event up to here was handled, or waits for its key: all parts of the inbox, those of
    /// other instances included, have come so far.
    pub position: Position,
    /// How many keys are set aside, since an event failed that is tried again.
    pub waiting: u64,
    /// How many of them failed so often that somebody should look.
    pub parked: u64,
    /// What failed last, while it is tried again.
    pub trouble: Option<String>,
    /// The newer version of the stream whose instances do the work, while this one waits until none of
    /// them is left.
    pub stands_by: Option<u32>,
}

/// What all tasks of a consumer tell.
#[derive(Clone, Debug)]
pub(super) struct Told(watch::Sender<State>);

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Whether the store has told how it stands.
    known: bool,
    parts: BTreeMap<u16, Position>,
    keys: BTreeMap<String, Failing>,
    /// The entities that were asked for, as the store knew them at some moment.
    entities: Vec<InboxEntity>,
    repairs: Vec<InboxRepair>,
    claimed: Option<Instant>,
    /// What is wrong with the source, with the inbox, and with each part.
    source: Option<String>,
    inbox: Option<String>,
    part: BTreeMap<u16, String>,
    stands_by: Option<u32>,
}

/// A key that is set aside.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) position: Position,
    pub(super) reason: String,
    pub(super) attempts: u32,
}

impl From<&InboxKey> for Failing {
    fn from(key: &InboxKey) -> Self {
        Self {
            position: key.position,
            reason: key.reason.clone(),
            attempts: key.attempts,
        }
    }
}

impl State {
    fn position(&self) -> Position {
        self.parts.values().min().copied().unwrap_or_default()
    }

    pub(super) fn progress(&self, attempts: u32) -> Progress {
        let parked = self.keys.values().filter(|key| key.attempts >= attempts);
        let mut trouble = self
            .inbox
            .iter()
            .chain(&self.source)
            .chain(self.part.values());
        Progress {
            position: self.position(),
            waiting: self.keys.len() as u64,
            parked: parked.count() as u64,
            trouble: trouble.next().cloned(),
            stands_by: self.stands_by,
        }
    }

    pub(super) fn entities(&self) -> usize {
        self.entities.len()
    }

    /// What became of the question for an entity that was asked before `since`: up to where it is
    /// handled, or why not.
    pub(super) fn answer(
        &self,
        subject: &str,
        question: u64,
        since: Instant,
    ) -> Option<Result<Position, String>> {
        let claimed = self.claimed.filter(|at| *at >= since);
        let found = self.entities.iter().find(|of| of.subject == subject);
        match found {
            Some(entity) if entity.answered < question => None,
            Some(InboxEntity {
                failure: Some(why), ..
            }) => Some(Err(why.clone())),
            Some(entity) => Some(Ok(entity.until)),
            // The cursor has passed it meanwhile.
            None => claimed.map(|_| Ok(self.position())),
        }
    }

    /// What became of the question for a repair that was asked before `since`: done, or why not.
    pub(super) fn repaired(&self, question: u64, since: Instant) -> Option<Result<(), String>> {
        self.claimed.filter(|at| *at >= since)?;
        let parts = self.repairs.iter().filter(|of| of.number == question);
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() {
            let gone = "its parts were divided anew meanwhile: ask again";
            return Some(Err(gone.to_owned()));
        }
        let mut failures = parts.iter().filter_map(|part| part.failure.as_ref());
        let failure = failures.next().cloned();
        let done = parts.iter().all(|part| part.done);
        done.then_some(failure.map_or(Ok(()), Err))
    }

    /// Whether everything up to a position is handled; else the key that has failed so often that
    /// nobody should wait for it, if there is one.
    pub(super) fn reached(&self, position: Position, attempts: u32) -> Reached {
        let mut before = self.keys.iter().filter(|(_, key)| key.position <= position);
        let trying = before.clone().any(|(_, key)| key.attempts < attempts);
        if !self.known || self.stands_by.is_some() || self.position() < position || trying {
            return Reached::NotYet;
        }
        match before.next() {
            Some((key, failing)) => Reached::Parked(key.clone(), failing.clone()),
            None => Reached::Yes,
        }
    }
}

pub(super) enum Reached {
    Yes,
    NotYet,
    Parked(String, Failing),
}

impl Told {
    pub(super) fn new() -> (Self, watch::Receiver<State>) {
        let (told, seen) = watch::channel(State::default());
        (Self(told), seen)
    }

    pub(super) fn source(&self, trouble: Option<String>) {
        self.change(|state| &mut state.source, trouble);
    }

    pub(super) fn inbox(&self, trouble: Option<String>) {
        self.change(|state| &mut state.inbox, trouble);
    }

    /// Instances of a newer version do the work; what is set aside is theirs.
    pub(super) fn stands_by(&self, newer: Option<u32>) {
        self.0.send_if_modified(|state| {
            if newer.is_some() {
                state.keys.clear();
                state.part.clear();
            }
            std::mem::replace(&mut state.stands_by, newer) != newer
        });
    }

    /// Wakes nobody if it says what was said before.
    fn change(&self, of: fn(&mut State) -> &mut Option<String>, trouble: Option<String>) {
        self.0.send_if_modified(|state| {
            let changed = *of(state) != trouble;
            *of(state) = trouble;
            changed
        });
    }

    pub(super) fn part(&self, part: u16, trouble: Option<String>) {
        self.0.send_modify(|state| match trouble {
            Some(trouble) => drop(state.part.insert(part, trouble)),
            None => drop(state.part.remove(&part)),
        });
    }

    pub(super) fn moved(&self, part: u16, position: Position) {
        self.0.send_modify(|state| {
            state.part.remove(&part);
            state.parts.insert(part, position);
        });
    }

    pub(super) fn key(&self, key: &str, failing: Option<Failing>) {
        self.0.send_modify(|state| match failing {
            Some(failing) => drop(state.keys.insert(key.to_owned(), failing)),
            None => drop(state.keys.remove(key)),
        });
    }

    /// What the store knows; of their own parts, the workers know more.
    pub(super) fn claimed(&self, claimed: &InboxClaimed, own: &[Range<u16>], at: Instant) {
        let is_own = |slice: u16| own.iter().any(|slices| slices.contains(&slice));
        self.0.send_modify(|state| {
            let there = |part: u16| claimed.parts.iter().any(|p| p.slices.start == part);
            state.known = true;
            state.claimed = Some(at);
            state.entities.clone_from(&claimed.entities);
            state.repairs.clone_from(&claimed.repairs);
            state.parts.retain(|part, _| there(*part));
            state.part.retain(|part, _| there(*part));
            for part in &claimed.parts {
                if !is_own(part.slices.start) {
                    let position = part.cursor.position;
                    state.parts.insert(part.slices.start, position);
                }
            }
            state.keys.retain(|key, _| is_own(slice_of(key)));
            let others = claimed
                .keys
                .iter()
                .filter(|key| !is_own(slice_of(&key.key)));
            let others = others.map(|key| (key.key.clone(), key.into()));
            state.keys.extend(others);
        });
    }
}
