//! Reading back: the log as typed events, and one long stream.

use std::time::Instant;

use es_runtime::Service;
use es_runtime::event::StreamId;
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::prelude::*;
use es_runtime::store::{EventStore, LogQuery, Replay, Store};
use es_servers::Postgres;
use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection, Row};

use crate::account::{Account, AccountEvent};
use crate::append::append;
use crate::measure::{Comparison, Round};
use crate::{Size, in_turn};

/// Events of a page of a replay.
const PAGE: usize = 5000;

#[derive(Deserialize)]
struct Payload {
    amount: i64,
    currency: String,
    reference: String,
}

/// A log of this many events in streams of `length`.
async fn filled(server: &Postgres, events: usize, length: usize) -> (String, PostgresStore) {
    let url = server.database();
    let store = PostgresStore::connect(&url).await.expect("the store");
    for stream in 0..events / length {
        let stream = StreamId::new("account", stream).expect("an id");
        let batch = length.min(1000);
        for n in 0..length / batch {
            let append = append(&stream, (n * batch) as u64, batch);
            store.append(append).await.expect("an append");
        }
    }
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    sqlx::raw_sql("ANALYZE")
        .execute(&mut connection)
        .await
        .expect("statistics");
    (url, store)
}

/// The whole log, decoded, in order.
pub(crate) async fn replay(server: &Postgres, size: Size) -> Comparison {
    let (url, store) = filled(server, size.events, 100).await;
    let mut raw = PgConnection::connect(&url).await.expect("a connection");
    in_turn!(
        "replay",
        size,
        async {
            let began = Instant::now();
            let query = LogQuery::after(Position::START).limit(PAGE);
            let mut events = Replay::<_, AccountEvent>::new(store.clone(), query);
            let mut seen = 0;
            while let Some(event) = events.next().await.expect("an event") {
                std::hint::black_box(&event.data);
                seen += 1;
            }
            assert_eq!(seen, size.events);
            Round::of(seen, began.elapsed())
        },
        async {
            let began = Instant::now();
            let select = "SELECT position, stream, version, type, schema_version, min_reader,
                                 command_id, payload::text, metadata::text, occurred_at::text
                          FROM es.event ORDER BY position";
            let mut rows = sqlx::query(select).fetch(&mut raw);
            let mut seen = 0;
            while let Some(row) = rows.try_next().await.expect("a row") {
                let payload: &str = row.get(7);
                let payload: Payload = serde_json::from_str(payload).expect("a payload");
                std::hint::black_box((payload.amount, payload.currency, payload.reference));
                seen += 1;
            }
            assert_eq!(seen, size.events);
            Round::of(seen, began.elapsed())
        }
    )
}

/// One stream of 10,000 events, loaded.
pub(crate) async fn load(server: &Postgres, size: Size) -> Comparison {
    const EVENTS: usize = 10_000;
    let (url, _store) = filled(server, EVENTS, EVENTS).await;
    let store = Store::connect(&url).await.expect("the store");
    let bank = Service::builder("bench")
        .store(store)
        .aggregate::<Account>();
    let bank = bank.start().await.expect("the service");
    let mut raw = PgConnection::connect(&url).await.expect("a connection");
    in_turn!(
        "load_10k",
        size,
        async {
            let began = Instant::now();
            let loaded = bank.load::<Account>("0").await.expect("the account");
            assert_eq!(loaded.version(), EVENTS as u64);
            std::hint::black_box(loaded.state().balance);
            Round::of(EVENTS, began.elapsed())
        },
        async {
            let began = Instant::now();
            let select = "SELECT version, payload::text FROM es.event
                          WHERE stream = 'account-0' ORDER BY version";
            let rows = sqlx::query(select).fetch_all(&mut raw).await.expect("rows");
            let mut balance = 0;
            for row in &rows {
                let payload: &str = row.get(1);
                balance += serde_json::from_str::<Payload>(payload)
                    .expect("a payload")
                    .amount;
            }
            std::hint::black_box(balance);
            Round::of(rows.len(), began.elapsed())
        }
    )
}
