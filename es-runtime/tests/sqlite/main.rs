//! The embedded store under fire: other processes, kills, full disks, refusals, and people with
//! SQL of their own.
#![cfg(feature = "sqlite")]

mod consumer;
#[cfg(unix)]
mod kill;
mod refusal;
mod rows;
mod schema;
mod view;

use std::path::PathBuf;

use es_runtime::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use es_runtime::store::sqlite::{SqliteStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, LogQuery, NewEvent, Outcome};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, raw_sql};
use tempfile::TempDir;

/// A database file of its own, gone with the test.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("es.db")
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).await.unwrap()
    }

    /// A connection that knows nothing of the store, as another program's.
    async fn outside(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        options.connect().await.unwrap()
    }
}

/// Runs statements, for their effect or their error.
async fn run(connection: &mut SqliteConnection, statements: &'static str) -> sqlx::Result<()> {
    raw_sql(statements).execute(connection).await.map(drop)
}

async fn number(connection: &mut SqliteConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .unwrap()
}

fn stream(id: &str) -> StreamId {
    StreamId::new("account", id).unwrap()
}

fn append(id: &str, expected: u64, command: &str, events: usize) -> Append {
    let event = NewEvent {
        event_type: "account.deposited",
        schema_version: 1,
        min_reader: 1,
        payload: format!(r#"{{"of":{events}}}"#),
    };
    Append {
        stream: stream(id),
        expected,
        command_id: CommandId::of(command),
        repeatable: true,
        events: vec![event; events],
        metadata: None,
        correlation: None,
        time: Timestamp::from_micros(1),
        known_instances: None,
    }
}

async fn accepted(store: &SqliteStore, append: Append) -> Outcome {
    match store.append(append).await.unwrap() {
        Appended::New(outcome) => outcome,
        other => panic!("not accepted: {other:?}"),
    }
}

async fn log(store: &SqliteStore) -> Vec<StoredEvent> {
    let query = LogQuery::after(Position::START).limit(usize::MAX);
    store
        .read_log(&query)
        .await
        .unwrap()
        .events
        .to_vec()
        .unwrap()
}
