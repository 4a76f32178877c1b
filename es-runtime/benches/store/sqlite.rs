//! SQLite, every commit on disk, against programs with `rusqlite`, which is nearer to SQLite than
//! anything that awaits.

use std::path::Path;
use std::time::{Duration, Instant};

use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{EventStore, Store};
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::Size;
use crate::measure::{Comparison, Round, Work, in_turn, together};
use crate::read::{Payload, fill, typed};
use crate::rows::{METADATA, account, append, payload, write};

/// Events of a page of a replay.
const PAGE: usize = 5000;

/// The columns and settings of our own.
const TABLE: &str = "
    PRAGMA page_size = 2048;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA wal_autocheckpoint = 16000;
    CREATE TABLE raw_event (
      position       INTEGER PRIMARY KEY,
      stream         TEXT    NOT NULL,
      version        INTEGER NOT NULL,
      slice          INTEGER NOT NULL,
      type           TEXT    NOT NULL,
      schema_version INTEGER NOT NULL,
      min_reader     INTEGER NOT NULL,
      command_id     BLOB,
      payload        TEXT    NOT NULL,
      metadata       TEXT,
      occurred_at    INTEGER NOT NULL,
      UNIQUE (stream, version)
    ) STRICT";

const INSERT: &str = "
    INSERT INTO raw_event (stream, version, slice, type, schema_version, min_reader, command_id,
                           payload, metadata, occurred_at)
    VALUES (?, ?, 7, 'account.deposited', 1, 1, randomblob(16), ?, ?, 1700000000000000)";

struct Ours {
    store: SqliteStore,
    caller: usize,
    round: usize,
}

impl Work for Ours {
    async fn once(&mut self, n: usize) {
        let stream = account(&format!("{}-{}-{}", self.round, self.caller, n / 10));
        write(&self.store, append(&stream, n as u64 % 10, 1)).await;
    }
}

/// Many callers, against one caller of a plain insert for each transaction.
pub(crate) async fn appends(name: &str, callers: usize, size: Size) -> Comparison {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path().join("es.db"));
    let store = store.await.expect("the store");
    let mut raw = Connection::open(folder.path().join("raw.db")).expect("a database");
    raw.execute_batch(TABLE).expect("a table");
    let mut rounds = 0..;
    let mut next = || rounds.next().expect("a number");
    let comparison = in_turn!(
        name,
        size,
        async {
            let round = next();
            let ours = |caller| Ours {
                store: store.clone(),
                caller,
                round,
            };
            together(&mut (0..callers).map(ours).collect(), size.round).await
        },
        async {
            let round = next();
            let raw = &mut raw;
            block_in_place(|| inserts(raw, round, size.round))
        }
    );
    store.close().await;
    comparison
}

fn inserts(raw: &mut Connection, round: usize, time: Duration) -> Round {
    let mut insert = raw.prepare(INSERT).expect("a statement");
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let (asked, n) = (Instant::now(), latencies.len());
        let stream = format!("account-{round}-{}", n / 10);
        let version = i64::try_from(n % 10 + 1).expect("a version");
        let insert = insert.execute(params![stream, version, payload(n), METADATA]);
        insert.expect("an insert");
        latencies.push(asked.elapsed());
    }
    Round::timed(latencies, began.elapsed())
}

/// The whole log, decoded, in order.
pub(crate) async fn replay(name: &str, size: Size) -> Comparison {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("es.db");
    let store = SqliteStore::open(&file).await.expect("the store");
    let store = Store::Sqlite(store);
    fill(&store, size.events, 100).await;
    let ours = || typed(&store, size.events, PAGE);
    let comparison = in_turn!(name, size, ours(), async {
        block_in_place(|| bare_replay(&file, size.events))
    });
    store.close().await;
    comparison
}

fn bare_replay(file: &Path, events: usize) -> Round {
    let raw = Connection::open(file).expect("the database");
    raw.execute_batch("PRAGMA cache_size = -65536")
        .expect("a setting");
    let began = Instant::now();
    let select = "SELECT position, stream, version, type, schema_version, min_reader, command_id,
                         payload, metadata, occurred_at
                  FROM es_event ORDER BY position";
    let mut select = raw.prepare(select).expect("a statement");
    let mut rows = select.query([]).expect("rows");
    let mut seen = 0;
    while let Some(row) = rows.next().expect("a row") {
        let payload = row.get_ref(7).expect("a column");
        let payload = payload.as_str().expect("a text");
        let payload: Payload = serde_json::from_str(payload).expect("a payload");
        payload.used();
        seen += 1;
    }
    assert_eq!(seen, events);
    Round::of(seen, began.elapsed())
}
