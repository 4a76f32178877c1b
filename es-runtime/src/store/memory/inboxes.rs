//! The inboxes of consumers, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::{Clock, Position, SystemClock};
use crate::runtime::without;
use crate::store::inbox::Division;
use crate::store::mark::{marked, thinned};
use crate::store::{
    Advanced, CarriedKey, DeadLetter, HeldEvent, InboxChange, InboxClaim, InboxClaimed,
    InboxEntity, InboxId, InboxKey, InboxMove, InboxPart, InboxQuestion, InboxRepair, InboxState,
    InboxTakeover, InboxVersions, StillHeld, StreamCursor, Whereabouts,
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
    /// Who takes over from older versions, down to which, and until when they said so.
    movers: BTreeMap<String, (u32, Instant)>,
    keys: BTreeMap<String, Held>,
    dead: BTreeMap<Position, DeadLetter>,
    /// Places that it has passed, by the numbers of their marks.
    marks: BTreeMap<u64, StreamCursor>,
    entities: BTreeMap<String, Ahead>,
    repairs: Vec<InboxRepair>,
}

/// An entity that was asked for ahead of the others, and when it was answered.
#[derive(Debug)]
struct Ahead(InboxEntity, Instant);

impl Ahead {
    /// As it is at this moment.
    fn entity(&self) -> InboxEntity {
        InboxEntity {
            since: self.1.elapsed(),
            ..self.0.clone()
        }
    }

    /// Whether it is what the mover believes; others may ask for it meanwhile.
    fn is(&self, was: &InboxEntity) -> bool {
        (self.0.until, self.0.passed, self.0.answered) == (was.until, was.passed, was.answered)
    }
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

    /// As another version's inbox had it.
    fn carried(carried: &CarriedKey) -> (String, Self) {
        let first = carried.events.first().map(|held| held.position);
        let mut held = Self {
            key: InboxKey {
                key: carried.key.clone(),
                position: first.unwrap_or_default(),
                reason: carried.reason.clone(),
                attempts: carried.attempts,
                since: carried.since,
                failed_at: carried.failed_at,
                again: Duration::ZERO,
                waiting: 0,
            },
            due: Instant::now(),
            events: BTreeMap::new(),
        };
        held.add(&carried.events);
        (carried.key.clone(), held)
    }

    fn add(&mut self, events: &[HeldEvent]) {
        let events = events
            .iter()
            .map(|held| (held.position, held.event.clone()));
        self.events.extend(events);
    }
}

impl Inbox {
    /// Gives back what is somebody's.
    fn give(&mut self, owner: &str) {
        for part in &mut self.division.parts {
            part.owner = part.owner.take().filter(|who| who != owner);
        }
    }

    fn part(&mut self, step: &InboxMove) -> Option<&mut InboxPart> {
        if self.division.parts.is_empty() && step.begins() {
            // Nobody claims it: it is one part, and everybody's.
            self.marks.insert(0, step.from);
            self.division.parts.push(InboxPart {
                slices: 0..crate::event::SLICES,
                cursor: step.from,
                origin: Position::START,
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
            if part.cursor.position != step.to.position {
                part.origin = Position::START;
            }
            part.cursor = step.to;
            part.epoch += u64::from(step.raises());
        }
        let (from, to) = (step.from.position, step.to.position);
        if let Some(number) = marked(from, to) {
            self.marks.entry(number).or_insert(step.to);
            for old in thinned(from, to) {
                self.marks.remove(&old);
            }
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
            InboxChange::Entity { was, now } => {
                let ahead = self.entities.get(&was.subject);
                let asked = |ahead: &Ahead| now.is_some() || ahead.0.asked == was.asked;
                ahead.is_some_and(|ahead| ahead.is(was) && asked(ahead))
            }
            InboxChange::Repaired { number, slice, .. } => {
                let of = |repair: &InboxRepair| {
                    !repair.done && (repair.number, repair.slices.start) == (*number, *slice)
                };
                self.repairs.iter().any(of)
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
            InboxChange::Repaired {
                number,
                slice,
                failure,
            } => {
                for repair in &mut self.repairs {
                    if (repair.number, repair.slices.start) == (*number, *slice) {
                        (repair.done, repair.failure) = (true, failure.clone());
                    }
                }
            }
            InboxChange::Entity { was, now: None } => drop(self.entities.remove(&was.subject)),
            InboxChange::Entity {
                was,
                now: Some(now),
            } => {
                if let Some(ahead) = self.entities.get_mut(&was.subject) {
                    if now.answered > ahead.0.answered {
                        ahead.1 = instant;
                    }
                    let asked = ahead.0.asked;
                    ahead.0 = InboxEntity {
                        asked,
                        ..now.clone()
                    };
                }
            }
        }
    }

    fn ask(&mut self, subject: &str) -> u64 {
        let new = || {
            let subject = subject.to_owned();
            let entity = InboxEntity {
                subject,
                ..InboxEntity::default()
            };
            Ahead(entity, Instant::now())
        };
        let ahead = self.entities.entry(subject.to_owned()).or_insert_with(new);
        ahead.0.asked += 1;
        ahead.0.asked
    }

    fn ask_again(&mut self, from: StreamCursor, after: Position, until: Position) -> u64 {
        let last = self.repairs.iter().map(|repair| repair.number).max();
        let number = last.unwrap_or_default() + 1;
        self.repairs.retain(|repair| !repair.done);
        let parts = self.division.parts.iter().map(|part| InboxRepair {
            number,
            slices: part.slices.clone(),
            from,
            after,
            until,
            done: false,
            failure: None,
        });
        self.repairs.extend(parts);
        number
    }

    fn entities(&self) -> Vec<InboxEntity> {
        self.entities.values().map(Ahead::entity).collect()
    }
}

impl Inboxes {
    pub(super) fn cursor(&self, inbox: &InboxId) -> StreamCursor {
        let inbox = self.0.get(inbox);
        inbox.map_or_else(StreamCursor::default, |inbox| inbox.division.cursor())
    }

    pub(super) fn all(&self) -> Vec<InboxId> {
        let claimed = |(_, inbox): &(_, &Inbox)| !inbox.division.parts.is_empty();
        let claimed = self.0.iter().filter(claimed);
        claimed.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn state(&self, inbox: &InboxId) -> InboxState {
        let state = |inbox: &Inbox| {
            let mut parts = inbox.division.parts.clone();
            for part in &mut parts {
                let lease = inbox.leases.get(&part.slices.start);
                let lasts = lease.is_some_and(|until| *until > Instant::now());
                part.owner = part.owner.take().filter(|_| lasts);
            }
            InboxState {
                parts,
                marks: inbox.marks.values().copied().collect(),
                entities: inbox.entities(),
            }
        };
        self.0.get(inbox).map(state).unwrap_or_default()
    }

    pub(super) fn ask(&mut self, inbox: &InboxId, question: &InboxQuestion) -> u64 {
        let inbox = self.0.entry(inbox.clone()).or_default();
        match question {
            InboxQuestion::Ahead { subject } => inbox.ask(subject),
            InboxQuestion::Mended { subject } => {
                let known = inbox.entities.get_mut(subject);
                known.map(|ahead| ahead.0.mended = true).is_some().into()
            }
            InboxQuestion::Again { from, after, until } => inbox.ask_again(*from, *after, *until),
        }
    }

    /// The inboxes of all versions, and who takes over from older ones.
    pub(super) fn versions(&self, inbox: &InboxId) -> InboxVersions {
        let now = Instant::now();
        let mut all = InboxVersions::default();
        for (id, found) in &self.0 {
            if id.consumer != inbox.consumer || id.stream.stream != inbox.stream.stream {
                continue;
            }
            let version = id.stream.version;
            if !found.division.parts.is_empty() {
                all.inboxes.insert(version, found.division.version());
            }
            let movers = found.movers.values().filter(|(_, until)| *until > now);
            all.movers
                .extend(movers.map(|(oldest, _)| (version, *oldest)));
        }
        all
    }

    /// Takes an inbox over, if everything is as the taker believes.
    pub(super) fn take_over(&mut self, takeover: &InboxTakeover) -> Advanced {
        let mut from = takeover.inbox.clone();
        from.stream.version = takeover.from;
        let aside = self.keys(&from, None, usize::MAX);
        let versions = self.versions(&from);
        let (Some(parts), Some(closed)) =
            (versions.take_over(takeover, &aside), self.0.get_mut(&from))
        else {
            return Advanced::Fenced;
        };
        closed.division.close(takeover.inbox.stream.version);
        closed.keys.clear();
        let own = self.0.entry(takeover.inbox.clone()).or_default();
        own.division = Division {
            parts,
            ..Division::default()
        };
        own.keys = takeover.carried.iter().map(Held::carried).collect();
        Advanced::Moved
    }

    pub(super) fn claim(&mut self, claim: &InboxClaim) -> InboxClaimed {
        let now = Instant::now();
        if let Some(oldest) = claim.continues {
            let inbox = self.0.entry(claim.inbox.clone()).or_default();
            let until = now + claim.lease;
            inbox.movers.insert(claim.owner.clone(), (oldest, until));
        }
        let version = claim.inbox.stream.version;
        let versions = self.versions(&claim.inbox);
        let whereabouts = versions.whereabouts(version, claim.continues);
        if whereabouts != Whereabouts::Here {
            if let Some(inbox) = self.0.get_mut(&claim.inbox) {
                inbox.give(&claim.owner);
            }
            return InboxClaimed {
                whereabouts,
                ..InboxClaimed::default()
            };
        }
        let never = claim.continues.unwrap_or(version)..version;
        for older in never.filter(|_| !versions.inboxes.contains_key(&version)) {
            let mut id = claim.inbox.clone();
            id.stream.version = older;
            let inbox = self.0.entry(id).or_default();
            if inbox.division.parts.is_empty() {
                inbox.division = Division::never(version);
            }
        }
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
        if inbox.division.parts.is_empty() {
            inbox.marks.insert(0, claim.begin);
        }
        let before = inbox.division.clone();
        inbox.division.claim(claim, &workers);
        if !inbox.division.is_divided_as(&before) {
            inbox.repairs.retain(|repair| repair.done);
        }
        for part in &inbox.division.parts {
            if part.owner.as_ref() == Some(&claim.owner) {
                inbox.leases.insert(part.slices.start, now + claim.lease);
            }
        }
        InboxClaimed {
            parts: inbox.division.parts.clone(),
            level: inbox.division.level(),
            keys: inbox.keys.values().map(Held::key).collect(),
            entities: inbox.entities(),
            repairs: inbox.repairs.clone(),
            whereabouts,
        }
    }

    pub(super) fn advance(&mut self, step: &InboxMove) -> Advanced {
        self.0.entry(step.inbox.clone()).or_default().advance(step)
    }

    pub(super) fn release(&mut self, owner: &str) {
        for inbox in self.0.values_mut() {
            inbox.workers.remove(owner);
            inbox.movers.remove(owner);
            inbox.give(owner);
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
