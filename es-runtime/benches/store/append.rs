//! Appends against plain inserts of the same columns.

use std::sync::Arc;

use es_runtime::event::{CommandId, StreamId, Timestamp};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, NewEvent};
use es_servers::Postgres;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use crate::measure::{Comparison, Round, together};
use crate::{Size, in_turn};

/// About 200 bytes.
pub(crate) fn payload(n: usize) -> String {
    let text = "a payment for something that was bought in a shop around the corner, \
                with a reference that somebody typed in and nobody will ever read again";
    format!(r#"{{"amount":{n},"currency":"DKK","reference":"{text}"}}"#)
}

pub(crate) fn event(n: usize) -> NewEvent {
    NewEvent {
        event_type: "account.deposited",
        schema_version: 1,
        min_reader: 1,
        payload: payload(n),
    }
}

pub(crate) fn append(stream: &StreamId, expected: u64, events: usize) -> Append {
    Append {
        stream: stream.clone(),
        expected,
        command_id: CommandId::random(),
        events: (0..events).map(event).collect(),
        metadata: Some(r#"{"actor":"bench"}"#.to_owned()),
        correlation: None,
        time: Timestamp::from_micros(1_700_000_000_000_000),
    }
}

/// An append that must be new.
pub(crate) async fn write(store: &impl EventStore, append: Append) {
    let appended = store.append(append).await.expect("an append");
    assert!(matches!(appended, Appended::New(_)));
}

pub(crate) const RAW_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS raw_event (
      position       bigserial PRIMARY KEY,
      stream         text COLLATE \"C\" NOT NULL,
      version        bigint NOT NULL,
      slice          smallint NOT NULL,
      type           text COLLATE \"C\" NOT NULL,
      schema_version int NOT NULL,
      min_reader     int NOT NULL,
      command_id     uuid,
      payload        json NOT NULL,
      metadata       json,
      occurred_at    timestamptz NOT NULL,
      UNIQUE (stream, version)
    )";

/// One row a commit, as everybody would write it by hand: fast, and unsafe for readers.
const RAW_INSERT: &str = "
    INSERT INTO raw_event (stream, version, slice, type, schema_version, min_reader, command_id,
                           payload, metadata, occurred_at)
    VALUES ($1, $2, $3, $4, $5, $6, gen_random_uuid(), $7::json, $8::json, now())";

pub(crate) async fn raw_insert(connection: &mut PgConnection, stream: &str, version: i64) {
    let insert = sqlx::query(RAW_INSERT)
        .bind(stream)
        .bind(version)
        .bind(7_i16);
    let insert = insert
        .bind("account.deposited")
        .bind(1)
        .bind(1)
        .bind(payload(7));
    insert
        .bind(r#"{"actor":"bench"}"#)
        .execute(connection)
        .await
        .expect("a raw insert");
}

async fn connections(url: &str, count: usize) -> Vec<Arc<Mutex<PgConnection>>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let connection = PgConnection::connect(url).await.expect("a connection");
        connections.push(Arc::new(Mutex::new(connection)));
    }
    connections
}

/// One event an append, each writer on streams of its own.
pub(crate) async fn single(
    server: &Postgres,
    name: &str,
    writers: usize,
    size: Size,
) -> Comparison {
    let url = server.database();
    let store = PostgresStore::connect(&url).await.expect("the store");
    let raw = connections(&url, writers).await;
    sqlx::raw_sql(RAW_TABLE)
        .execute(&mut *raw[0].lock().await)
        .await
        .expect("a table");
    let round = std::cell::Cell::new(0);
    let next = || round.replace(round.get() + 1);
    in_turn!(
        name,
        size,
        together(writers, size.round, {
            let (store, round) = (store.clone(), next());
            move |writer| {
                let store = store.clone();
                move |n| {
                    // Ten events a stream, as accounts have a few.
                    let stream = StreamId::new("account", format!("{round}-{writer}-{}", n / 10));
                    let append = append(&stream.expect("an id"), n as u64 % 10, 1);
                    let store = store.clone();
                    async move { write(&store, append).await }
                }
            }
        }),
        together(writers, size.round, {
            let (raw, round) = (&raw, next());
            move |writer| {
                let connection = raw[writer].clone();
                move |n| {
                    let (stream, version) =
                        (format!("account-{round}-{writer}-{}", n / 10), n % 10);
                    let connection = connection.clone();
                    async move {
                        let mut connection = connection.lock().await;
                        raw_insert(
                            &mut connection,
                            &stream,
                            i64::try_from(version).unwrap_or(i64::MAX) + 1,
                        )
                        .await;
                    }
                }
            }
        })
    )
}

/// A hundred events an append, against `COPY` in batches of the same size.
pub(crate) async fn batches(server: &Postgres, size: Size) -> Comparison {
    const BATCH: usize = 100;
    let url = server.database();
    let store = PostgresStore::connect(&url).await.expect("the store");
    let raw = connections(&url, 1).await;
    sqlx::raw_sql(RAW_TABLE)
        .execute(&mut *raw[0].lock().await)
        .await
        .expect("a table");
    let round = std::cell::Cell::new(0);
    let next = || round.replace(round.get() + 1);
    let per_event = |mut round: Round| {
        round.rate *= BATCH as f64;
        round
    };
    in_turn!(
        "batch_100",
        size,
        async {
            let (store, round) = (store.clone(), next());
            per_event(
                together(1, size.round, move |_| {
                    let store = store.clone();
                    move |n| {
                        let stream = StreamId::new("account", format!("{round}-{n}"));
                        let append = append(&stream.expect("an id"), 0, BATCH);
                        let store = store.clone();
                        async move { write(&store, append).await }
                    }
                })
                .await,
            )
        },
        async {
            let (raw, round) = (&raw, next());
            per_event(
                together(1, size.round, move |_| {
                    let connection = raw[0].clone();
                    move |n| {
                        let (connection, stream) = (connection.clone(), format!("a-{round}-{n}"));
                        async move { copy(&mut *connection.lock().await, &stream, BATCH).await }
                    }
                })
                .await,
            )
        }
    )
}

pub(crate) async fn copy(connection: &mut PgConnection, stream: &str, rows: usize) {
    let start = "COPY raw_event (stream, version, slice, type, schema_version, min_reader,
                                 command_id, payload, metadata, occurred_at) FROM STDIN";
    let row = |n: usize| {
        let (version, payload) = (n + 1, payload(n));
        let id = CommandId::random();
        format!(
            "{stream}\t{version}\t7\taccount.deposited\t1\t1\t{id}\t{payload}\t{{\"actor\":\"bench\"}}\t2026-01-01\n"
        )
    };
    let text: String = (0..rows).map(row).collect();
    let mut copy = connection.copy_in_raw(start).await.expect("a copy");
    copy.send(text.into_bytes()).await.expect("its rows");
    copy.finish().await.expect("its end");
}
