//! Pieces of a log's history on their way into another store, and the pure rules that they keep.

use std::collections::HashMap;

use super::Outcome;
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
#[cfg(feature = "runtime")]
use crate::runtime::without;

/// A command that a stream accepted, as the log remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedCommand {
    /// The stream.
    pub stream: StreamId,
    /// Names the command.
    pub command_id: CommandId,
    /// What it did.
    pub outcome: Outcome,
    /// When it was accepted, by the service's clock.
    pub time: Timestamp,
    /// What it belongs to, if the caller said.
    pub correlation: Option<String>,
}

impl AcceptedCommand {
    pub(crate) fn key(&self) -> (StreamId, CommandId) {
        (self.stream.clone(), self.command_id)
    }
}

/// The first and the last id whose commands are never forgotten.
#[cfg(feature = "runtime")]
pub(crate) fn kept_ids() -> (CommandId, CommandId) {
    let (first, last) = CommandId::KEPT;
    match without("what is kept is not forgotten") {
        true => (first, first),
        false => (first, last),
    }
}

/// A piece of a log's history as it is: what [`import`](super::EventStore::import) adds to a log
/// that ends where the piece begins.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where the log must end.
    pub after: Position,
    /// The events that follow, at their positions.
    pub events: Vec<StoredEvent>,
    /// The commands that emitted them, each with all of its events, and those without events that
    /// were accepted from `after` on. A command that the log had forgotten is missing here.
    pub commands: Vec<AcceptedCommand>,
}

impl Segment {
    /// The log's head after it.
    pub fn head(&self) -> Position {
        self.events
            .last()
            .map_or(self.after, |event| event.position)
    }

    /// Whether the segment holds together, and the versions that its streams must be at: nothing
    /// of this needs the log.
    pub(crate) fn check(&self) -> Result<Streams<'_>> {
        let mut streams = HashMap::<&StreamId, Vec<u64>>::new();
        let mut begin = HashMap::<&StreamId, u64>::new();
        for (event, n) in self.events.iter().zip(1..) {
            let expected = self.after.plus(n);
            if event.position != expected {
                let found = event.position;
                return refused(format!("position {expected} is followed by {found}"));
            }
            let first = begin.entry(&event.stream).or_insert(event.version);
            let seen = streams.entry(&event.stream).or_default();
            if event.version == 0 || event.version != *first + seen.len() as u64 {
                return refused(format!(
                    "`{}` has version {} at position {expected}, which does not follow",
                    event.stream, event.version
                ));
            }
            seen.push(event.position.get());
        }
        let mut versions: HashMap<&StreamId, u64> =
            begin.into_iter().map(|(s, v)| (s, v - 1)).collect();
        for command in &self.commands {
            self.check_command(command, &streams, &mut versions)?;
        }
        Ok(versions.into_iter().collect())
    }

    fn check_command<'a>(
        &'a self,
        command: &'a AcceptedCommand,
        streams: &HashMap<&StreamId, Vec<u64>>,
        versions: &mut HashMap<&'a StreamId, u64>,
    ) -> Result<()> {
        let AcceptedCommand {
            stream,
            command_id,
            outcome,
            ..
        } = command;
        let wrong = |why: &str| refused(format!("the command {command_id} of `{stream}` {why}"));
        let (count, first) = (u64::from(outcome.count), outcome.first.get());
        let within = first > self.after.get() && first - 1 + count <= self.head().get();
        if !within {
            return wrong("has its place elsewhere");
        }
        if outcome.version < count {
            return wrong("leads to a version below its number of events");
        }
        let begin = usize::try_from(first - self.after.get() - 1).unwrap_or(usize::MAX);
        let own = self.events.iter().skip(begin).take(outcome.count as usize);
        for (event, n) in own.zip(1..) {
            let version = outcome.version - count + n;
            if (&event.stream, event.command_id, event.version)
                != (stream, Some(*command_id), version)
            {
                return wrong("did not emit the events at its place");
            }
        }
        if count == 0 {
            let before = streams.get(stream).map_or(0, |positions| {
                positions.partition_point(|position| *position < first) as u64
            });
            let Some(base) = outcome.version.checked_sub(before) else {
                return wrong("leads to a version that its stream did not have");
            };
            if *versions.entry(stream).or_insert(base) != base {
                return wrong("leads to a version that its stream did not have");
            }
        }
        Ok(())
    }
}

/// Streams of a segment with the versions that the log must have them at.
pub(crate) type Streams<'a> = Vec<(&'a StreamId, u64)>;

/// Why a segment was not taken.
pub(crate) fn refused<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::new(Kind::Discontinuous { why: why.into() }))
}

/// The log does not end where the segment begins.
pub(crate) fn elsewhere<T>(after: Position, head: Position) -> Result<T> {
    refused(format!(
        "they follow position {after}, and the log is at {head}"
    ))
}

/// A stream is not at the version that the segment continues.
pub(crate) fn other_version<T>(stream: &str, found: u64, expected: u64) -> Result<T> {
    refused(format!(
        "they continue `{stream}` at version {expected}, and the log has it at {found}"
    ))
}

/// The commands without events that stand right where the log ends: the log may have them already,
/// and then nothing is added.
fn at_the_seam(segment: &Segment) -> impl Iterator<Item = &AcceptedCommand> {
    let seam = segment.after.next();
    let at = move |command: &&AcceptedCommand| {
        command.outcome.count == 0 && command.outcome.first == seam
    };
    segment.commands.iter().filter(at)
}

/// What to ask the log for: the commands that it may have already.
pub(crate) fn keys_at_the_seam(segment: &Segment) -> Vec<(StreamId, CommandId)> {
    at_the_seam(segment).map(AcceptedCommand::key).collect()
}

/// The commands that are to be written, if the log has `there` of those at the seam.
pub(crate) fn new_commands<'a>(
    segment: &'a Segment,
    there: &[AcceptedCommand],
) -> Result<Vec<&'a AcceptedCommand>> {
    let there: HashMap<_, _> = there.iter().map(|c| (c.key(), c.outcome)).collect();
    let mut new = Vec::with_capacity(segment.commands.len());
    for command in &segment.commands {
        match there.get(&command.key()) {
            None => new.push(command),
            Some(outcome) if *outcome == command.outcome => {}
            Some(_) => {
                let AcceptedCommand {
                    stream, command_id, ..
                } = command;
                return refused(format!(
                    "the log accepted the command {command_id} of `{stream}` before, with another outcome"
                ));
            }
        }
    }
    Ok(new)
}

/// The database found a key of the segment in the log.
pub(crate) fn there_already<T>() -> Result<T> {
    refused("the log has one of their commands or versions already")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: u64, stream: &str, version: u64, command: &str) -> StoredEvent {
        StoredEvent {
            position: Position::new(position),
            stream: stream.parse().unwrap(),
            version,
            event_type: "t".into(),
            schema_version: 1,
            min_reader: 1,
            command_id: Some(CommandId::of(command)),
            payload: "{}".into(),
            metadata: None,
            time: Timestamp::default(),
        }
    }

    fn command(id: &str, stream: &str, first: u64, count: u32, version: u64) -> AcceptedCommand {
        AcceptedCommand {
            stream: stream.parse().unwrap(),
            command_id: CommandId::of(id),
            outcome: Outcome {
                first: Position::new(first),
                count,
                version,
            },
            time: Timestamp::default(),
            correlation: None,
        }
    }

    fn whole() -> Segment {
        Segment {
            after: Position::new(10),
            events: vec![
                event(11, "a-x", 4, "1"),
                event(12, "a-x", 5, "1"),
                event(13, "a-y", 1, "2"),
                event(14, "a-x", 6, "3"),
            ],
            commands: vec![
                command("idle", "a-z", 11, 0, 2),
                command("1", "a-x", 11, 2, 5),
                command("idle", "a-x", 14, 0, 5),
                command("2", "a-y", 13, 1, 1),
                command("idle", "a-y", 15, 0, 1),
            ],
        }
    }

    #[test]
    fn what_holds_together_tells_where_its_streams_begin() {
        let segment = whole();
        let mut streams = segment.check().unwrap();
        streams.sort();
        let named: Vec<_> = streams.iter().map(|(s, v)| (s.as_str(), *v)).collect();
        assert_eq!(named, [("a-x", 3), ("a-y", 0), ("a-z", 2)]);
        assert_eq!(segment.head(), Position::new(14));
        assert_eq!(keys_at_the_seam(&segment).len(), 1);
    }

    #[test]
    fn what_does_not_is_refused() {
        let faults: [fn(&mut Segment); 12] = [
            |s| s.after = Position::new(9),
            |s| drop(s.events.remove(1)),
            |s| s.events[1].version = 4,
            |s| s.events[3].version = 7,
            |s| s.events[2].version = 0,
            |s| s.events.swap(0, 1),
            |s| s.commands[1].outcome.count = 1,
            |s| s.commands[1].outcome.version = 6,
            |s| s.commands[1].command_id = CommandId::of("other"),
            |s| s.commands[2].outcome.version = 6,
            |s| s.commands[0].outcome.first = Position::new(10),
            |s| s.commands[4].outcome.first = Position::new(16),
        ];
        for (n, fault) in faults.iter().enumerate() {
            let mut segment = whole();
            fault(&mut segment);
            let error = segment.check().expect_err(&format!("fault {n}"));
            assert_eq!(error.code(), "ES0140", "fault {n}");
        }
    }
}
