//! Parked keys in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::event::{Clock, Position, SystemClock};
use crate::store::{ParkedChange, ParkedKey, ProjectionId, StillParked};

/// The parked keys of all versions, each with the events that wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Parked(BTreeMap<ProjectionId, BTreeMap<String, Waiting>>);

type Waiting = (ParkedKey, BTreeSet<Position>);

impl Parked {
    /// How many keys of a version are parked.
    pub(super) fn count(&self, id: &ProjectionId) -> u64 {
        self.0.get(id).map_or(0, |keys| keys.len() as u64)
    }

    /// Whether the keys are what the writer believes.
    pub(super) fn allows(&self, id: &ProjectionId, changes: &[ParkedChange]) -> bool {
        let find = |key: &String| self.0.get(id)?.get(key).map(|(parked, _)| parked);
        changes.iter().all(|change| match change {
            ParkedChange::Park { key, .. } => find(key).is_none(),
            ParkedChange::Wait { key, .. } => find(key).is_some(),
            ParkedChange::Retried { key, from, .. } => {
                find(key).is_some_and(|parked| parked.position == *from)
            }
        })
    }

    pub(super) fn write(&mut self, id: &ProjectionId, changes: Vec<ParkedChange>) {
        let keys = self.0.entry(id.clone()).or_default();
        for change in changes {
            match change {
                ParkedChange::Park {
                    key,
                    events,
                    reason,
                } => {
                    let parked = ParkedKey {
                        key: key.clone(),
                        position: events.first().copied().unwrap_or_default(),
                        reason,
                        attempts: 1,
                        since: SystemClock.now(),
                        waiting: events.len() as u64,
                        requested: false,
                    };
                    keys.insert(key, (parked, events.into_iter().collect()));
                }
                ParkedChange::Wait { key, events } => {
                    if let Some((parked, waiting)) = keys.get_mut(&key) {
                        waiting.extend(events);
                        parked.waiting = waiting.len() as u64;
                    }
                }
                ParkedChange::Retried {
                    key, left: None, ..
                } => drop(keys.remove(&key)),
                ParkedChange::Retried {
                    key,
                    left: Some(StillParked { position, reason }),
                    ..
                } => {
                    if let Some((parked, waiting)) = keys.get_mut(&key) {
                        waiting.retain(|event| *event >= position);
                        parked.waiting = waiting.len() as u64;
                        parked.position = position;
                        parked.requested = reason.is_none();
                        if let Some(reason) = reason {
                            parked.attempts += 1;
                            parked.reason = reason;
                        }
                    }
                }
            }
        }
    }

    pub(super) fn list(
        &self,
        id: &ProjectionId,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<ParkedKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.0.get(id).into_iter();
        let keys = keys.flat_map(|keys| keys.range::<str, _>((from, Bound::Unbounded)));
        keys.take(limit)
            .map(|(_, (parked, _))| parked.clone())
            .collect()
    }

    pub(super) fn events(&self, id: &ProjectionId, key: &str, limit: usize) -> Vec<Position> {
        let events = self.0.get(id).and_then(|keys| keys.get(key));
        let events = events.into_iter().flat_map(|(_, events)| events);
        events.take(limit).copied().collect()
    }

    /// Asks for another try of a key, or of all, and answers how many there are.
    pub(super) fn request(&mut self, id: &ProjectionId, key: Option<&str>) -> u64 {
        let keys = self.0.get_mut(id).into_iter().flatten();
        let wanted = keys.filter(|(parked, _)| key.is_none_or(|key| key == *parked));
        let mut requested = 0;
        for (_, (parked, _)) in wanted {
            parked.requested = true;
            requested += 1;
        }
        requested
    }

    /// Gives up what waits for a key, and answers what that was.
    pub(super) fn give_up(&mut self, id: &ProjectionId, key: &str) -> Option<ParkedKey> {
        let (parked, _) = self.0.get_mut(id)?.remove(key)?;
        Some(parked)
    }

    /// Forgets all parked keys: the version begins anew, or is over.
    pub(super) fn clear(&mut self, id: &ProjectionId) {
        self.0.remove(id);
    }
}
