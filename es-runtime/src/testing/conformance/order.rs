//! The order under many writers: no reader ever skips.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use super::{Check, Violation, accepted, append, law, log, stream};
use crate::error::Result;
use crate::event::{CommandId, Position, StoredEvent, StreamId};
use crate::store::{Appended, EventStore, Outcome, StreamQuery, StreamVersion};

const WRITERS: u64 = 16;
const APPENDS: u64 = 24;
const PAGE: usize = 50;

/// What a writer was told: the stream, the command and what it did.
type Acknowledged = Vec<(StreamId, CommandId, Outcome)>;

/// Appends to its own stream and to one that all share, until everything is accepted.
async fn write<S: EventStore>(store: S, writer: u64, mut random: Rng) -> Result<Acknowledged> {
    let (own, shared) = (stream(writer)?, stream("shared")?);
    let (mut own_version, mut shared_version) = (0, 0);
    let mut acknowledged = Vec::new();
    for n in 0..APPENDS {
        let command = format!("{writer}/{n}");
        let (stream, version) = match random.u8(..3) {
            0 => (&shared, &mut shared_version),
            _ => (&own, &mut own_version),
        };
        let events = random.usize(1..4);
        loop {
            let append = append(stream, *version, &command, events);
            let id = append.command_id;
            match store.append(append).await? {
                Appended::Conflict { found } => *version = found,
                Appended::New(outcome) | Appended::Already(outcome) => {
                    *version = outcome.version;
                    acknowledged.push((stream.clone(), id, outcome));
                    break;
                }
            }
            for _ in 0..random.u8(..4) {
                yield_now().await;
            }
        }
    }
    Ok(acknowledged)
}

/// What a follower saw: the events, and each position at which the log seemed to end.
type Seen = (Vec<StoredEvent>, Vec<Position>);

/// Reads from its cursor until `until` has come by, as every projection does.
async fn follow<S: EventStore>(store: &S, until: CommandId) -> Result<Seen> {
    let (mut seen, mut ends) = (Vec::<StoredEvent>::new(), Vec::new());
    loop {
        let cursor = seen.last().map_or(Position::START, |event| event.position);
        let page = log(store, cursor, PAGE).await?;
        if page.is_empty() {
            store.wait_for_append(cursor).await;
        } else if page.len() < PAGE {
            ends.extend(page.last().map(|event| event.position));
        }
        seen.extend(page);
        if seen
            .last()
            .is_some_and(|event| event.command_id == Some(until))
        {
            return Ok((seen, ends));
        }
        yield_now().await;
    }
}

pub(super) async fn readers_skip_nothing<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "a reader that has seen a position has seen every one below";
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(store.clone(), writer, Rng::with_seed(seed ^ writer)));
    }
    let last = append(&stream("last")?, 0, "last", 1);
    let until = last.command_id;
    let follower = {
        let store = store.clone();
        tokio::spawn(async move { follow(&store, until).await })
    };
    let gone = |error: tokio::task::JoinError| Violation {
        law: LAW,
        what: error.to_string(),
    };
    let mut acknowledged = Vec::new();
    while let Some(writer) = writers.join_next().await {
        acknowledged.extend(writer.map_err(gone)??);
    }
    let stream = last.stream.clone();
    acknowledged.push((stream, until, accepted(&store, last).await?));
    let (seen, ends) = follower.await.map_err(gone)??;

    for (event, n) in seen.iter().zip(1..) {
        law!(
            LAW,
            event.position.get() == n,
            "{} came where {n} belongs",
            event.position
        );
    }
    let log = log(&store, Position::START, usize::MAX >> 1).await?;
    law!(
        LAW,
        log.len() == seen.len(),
        "the log has {}, the reader {}",
        log.len(),
        seen.len()
    );
    for (kept, seen) in log.iter().zip(&seen) {
        let same = kept.payload == seen.payload && kept.stream == seen.stream;
        law!(
            LAW,
            same,
            "the reader saw another event at {}",
            kept.position
        );
    }
    acknowledged_is_there(&log, &acknowledged)?;
    appends_are_seen_whole(&ends, &acknowledged)?;
    versions_are_dense(&log)
}

/// Every acknowledged command stands where it was said to stand, whole.
fn acknowledged_is_there(log: &[StoredEvent], acknowledged: &Acknowledged) -> Check {
    const LAW: &str = "what is acknowledged is in the log, whole and at its place";
    for (stream, id, outcome) in acknowledged {
        let first = usize::try_from(outcome.first.get()).unwrap_or(usize::MAX) - 1;
        let events = log.iter().skip(first).take(outcome.count as usize);
        let own = events
            .filter(|e| e.command_id == Some(*id) && e.stream == *stream)
            .count();
        law!(
            LAW,
            own == outcome.count as usize,
            "{own} events of `{stream}` at {outcome:?}"
        );
    }
    let total: usize = acknowledged
        .iter()
        .map(|(.., outcome)| outcome.count as usize)
        .sum();
    law!(
        LAW,
        log.len() == total,
        "{} events for {total} acknowledged",
        log.len()
    );
    Ok(())
}

/// Where the log seemed to end, an append had ended.
fn appends_are_seen_whole(ends: &[Position], acknowledged: &Acknowledged) -> Check {
    const LAW: &str = "no reader sees a part of an append";
    let whole: HashSet<_> = acknowledged
        .iter()
        .map(|(.., outcome)| outcome.position())
        .collect();
    let part = ends.iter().find(|end| !whole.contains(end));
    law!(
        LAW,
        part.is_none(),
        "the log seemed to end at {part:?}, inside an append"
    );
    Ok(())
}

fn versions_are_dense(log: &[StoredEvent]) -> Check {
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for event in log {
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        let (found, stream) = (event.version, &event.stream);
        law!(
            "versions are dense",
            found == *version,
            "`{stream}`: {found} for {version}"
        );
    }
    Ok(())
}

/// Several callers retry the same command at once: one of them adds it.
pub(super) async fn retries_add_nothing<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "a command that is retried at once is accepted once";
    let shared = stream("shared")?;
    for round in 0..20 {
        let mut callers = JoinSet::new();
        for caller in 0..4 {
            let (store, stream) = (store.clone(), shared.clone());
            let mut random = Rng::with_seed(seed ^ (round << 8) ^ caller);
            callers.spawn(async move {
                for _ in 0..random.u8(..4) {
                    yield_now().await;
                }
                let all = StreamQuery::after(0).limit(usize::MAX >> 1);
                let version = store.read_stream(&stream, all).await?.events.len() as u64;
                store
                    .append(append(&stream, version, &round.to_string(), 1))
                    .await
            });
        }
        let answers = callers.join_all().await;
        let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
        let new = answers
            .iter()
            .filter(|a| matches!(a, Appended::New(_)))
            .count();
        law!(LAW, new == 1, "round {round}: {answers:?}");
        let head = store.head().await?;
        law!(
            LAW,
            head.get() == round + 1,
            "after round {round} the head is {head}"
        );
    }
    Ok(())
}

/// With news or without: whoever waits looks again.
pub(super) async fn waiting_ends<S: EventStore>(store: S) -> Check {
    const LAW: &str = "waiting ends";
    const LONG: Duration = Duration::from_secs(20);
    let accounts = StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    };
    for events in [0, 1] {
        let log = timeout(LONG, store.wait_for_append(Position::START)).await;
        law!(LAW, log.is_ok(), "not for the log, which has {events}");
        let published = store.wait_for_published(&accounts, Position::START);
        let published = timeout(LONG, published).await;
        law!(LAW, published.is_ok(), "not for an integration stream");
        store.append(append(&stream("a")?, 0, "one", 1)).await?;
    }
    Ok(())
}
