//! The committer under every order of steps that a scheduler can think of: shuttle decides which
//! task goes on wherever one waits, and where the connection is lost.
//!
//! The channels are tokio's own, whose insides tokio checks; what is checked here is what we do
//! between them. Each guard is switched off once, and then a check must fail.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::join_all;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

use super::{Commit, Committer, DOING, Failed, Guard, Limits};
use crate::error::{Error, Result};
use crate::event::{CommandId, Position, StreamId, Timestamp};
use crate::store::{Append, Appended, NewEvent, Outcome};

const LIMITS: Limits = Limits { queue: 4, batch: 3 };
const POISON: &str = "poison";

thread_local! {
    static OFF: Cell<Option<Guard>> = const { Cell::new(None) };
}

pub(super) fn is_off(guard: Guard) -> bool {
    OFF.get() == Some(guard)
}

/// What a server knows.
#[derive(Default)]
struct Server {
    log: Vec<(StreamId, u64)>,
    versions: HashMap<StreamId, u64>,
    done: HashMap<CommandId, Outcome>,
    closed: bool,
}

impl Server {
    fn write(&mut self, append: &Append) -> Appended {
        if let Some(done) = self.done.get(&append.command_id) {
            return Appended::Already(*done);
        }
        let version = self.versions.entry(append.stream.clone()).or_default();
        if *version != append.expected {
            return Appended::Conflict { found: *version };
        }
        *version += 1;
        self.log.push((append.stream.clone(), *version));
        let outcome = Outcome {
            first: Position::new(self.log.len() as u64),
            count: 1,
            version: *version,
        };
        self.done.insert(append.command_id, outcome);
        Appended::New(outcome)
    }
}

type Shared = Arc<Mutex<Server>>;

/// How often calls fail, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    /// Every second call loses its connection, before or after it wrote.
    Lossy,
    /// Anything, several times in a row.
    Foul,
}

struct Calls {
    server: Shared,
    weather: Weather,
    lost: bool,
}

impl Commit for Calls {
    const STREAMS_REPEAT: bool = false;

    async fn commit(&mut self, batch: &Arc<[Append]>) -> Result<Vec<Appended>, Failed> {
        assert!(!batch.is_empty() && batch.len() <= LIMITS.batch);
        let streams: HashSet<_> = batch.iter().map(|append| &append.stream).collect();
        assert_eq!(streams.len(), batch.len(), "a stream is in a batch once");
        let error = || Error::database(DOING, "foul weather");
        yield_now().await;
        let (lose, before) = match self.weather {
            Weather::Fair => (false, false),
            Weather::Lossy => (!self.lost && thread_rng().r#gen(), false),
            Weather::Foul => (thread_rng().gen_ratio(1, 3), thread_rng().gen_ratio(1, 6)),
        };
        self.lost = lose;
        if before {
            return Err(Failed::Before(error()));
        }
        if lose && thread_rng().r#gen() {
            return Err(Failed::Lost(error()));
        }
        let refused = |append: &Append| append.events[0].payload == POISON;
        if batch.iter().any(refused) {
            return Err(Failed::Within(Error::database(DOING, POISON)));
        }
        let results = {
            let mut server = self.server.lock().unwrap();
            assert!(!server.closed, "nothing is written after the close");
            batch.iter().map(|append| server.write(append)).collect()
        };
        yield_now().await;
        if lose {
            Err(Failed::Lost(error()))
        } else {
            Ok(results)
        }
    }

    async fn close(self) {
        yield_now().await;
        self.server.lock().unwrap().closed = true;
    }
}

fn append(stream: &str, expected: u64) -> Append {
    Append {
        stream: StreamId::new("account", stream).unwrap(),
        expected,
        command_id: CommandId::of(format!("{stream}/{expected}")),
        repeatable: true,
        events: vec![NewEvent {
            event_type: "account.opened",
            schema_version: 1,
            min_reader: 1,
            payload: "{}".to_owned(),
        }],
        metadata: None,
        correlation: None,
        time: Timestamp::default(),
        known_instances: None,
    }
}

/// What the caller hears is what the server knows when it hears it.
async fn checked(committer: &Committer, server: &Shared, append: Append) -> Result<Appended> {
    let (id, version) = (append.command_id, append.expected + 1);
    let before = *committer.closing.borrow();
    let result = committer.append(append).await;
    let done = server.lock().unwrap().done.get(&id).copied();
    match &result {
        Ok(Appended::New(outcome) | Appended::Already(outcome)) => {
            assert_eq!(done, Some(*outcome), "answered before its commit");
            assert_eq!(outcome.version, version);
        }
        Ok(Appended::Conflict { .. }) => assert_eq!(done, None, "a conflict writes nothing"),
        Err(error) if error.is_overloaded() => assert_eq!(done, None, "refused, and written"),
        Err(error) if error.to_string().contains("is closed") => {
            assert!(before, "taken before the close, and dropped");
            assert_eq!(done, None, "refused, and written");
        }
        Err(_) => {}
    }
    result
}

/// Callers on three streams, one of which is shared and one of which is poisoned now and then, a
/// caller that does not wait, and somebody who closes or drops the store meanwhile.
fn scenario(weather: Weather, closes: bool) {
    let server = Shared::default();
    let (committer, work) = Committer::new(LIMITS);
    let calls = Calls {
        server: server.clone(),
        weather,
        lost: false,
    };
    let running = spawn(work.run(calls));
    let fair = weather != Weather::Foul;
    let mut callers = Vec::new();
    for name in ["a", "b"] {
        let (committer, server) = (committer.clone(), server.clone());
        callers.push(spawn(async move {
            // Three calls on their way at once: their order is the order of the calls.
            let three = (0..3).map(|n| checked(&committer, &server, append(name, n)));
            let results = join_all(three).await;
            if !fair {
                return;
            }
            let mut turned_away = false;
            for result in results {
                match result {
                    Ok(Appended::New(_) | Appended::Already(_)) => assert!(!turned_away),
                    Ok(Appended::Conflict { .. }) => assert!(turned_away, "written out of order"),
                    Err(error) => {
                        let closed = error.to_string().contains("is closed");
                        assert!(closed || error.is_overloaded(), "{error}");
                        turned_away = true;
                    }
                }
            }
        }));
    }
    let (own, own_server) = (committer.clone(), server.clone());
    callers.push(spawn(async move {
        let mut bad = append("bad", 0);
        bad.events[0].payload = POISON.to_owned();
        let result = checked(&own, &own_server, bad).await;
        assert!(result.is_err(), "poison is refused");
    }));
    let (impatient, its_server) = (committer.clone(), server.clone());
    callers.push(spawn(async move {
        let before = *impatient.closing.borrow();
        let gone = append("gone", 0);
        let id = gone.command_id;
        let taken = impatient.append(gone).now_or_never().is_none();
        impatient.close().await;
        let written = its_server.lock().unwrap().done.contains_key(&id);
        assert!(
            !fair || before || !taken || written,
            "not waited for, and lost"
        );
    }));
    block_on(async move {
        if closes {
            committer.close().await;
            assert!(server.lock().unwrap().closed);
            let late = committer.append(append("late", 0)).await.unwrap_err();
            assert!(late.to_string().contains("is closed"), "{late}");
        }
        drop(committer);
        for caller in callers {
            caller.await.unwrap();
        }
        running.await.unwrap();
        let server = server.lock().unwrap();
        assert!(server.closed);
        assert_eq!(server.log.len(), server.done.len(), "each is written once");
        let mut versions: HashMap<_, u64> = HashMap::new();
        for (stream, version) in &server.log {
            let last = versions.entry(stream).or_default();
            *last += 1;
            assert_eq!(version, last, "a stream's versions are dense");
        }
    });
}

fn explore(weather: Weather, iterations: usize) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let off = OFF.get();
    let run = move || {
        OFF.set(off);
        let closes = thread_rng().r#gen();
        scenario(weather, closes);
    };
    let random = RandomScheduler::new_from_seed(seed, iterations);
    Runner::new(random, Config::new()).run(run);
    let depth = PctScheduler::new_from_seed(seed, 4, iterations);
    Runner::new(depth, Config::new()).run(run);
}

/// A nightly run may take longer.
fn iterations() -> usize {
    let set = std::env::var("ES_ITERATIONS").ok();
    set.and_then(|set| set.parse().ok()).unwrap_or(1_000)
}

#[test]
fn every_append_is_answered_once_in_order_and_after_its_commit() {
    explore(Weather::Fair, iterations());
    explore(Weather::Lossy, iterations());
    explore(Weather::Foul, iterations());
}

#[test]
fn without_a_guard_the_check_fails() {
    for guard in [
        Guard::Order,
        Guard::Drain,
        Guard::Again,
        Guard::Alone,
        Guard::Late,
    ] {
        OFF.set(Some(guard));
        let explored = panic::catch_unwind(AssertUnwindSafe(|| explore(Weather::Lossy, 1_000)));
        OFF.set(None);
        assert!(explored.is_err(), "{guard:?} is off, and nobody notices");
    }
}
