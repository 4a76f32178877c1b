//! Reactions in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::{Clock, Position, SystemClock, Timestamp};
use crate::store::{
    DueKey, DueReaction, NewInput, NewReaction, Noted, Postponed, ReactionClaim, ReactionId,
    ReactionQueue,
};

/// The reactions of all read models that are still to be run.
#[derive(Debug, Default)]
pub(super) struct Reactions {
    pending: BTreeMap<ReactionId, DueReaction>,
    /// By read model and key: those that have some.
    keys: BTreeMap<(String, String), Turn>,
}

/// How the first reaction of a key goes.
#[derive(Debug)]
struct Turn {
    attempts: u32,
    failure: Option<Noted>,
    /// Nothing for one that is parked.
    due: Option<Instant>,
    owner: Option<(String, Instant)>,
}

fn subject(id: &ReactionId) -> (String, String) {
    (id.projection.clone(), id.key.clone())
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl Reactions {
    /// `version` of the read model `name` enqueues them.
    pub(super) fn add(&mut self, name: &str, version: u32, reactions: Vec<NewReaction>) {
        for new in reactions {
            let id = ReactionId {
                projection: name.to_owned(),
                key: new.key,
                position: new.position,
                part: new.part,
                number: new.number,
            };
            self.keys.entry(subject(&id)).or_insert_with(|| Turn {
                attempts: 0,
                failure: None,
                due: Some(Instant::now()),
                owner: None,
            });
            let reaction = DueReaction {
                id: id.clone(),
                version,
                family: new.family.to_owned(),
                payload: new.payload,
            };
            self.pending.insert(id, reaction);
        }
    }

    /// A consumer brings them, each behind those that wait for its key.
    pub(super) fn add_inputs(&mut self, name: &str, new: Vec<NewInput>) {
        for new in new {
            let last = self.of(name, &new.key).last();
            let last = last.map_or(Position::START, |last| last.id.position);
            let (part, number) = new.part_and_number();
            let reaction = NewReaction {
                key: new.key,
                position: last.next(),
                part,
                number,
                family: new.family,
                payload: new.payload,
            };
            self.add(name, 1, vec![reaction]);
        }
    }

    /// The reactions of one key, in order.
    fn of(&self, projection: &str, key: &str) -> impl Iterator<Item = &DueReaction> {
        let first = ReactionId {
            projection: projection.to_owned(),
            key: key.to_owned(),
            position: Position::START,
            part: 0,
            number: 0,
        };
        let same = subject(&first);
        let rest = self.pending.range(first..);
        let rest = rest.take_while(move |(id, _)| subject(id) == same);
        rest.map(|(_, reaction)| reaction)
    }

    /// `settled`: reactions to events behind it must wait.
    pub(super) fn claim(
        &mut self,
        claim: &ReactionClaim,
        settled: Option<Position>,
    ) -> Vec<DueKey> {
        let now = Instant::now();
        let may_run = |reaction: &&DueReaction| {
            reaction.version <= claim.version
                && settled.is_none_or(|settled| reaction.id.position <= settled)
        };
        let keys = self.keys.iter().filter(|((projection, key), turn)| {
            *projection == claim.projection
                && turn.due.is_some_and(|due| due <= now)
                && turn.owner.as_ref().is_none_or(|(_, until)| *until <= now)
                && self
                    .of(projection, key)
                    .take(1)
                    .any(|first| may_run(&first))
        });
        let mut keys: Vec<_> = keys
            .map(|((_, key), turn)| (turn.due, key.clone()))
            .collect();
        keys.sort();
        keys.truncate(claim.keys);
        let owner = (claim.owner.clone(), now + claim.lease);
        let mut taken = Vec::new();
        for (_, key) in keys {
            let reactions = self.of(&claim.projection, &key).take_while(may_run);
            let reactions = reactions.take(claim.each).cloned().collect();
            let Some(turn) = self.keys.get_mut(&(claim.projection.clone(), key.clone())) else {
                continue;
            };
            turn.owner = Some(owner.clone());
            let attempts = turn.attempts;
            taken.push(DueKey {
                key,
                attempts,
                reactions,
            });
        }
        taken
    }

    pub(super) fn keep(&mut self, projection: &str, keys: &[String], owner: &str, lease: Duration) {
        let until = Instant::now() + lease;
        for ((of, key), turn) in &mut self.keys {
            if let Some((by, ends)) = &mut turn.owner
                && (of == projection && by == owner && keys.contains(key))
            {
                *ends = until;
            }
        }
    }

    pub(super) fn release(&mut self, owner: &str) {
        for turn in self.keys.values_mut() {
            turn.owner.take_if(|(by, _)| by == owner);
        }
    }

    /// Answers the reaction, if it was there.
    pub(super) fn finish(&mut self, id: &ReactionId, last: bool) -> Option<DueReaction> {
        let done = self.pending.remove(id)?;
        let is_empty = self.of(&id.projection, &id.key).next().is_none();
        if is_empty {
            self.keys.remove(&subject(id));
        } else if let Some(turn) = self.keys.get_mut(&subject(id)) {
            (turn.attempts, turn.failure) = (0, None);
            turn.due = Some(Instant::now());
            if last {
                turn.owner = None;
            }
        }
        Some(done)
    }

    pub(super) fn postpone(&mut self, postponed: &Postponed) {
        let subject = (postponed.projection.clone(), postponed.key.clone());
        let Some(turn) = self.keys.get_mut(&subject) else {
            return;
        };
        let own = |(by, _): &(String, Instant)| *by == postponed.owner;
        if turn.owner.take_if(|owner| own(owner)).is_none() {
            return;
        }
        turn.due = postponed.again.map(|after| Instant::now() + after);
        if let Some(reason) = postponed.failure.clone() {
            turn.attempts += 1;
            turn.failure = Some(Noted { reason, at: now() });
        }
    }

    pub(super) fn queues(
        &self,
        projection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<ReactionQueue> {
        let from = (projection.to_owned(), after.unwrap_or_default().to_owned());
        let from = match after {
            Some(_) => Bound::Excluded(from),
            None => Bound::Included(from),
        };
        let keys = self.keys.range((from, Bound::Unbounded));
        let keys = keys.take_while(|((of, _), _)| of == projection);
        let queue = |((of, key), turn): (&(String, String), &Turn)| {
            let first = self.of(of, key).next()?;
            let due = |due: Instant| {
                let wait = due.saturating_duration_since(Instant::now());
                let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
                Timestamp::from_micros(now().as_micros().saturating_add(wait))
            };
            Some(ReactionQueue {
                first: first.id.clone(),
                version: first.version,
                pending: self.of(of, key).count() as u64,
                attempts: turn.attempts,
                failure: turn.failure.clone(),
                due: turn.due.map(due),
            })
        };
        keys.filter_map(queue).take(limit).collect()
    }

    pub(super) fn retry(&mut self, projection: &str, key: Option<&str>) -> u64 {
        let mut retried = 0;
        for ((of, own), turn) in &mut self.keys {
            let meant = of == projection && key.is_none_or(|key| key == own);
            if meant && turn.failure.is_some() {
                (turn.due, turn.attempts) = (Some(Instant::now()), 0);
                retried += 1;
            }
        }
        retried
    }
}
