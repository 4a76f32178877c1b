//! Random batches against a naive model, which applies one append after the other: the stores give
//! the same answers and keep the same log. What SQLite gets at once it commits as one batch.
#![cfg(feature = "sqlite")]

use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::event::{CommandId, Position, StreamId, Timestamp};
use es_runtime::store::memory::MemoryStore;
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{Append, Appended, EventStore, LogQuery, NewEvent, Outcome};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// An append as it is drawn: names from few, and a version that is mostly right.
#[derive(Clone, Debug)]
struct Draw {
    stream: u8,
    command: u8,
    repeatable: bool,
    events: usize,
    off: i8,
}

fn batches() -> impl Strategy<Value = Vec<Vec<Draw>>> {
    let off = prop_oneof![6 => Just(0), 1 => Just(-1), 1 => Just(1)];
    let drawn = (0..3_u8, 0..12_u8, any::<bool>(), 0..4_usize, off);
    let draw = drawn.prop_map(|(stream, command, repeatable, events, off)| Draw {
        stream,
        command,
        repeatable,
        events,
        off,
    });
    prop::collection::vec(prop::collection::vec(draw, 1..8), 1..5)
}

/// An event of the log: its position, stream, version, command and payload.
type Kept = (u64, StreamId, u64, Option<CommandId>, String);

/// The laws in the plainest words.
#[derive(Default)]
struct Model {
    log: Vec<Kept>,
    accepted: Vec<(StreamId, CommandId, Outcome)>,
}

impl Model {
    fn version(&self, stream: &StreamId) -> u64 {
        self.log.iter().filter(|event| event.1 == *stream).count() as u64
    }

    fn append(&mut self, append: &Append) -> Appended {
        let Append {
            stream,
            command_id,
            repeatable,
            events,
            expected,
            ..
        } = append;
        let count = u32::try_from(events.len()).unwrap();
        let is_kept = *repeatable || events.is_empty();
        let same = |(s, c, _): &&(StreamId, CommandId, Outcome)| s == stream && c == command_id;
        let next = |event: &&Kept| (&event.1, event.2) == (stream, *expected + 1);
        if let Some((.., outcome)) = self.accepted.iter().find(same).filter(|_| is_kept) {
            return Appended::Already(*outcome);
        }
        // Without a row of its own it is known by its first event, where it would be now.
        if let Some(own) = self.log.iter().find(next).filter(|_| !is_kept)
            && own.3 == Some(*command_id)
        {
            return Appended::Already(Outcome {
                first: Position::new(own.0),
                count,
                version: expected + u64::from(count),
            });
        }
        let found = self.version(stream);
        if found != *expected {
            return Appended::Conflict { found };
        }
        let first = Position::new(self.log.len() as u64 + 1);
        for (event, n) in events.iter().zip(1..) {
            let position = self.log.len() as u64 + 1;
            let payload = event.payload.clone();
            self.log.push((
                position,
                stream.clone(),
                found + n,
                Some(*command_id),
                payload,
            ));
        }
        let version = self.version(stream);
        let outcome = Outcome {
            first,
            count,
            version,
        };
        if is_kept {
            self.accepted.push((stream.clone(), *command_id, outcome));
        }
        Appended::New(outcome)
    }
}

/// The append that is drawn, on streams that only this case knows.
fn drawn(draw: &Draw, case: u64, nth: usize, model: &Model) -> Append {
    let stream = StreamId::new("account", format!("{case}-{}", draw.stream)).unwrap();
    let expected = model
        .version(&stream)
        .saturating_add_signed(draw.off.into());
    let event = |n| NewEvent {
        event_type: "account.deposited",
        schema_version: 1,
        min_reader: 1,
        payload: format!(r#"{{"append":{nth},"event":{n}}}"#),
    };
    let command_id = CommandId::of([draw.command]);
    let events = (0..draw.events).map(event).collect();
    let (metadata, time) = (None, Timestamp::from_micros(1));
    Append {
        stream,
        expected,
        command_id,
        repeatable: draw.repeatable,
        events,
        metadata,
        correlation: None,
        time,
        known_instances: None,
    }
}

/// Calls all at once, in order, and gathers the answers in that order.
async fn at_once<S: EventStore>(store: &S, batch: Vec<Append>) -> Vec<Appended> {
    let mut calls = JoinSet::new();
    for (nth, append) in batch.into_iter().enumerate() {
        let store = store.clone();
        calls.spawn(async move { (nth, store.append(append).await.unwrap()) });
    }
    let mut answers = calls.join_all().await;
    answers.sort_by_key(|(nth, _)| *nth);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// The position in a log that was empty at `base`.
fn since(base: Position, position: Position) -> u64 {
    position.get() - base.get()
}

fn answered_since(base: Position, answer: Appended) -> Appended {
    let outcome = |o: Outcome| Outcome {
        first: Position::new(since(base, o.first)),
        ..o
    };
    match answer {
        Appended::New(new) => Appended::New(outcome(new)),
        Appended::Already(done) => Appended::Already(outcome(done)),
        conflict => conflict,
    }
}

/// Plays the batches on a store and on the model, and compares answers, commands and logs.
async fn play<S: EventStore>(store: &S, batches: &[Vec<Draw>], case: u64) {
    let base = store.head().await.unwrap();
    let mut model = Model::default();
    for draws in batches {
        let (mut batch, mut expected) = (Vec::new(), Vec::new());
        for draw in draws {
            let append = drawn(draw, case, batch.len(), &model);
            expected.push(model.append(&append));
            batch.push(append);
        }
        let answers = at_once(store, batch).await.into_iter();
        let answers: Vec<_> = answers.map(|answer| answered_since(base, answer)).collect();
        assert_eq!(answers, expected);
    }
    let query = LogQuery::after(base).limit(usize::MAX);
    let log = store.read_log(&query).await.unwrap();
    let log = log.events.to_vec().unwrap();
    let kept = log.into_iter().map(|event| {
        let position = since(base, event.position);
        (
            position,
            event.stream,
            event.version,
            event.command_id,
            event.payload,
        )
    });
    assert_eq!(kept.collect::<Vec<_>>(), model.log);
    for (stream, command, outcome) in &model.accepted {
        let known = store
            .outcome(stream, *command)
            .await
            .unwrap()
            .map(Appended::Already);
        let known = known.map(|known| answered_since(base, known));
        assert_eq!(known, Some(Appended::Already(*outcome)));
    }
}

/// On one thread, so that a batch arrives in its order. Proptest tells the smallest case that fails.
fn check<S: EventStore>(cases: u32, open: impl AsyncFnOnce() -> S) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(open());
    let next = AtomicU64::new(0);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Default::default()
    };
    proptest!(config, |(batches in batches())| {
        let case = next.fetch_add(1, Ordering::Relaxed);
        runtime.block_on(play(&store, &batches, case));
    });
}

#[test]
fn the_memory_store_answers_as_the_model() {
    check(500, async || MemoryStore::new());
}

#[test]
fn the_sqlite_store_answers_as_the_model() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("es.db");
    check(200, async || SqliteStore::open(file).await.unwrap());
}
