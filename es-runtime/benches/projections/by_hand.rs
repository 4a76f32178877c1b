//! The rebuild as a good engineer writes it for this one read model: the log streamed on one
//! connection, the rows folded in memory, those that a batch changed written at once on another,
//! with the cursor. It keeps every row in memory, so that it never has to read one.

use std::collections::HashMap;
use std::time::Instant;

use es_runtime::postgres::{PgConnection, sqlx};
use futures_util::TryStreamExt;
use serde::Deserialize;
use sqlx::{Connection, Row as _};

use crate::database::{connect, execute};
use crate::measure::Round;

/// Events of one transaction, where it is fastest.
const BATCH: i64 = 50_000;

const TABLES: &str = r#"
    DROP TABLE IF EXISTS raw_balance, raw_cursor;
    CREATE TABLE raw_balance (
      key       text COLLATE "C" PRIMARY KEY,
      owner     text   NOT NULL,
      currency  text   NOT NULL,
      amount    bigint NOT NULL,
      movements bigint NOT NULL,
      changed   bigint NOT NULL
    );
    CREATE TABLE raw_cursor (position bigint NOT NULL);
    INSERT INTO raw_cursor VALUES (0)"#;

/// Where it is cheapest: when all rows are there.
const INDEX: &str = "CREATE INDEX raw_balance_owner ON raw_balance (owner)";

const EVENTS: &str = "SELECT position, stream, type, payload, occurred_at FROM es.event
                      WHERE position > $1 ORDER BY position";

const MOVE: &str = "UPDATE raw_cursor SET position = $2 WHERE position = $1";

const UPSERT: &str = "
    INSERT INTO raw_balance (key, owner, currency, amount, movements, changed)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[],
                         $6::bigint[])
    ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, currency = excluded.currency,
      amount = excluded.amount, movements = excluded.movements, changed = excluded.changed";

const DELETE: &str = "DELETE FROM raw_balance WHERE key = ANY ($1)";

#[derive(Deserialize)]
struct Opened {
    owner: String,
    currency: String,
}

#[derive(Deserialize)]
struct Moved {
    amount: i64,
}

#[derive(Deserialize)]
struct Renamed {
    owner: String,
}

struct Balance {
    owner: String,
    currency: String,
    amount: i64,
    movements: i64,
    changed: i64,
}

/// The rows, and which of them changed since they were written.
#[derive(Default)]
struct Rows {
    all: HashMap<String, Known>,
    changed: Vec<String>,
}

#[derive(Default)]
struct Known {
    row: Option<Balance>,
    changed: bool,
}

impl Rows {
    fn fold(&mut self, key: &str, kind: &str, payload: &str, time: i64) {
        let Known { row, changed } = self.all.entry(key.to_owned()).or_default();
        if !std::mem::replace(changed, true) {
            self.changed.push(key.to_owned());
        }
        let mut moved = |sign: i64| {
            let Moved { amount } = serde_json::from_str(payload).expect("a payload");
            if let Some(row) = row {
                row.amount += sign * amount;
                row.movements += 1;
                row.changed = time;
            }
        };
        match kind {
            "account.deposited" => moved(1),
            "account.withdrawn" => moved(-1),
            "account.opened" => {
                let Opened { owner, currency } = serde_json::from_str(payload).expect("a payload");
                *row = Some(Balance {
                    owner,
                    currency,
                    amount: 0,
                    movements: 0,
                    changed: time,
                });
            }
            "account.renamed" => {
                let Renamed { owner } = serde_json::from_str(payload).expect("a payload");
                if let Some(row) = row {
                    row.owner = owner;
                    row.changed = time;
                }
            }
            "account.closed" => *row = None,
            other => panic!("`{other}` is no event"),
        }
    }

    /// Writes what changed, and where that was.
    async fn write(&mut self, connection: &mut PgConnection, from: i64, to: i64) {
        let (mut keys, mut owners, mut currencies) = (Vec::new(), Vec::new(), Vec::new());
        let (mut amounts, mut movements, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let mut gone = Vec::new();
        // Neighbours in the index come one after the other.
        self.changed.sort_unstable();
        for key in &self.changed {
            let Some(row) = &self.all[key].row else {
                gone.push(key.as_str());
                continue;
            };
            keys.push(key.as_str());
            owners.push(row.owner.as_str());
            currencies.push(row.currency.as_str());
            amounts.push(row.amount);
            movements.push(row.movements);
            times.push(row.changed);
        }
        let mut tx = connection.begin().await.expect("a transaction");
        let moved = sqlx::query(MOVE).bind(from).bind(to).execute(&mut *tx);
        assert_eq!(moved.await.expect("a cursor").rows_affected(), 1);
        let upsert = sqlx::query(UPSERT).bind(keys).bind(owners).bind(currencies);
        let upsert = upsert.bind(amounts).bind(movements).bind(times);
        upsert.execute(&mut *tx).await.expect("rows");
        if !gone.is_empty() {
            let delete = sqlx::query(DELETE).bind(gone);
            delete.execute(&mut *tx).await.expect("no rows");
        }
        tx.commit().await.expect("a commit");
        for key in self.changed.drain(..) {
            self.all.entry(key).or_default().changed = false;
        }
    }
}

/// Builds the read model from the first event, into tables of its own.
pub(crate) async fn rebuild(url: &str, events: usize) -> Round {
    let (mut reader, mut writer) = (connect(url).await, connect(url).await);
    execute(&mut writer, TABLES).await;
    execute(&mut writer, "CHECKPOINT").await;
    let began = Instant::now();
    let mut rows = Rows::default();
    let (mut written, mut seen) = (0, 0);
    let mut log = sqlx::query(EVENTS).bind(written).fetch(&mut reader);
    while let Some(event) = log.try_next().await.expect("an event") {
        seen = event.get(0);
        let stream: &str = event.get(1);
        let (_, key) = stream.split_once('-').expect("a stream");
        // `json` is its own text, a moment a number of microseconds.
        let (payload, time): (&str, i64) = (event.get_unchecked(3), event.get_unchecked(4));
        rows.fold(key, event.get(2), payload, time + EPOCH);
        if seen - written == BATCH {
            rows.write(&mut writer, written, seen).await;
            written = seen;
        }
    }
    if seen > written {
        rows.write(&mut writer, written, seen).await;
    }
    execute(&mut writer, INDEX).await;
    let round = Round::of(events, began.elapsed());
    assert_eq!(usize::try_from(seen), Ok(events));
    round
}

/// From 1970 to 2000, where PostgreSQL's time begins.
const EPOCH: i64 = 946_684_800_000_000;
