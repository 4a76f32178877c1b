//! Appends, and the pure rules by which a batch of them is decided.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

#[cfg(feature = "runtime")]
use crate::event::StoredEventRef;
use crate::event::{CommandId, Position, StreamId, Timestamp};
#[cfg(feature = "runtime")]
use crate::runtime::without;

/// What one command adds to one stream: all of it or nothing.
#[derive(Clone, Debug)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// The version that the decision was made on: the stream's event count.
    pub expected: u64,
    /// Names the command: the same id twice is one command.
    pub command_id: CommandId,
    /// Whether the command may come again, whenever that is: then its id is kept beside the log.
    /// Without, only this very append is recognised when it is sent again, by its first event, as
    /// after a lost connection; that costs no row.
    pub repeatable: bool,
    /// The events, in order. None is an accepted command that changed nothing.
    pub events: Vec<NewEvent>,
    /// Who and why, as JSON: the same for all events of a command.
    pub metadata: Option<String>,
    /// What the command belongs to, if the caller said: what
    /// [`read_correlated`](super::EventStore::read_correlated) finds it by.
    pub correlation: Option<String>,
    /// When it happens, by the service's clock.
    pub time: Timestamp,
    /// The highest number of the [instances](super::EventStore::instances) that the writer knew when
    /// it chose the versions of its events: the append is refused if another one came since.
    /// Nothing: whoever came.
    pub known_instances: Option<u64>,
}

/// The instances that all of the batch know, if one of them asks.
#[cfg(feature = "runtime")]
pub(crate) fn known_instances(batch: &[Append]) -> Option<u64> {
    if without("an append knows of all instances") {
        return None;
    }
    batch
        .iter()
        .filter_map(|append| append.known_instances)
        .min()
}

impl Append {
    /// Whether the command gets a row of its own: to be found by its id or its correlation, or as
    /// the only trace that it leaves.
    pub(crate) fn is_kept(&self) -> bool {
        self.repeatable || self.correlation.is_some() || self.events.is_empty()
    }

    /// The outcome, if the event after [`expected`](Self::expected) is this append's own first one.
    #[cfg(feature = "runtime")]
    pub(crate) fn done_by(&self, next: Position, command: Option<CommandId>) -> Option<Outcome> {
        let count = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        (command == Some(self.command_id)).then(|| Outcome {
            first: next,
            count,
            version: self.expected + u64::from(count),
        })
    }

    /// The events as the log keeps them, at the places that `outcome` gives them.
    #[cfg(feature = "runtime")]
    pub(crate) fn stored(&self, outcome: Outcome) -> impl Iterator<Item = StoredEventRef<'_>> {
        let first_version = outcome.version - u64::from(outcome.count) + 1;
        self.events
            .iter()
            .zip(0..)
            .map(move |(event, n)| StoredEventRef {
                position: outcome.first.plus(n),
                stream: self.stream.as_str(),
                version: first_version + n,
                event_type: event.event_type,
                schema_version: event.schema_version,
                min_reader: event.min_reader,
                command_id: Some(self.command_id),
                payload: &event.payload,
                metadata: self.metadata.as_deref(),
                time: self.time,
            })
    }
}

/// An event on its way into the log.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The stored name.
    pub event_type: &'static str,
    /// The schema version of the payload.
    pub schema_version: u32,
    /// The oldest schema version whose readers understand it.
    pub min_reader: u32,
    /// The variant's fields as JSON.
    pub payload: String,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log.
    New(Outcome),
    /// The command was accepted before; this is its first outcome, and nothing was added.
    Already(Outcome),
    /// The stream is at another version; nothing was added.
    Conflict {
        /// The stream's version.
        found: u64,
    },
}

/// What an accepted command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The place of its first event; without events, the place that the next one of the log had.
    pub first: Position,
    /// How many events it emitted.
    pub count: u32,
    /// The stream's version after it.
    pub version: u64,
}

impl Outcome {
    /// The head of the log when the command was done: who has read this far has seen it.
    pub fn position(&self) -> Position {
        Position::new(self.first.get() + u64::from(self.count) - 1)
    }
}

/// What the database says about one append of a batch before it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The stream's version.
    pub version: u64,
    /// What the same command did before: by its row if it is [kept](Append::is_kept), or else by
    /// its own first event after the expected version.
    pub done: Option<Outcome>,
}

/// The results of a batch, in its order, and the new head of the log.
pub(crate) struct Plan {
    pub results: Vec<Appended>,
    pub head: Position,
}

/// Decides a batch of appends that is written in one transaction: each by its own merits, in
/// order, so that one conflict fails nobody else and a stream may occur twice.
///
/// The law: a command id is looked at before the version, since a retried command that was loaded
/// anew expects the version that it made itself.
pub(crate) fn plan(batch: &[Append], found: &[Found], head: Position) -> Plan {
    let mut head = head;
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    let mut done: HashMap<(&StreamId, CommandId), Outcome> = HashMap::new();
    let results = batch.iter().zip(found).map(|(append, found)| {
        let version = versions.entry(&append.stream).or_insert(found.version);
        let slot = match done.entry((&append.stream, append.command_id)) {
            Entry::Occupied(earlier) => return Appended::Already(*earlier.get()),
            Entry::Vacant(slot) => slot,
        };
        if let Some(outcome) = found.done {
            return Appended::Already(outcome);
        }
        if *version != append.expected {
            return Appended::Conflict { found: *version };
        }
        let first = head.next();
        let count = u32::try_from(append.events.len()).unwrap_or(u32::MAX);
        *version += u64::from(count);
        head = head.plus(u64::from(count));
        Appended::New(*slot.insert(Outcome {
            first,
            count,
            version: *version,
        }))
    });
    Plan {
        results: results.collect(),
        head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(stream: &str, expected: u64, command: &str, events: usize) -> Append {
        let event = NewEvent {
            event_type: "t",
            schema_version: 1,
            min_reader: 1,
            payload: "{}".into(),
        };
        Append {
            stream: StreamId::new("a", stream).unwrap(),
            expected,
            command_id: CommandId::of(command),
            repeatable: true,
            events: vec![event; events],
            metadata: None,
            correlation: None,
            time: Timestamp::default(),
            known_instances: None,
        }
    }

    fn outcome(first: u64, count: u32, version: u64) -> Outcome {
        Outcome {
            first: Position::new(first),
            count,
            version,
        }
    }

    #[test]
    fn one_conflict_fails_nobody_else_and_costs_no_position() {
        let batch = [
            append("x", 0, "1", 2),
            append("x", 0, "2", 1),
            append("y", 3, "3", 1),
        ];
        let found = [0, 0, 3].map(|version| Found {
            version,
            done: None,
        });
        let plan = plan(&batch, &found, Position::new(10));
        let conflict = Appended::Conflict { found: 2 };
        let expected = [
            Appended::New(outcome(11, 2, 2)),
            conflict,
            Appended::New(outcome(13, 1, 4)),
        ];
        assert_eq!(plan.results, expected);
        assert_eq!(plan.head, Position::new(13));
    }

    #[test]
    fn a_command_is_looked_up_before_the_version() {
        let first = outcome(1, 1, 1);
        let batch = [
            append("x", 7, "old", 1),
            append("x", 7, "new", 0),
            append("x", 7, "new", 1),
        ];
        let found = [Some(first), None, None].map(|done| Found { version: 7, done });
        let plan = plan(&batch, &found, Position::new(9));
        let empty = outcome(10, 0, 7);
        let expected = [
            Appended::Already(first),
            Appended::New(empty),
            Appended::Already(empty),
        ];
        assert_eq!(plan.results, expected);
        assert_eq!(empty.position(), plan.head);
    }
}
