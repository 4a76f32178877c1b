//! What must hold after every attack, whoever died in it. The log alone shows most of it: each
//! event's payload names its command, its place in it and how many they are.

use std::collections::HashMap;

use es_runtime::event::{CommandId, StoredEvent, StreamId};
use es_runtime::store::Outcome;
use serde_json::Value;

/// What is wrong, in a sentence.
pub(crate) type Violation = String;

/// An append that its caller got an answer for.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) stream: StreamId,
    pub(crate) command: CommandId,
    pub(crate) outcome: Outcome,
    /// Whether the store remembers the command by its id.
    pub(crate) kept: bool,
}

/// Followers saw the whole log in order; the log is dense; what is in it is there once and
/// wholly; what was acknowledged is in it, where the answer said.
pub(crate) fn check<'a>(
    log: &[StoredEvent],
    followers: impl IntoIterator<Item = &'a Vec<StoredEvent>>,
    acknowledged: &[Acknowledged],
) -> Result<(), Violation> {
    for seen in followers {
        followed(log, seen)?;
    }
    dense(log)?;
    let commands = whole(log)?;
    kept(&commands, acknowledged)
}

fn followed(log: &[StoredEvent], seen: &[StoredEvent]) -> Result<(), Violation> {
    let name = |event: &StoredEvent| {
        let StoredEvent {
            position,
            stream,
            version,
            ..
        } = event;
        format!("{position}: version {version} of `{stream}`")
    };
    let same = |(a, b): &(&StoredEvent, &StoredEvent)| {
        a.position == b.position
            && a.stream == b.stream
            && a.version == b.version
            && a.command_id == b.command_id
            && a.payload == b.payload
            && a.time == b.time
    };
    let alike = log.iter().zip(seen).take_while(same).count();
    if alike == log.len() && alike == seen.len() {
        return Ok(());
    }
    let at = |events: &[StoredEvent]| events.get(alike).map_or("nothing".to_owned(), name);
    let (has, saw) = (at(log), at(seen));
    Err(format!(
        "a follower saw {saw}, where the log has {has} ({} of {} events seen)",
        seen.len(),
        log.len()
    ))
}

/// Positions without a gap, and in each stream versions without one.
fn dense(log: &[StoredEvent]) -> Result<(), Violation> {
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for (event, n) in log.iter().zip(1..) {
        let position = event.position.get();
        if position != n {
            return Err(format!("position {position} stands at place {n}"));
        }
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        if event.version != *version {
            let (found, stream) = (event.version, &event.stream);
            return Err(format!(
                "version {found} of `{stream}` stands at place {version}"
            ));
        }
    }
    Ok(())
}

type Commands = HashMap<(StreamId, CommandId), Outcome>;

/// All events of a command side by side, from its first to its last, and once.
fn whole(log: &[StoredEvent]) -> Result<Commands, Violation> {
    let mut commands = Commands::new();
    for events in log.chunk_by(|a, b| a.stream == b.stream && a.command_id == b.command_id) {
        let (first, last) = (&events[0], &events[events.len() - 1]);
        let (stream, command) = (&first.stream, first.command_id);
        for (event, n) in events.iter().zip(0..) {
            let says: Value = serde_json::from_str(&event.payload)
                .map_err(|error| format!("`{}` is no payload: {error}", event.payload))?;
            let named = says["command"].as_str().map(CommandId::of);
            if (says["n"].as_u64(), says["of"].as_u64()) != (Some(n), Some(events.len() as u64))
                || named != command
            {
                let (payload, count) = (&event.payload, events.len());
                return Err(format!(
                    "a command of `{stream}` is torn: {payload} is event {n} of {count} at position {}",
                    event.position
                ));
            }
        }
        let outcome = Outcome {
            first: first.position,
            count: u32::try_from(events.len()).unwrap_or(u32::MAX),
            version: last.version,
        };
        let command = command.ok_or_else(|| format!("an event of `{stream}` has no command"))?;
        if let Some(earlier) = commands.insert((stream.clone(), command), outcome) {
            return Err(format!(
                "`{stream}` did a command twice, at {earlier:?} and {outcome:?}"
            ));
        }
    }
    Ok(commands)
}

fn kept(commands: &Commands, acknowledged: &[Acknowledged]) -> Result<(), Violation> {
    let mut answers: HashMap<(&StreamId, CommandId), Outcome> = HashMap::new();
    for Acknowledged {
        stream,
        command,
        outcome,
        ..
    } in acknowledged
    {
        if let Some(other) = answers.insert((stream, *command), *outcome)
            && other != *outcome
        {
            return Err(format!(
                "`{stream}` answered with {other:?}, then with {outcome:?}"
            ));
        }
        let found = commands.get(&(stream.clone(), *command));
        let expected = (outcome.count > 0).then_some(outcome);
        if found != expected {
            return Err(format!(
                "`{stream}` acknowledged {expected:?}, and the log has {found:?}"
            ));
        }
    }
    Ok(())
}
