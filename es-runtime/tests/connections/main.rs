//! What becomes of calls when there are too many, when connections die, and when servers change
//! their roles.
//!
//! Where a server is stopped, the runtime has threads of its own: a server waits for a connection
//! that is on its way, and stopping it blocks the test's thread.
#![cfg(all(feature = "postgres", feature = "testing"))]

mod failover;
mod health;
mod lost;
mod news;
mod pgbouncer;
mod queue;
mod read_only;
#[path = "../until/mod.rs"]
mod until;

use std::time::Duration;

use es_runtime::Error;
use es_runtime::event::{CommandId, Position, StreamId, Timestamp};
use es_runtime::postgres::{PostgresOptions, PostgresStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, LogQuery, NewEvent, Outcome, StoreHealth};
use sqlx::{Connection, PgConnection};
use tokio::task::{JoinHandle, yield_now};

/// How many sessions listen to the news of others.
const LISTENING: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 6";

/// One event to a stream of its own.
fn append(stream: &str) -> Append {
    append_at(stream, 0)
}

fn append_at(stream: &str, expected: u64) -> Append {
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

type Appending = JoinHandle<Result<Appended, Error>>;

fn spawn(store: &PostgresStore, append: Append) -> Appending {
    let store = store.clone();
    tokio::spawn(async move { store.append(append).await })
}

fn new(appended: Appended) -> Outcome {
    match appended {
        Appended::New(outcome) => outcome,
        other => panic!("not new: {other:?}"),
    }
}

async fn store(url: &str) -> PostgresStore {
    with(url, |options| options).await
}

async fn with(url: &str, set: impl FnOnce(PostgresOptions) -> PostgresOptions) -> PostgresStore {
    let options = url.parse().unwrap();
    PostgresStore::connect_with(set(options)).await.unwrap()
}

/// An administrator's connection.
async fn admin(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(admin: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(admin).await.unwrap();
}

/// Waits until a question has this answer.
async fn until(admin: &mut PgConnection, question: &'static str, answer: i64) {
    until::until(question, async || {
        (count(admin, question).await == answer).then_some(())
    })
    .await;
}

/// Waits until the store's health is so.
async fn until_health(store: &PostgresStore, what: &str, is: impl Fn(&StoreHealth) -> bool) {
    until::until(what, async || is(&store.health().await).then_some(())).await;
}

async fn count(admin: &mut PgConnection, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(admin).await.unwrap()
}

/// A call of the committer waits for the log's lock.
const WAITING_FOR_LOCK: &str = "
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted";

/// The streams in the log, in order, which must be dense.
async fn streams(store: &PostgresStore) -> Vec<String> {
    let query = LogQuery::after(Position::START).limit(10_000);
    let events = store.read_log(&query).await.unwrap().events;
    for (event, n) in events.iter().zip(1..) {
        assert_eq!(event.position.get(), n, "a gap or a reorder");
    }
    events
        .iter()
        .map(|event| event.stream.to_string())
        .collect()
}

const SOON: Duration = Duration::from_secs(1);
