//! The inboxes of consumers, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use tokio::time::Instant;

use crate::event::{Clock, Position, SystemClock};
use crate::runtime::without;
use crate::store::inbox::Division;
use crate::store::{
    Advanced, DeadLetter, HeldEvent, InboxChange, InboxClaim, InboxClaimed, InboxId, InboxKey,
    InboxMove, InboxPart, StillHeld, StreamCursor,
};

#[derive(Debug, Default)]
pub(super) struct Inboxes(BTreeMap<InboxId, Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    division: Division,
    /// Until when the parts are their owners', by their first slices.
    leases: BTreeMap<u16, Instant>,
    /// Who would work on it, and until when they said so.
    workers: BTreeMap<String, Instant>,
    keys: BTreeMap<String, Held>,
    dead: BTreeMap<Position, DeadLetter>,
}

#[derive(Debug)]
struct Held {
    key: InboxKey,
    due: Instant,
    events: BTreeMap<Position, String>,
}

impl Held {
    /// As it is at this moment.
    fn key(&self) -> InboxKey {
        InboxKey {
            again: self.due.saturating_duration_since(Instant::now()),
            waiting: self.events.len() as u64,
            ..self.key.clone()
        }
    }

    fn add(&mut self, events: &[HeldEvent]) {
        let events = events
            .iter()
            .map(|held| (held.position, held.event.clone()));
        self.events.extend(events);
    }
}

impl Inbox {
    fn part(&mut self, step: &InboxMove) -> Option<&mut InboxPart> {
        if self.division.parts.is_empty() && step.begins() {
            // Nobody claims it: it is one part, and everybody's.
            self.division.parts.push(InboxPart {
                slices: 0..crate::event::SLICES,
                cursor: step.from,
                epoch: 0,
                owner: None,
            });
        }
        let mut parts = self.division.parts.iter_mut();
        parts.find(|part| part.slices.start == step.slice)
    }

    fn advance(&mut self, step: &InboxMove) -> Advanced {
        let Some(part) = self.part(step) else {
            return Advanced::Fenced;
        };
        let stands = (part.cursor, part.epoch) == (step.from, step.epoch);
        if !stands && !without(InboxMove::FENCE) || !self.allows(&step.changes) {
            return Advanced::Fenced;
        }
        if let Some(part) = self.part(step) {
            part.cursor = step.to;
        }
        step.changes.iter().for_each(|change| self.write(change));
        Advanced::Moved
    }

    /// Whether the keys are what the mover believes.
    fn allows(&self, changes: &[InboxChange]) -> bool {
        changes.iter().all(|change| match change {
            InboxChange::Park { key, .. } => !self.keys.contains_key(key),
            InboxChange::Wait { key, .. } => self.keys.contains_key(key),
            InboxChange::Retried { key, from, .. } => {
                let held = self.keys.get(key);
                held.is_some_and(|held| held.key.position == *from)
            }
        })
    }

    fn write(&mut self, change: &InboxChange) {
        let (now, instant) = (SystemClock.now(), Instant::now());
        match change {
            InboxChange::Park {
                key,
                events,
                reason,
                again,
            } => {
                let first = events.first().map(|held| held.position);
                let mut held = Held {
                    key: InboxKey {
                        key: key.clone(),
                        position: first.unwrap_or_default(),
                        reason: reason.clone(),
                        attempts: 1,
                        since: now,
                        failed_at: now,
                        again: *again,
                        waiting: 0,
                    },
                    due: instant + *again,
                    events: BTreeMap::new(),
                };
                held.add(events);
                self.keys.insert(key.clone(), held);
            }
            InboxChange::Wait { key, events } => {
                if let Some(held) = self.keys.get_mut(key) {
                    held.add(events);
                }
            }
            InboxChange::Retried {
                key, left: None, ..
            } => drop(self.keys.remove(key)),
            InboxChange::Retried {
                key,
                left: Some(StillHeld { position, failed }),
                ..
            } => {
                let Some(held) = self.keys.get_mut(key) else {
                    return;
                };
                held.events = held.events.split_off(position);
                if held.key.position != *position {
                    held.key.attempts = 0;
                }
                held.key.position = *position;
                held.due = instant;
                if let Some((reason, again)) = failed {
                    held.key.attempts += 1;
                    held.key.reason = reason.clone();
                    held.key.failed_at = now;
                    held.due = instant + *again;
                }
            }
        }
    }
}

impl Inboxes {
    pub(super) fn cursor(&self, inbox: &InboxId) -> StreamCursor {
        let inbox = self.0.get(inbox);
        inbox.map_or_else(StreamCursor::default, |inbox| inbox.division.cursor())
    }

    pub(super) fn claim(&mut self, claim: &InboxClaim) -> InboxClaimed {
        let now = Instant::now();
        let inbox = self.0.entry(claim.inbox.clone()).or_default();
        inbox.workers.insert(claim.owner.clone(), now + claim.lease);
        inbox.workers.retain(|_, until| *until > now);
        let workers: Vec<_> = inbox.workers.keys().cloned().collect();
        for part in &mut inbox.division.parts {
            let lease = inbox.leases.get(&part.slices.start);
            part.owner = part
                .owner
                .take()
                .filter(|_| lease.is_some_and(|until| *until > now));
        }
        inbox.division.claim(claim, &workers);
        for part in &inbox.division.parts {
            if part.owner.as_ref() == Some(&claim.owner) {
                inbox.leases.insert(part.slices.start, now + claim.lease);
            }
        }
        InboxClaimed {
            parts: inbox.division.parts.clone(),
            level: inbox.division.level(),
            keys: inbox.keys.values().map(Held::key).collect(),
        }
    }

    pub(super) fn advance(&mut self, step: &InboxMove) -> Advanced {
        self.0.entry(step.inbox.clone()).or_default().advance(step)
    }

    pub(super) fn release(&mut self, owner: &str) {
        for inbox in self.0.values_mut() {
            inbox.workers.remove(owner);
            for part in &mut inbox.division.parts {
                part.owner = part.owner.take().filter(|who| who != owner);
            }
        }
    }

    pub(super) fn keys(&self, inbox: &InboxId, after: Option<&str>, limit: usize) -> Vec<InboxKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.0.get(inbox).into_iter();
        let keys = keys.flat_map(|inbox| inbox.keys.range::<str, _>((from, Bound::Unbounded)));
        keys.take(limit).map(|(_, held)| held.key()).collect()
    }

    pub(super) fn events(&self, inbox: &InboxId, key: &str, limit: usize) -> Vec<HeldEvent> {
        let held = self.0.get(inbox).and_then(|inbox| inbox.keys.get(key));
        let events = held.into_iter().flat_map(|held| &held.events);
        let event = |(position, event): (&Position, &String)| HeldEvent {
            position: *position,
            event: event.clone(),
        };
        events.take(limit).map(event).collect()
    }

    pub(super) fn retry(&mut self, inbox: &InboxId, key: Option<&str>) -> u64 {
        let now = Instant::now();
        let keys = self.0.get_mut(inbox).into_iter();
        let keys = keys.flat_map(|inbox| inbox.keys.iter_mut());
        let wanted = keys.filter(|(held, _)| key.is_none_or(|key| key == *held));
        wanted.map(|(_, held)| held.due = now).count() as u64
    }

    pub(super) fn give_up(
        &mut self,
        inbox: &InboxId,
        position: Position,
        reason: &str,
        by: &str,
    ) -> bool {
        let Some(inbox) = self.0.get_mut(inbox) else {
            return false;
        };
        let mut keys = inbox.keys.values_mut();
        let Some(held) = keys.find(|held| held.events.contains_key(&position)) else {
            return false;
        };
        let letter = DeadLetter {
            key: held.key.key.clone(),
            position,
            event: held.events.remove(&position).unwrap_or_default(),
            failure: held.key.reason.clone(),
            reason: reason.to_owned(),
            by: by.to_owned(),
            at: SystemClock.now(),
        };
        match held.events.first_key_value() {
            None => drop(inbox.keys.remove(&letter.key)),
            Some((first, _)) if held.key.position == position => {
                (held.key.position, held.key.attempts) = (*first, 0);
                held.due = Instant::now();
            }
            Some(_) => {}
        }
        inbox.dead.insert(position, letter);
        true
    }

    pub(super) fn dead(&self, inbox: &InboxId, after: Position, limit: usize) -> Vec<DeadLetter> {
        let inbox = self.0.get(inbox).into_iter();
        let dead =
            inbox.flat_map(|inbox| inbox.dead.range((Bound::Excluded(after), Bound::Unbounded)));
        dead.take(limit).map(|(_, letter)| letter.clone()).collect()
    }
}
