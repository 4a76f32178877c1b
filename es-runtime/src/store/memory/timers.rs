//! Timers in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::event::{Clock, SystemClock};
use crate::store::{NewTimer, Noted, Timer, TimerChange, TimerPlace, last_changes};

/// The timers of all processes, in the order in which they fire.
#[derive(Debug, Default)]
pub(super) struct Timers {
    waiting: BTreeMap<(String, TimerPlace), Timer>,
    /// When each one is due, by its process, key and name.
    due: BTreeMap<(String, String, String), TimerPlace>,
}

fn subject(process: &str, key: &str, name: &str) -> (String, String, String) {
    (process.to_owned(), key.to_owned(), name.to_owned())
}

impl Timers {
    pub(super) fn change(&mut self, process: &str, changes: &[TimerChange]) {
        let (set, gone) = last_changes(changes);
        for (key, name) in gone {
            self.remove(process, key, name);
        }
        for NewTimer {
            place,
            command_id,
            payload,
        } in set
        {
            self.remove(process, &place.key, &place.name);
            let timer = Timer {
                place: place.clone(),
                command_id: *command_id,
                payload: payload.clone(),
                attempts: 0,
                failure: None,
            };
            let subject = subject(process, &place.key, &place.name);
            self.due.insert(subject, place.clone());
            self.waiting
                .insert((process.to_owned(), place.clone()), timer);
        }
    }

    fn remove(&mut self, process: &str, key: &str, name: &str) {
        if let Some(place) = self.due.remove(&subject(process, key, name)) {
            self.waiting.remove(&(process.to_owned(), place));
        }
    }

    pub(super) fn clear(&mut self, process: &str) {
        self.waiting.retain(|(of, _), _| of != process);
        self.due.retain(|(of, _, _), _| of != process);
    }

    pub(super) fn list(
        &self,
        process: &str,
        after: Option<&TimerPlace>,
        limit: usize,
    ) -> Vec<Timer> {
        let from = (process.to_owned(), after.cloned().unwrap_or_default());
        let timers = self
            .waiting
            .range((Bound::Excluded(from), Bound::Unbounded));
        let timers = timers.take_while(|((of, _), _)| of == process);
        timers.map(|(_, timer)| timer.clone()).take(limit).collect()
    }

    /// The timer, if it was not set anew since.
    fn same(&mut self, process: &str, timer: &Timer) -> Option<&mut Timer> {
        let kept = self
            .waiting
            .get_mut(&(process.to_owned(), timer.place.clone()));
        kept.filter(|kept| kept.command_id == timer.command_id)
    }

    pub(super) fn finish(&mut self, process: &str, fired: &[Timer]) {
        for timer in fired {
            if self.same(process, timer).is_some() {
                self.remove(process, &timer.place.key, &timer.place.name);
            }
        }
    }

    pub(super) fn note_failure(&mut self, process: &str, timer: &Timer, reason: &str) {
        if let Some(timer) = self.same(process, timer) {
            let (reason, at) = (reason.to_owned(), SystemClock.now());
            timer.attempts += 1;
            timer.failure = Some(Noted { reason, at });
        }
    }
}
