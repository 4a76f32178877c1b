//! History that moves from one log to another, and commands that are forgotten.

use fastrand::Rng;

use super::dropped::give_up;
use super::{Check, Subject, accepted, append, law, log, stream};
use crate::error::{Kind, Result};
use crate::event::{CommandId, Position, StoredEvent, Timestamp};
use crate::store::{AcceptedCommand, Append, Appended, EventStore, Segment};

type Edit = fn(&mut Segment);

/// A log with events of several streams, commands without events in between, and one at its end.
async fn fill<S: EventStore>(store: &S) -> std::result::Result<Vec<Append>, super::Violation> {
    let mut appends = Vec::new();
    for (id, expected, command, events) in [
        ("a", 0, "first", 3),
        ("b", 0, "nothing, for nobody", 0),
        ("b", 0, "second", 1),
        ("a", 3, "nothing", 0),
        ("a", 3, "third", 2),
        ("b", 1, "fourth", 2),
        ("b", 3, "nothing at the end", 0),
    ] {
        let append = append(&stream(id)?, expected, command, events);
        accepted(store, append.clone()).await?;
        appends.push(append);
    }
    Ok(appends)
}

/// The commands behind these events, and those without events from `after` up to the last event.
async fn commands<S: EventStore>(
    store: &S,
    after: Position,
    events: &[StoredEvent],
) -> Result<Vec<AcceptedCommand>> {
    let mut keys: Vec<_> = events
        .iter()
        .filter_map(|event| Some((event.stream.clone(), event.command_id?)))
        .collect();
    keys.dedup();
    let mut commands = store.read_commands(&keys).await?;
    let (mut from, mut last) = (after.next(), None);
    let head = events.last().map_or(after, |event| event.position);
    loop {
        let page = store
            .read_empty_commands(from, last.as_ref(), 1)
            .await?
            .pop();
        match page {
            Some(command) if command.outcome.position() <= head => {
                (from, last) = (command.outcome.first, Some(command.key()));
                commands.push(command);
            }
            _ => return Ok(commands),
        }
    }
}

async fn segment<S: EventStore>(store: &S, after: u64, events: usize) -> Result<Segment> {
    let after = Position::new(after);
    let events = log(store, after, events).await?;
    let commands = commands(store, after, &events).await?;
    Ok(Segment {
        after,
        events,
        commands,
    })
}

/// All that a log keeps, in a form that can be compared.
async fn kept<S: EventStore>(store: &S) -> Result<Vec<String>> {
    let Segment {
        events,
        mut commands,
        ..
    } = segment(store, 0, 100).await?;
    commands.sort_by_key(AcceptedCommand::key);
    let events = events.iter().map(|event| format!("{event:?}"));
    let commands = commands.iter().map(|command| format!("{command:?}"));
    Ok(events.chain(commands).collect())
}

/// The first thing that differs.
fn difference(was: &[String], is: &[String]) -> String {
    let mut pairs = was.iter().zip(is);
    let lengths = || format!("{} things became {}", was.len(), is.len());
    pairs
        .find(|(was, is)| was != is)
        .map_or_else(lengths, |(was, is)| format!("{was} became {is}"))
}

pub(super) async fn imported_history_is_the_same<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "imported history is as it was";
    let source = subject.fresh().await;
    let appends = fill(&source).await?;
    let mut target = subject.fresh().await;
    for (after, events) in [(0, 3), (3, 3), (6, 2), (8, 0)] {
        let segment = segment(&source, after, events).await?;
        let (head, count) = (segment.head(), segment.commands.len());
        target.import(segment).await?;
        let found = target.head().await?;
        law!(
            LAW,
            head == found,
            "the head is {found}, not {head}, after {count} commands"
        );
    }
    for round in ["before", "after"] {
        let (was, is) = (kept(&source).await?, kept(&target).await?);
        let differ = difference(&was, &is);
        law!(LAW, was == is, "{differ}, {round} a restart");
        // Every command is known where it went, also one without events.
        for append in &appends {
            let again = target.append(append.clone()).await?;
            let done = source.outcome(&append.stream, append.command_id).await?;
            let right = matches!(again, Appended::Already(outcome) if Some(outcome) == done);
            law!(
                LAW,
                right,
                "{} again, {round} a restart: {again:?}",
                append.command_id
            );
        }
        target = subject.reopen(target).await;
    }
    let next = accepted(&target, append(&stream("a")?, 5, "next", 1)).await?;
    let right = (next.first.get(), next.version) == (9, 6);
    law!(LAW, right, "the next append landed at {next:?}");
    Ok(())
}

pub(super) async fn only_what_continues_is_imported<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "imported history continues the log";
    let source = subject.fresh().await;
    fill(&source).await?;
    let target = subject.fresh().await;
    target.import(segment(&source, 0, 4).await?).await?;
    let before = kept(&target).await?;
    let (whole, next) = (segment(&source, 0, 8).await?, segment(&source, 4, 4).await?);
    let faults: [(&str, Edit); 9] = [
        ("a log that is longer", |s| {
            s.after = s.after.plus(2);
            for event in &mut s.events {
                event.position = event.position.plus(2);
            }
            for command in &mut s.commands {
                command.outcome.first = command.outcome.first.plus(2);
            }
        }),
        ("a gap in the log", |s| drop(s.events.remove(0))),
        ("a gap before it", |s| s.after = Position::new(5)),
        ("events that are there already", |s| {
            s.after = Position::new(3);
            for event in &mut s.events {
                event.position = Position::new(event.position.get() - 1);
            }
        }),
        ("a gap in a stream", |s| {
            s.commands.clear();
            for event in &mut s.events {
                event.version += 1;
            }
        }),
        ("a version that is there already", |s| {
            s.commands.clear();
            for event in &mut s.events {
                event.version -= 1;
            }
        }),
        ("a stream that is there already", |s| {
            let anew = s.events[0].version - 1;
            s.commands.clear();
            s.events.truncate(2);
            for event in &mut s.events {
                event.version -= anew;
            }
        }),
        ("a command that did something else", |s| {
            for command in &mut s.commands {
                command.outcome.version += 1;
            }
        }),
        ("a command that is there already", |s| {
            let first = CommandId::of("first");
            for event in s.events.iter_mut().take(2) {
                event.command_id = Some(first);
            }
            for command in &mut s.commands {
                if command.outcome.first == s.events[0].position && command.outcome.count > 0 {
                    command.command_id = first;
                }
            }
        }),
    ];
    let mut segments = vec![("the whole log again", whole)];
    for (fault, edit) in faults {
        let mut segment = next.clone();
        edit(&mut segment);
        segments.push((fault, segment));
    }
    for (fault, segment) in segments {
        let answer = target.import(segment).await;
        let refused =
            matches!(&answer, Err(error) if matches!(error.kind(), Kind::Discontinuous { .. }));
        law!(LAW, refused, "{fault}: {answer:?}");
        let after = kept(&target).await?;
        let differ = difference(&before, &after);
        law!(LAW, before == after, "{fault}: {differ}");
    }
    target.import(next).await?;
    // Of an end without events a part may be there.
    let end = segment(&source, 8, 0).await?;
    target.import(end.clone()).await?;
    target.import(end).await?;
    let (was, is) = (kept(&source).await?, kept(&target).await?);
    law!(LAW, was == is, "{}", difference(&was, &is));
    Ok(())
}

pub(super) async fn imports_are_whole<S: EventStore>(source: S, target: S, seed: u64) -> Check {
    const LAW: &str = "a dropped import leaves all of its effect or none";
    let mut random = Rng::with_seed(seed);
    for n in 0..30 {
        let at = stream(n % 5)?;
        accepted(&source, append(&at, n / 5 * 4, &n.to_string(), 4)).await?;
    }
    for n in 0..30 {
        let segment = segment(&source, n * 4, 4).await?;
        give_up(target.import(segment.clone()), &mut random).await;
        // The same again finds out.
        if let Err(error) = target.import(segment.clone()).await {
            let there = matches!(error.kind(), Kind::Discontinuous { .. });
            law!(LAW, there, "import {n}: {error}");
        }
        let command = &segment.commands[0];
        let known = target.outcome(&command.stream, command.command_id).await?;
        let head = target.head().await?;
        law!(
            LAW,
            head == segment.head() && known == Some(command.outcome),
            "import {n} left the head at {head}, and its command as {known:?}"
        );
    }
    Ok(())
}

pub(super) async fn commands_are_forgotten_by_time<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "only the commands before a moment are forgotten";
    let mut store = subject.fresh().await;
    let a = stream("a")?;
    let at = |n: u64, events| {
        let mut append = append(&a, n, &n.to_string(), events);
        append.time = Timestamp::from_micros(1000 + i64::try_from(n).unwrap_or_default());
        append
    };
    for n in 0..20 {
        accepted(&store, at(n, 1)).await?;
    }
    let mut nothing = append(&a, 20, "nothing", 0);
    nothing.time = Timestamp::from_micros(5);
    accepted(&store, nothing.clone()).await?;
    let mut kept = append(&a, 20, "kept", 0);
    kept.time = Timestamp::from_micros(6);
    kept.command_id = CommandId::kept("kept");
    accepted(&store, kept.clone()).await?;
    let was = format!("{:?}", log(&store, Position::START, 100).await?);
    for (before, limit, expected) in [(0, 3, 0), (1007, 3, 8), (1007, 100, 0), (1003, 1, 0)] {
        let forgotten = store
            .forget_commands(Timestamp::from_micros(before), limit)
            .await?;
        law!(
            LAW,
            forgotten == expected,
            "{forgotten} of {expected} before {before}"
        );
    }
    for round in ["before", "after"] {
        for n in 0..20 {
            let command = at(n, 1).command_id;
            let known = store.outcome(&a, command).await?.is_some();
            law!(
                LAW,
                known == (n >= 7),
                "command {n} is known: {known}, {round} a restart"
            );
        }
        let known = store.outcome(&a, kept.command_id).await?.is_some();
        law!(
            LAW,
            known,
            "a command that is kept was forgotten, {round} a restart"
        );
        let now = format!("{:?}", log(&store, Position::START, 100).await?);
        law!(LAW, was == now, "the log {was} became {now}");
        store = subject.reopen(store).await;
    }
    // What was forgotten is new.
    nothing.expected = 20;
    let anew = store.append(nothing).await?;
    law!(LAW, matches!(anew, Appended::New(_)), "again: {anew:?}");
    Ok(())
}
