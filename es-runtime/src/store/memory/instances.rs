//! Who runs on a log in memory. Its clock is tokio's, which tests may stop.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::{Clock, SystemClock};
use crate::store::instance::LISTED;
use crate::store::{Instance, NewInstance};

#[derive(Debug, Default)]
pub(super) struct Instances {
    last: u64,
    all: BTreeMap<u64, Listed>,
}

#[derive(Debug)]
struct Listed {
    instance: Instance,
    /// Nothing is for ever.
    until: Option<Instant>,
}

impl Listed {
    fn is_alive(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl Instances {
    pub(super) fn register(&mut self, new: &NewInstance) -> Vec<Instance> {
        let now = Instant::now();
        let forgotten = |until: Instant| until.checked_add(LISTED).is_some_and(|end| end < now);
        self.all.retain(|_, of| !of.until.is_some_and(forgotten));
        self.last += 1;
        let at = SystemClock.now();
        let instance = Instance {
            number: self.last,
            service: new.service.clone(),
            knows: new.knows.clone(),
            started: at,
            seen: at,
            alive: true,
        };
        let until = now.checked_add(new.timeout);
        self.all.insert(self.last, Listed { instance, until });
        self.all()
    }

    pub(super) fn keep(&mut self, number: u64, timeout: Duration) -> Option<Vec<Instance>> {
        let now = Instant::now();
        let of = self.all.get_mut(&number).filter(|of| of.is_alive(now))?;
        of.until = now.checked_add(timeout);
        of.instance.seen = SystemClock.now();
        Some(self.all())
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.all.remove(&number);
    }

    pub(super) fn all(&self) -> Vec<Instance> {
        let now = Instant::now();
        let all = self.all.values().map(|of| Instance {
            alive: of.is_alive(now),
            ..of.instance.clone()
        });
        all.collect()
    }

    /// Whether somebody came who is not known yet.
    pub(super) fn any_newer(&self, known: u64) -> bool {
        self.all
            .last_key_value()
            .is_some_and(|(last, _)| *last > known)
    }
}
