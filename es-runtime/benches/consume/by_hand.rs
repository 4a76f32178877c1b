//! The program that somebody would write for this one stream: each page is one transaction.

use std::time::Instant;

use es_runtime::postgres::sqlx::{self, Connection};
use es_runtime::prelude::Deserialize;

use crate::database::{connect, execute};
use crate::measure::Round;
use crate::ours::UPSERT;

/// What it needs of an envelope.
#[derive(Deserialize)]
struct Envelope<'a> {
    sequence: &'a str,
    data: Changed<'a>,
}

#[derive(Deserialize)]
struct Changed<'a> {
    account: &'a str,
    balance: i64,
    #[allow(dead_code)]
    reference: &'a str,
}

const MOVE: &str = "UPDATE raw_cursor SET position = $2 WHERE position = $1";

pub(crate) async fn in_postgres(url: &str, pages: &[Vec<u8>], events: usize) -> Round {
    let mut database = connect(url).await;
    execute(
        &mut database,
        "DROP TABLE IF EXISTS raw_cursor;
         CREATE TABLE raw_cursor (position bigint NOT NULL) WITH (fillfactor = 20);
         INSERT INTO raw_cursor VALUES (0)",
    )
    .await;
    let began = Instant::now();
    let mut cursor: i64 = 0;
    for page in pages {
        let page: Vec<Envelope<'_>> = serde_json::from_slice(page).expect("a page");
        let mut tx = database.begin().await.expect("a transaction");
        let mut to = cursor;
        for event in &page {
            to = event.sequence.parse().expect("a position");
            let upsert = sqlx::query(UPSERT);
            let upsert = upsert.bind(event.data.account).bind(event.data.balance);
            upsert.execute(&mut *tx).await.expect("a row");
        }
        let moved = sqlx::query(MOVE).bind(cursor).bind(to);
        let moved = moved.execute(&mut *tx).await.expect("a cursor");
        assert_eq!(moved.rows_affected(), 1);
        tx.commit().await.expect("a commit");
        cursor = to;
    }
    assert_eq!(usize::try_from(cursor), Ok(events));
    Round::of(events, began.elapsed())
}

pub(crate) async fn in_sqlite(url: &str, pages: &[Vec<u8>], events: usize) -> Round {
    let mut database = sqlx::SqliteConnection::connect(url).await.expect("a file");
    let settings =
        "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                    PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 16000; DROP TABLE IF EXISTS raw_cursor;
                    CREATE TABLE raw_cursor (position INTEGER NOT NULL);
                    INSERT INTO raw_cursor VALUES (0)";
    let settings = sqlx::raw_sql(settings).execute(&mut database);
    settings.await.expect("its settings");
    let began = Instant::now();
    let mut cursor: i64 = 0;
    for page in pages {
        let page: Vec<Envelope<'_>> = serde_json::from_slice(page).expect("a page");
        let mut tx = database
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("a transaction");
        let mut to = cursor;
        for event in &page {
            to = event.sequence.parse().expect("a position");
            let upsert = sqlx::query(UPSERT);
            let upsert = upsert.bind(event.data.account).bind(event.data.balance);
            upsert.execute(&mut *tx).await.expect("a row");
        }
        let moved = sqlx::query(MOVE).bind(cursor).bind(to);
        let moved = moved.execute(&mut *tx).await.expect("a cursor");
        assert_eq!(moved.rows_affected(), 1);
        tx.commit().await.expect("a commit");
        cursor = to;
    }
    assert_eq!(usize::try_from(cursor), Ok(events));
    Round::of(events, began.elapsed())
}
