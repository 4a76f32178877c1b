//! Reading the log and its streams.

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::{failed, limit as rows_limit, position, signed, unsigned};
use crate::error::{Error, Result};
use crate::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use crate::store::Outcome;

const DOING: &str = "reading events";

pub(super) const HEAD: &str = "SELECT coalesce(max(position), 0) FROM es_event";

pub(super) const PAGE: &str = "
    SELECT position, stream, version, type, schema_version, min_reader, command_id, payload,
           metadata, occurred_at
    FROM es_event WHERE position > ? ORDER BY position LIMIT ?";

pub(super) const STREAM: &str = "
    SELECT position, stream, version, type, schema_version, min_reader, command_id, payload,
           metadata, occurred_at
    FROM es_event WHERE stream = ? AND version > ? ORDER BY version LIMIT ?";

pub(super) const OUTCOME: &str = "
    SELECT first_position, count, version FROM es_command WHERE stream = ? AND command_id = ?";

pub(super) async fn head(readers: &SqlitePool) -> Result<Position> {
    let query = sqlx::query_scalar(HEAD);
    position(query.fetch_one(readers).await.map_err(failed(DOING))?)
}

pub(super) async fn page(
    readers: &SqlitePool,
    after: Position,
    limit: usize,
) -> Result<Vec<StoredEvent>> {
    let query = sqlx::query(PAGE)
        .bind(signed("position", after.get())?)
        .bind(rows_limit(limit));
    let rows = query.fetch_all(readers).await.map_err(failed(DOING))?;
    rows.iter().map(event_of).collect()
}

pub(super) async fn stream(
    readers: &SqlitePool,
    stream: &StreamId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>> {
    let query = sqlx::query(STREAM)
        .bind(stream.as_str())
        .bind(signed("version", after)?);
    let query = query.bind(rows_limit(limit));
    let rows = query.fetch_all(readers).await.map_err(failed(DOING))?;
    rows.iter().map(event_of).collect()
}

pub(super) async fn outcome(
    readers: &SqlitePool,
    stream: &StreamId,
    command: CommandId,
) -> Result<Option<Outcome>> {
    let id = command.as_u128().to_be_bytes();
    let query = sqlx::query(OUTCOME).bind(stream.as_str()).bind(&id[..]);
    let row = query.fetch_optional(readers).await.map_err(failed(DOING))?;
    row.map(|row| outcome_of(&row, 0)).transpose()
}

/// The outcome in three columns from `at` on.
pub(super) fn outcome_of(row: &SqliteRow, at: usize) -> Result<Outcome> {
    let get = |i| row.try_get::<i64, _>(at + i).map_err(failed(DOING));
    Ok(Outcome {
        first: position(get(0)?)?,
        count: unsigned("count", get(1)?)?,
        version: unsigned("version", get(2)?)?,
    })
}

pub(super) fn event_of(row: &SqliteRow) -> Result<StoredEvent> {
    let number = |column| row.try_get::<i64, _>(column).map_err(failed(DOING));
    let text = |column| row.try_get::<String, _>(column).map_err(failed(DOING));
    let command: Option<&[u8]> = row.try_get(6).map_err(failed(DOING))?;
    let command = command.map(<[u8; 16]>::try_from).transpose();
    let command = command.map_err(|error| Error::database(DOING, error))?;
    Ok(StoredEvent {
        position: position(number(0)?)?,
        stream: text(1)?.parse()?,
        version: unsigned("version", number(2)?)?,
        event_type: text(3)?,
        schema_version: unsigned("schema_version", number(4)?)?,
        min_reader: unsigned("min_reader", number(5)?)?,
        command_id: command.map(|id| CommandId::from_u128(u128::from_be_bytes(id))),
        payload: text(7)?,
        metadata: row.try_get(8).map_err(failed(DOING))?,
        time: Timestamp::from_micros(number(9)?),
    })
}
