//! The instances of services that run on one log, and what each of them can read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Timestamp};

/// An instance that is about to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInstance {
    /// The service's name.
    pub service: String,
    /// What it can read.
    pub knows: Knowledge,
    /// How long it counts as alive without being heard of.
    pub timeout: Duration,
}

/// An instance that runs on this log, or did when it was heard of last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Which one: higher than those of all that came before, and never given again.
    pub number: u64,
    /// The service's name.
    pub service: String,
    /// What it can read.
    pub knows: Knowledge,
    /// When it registered, by the database's clock.
    pub started: Timestamp,
    /// When it was heard of last, by the database's clock.
    pub seen: Timestamp,
    /// Whether it was heard of within its time-out.
    pub alive: bool,
}

/// What an instance can read: for each aggregate that it reads, its events by their stored names,
/// older ones too, each with the newest schema version that it understands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Knowledge(BTreeMap<String, BTreeMap<String, u32>>);

impl Knowledge {
    /// Nothing: it reads no aggregate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the family `E` says.
    pub fn add<E: Event>(&mut self) {
        let events = self.0.entry(E::NAME.to_owned()).or_default();
        for event in E::TYPES {
            let names = event.was.iter().chain([&event.name]);
            events.extend(names.map(|name| ((*name).to_owned(), event.version)));
        }
        let foreign = E::HISTORY.foreign_names();
        events.extend(foreign.map(|(name, version)| (name.to_owned(), version)));
    }

    /// Adds what another one knows of families that are not here.
    #[cfg(feature = "runtime")]
    pub(crate) fn merge(&mut self, other: &Self) {
        for (family, events) in &other.0 {
            let new = || events.clone();
            self.0.entry(family.clone()).or_insert_with(new);
        }
    }

    /// Whether it reads the aggregate at all.
    pub fn reads(&self, aggregate: &str) -> bool {
        self.0.contains_key(aggregate)
    }

    /// The newest version of the event that it understands; nothing if it does not know the name.
    pub fn version(&self, aggregate: &str, event: &str) -> Option<u32> {
        self.0.get(aggregate)?.get(event).copied()
    }

    /// Whether it can read an event that needs a reader of this version: one that does not read the
    /// aggregate has no trouble with it.
    pub fn can_read(&self, aggregate: &str, event: &str, min_reader: u32) -> bool {
        let known = self.version(aggregate, event);
        !self.reads(aggregate) || known.is_some_and(|known| known >= min_reader)
    }
}

/// How long those that were not heard of any more stay listed.
pub(crate) const LISTED: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_an_aggregate_has_no_trouble_with_it() {
        let json = r#"{"account":{"account.money-paid-in":2,"account.opened":1}}"#;
        let knows: Knowledge = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&knows).unwrap(), json);
        for (aggregate, event, min_reader, can) in [
            ("account", "account.opened", 1, true),
            ("account", "account.opened", 2, false),
            ("account", "account.money-paid-in", 2, true),
            ("account", "account.closed", 1, false),
            ("card", "card.lost", 7, true),
        ] {
            assert_eq!(knows.can_read(aggregate, event, min_reader), can, "{event}");
        }
    }
}
