//! The program that somebody would write for this one stream: the log is read, mapped in memory and
//! written with one insert for many events.

use std::collections::HashMap;
use std::time::Instant;

use es_runtime::event::Position;
use es_runtime::integration::{Salt, StreamHash};
use es_runtime::postgres::PgConnection;
use es_runtime::postgres::sqlx::encode::IsNull;
use es_runtime::postgres::sqlx::error::BoxDynError;
use es_runtime::postgres::sqlx::postgres::types::Oid;
use es_runtime::postgres::sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use es_runtime::postgres::sqlx::{self, Connection, Encode, Row, Type};
use es_runtime::prelude::{Deserialize, Serialize};
use futures_util::TryStreamExt;

use crate::database::{connect, execute};
use crate::measure::Round;

/// Events of one insert.
const BATCH: i64 = 10_000;

const TABLES: &str = "
    DROP TABLE IF EXISTS raw_published, raw_cursor;
    CREATE TABLE raw_published (LIKE es.published INCLUDING ALL);
    CREATE TABLE raw_cursor (position bigint NOT NULL);
    INSERT INTO raw_cursor VALUES (0)";

const EVENTS: &str = "SELECT position, stream, type, payload, occurred_at, command_id::text
                      FROM es.event WHERE position > $1 ORDER BY position";

const MOVE: &str = "UPDATE raw_cursor SET position = $2 WHERE position = $1";

const INSERT: &str = "
    INSERT INTO raw_published (stream, version, position, source, type, subject, payload, metadata,
                               occurred_at, recorded_at, salt, hash)
    SELECT 'accounts', 1, e.p, e.p, e.t, e.u, e.d::json, e.m::json, e.o, now(), e.x, e.h
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                $7::bytea[], $8::bytea[]) e(p, t, u, d, m, o, x, h)";

/// Microseconds since 2000, which are a `timestamptz` on the wire.
struct Moment(i64);

impl Type<sqlx::Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, sqlx::Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<sqlx::Postgres>::encode_by_ref(&self.0, buffer)
    }
}

#[derive(Deserialize)]
struct Opened {
    owner: String,
    currency: String,
}

#[derive(Deserialize)]
struct Moved {
    amount: i64,
    reference: String,
}

#[derive(Deserialize)]
struct Renamed {
    owner: String,
}

#[derive(Serialize)]
struct AccountOpened<'a> {
    account: &'a str,
    owner: String,
    currency: String,
}

#[derive(Serialize)]
struct BalanceChanged<'a> {
    account: &'a str,
    balance: i64,
    reference: String,
}

#[derive(Serialize)]
struct OwnerChanged<'a> {
    account: &'a str,
    owner: String,
}

#[derive(Serialize)]
struct AccountClosed<'a> {
    account: &'a str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    correlation: &'a str,
    causation: String,
}

/// What is made of the log, column by column.
#[derive(Default)]
struct Made {
    balances: HashMap<String, i64>,
    hash: StreamHash,
    positions: Vec<i64>,
    types: Vec<&'static str>,
    subjects: Vec<String>,
    payloads: Vec<String>,
    metadata: Vec<String>,
    times: Vec<Moment>,
    salts: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
}

impl Made {
    fn map(&mut self, account: &str, kind: &str, payload: &str) -> (&'static str, String) {
        let mut moved = |sign: i64| {
            let Moved { amount, reference } = serde_json::from_str(payload).expect("a payload");
            let balance = self.balances.get_mut(account).expect("an account");
            *balance += sign * amount;
            let balance = *balance;
            let changed = BalanceChanged {
                account,
                balance,
                reference,
            };
            ("bench.balance-changed.v1", json(&changed))
        };
        match kind {
            "account.deposited" => moved(1),
            "account.withdrawn" => moved(-1),
            "account.opened" => {
                let Opened { owner, currency } = serde_json::from_str(payload).expect("a payload");
                self.balances.insert(account.to_owned(), 0);
                let opened = AccountOpened {
                    account,
                    owner,
                    currency,
                };
                ("bench.account-opened.v1", json(&opened))
            }
            "account.renamed" => {
                let Renamed { owner } = serde_json::from_str(payload).expect("a payload");
                let changed = OwnerChanged { account, owner };
                ("bench.owner-changed.v1", json(&changed))
            }
            "account.closed" => ("bench.account-closed.v1", json(&AccountClosed { account })),
            other => panic!("`{other}` is no event"),
        }
    }

    fn add(
        &mut self,
        position: i64,
        stream: &str,
        kind: &str,
        payload: &str,
        time: i64,
        cause: &str,
    ) {
        let (_, account) = stream.split_once('-').expect("a stream");
        let (event_type, payload) = self.map(account, kind, payload);
        let place = Position::new(u64::try_from(position).expect("a position"));
        let salt = Salt::from_bytes(fastrand::u128(..).to_be_bytes());
        self.hash = self.hash.after(place, event_type, salt, &payload);
        let causation = position.to_string();
        let correlation = cause;
        self.positions.push(position);
        self.types.push(event_type);
        self.subjects.push(account.to_owned());
        self.payloads.push(payload);
        self.metadata.push(json(&Metadata {
            correlation,
            causation,
        }));
        self.times.push(Moment(time));
        self.salts.push(salt.as_bytes().to_vec());
        self.hashes.push(self.hash.as_bytes().to_vec());
    }

    /// Writes what was made, and where that was.
    async fn write(&mut self, connection: &mut PgConnection, from: i64, to: i64) {
        use std::mem::take;
        let mut tx = connection.begin().await.expect("a transaction");
        let moved = sqlx::query(MOVE).bind(from).bind(to).execute(&mut *tx);
        assert_eq!(moved.await.expect("a cursor").rows_affected(), 1);
        let insert = sqlx::query(INSERT)
            .bind(take(&mut self.positions))
            .bind(take(&mut self.types))
            .bind(take(&mut self.subjects))
            .bind(take(&mut self.payloads))
            .bind(take(&mut self.metadata))
            .bind(take(&mut self.times))
            .bind(take(&mut self.salts))
            .bind(take(&mut self.hashes));
        insert.execute(&mut *tx).await.expect("events");
        tx.commit().await.expect("a commit");
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

/// Builds the stream from the first event, into a table of its own.
pub(crate) async fn build(url: &str, events: usize) -> Round {
    let (mut reader, mut writer) = (connect(url).await, connect(url).await);
    execute(&mut writer, TABLES).await;
    execute(&mut writer, "CHECKPOINT").await;
    let began = Instant::now();
    let mut made = Made::default();
    let (mut written, mut seen) = (0, 0);
    let mut log = sqlx::query(EVENTS).bind(written).fetch(&mut reader);
    while let Some(event) = log.try_next().await.expect("an event") {
        seen = event.get(0);
        // `json` is its own text, a moment a number of microseconds.
        let (payload, time): (&str, i64) = (event.get_unchecked(3), event.get_unchecked(4));
        let (stream, kind, cause) = (event.get(1), event.get(2), event.get(5));
        made.add(seen, stream, kind, payload, time, cause);
        if seen - written == BATCH {
            made.write(&mut writer, written, seen).await;
            written = seen;
        }
    }
    if seen > written {
        made.write(&mut writer, written, seen).await;
    }
    let round = Round::of(events, began.elapsed());
    assert_eq!(usize::try_from(seen), Ok(events));
    round
}
