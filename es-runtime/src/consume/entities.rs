//! Entities whose events a worker has handled ahead of the others: which of them the cursor still comes
//! to, and whether those are what was handled.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::event::{Position, slice_of};
use crate::integration::{CloudEvent, StreamHash};
use crate::runtime::without;
use crate::store::{InboxChange, InboxEntity, InboxId, StreamCursor};

/// How long whoever asked can see why they were refused.
const SEEN: Duration = Duration::from_mins(1);

/// Guards, which the tests miss when they are left out.
const ONCE: &str = "what was handled ahead is passed over";
const COMPARED: &str = "what was handled ahead is compared";

/// What a worker knows of the entities of its part.
#[derive(Debug)]
pub(super) struct Entities {
    id: InboxId,
    slices: Range<u16>,
    known: BTreeMap<String, InboxEntity>,
}

/// The chains of what the cursor comes to, in a transaction that is not committed yet.
#[derive(Debug, Default)]
pub(super) struct Passed(BTreeMap<String, StreamHash>);

impl Entities {
    pub(super) fn new(id: InboxId, slices: Range<u16>, entities: &[InboxEntity]) -> Self {
        let own = entities
            .iter()
            .filter(|entity| slices.contains(&slice_of(&entity.subject)));
        let known = own.map(|entity| (entity.subject.clone(), entity.clone()));
        Self {
            known: known.collect(),
            id,
            slices,
        }
    }

    /// What the store knew at some moment. What was handled ahead since the claim would have fenced this
    /// worker: only questions can be new.
    pub(super) fn hear(&mut self, entities: &[InboxEntity]) {
        let own = |entity: &&InboxEntity| self.slices.contains(&slice_of(&entity.subject));
        for entity in entities.iter().filter(own) {
            match self.known.get_mut(&entity.subject) {
                Some(known) => known.asked = known.asked.max(entity.asked),
                None if entity.is_asked() => {
                    self.known.insert(entity.subject.clone(), entity.clone());
                }
                None => {}
            }
        }
    }

    pub(super) fn known(&self, subject: &str) -> Option<&InboxEntity> {
        self.known.get(subject)
    }

    /// The next one that somebody waits for.
    pub(super) fn asked(&self) -> Option<&InboxEntity> {
        self.known.values().find(|entity| entity.is_asked())
    }

    /// Whether an event was handled ahead.
    pub(super) fn passes(&self, event: &CloudEvent, at: Position, passed: &mut Passed) -> bool {
        let Some(entity) = self.known.get(&event.subject) else {
            return false;
        };
        if at > entity.until || without(ONCE) {
            return false;
        }
        let before = StreamHash::from_bytes(entity.passed);
        let chain = passed.0.entry(event.subject.clone()).or_insert(before);
        // The detector has made the proof before.
        *chain = event.proof(*chain).unwrap_or_default();
        true
    }

    /// What a move to this place changes.
    ///
    /// # Errors
    /// When the cursor has come to other events of an entity than those that were handled ahead.
    pub(super) fn changes(&self, passed: &Passed, to: StreamCursor) -> Result<Vec<InboxChange>> {
        let mut changes = Vec::new();
        for entity in self.known.values() {
            let chain = passed.0.get(&entity.subject).map(|chain| *chain.as_bytes());
            let now = InboxEntity {
                passed: chain.unwrap_or(entity.passed),
                ..entity.clone()
            };
            let is_done = to.position >= entity.until;
            if is_done && !now.is_as_handled() && !without(COMPARED) {
                return Err(Error::new(Kind::HandledOther {
                    consumer: self.id.consumer.clone(),
                    subject: entity.subject.clone(),
                    position: entity.until,
                }));
            }
            let seen = entity.failure.is_none() || entity.since > SEEN;
            let now = match is_done && seen && !entity.is_asked() {
                true => None,
                false if chain.is_none() => continue,
                false => Some(now),
            };
            let was = entity.clone();
            changes.push(InboxChange::Entity { was, now });
        }
        Ok(changes)
    }

    /// These changes were committed.
    pub(super) fn committed(&mut self, changes: &[InboxChange]) {
        for change in changes {
            match change {
                InboxChange::Entity { was, now: None } => {
                    self.known.remove(&was.subject);
                }
                InboxChange::Entity {
                    was,
                    now: Some(now),
                } => {
                    self.known.insert(was.subject.clone(), now.clone());
                }
                _ => {}
            }
        }
    }
}
