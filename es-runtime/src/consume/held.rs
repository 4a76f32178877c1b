//! The keys that a part has set aside: the event that failed waits, and those behind it, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::told::{Failing, Told};
use crate::error::{Error, Kind, Result};
use crate::event::{Position, slice_of};
use crate::integration::CloudEvent;
use crate::runtime::backoff;
use crate::store::{HeldEvent, InboxChange, InboxId, InboxKey, StillHeld};

/// The pause after the first failure; each further one doubles it.
const SOON: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LATEST: Duration = Duration::from_mins(5);

/// In how long a key is tried again that failed so often.
pub(super) fn again(attempts: u32) -> Duration {
    backoff(SOON, attempts.saturating_sub(1), LATEST)
}

/// What a worker believes of the keys of its part, which its moves are compared with.
#[derive(Debug)]
pub(super) struct Held {
    id: InboxId,
    keys: BTreeMap<String, Waiting>,
    /// Failures after which somebody should look.
    attempts: u32,
    told: Told,
}

#[derive(Debug)]
struct Waiting {
    failing: Failing,
    due: Instant,
    /// When this was so: what was heard before says nothing.
    since: Instant,
}

impl Held {
    /// As the claim found them: each is tried at once, since the code may be newer than the one that
    /// failed.
    pub(super) fn new(
        id: InboxId,
        slices: &Range<u16>,
        keys: &[InboxKey],
        attempts: u32,
        told: Told,
    ) -> Self {
        let own = keys
            .iter()
            .filter(|key| slices.contains(&slice_of(&key.key)));
        let waiting = |key: &InboxKey| Waiting {
            failing: key.into(),
            due: Instant::now(),
            since: Instant::now(),
        };
        let keys: BTreeMap<_, _> = own.map(|key| (key.key.clone(), waiting(key))).collect();
        for (key, waiting) in &keys {
            // As one that this worker has not tried.
            let failing = Failing {
                attempts: 0,
                ..waiting.failing.clone()
            };
            told.key(key, Some(failing));
        }
        Self {
            id,
            keys,
            attempts,
            told,
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether the event of a key at this position waits.
    pub(super) fn waits(&self, key: &str, at: Position) -> bool {
        let waiting = self.keys.get(key);
        waiting.is_some_and(|waiting| waiting.failing.position <= at)
    }

    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// When the next key is to be tried.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.keys.values().map(|waiting| waiting.due).min()
    }

    /// A key that is to be tried now: the one that has waited longest, with its first event and how
    /// often that failed.
    pub(super) fn due(&self) -> Option<(String, Position, u32)> {
        let now = Instant::now();
        let due = self.keys.iter().filter(|(_, waiting)| waiting.due <= now);
        let (key, waiting) = due.min_by_key(|(_, waiting)| waiting.due)?;
        let Failing {
            position, attempts, ..
        } = waiting.failing;
        Some((key.clone(), position, attempts))
    }

    /// What the store knew at a moment: somebody may have asked for keys to be tried sooner, or given
    /// an event up; a try will tell.
    pub(super) fn hear(&mut self, keys: &[InboxKey], at: Instant) {
        let keys: BTreeMap<_, _> = keys.iter().map(|key| (key.key.as_str(), key)).collect();
        for (key, waiting) in &mut self.keys {
            if waiting.since > at {
                continue;
            }
            let known = keys.get(key.as_str());
            let again = known.filter(|known| known.position == waiting.failing.position);
            let again = again.map_or(Duration::ZERO, |known| known.again);
            waiting.due = waiting.due.min(at + again);
        }
    }

    /// These changes were committed.
    pub(super) fn committed(&mut self, changes: &[InboxChange]) {
        for change in changes {
            match change {
                InboxChange::Park {
                    key,
                    events,
                    reason,
                    again,
                } => {
                    let position = events.first().map(|held| held.position);
                    let failing = Failing {
                        position: position.unwrap_or_default(),
                        reason: reason.clone(),
                        attempts: 1,
                    };
                    self.set(key, failing, *again);
                }
                InboxChange::Wait { .. }
                | InboxChange::Entity { .. }
                | InboxChange::Repaired { .. } => {}
                InboxChange::Retried {
                    key, left: None, ..
                } => {
                    tracing::info!(inbox = %self.id, %key, "goes on");
                    self.keys.remove(key);
                    self.told.key(key, None);
                }
                InboxChange::Retried {
                    key,
                    left: Some(StillHeld { position, failed }),
                    ..
                } => {
                    let Some(waiting) = self.keys.get(key) else {
                        continue;
                    };
                    let mut failing = waiting.failing.clone();
                    if failing.position != *position {
                        (failing.position, failing.attempts) = (*position, 0);
                    }
                    let mut again = Duration::ZERO;
                    if let Some((reason, pause)) = failed {
                        failing.reason = reason.clone();
                        failing.attempts += 1;
                        again = *pause;
                    }
                    self.set(key, failing, again);
                }
            }
        }
    }

    fn set(&mut self, key: &str, failing: Failing, again: Duration) {
        let (position, reason) = (failing.position, &failing.reason);
        if failing.attempts == self.attempts {
            tracing::error!(inbox = %self.id, key, %position, reason, "parked: somebody should look");
        } else if failing.attempts > 0 {
            tracing::warn!(inbox = %self.id, key, %position, reason, "set aside; tried again");
        }
        self.told.key(key, Some(failing.clone()));
        let since = Instant::now();
        let due = since + again;
        let waiting = Waiting {
            failing,
            due,
            since,
        };
        self.keys.insert(key.to_owned(), waiting);
    }
}

/// What a page changes of the keys, collected event by event.
#[derive(Default)]
pub(super) struct Changes {
    parked: Vec<(String, String)>,
    waiting: BTreeMap<String, Vec<HeldEvent>>,
    new: BTreeSet<String>,
}

impl Changes {
    /// Whether the key's events wait, since one of this page failed.
    pub(super) fn parks(&self, key: &str) -> bool {
        self.new.contains(key)
    }

    pub(super) fn park(&mut self, key: &str, reason: &str) {
        self.new.insert(key.to_owned());
        self.parked.push((key.to_owned(), reason.to_owned()));
    }

    /// How many keys are set aside, and the first of them with its reason.
    pub(super) fn parked(&self) -> (usize, Option<&(String, String)>) {
        (self.parked.len(), self.parked.first())
    }

    /// An event waits.
    ///
    /// # Errors
    /// When its envelope cannot be written as JSON.
    pub(super) fn wait(&mut self, key: &str, position: Position, event: &CloudEvent) -> Result<()> {
        let json = serde_json::to_string(event).map_err(|error| {
            let what = format!("the envelope of `{}`", event.id);
            Error::caused_by(Kind::Unencodable { what }, error)
        });
        let event = json?;
        let held = HeldEvent { position, event };
        self.waiting.entry(key.to_owned()).or_default().push(held);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Vec<InboxChange> {
        let mut changes = Vec::new();
        for (key, reason) in self.parked {
            let events = self.waiting.remove(&key).unwrap_or_default();
            changes.push(InboxChange::Park {
                key,
                events,
                reason,
                again: again(1),
            });
        }
        let wait = |(key, events)| InboxChange::Wait { key, events };
        changes.extend(self.waiting.into_iter().map(wait));
        changes
    }
}
