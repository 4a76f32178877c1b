//! Reading the log and its streams.

use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use uuid::Uuid;

use super::failed;
use super::types::{Moment, limit as rows_limit, number, position, signed, unsigned};
use crate::error::Result;
use crate::event::{CommandId, Position, StoredEvent, StreamId};
use crate::store::Outcome;

const DOING: &str = "reading events";

pub(super) const HEAD: &str = "SELECT coalesce(max(position), 0) FROM es.event";

pub(super) const PAGE: &str = "
    SELECT position, stream, version, type, schema_version, min_reader, command_id, payload,
           metadata, occurred_at
    FROM es.event WHERE position > $1 ORDER BY position LIMIT $2";

pub(super) const STREAM: &str = "
    SELECT position, stream, version, type, schema_version, min_reader, command_id, payload,
           metadata, occurred_at
    FROM es.event WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3";

pub(super) const OUTCOME: &str = "
    SELECT first_position, count, version FROM es.command WHERE stream = $1 AND command_id = $2";

pub(super) async fn head(pool: &PgPool) -> Result<Position> {
    position(
        sqlx::query_scalar(HEAD)
            .fetch_one(pool)
            .await
            .map_err(failed(DOING))?,
    )
}

pub(super) async fn page(pool: &PgPool, after: Position, limit: usize) -> Result<Vec<StoredEvent>> {
    let query = sqlx::query(PAGE)
        .bind(number(after)?)
        .bind(rows_limit(limit));
    let rows = query.fetch_all(pool).await.map_err(failed(DOING))?;
    rows.iter().map(event_of).collect()
}

pub(super) async fn stream(
    pool: &PgPool,
    stream: &StreamId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>> {
    let after: i64 = signed("version", after)?;
    let query = sqlx::query(STREAM)
        .bind(stream.as_str())
        .bind(after)
        .bind(rows_limit(limit));
    let rows = query.fetch_all(pool).await.map_err(failed(DOING))?;
    rows.iter().map(event_of).collect()
}

pub(super) async fn outcome(
    pool: &PgPool,
    stream: &StreamId,
    command: CommandId,
) -> Result<Option<Outcome>> {
    let id = Uuid::from_u128(command.as_u128());
    let query = sqlx::query(OUTCOME).bind(stream.as_str()).bind(id);
    let row = query.fetch_optional(pool).await.map_err(failed(DOING))?;
    let outcome = |row: PgRow| {
        let (first, count): (i64, i32) = (get(&row, 0)?, get(&row, 1)?);
        let version = unsigned("version", get::<i64>(&row, 2)?)?;
        Ok(Outcome {
            first: position(first)?,
            count: unsigned("count", count)?,
            version,
        })
    };
    row.map(outcome).transpose()
}

fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(failed(DOING))
}

pub(super) fn event_of(row: &PgRow) -> Result<StoredEvent> {
    let command: Option<Uuid> = get(row, 6)?;
    // `json` is its own text.
    let payload = row.try_get_unchecked(7).map_err(failed(DOING))?;
    let metadata = row.try_get_unchecked(8).map_err(failed(DOING))?;
    Ok(StoredEvent {
        position: position(get(row, 0)?)?,
        stream: get::<&str>(row, 1)?.parse()?,
        version: unsigned("version", get::<i64>(row, 2)?)?,
        event_type: get(row, 3)?,
        schema_version: unsigned("schema_version", get::<i32>(row, 4)?)?,
        min_reader: unsigned("min_reader", get::<i32>(row, 5)?)?,
        command_id: command.map(|id| CommandId::from_u128(id.as_u128())),
        payload,
        metadata,
        time: get::<Moment>(row, 9)?.0,
    })
}
