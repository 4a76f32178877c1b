//! Parked keys: set aside with the cursor that passes them, and tried again behind its fence.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite, Transaction};

use super::{failed, limit as rows_limit, position, signed, unsigned};
use crate::error::Result;
use crate::event::{Clock, Position, SystemClock, Timestamp};
use crate::store::sql::kind;
use crate::store::{ParkedChange, ParkedKey, ProjectionId, StillParked};

type Tx = Transaction<'static, Sqlite>;

const READING: &str = "reading parked keys";
const WRITING: &str = "writing parked keys";

/// A statement about a version: kind, name and version come first.
fn about<'q>(
    statement: &'static str,
    projection: &'q ProjectionId,
) -> Query<'q, Sqlite, SqliteArguments> {
    let query = sqlx::query(statement).bind(kind(projection));
    query.bind(&projection.name).bind(projection.version)
}

async fn run(tx: &mut Tx, query: Query<'_, Sqlite, SqliteArguments>) -> Result<u64> {
    let done = query.execute(&mut **tx).await.map_err(failed(WRITING))?;
    Ok(done.rows_affected())
}

fn number(position: Position) -> Result<i64> {
    signed("position", position.get())
}

/// Writes what changed; `false` if a key is not what the writer believes: then nothing of the
/// transaction counts.
pub(super) async fn write(
    tx: &mut Tx,
    id: &ProjectionId,
    changes: &[ParkedChange],
) -> Result<bool> {
    for change in changes {
        if !write_one(tx, id, change).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn write_one(tx: &mut Tx, id: &ProjectionId, change: &ParkedChange) -> Result<bool> {
    const PARK: &str = "
        INSERT INTO es_parked (kind, name, version, key, position, reason, attempts, waiting, since)
        VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8) ON CONFLICT DO NOTHING";
    const WAIT: &str = "UPDATE es_parked SET waiting = waiting + $5
                        WHERE kind = $1 AND name = $2 AND version = $3 AND key = $4";
    const GO_ON: &str = "DELETE FROM es_parked WHERE kind = $1 AND name = $2 AND version = $3
                         AND key = $4 AND position = $5";
    const STILL: &str = "
        UPDATE es_parked SET position = $6, waiting = waiting - $7, requested = $8 IS NULL,
               reason = coalesce($8, reason), attempts = attempts + ($8 IS NOT NULL)
        WHERE kind = $1 AND name = $2 AND version = $3 AND key = $4 AND position = $5";
    match change {
        ParkedChange::Park {
            key,
            events,
            reason,
        } => {
            let first = events.first().copied().unwrap_or_default();
            let park = about(PARK, id).bind(key).bind(number(first)?);
            let park = park.bind(reason).bind(count(events)?);
            let park = park.bind(SystemClock.now().as_micros());
            Ok(run(tx, park).await? == 1 && enqueue(tx, id, key, events).await?)
        }
        ParkedChange::Wait { key, events } => {
            let wait = about(WAIT, id).bind(key).bind(count(events)?);
            Ok(run(tx, wait).await? == 1 && enqueue(tx, id, key, events).await?)
        }
        ParkedChange::Retried { key, from, left } => {
            let done = dequeue(tx, id, key, left.as_ref()).await?;
            let retried = match left {
                None => about(GO_ON, id).bind(key).bind(number(*from)?),
                Some(StillParked { position, reason }) => about(STILL, id)
                    .bind(key)
                    .bind(number(*from)?)
                    .bind(number(*position)?)
                    .bind(signed("events", done)?)
                    .bind(reason),
            };
            Ok(run(tx, retried).await? == 1)
        }
    }
}

fn count(events: &[Position]) -> Result<i64> {
    signed("events", events.len() as u64)
}

async fn enqueue(tx: &mut Tx, id: &ProjectionId, key: &str, events: &[Position]) -> Result<bool> {
    const ENQUEUE: &str = "INSERT INTO es_parked_event (kind, name, version, key, position)
                           SELECT $1, $2, $3, $4, value FROM json_each($5)";
    let events: Vec<_> = events.iter().map(|position| position.get()).collect();
    let events = serde_json::json!(events).to_string();
    run(tx, about(ENQUEUE, id).bind(key).bind(events)).await?;
    Ok(true)
}

/// Takes out of the queue what does not wait any more.
async fn dequeue(
    tx: &mut Tx,
    id: &ProjectionId,
    key: &str,
    left: Option<&StillParked>,
) -> Result<u64> {
    const DEQUEUE: &str = "DELETE FROM es_parked_event WHERE kind = $1 AND name = $2
                           AND version = $3 AND key = $4 AND position < $5";
    let before = left.map_or(Ok(i64::MAX), |left| number(left.position))?;
    run(tx, about(DEQUEUE, id).bind(key).bind(before)).await
}

pub(super) const LIST: &str = "
    SELECT key, position, reason, attempts, since, waiting, requested FROM es_parked
    WHERE kind = $1 AND name = $2 AND version = $3 ORDER BY key LIMIT $4";

pub(super) const LIST_AFTER: &str = "
    SELECT key, position, reason, attempts, since, waiting, requested FROM es_parked
    WHERE kind = $1 AND name = $2 AND version = $3 AND key > $5 ORDER BY key LIMIT $4";

pub(super) async fn list(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ParkedKey>> {
    let limit = rows_limit(limit);
    let query = match after {
        None => about(LIST, id).bind(limit),
        Some(after) => about(LIST_AFTER, id).bind(limit).bind(after),
    };
    let rows = query.fetch_all(connection).await.map_err(failed(READING))?;
    rows.iter().map(key_of).collect()
}

fn get<'r, T>(row: &'r SqliteRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(failed(READING))
}

fn key_of(row: &SqliteRow) -> Result<ParkedKey> {
    Ok(ParkedKey {
        key: get(row, 0)?,
        position: position(get(row, 1)?)?,
        reason: get(row, 2)?,
        attempts: unsigned("attempts", get::<i64>(row, 3)?)?,
        since: Timestamp::from_micros(get(row, 4)?),
        waiting: unsigned("waiting", get::<i64>(row, 5)?)?,
        requested: get(row, 6)?,
    })
}

pub(super) const EVENTS: &str = "
    SELECT position FROM es_parked_event
    WHERE kind = $1 AND name = $2 AND version = $3 AND key = $4 ORDER BY position LIMIT $5";

/// The first events that wait for a key.
pub(super) async fn events(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
    key: &str,
    limit: usize,
) -> Result<Vec<Position>> {
    let events = about(EVENTS, id).bind(key).bind(rows_limit(limit));
    let rows = events.fetch_all(connection).await;
    let event = |row: &SqliteRow| position(get(row, 0)?);
    rows.map_err(failed(READING))?.iter().map(event).collect()
}

/// Asks for another try of a key, or of all, and answers how many there are.
pub(super) async fn request(tx: &mut Tx, id: &ProjectionId, key: Option<&str>) -> Result<u64> {
    const REQUEST: &str = "UPDATE es_parked SET requested = true WHERE kind = $1 AND name = $2
                           AND version = $3 AND ($4 IS NULL OR key = $4)";
    run(tx, about(REQUEST, id).bind(key)).await
}

/// Gives up what waits for a key, and answers what that was.
pub(super) async fn give_up(
    tx: &mut Tx,
    id: &ProjectionId,
    key: &str,
) -> Result<Option<ParkedKey>> {
    const GIVE_UP: &str = "
        DELETE FROM es_parked WHERE kind = $1 AND name = $2 AND version = $3 AND key = $4
        RETURNING key, position, reason, attempts, since, waiting, requested";
    dequeue(tx, id, key, None).await?;
    let given_up = about(GIVE_UP, id).bind(key);
    let row = given_up.fetch_optional(&mut **tx).await;
    row.map_err(failed(WRITING))?
        .as_ref()
        .map(key_of)
        .transpose()
}

/// Forgets all parked keys: the version begins anew, or is over.
pub(super) async fn clear(tx: &mut Tx, id: &ProjectionId) -> Result<()> {
    let events = "DELETE FROM es_parked_event WHERE kind = $1 AND name = $2 AND version = $3";
    let keys = "DELETE FROM es_parked WHERE kind = $1 AND name = $2 AND version = $3";
    for statement in [events, keys] {
        run(tx, about(statement, id)).await?;
    }
    Ok(())
}
