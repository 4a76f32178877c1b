//! Appends, conflicts and commands, one caller at a time.

use super::{Check, Subject, accepted, append, law, log, stream};
use crate::event::{Position, StoredEvent, StreamId};
use crate::store::{Append, Appended, EventStore, Outcome};

fn outcome(first: u64, count: u32, version: u64) -> Outcome {
    Outcome {
        first: Position::new(first),
        count,
        version,
    }
}

/// Whether a stored event is the `n`-th of the append at its place.
fn is(event: &StoredEvent, append: &Append, outcome: Outcome, n: u64) -> bool {
    let new = &append.events[usize::try_from(n).unwrap_or(usize::MAX)];
    let version = outcome.version - u64::from(outcome.count) + n + 1;
    event.position == outcome.first.plus(n)
        && event.stream == append.stream
        && event.version == version
        && event.event_type == new.event_type
        && (event.schema_version, event.min_reader) == (new.schema_version, new.min_reader)
        && event.command_id == Some(append.command_id)
        && event.payload == new.payload
        && event.metadata == append.metadata
        && event.time == append.time
}

pub(super) async fn a_log_keeps_its_identity<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a log keeps its identity";
    let (store, other) = (subject.fresh().await, subject.fresh().await);
    let before = store.identity();
    law!(LAW, before != other.identity(), "two logs are {before}");
    let after = subject.reopen(store).await.identity();
    law!(LAW, before == after, "{before} became {after}");
    Ok(())
}

pub(super) async fn appends_are_atomic<S: EventStore>(store: S) -> Check {
    const LAW: &str = "appends are atomic";
    law!(
        LAW,
        store.head().await? == Position::START,
        "a fresh log has events"
    );
    let mut written = Vec::new();
    for (id, expected, command, events) in [("a", 0, "1", 3), ("b", 0, "2", 1), ("a", 3, "3", 2)] {
        let mut append = append(&stream(id)?, expected, command, events);
        append.metadata = append.metadata.filter(|_| command != "2");
        let outcome = accepted(&store, append.clone()).await?;
        let first = written.len() as u64 + 1;
        law!(
            LAW,
            outcome.first.get() == first,
            "positions are not dense: {outcome:?}"
        );
        let version = expected + events as u64;
        law!(
            LAW,
            outcome.version == version,
            "version {version} expected: {outcome:?}"
        );
        written.extend((0..events as u64).map(|n| (append.clone(), outcome, n)));
    }
    let log = log(&store, Position::START, 100).await?;
    let head = store.head().await?;
    law!(
        LAW,
        log.len() == 6 && head.get() == 6,
        "{} of 6 events, head {head}",
        log.len()
    );
    for (event, (append, outcome, n)) in log.iter().zip(&written) {
        law!(
            LAW,
            is(event, append, *outcome, *n),
            "event {n} of {append:?} became {event:?}"
        );
    }
    Ok(())
}

pub(super) async fn conflicts_tell_the_version<S: EventStore>(store: S) -> Check {
    const LAW: &str = "a stale version is a conflict that adds nothing";
    let a = stream("a")?;
    accepted(&store, append(&a, 0, "1", 2)).await?;
    let stale = [(0, 1), (1, 1), (3, 1), (1, 0), (0, 3)];
    for ((expected, events), repeatable) in stale
        .into_iter()
        .flat_map(|stale| [(stale, true), (stale, false)])
    {
        let command = format!("stale {expected} {events} {repeatable}");
        let stale = Append {
            repeatable,
            ..append(&a, expected, &command, events)
        };
        let answer = store.append(stale).await?;
        law!(
            LAW,
            answer == Appended::Conflict { found: 2 },
            "expected {expected}: {answer:?}"
        );
        let known = store
            .outcome(&a, append(&a, 0, &command, 0).command_id)
            .await?;
        law!(
            LAW,
            known.is_none(),
            "a rejected command is known as {known:?}"
        );
    }
    let head = store.head().await?;
    law!(LAW, head.get() == 2, "the head went to {head}");
    let next = accepted(&store, append(&a, 2, "2", 1)).await?;
    law!(
        LAW,
        next == outcome(3, 1, 3),
        "the next append landed at {next:?}"
    );
    Ok(())
}

pub(super) async fn commands_are_accepted_once<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a command is accepted once";
    let mut store = subject.fresh().await;
    let a = stream("a")?;
    let first = accepted(&store, append(&a, 0, "open", 2)).await?;
    let nothing = accepted(&store, append(&a, 2, "nothing to do", 0)).await?;
    law!(
        LAW,
        nothing == outcome(3, 0, 2),
        "no events, but {nothing:?}"
    );
    for round in ["before", "after"] {
        // With the version it was decided on, with the one it led to, and with a wrong one.
        for (command, expected, done) in [
            ("open", 0, first),
            ("open", 2, first),
            ("open", 9, first),
            ("nothing to do", 2, nothing),
            ("nothing to do", 0, nothing),
        ] {
            let answer = store.append(append(&a, expected, command, 1)).await?;
            let right = answer == Appended::Already(done);
            law!(
                LAW,
                right,
                "`{command}` again, {round} a restart, at {expected}: {answer:?}"
            );
            let known = store
                .outcome(&a, append(&a, 0, command, 0).command_id)
                .await?;
            law!(
                LAW,
                known == Some(done),
                "`{command}` is known as {known:?}, {round} a restart"
            );
        }
        let head = store.head().await?;
        law!(
            LAW,
            head.get() == 2,
            "the retries moved the head to {head}, {round} a restart"
        );
        store = subject.reopen(store).await;
    }
    // The same id on another stream is another command.
    let other = accepted(&store, append(&stream("b")?, 0, "open", 1)).await?;
    law!(
        LAW,
        other == outcome(3, 1, 1),
        "on another stream: {other:?}"
    );
    Ok(())
}

pub(super) async fn appends_are_recognised<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "an append that is sent again is recognised";
    let mut store = subject.fresh().await;
    let once = |id: &StreamId, expected, command, events| Append {
        repeatable: false,
        ..append(id, expected, command, events)
    };
    let (a, b) = (stream("a")?, stream("b")?);
    let first = accepted(&store, once(&a, 0, "one", 1)).await?;
    accepted(&store, append(&b, 0, "between", 1)).await?;
    let second = accepted(&store, once(&a, 1, "three", 3)).await?;
    let last = accepted(&store, append(&a, 4, "after", 1)).await?;
    for round in ["before", "after"] {
        for (command, expected, events, done) in [
            ("one", 0, 1, first),
            ("three", 1, 3, second),
            ("after", 4, 1, last),
        ] {
            let answer = store.append(once(&a, expected, command, events)).await?;
            law!(
                LAW,
                answer == Appended::Already(done),
                "`{command}` as it was, {round} a restart: {answer:?}"
            );
        }
        let answer = store.append(once(&a, 1, "another", 1)).await?;
        law!(
            LAW,
            answer == Appended::Conflict { found: 5 },
            "another one, {round} a restart: {answer:?}"
        );
        let head = store.head().await?;
        law!(
            LAW,
            head.get() == 6,
            "the head went to {head}, {round} a restart"
        );
        store = subject.reopen(store).await;
    }
    Ok(())
}

pub(super) async fn a_transaction_ends_with_its_append<S: EventStore>(store: S) -> Check {
    const LAW: &str = "an append in a transaction is an append";
    let a = stream("a")?;
    accepted(&store, append(&a, 0, "1", 1)).await?;
    let new = store.begin().await?.append(append(&a, 1, "2", 2)).await?;
    law!(
        LAW,
        new == Appended::New(outcome(2, 2, 3)),
        "at its version: {new:?}"
    );
    let again = store.begin().await?.append(append(&a, 3, "2", 2)).await?;
    law!(
        LAW,
        again == Appended::Already(outcome(2, 2, 3)),
        "the same command again: {again:?}"
    );
    let stale = store.begin().await?.append(append(&a, 2, "3", 1)).await?;
    law!(
        LAW,
        stale == Appended::Conflict { found: 3 },
        "at an old version: {stale:?}"
    );
    drop(store.begin().await?.append(append(&a, 3, "4", 1)));
    drop(store.begin().await?);
    let next = accepted(&store, append(&a, 3, "5", 1)).await?;
    law!(
        LAW,
        next == outcome(4, 1, 4),
        "the next append landed at {next:?}"
    );
    Ok(())
}
