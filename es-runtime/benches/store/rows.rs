//! What is written: the same events, by our store and by hand.

use std::fmt::Write as _;

use es_runtime::event::{CommandId, StreamId, Timestamp};
use es_runtime::postgres::{PgConnection, sqlx};
use es_runtime::store::{Append, Appended, EventStore, NewEvent};

pub(crate) use crate::support::database::{Json, connect, copy, execute};

pub(crate) const METADATA: &str = r#"{"actor":"bench"}"#;

/// About 200 bytes.
pub(crate) fn payload(n: usize) -> String {
    let text = "a payment for something that was bought in a shop around the corner, \
                with a reference that somebody typed in and nobody will ever read again";
    format!(r#"{{"amount":{n},"currency":"DKK","reference":"{text}"}}"#)
}

fn event(payload: String) -> NewEvent {
    NewEvent {
        event_type: "account.deposited",
        schema_version: 1,
        min_reader: 1,
        payload,
    }
}

pub(crate) fn account(id: &str) -> StreamId {
    StreamId::new("account", id).expect("an id")
}

pub(crate) fn append(stream: &StreamId, expected: u64, events: usize) -> Append {
    append_of(stream, expected, (0..events).map(payload))
}

pub(crate) fn append_of(
    stream: &StreamId,
    expected: u64,
    payloads: impl IntoIterator<Item = String>,
) -> Append {
    Append {
        stream: stream.clone(),
        expected,
        command_id: CommandId::random(),
        repeatable: false,
        events: payloads.into_iter().map(event).collect(),
        metadata: Some(METADATA.to_owned()),
        correlation: None,
        time: Timestamp::from_micros(1_700_000_000_000_000),
        known_instances: None,
    }
}

/// An append that must be new.
pub(crate) async fn write(store: &impl EventStore, append: Append) {
    let appended = store.append(append).await.expect("an append");
    assert!(matches!(appended, Appended::New(_)));
}

/// The columns of the event table, with a sequence for the positions.
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
    VALUES ($1, $2, $3, $4, $5, $6, gen_random_uuid(), $7, $8, now())";

pub(crate) async fn raw_insert(
    connection: &mut PgConnection,
    stream: &str,
    version: i64,
    payload: &str,
) {
    let insert = sqlx::query(RAW_INSERT)
        .bind(stream)
        .bind(version)
        .bind(7_i16)
        .bind("account.deposited")
        .bind(1)
        .bind(1)
        .bind(Json(payload))
        .bind(Json(METADATA));
    insert.execute(connection).await.expect("a raw insert");
}

pub(crate) const RAW_COPY: &str = "
    COPY raw_event (stream, version, slice, type, schema_version, min_reader, command_id, payload,
                    metadata, occurred_at) FROM STDIN";

/// A stream of so many events, as `COPY` reads it.
pub(crate) fn copy_text(text: &mut String, stream: &str, events: usize) {
    for n in 0..events {
        let (version, id, payload) = (n + 1, CommandId::random(), payload(n));
        writeln!(
            text,
            "{stream}\t{version}\t7\taccount.deposited\t1\t1\t{id}\t{payload}\t{METADATA}\t2026-01-01"
        )
        .expect("memory");
    }
}
