//! The cursors of relays.

use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};

use super::{failed, position, signed, unsigned};
use crate::error::Result;
use crate::event::{Clock, SystemClock, Timestamp};
use crate::store::sql::move_relay;
use crate::store::{Advanced, Noted, RelayClaim, RelayId, RelayMove, RelayState, StreamVersion};

type Tx = Transaction<'static, Sqlite>;

const READING: &str = "reading the relays";
const WRITING: &str = "writing a relay's state";

const CLAIM: &str = "
    INSERT INTO es_relay (transport, stream, version, epoch, owner, owned_until)
    VALUES ($1, $2, $3, 1, $4, $5 + $6)
    ON CONFLICT (transport, stream, version) DO UPDATE
      SET owner = excluded.owner, owned_until = excluded.owned_until,
          epoch = epoch + (owner IS NOT excluded.owner)
      WHERE owner IS NULL OR owner = excluded.owner OR owned_until <= $5";

pub(super) const ONE: &str = "
    SELECT transport, stream, version, position, epoch,
           CASE WHEN owned_until > $4 THEN owner END, failure, failed_at
    FROM es_relay WHERE transport = $1 AND stream = $2 AND version = $3";

const ALL: &str = "
    SELECT transport, stream, version, position, epoch,
           CASE WHEN owned_until > $1 THEN owner END, failure, failed_at
    FROM es_relay ORDER BY transport, stream, version";

/// The machine's clock, which all processes on the file have in common.
fn now() -> i64 {
    SystemClock.now().as_micros()
}

fn micros(time: Duration) -> i64 {
    // Far beyond any clock, and still a sum that fits.
    i64::try_from(time.as_micros())
        .unwrap_or(i64::MAX)
        .min(i64::MAX / 4)
}

/// A statement about one relay, whose name comes first.
fn about<'q>(statement: &'static str, relay: &'q RelayId) -> Query<'q, Sqlite, SqliteArguments> {
    let query = sqlx::query(statement).bind(&relay.transport);
    query.bind(&relay.stream.stream).bind(relay.stream.version)
}

fn get<'r, T>(row: &'r SqliteRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(failed(READING))
}

fn state_of(row: &SqliteRow) -> Result<RelayState> {
    let (reason, at): (Option<String>, Option<i64>) = (get(row, 6)?, get(row, 7)?);
    let noted = |(reason, at)| Noted {
        reason,
        at: Timestamp::from_micros(at),
    };
    Ok(RelayState {
        relay: RelayId {
            transport: get(row, 0)?,
            stream: StreamVersion {
                stream: get(row, 1)?,
                version: unsigned("version", get(row, 2)?)?,
            },
        },
        position: position(get(row, 3)?)?,
        epoch: unsigned("epoch", get(row, 4)?)?,
        owner: get(row, 5)?,
        failure: reason.zip(at).map(noted),
    })
}

pub(super) async fn claim(tx: &mut Tx, claim: &RelayClaim) -> Result<RelayState> {
    let take = about(CLAIM, &claim.relay)
        .bind(&claim.owner)
        .bind(now())
        .bind(micros(claim.lease));
    take.execute(&mut **tx).await.map_err(failed(WRITING))?;
    let one = about(ONE, &claim.relay).bind(now());
    let row = one.fetch_one(&mut **tx).await.map_err(failed(READING))?;
    state_of(&row)
}

pub(super) async fn advance(tx: &mut Tx, step: &RelayMove) -> Result<Advanced> {
    let RelayId { transport, stream } = &step.relay;
    let update = sqlx::query(AssertSqlSafe(move_relay("es_relay")))
        .bind(transport)
        .bind(&stream.stream)
        .bind(stream.version)
        .bind(signed("position", step.from.get())?)
        .bind(signed("epoch", step.epoch)?)
        .bind(signed("position", step.to.get())?);
    let moved = update.execute(&mut **tx).await;
    let moved = moved.map_err(failed("moving a relay's cursor"))?;
    Ok(match moved.rows_affected() {
        0 => Advanced::Fenced,
        _ => Advanced::Moved,
    })
}

pub(super) async fn note_failure(
    tx: &mut Tx,
    relay: &RelayId,
    epoch: u64,
    reason: &str,
) -> Result<()> {
    let note = "UPDATE es_relay SET failure = $5, failed_at = $6
                WHERE transport = $1 AND stream = $2 AND version = $3 AND epoch = $4";
    let note = about(note, relay).bind(signed("epoch", epoch)?);
    let noted = note.bind(reason).bind(now()).execute(&mut **tx).await;
    noted.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, owner: &str) -> Result<()> {
    let release = "UPDATE es_relay SET owner = NULL, owned_until = NULL WHERE owner = $1";
    let released = sqlx::query(release).bind(owner).execute(&mut **tx).await;
    released.map_err(failed(WRITING))?;
    Ok(())
}

pub(super) async fn all(readers: &SqlitePool) -> Result<Vec<RelayState>> {
    let rows = sqlx::query(ALL).bind(now()).fetch_all(readers).await;
    rows.map_err(failed(READING))?
        .iter()
        .map(state_of)
        .collect()
}
