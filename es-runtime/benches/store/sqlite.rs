//! SQLite, every commit on disk: many callers against one caller of a plain insert.

use std::time::Instant;

use es_runtime::event::StreamId;
use es_runtime::sqlite::sqlx;
use es_runtime::store::sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use crate::append::{self, payload};
use crate::measure::{Comparison, Round, together};
use crate::{Size, in_turn};

const TABLE: &str = "
    CREATE TABLE raw_event (position INTEGER PRIMARY KEY, stream TEXT NOT NULL,
        version INTEGER NOT NULL, type TEXT NOT NULL, payload TEXT NOT NULL, at INTEGER NOT NULL,
        UNIQUE (stream, version)) STRICT";

pub(crate) async fn append(callers: usize, size: Size) -> Comparison {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path().join("es.db"))
        .await
        .expect("the store");
    let raw = SqliteConnectOptions::new()
        .filename(folder.path().join("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    let mut raw = raw.connect().await.expect("a connection");
    sqlx::query(TABLE).execute(&mut raw).await.expect("a table");
    let round = std::cell::Cell::new(0);
    let next = || round.replace(round.get() + 1);
    let comparison = in_turn!(
        &format!("sqlite_append_{callers}"),
        size,
        together(callers, size.round, {
            let (store, round) = (store.clone(), next());
            move |caller| {
                let store = store.clone();
                move |n| {
                    let stream = StreamId::new("account", format!("{round}-{caller}-{n}"));
                    let append = append::append(&stream.expect("an id"), 0, 1);
                    let store = store.clone();
                    async move { append::write(&store, append).await }
                }
            }
        }),
        async {
            let (began, round) = (Instant::now(), next());
            let mut count = 0;
            while began.elapsed() < size.round {
                let insert = "INSERT INTO raw_event (stream, version, type, payload, at)
                              VALUES (?, 1, 'account.deposited', ?, 0)";
                let insert = sqlx::query(insert).bind(format!("{round}-{count}"));
                insert
                    .bind(payload(count))
                    .execute(&mut raw)
                    .await
                    .expect("an insert");
                count += 1;
            }
            Round::of(count, began.elapsed())
        }
    );
    raw.close().await.expect("a clean end");
    comparison
}
