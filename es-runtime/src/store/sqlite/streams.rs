//! Integration streams, and the inboxes of consumers.

use serde::Serialize;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::{failed, limit as rows_limit, position, signed};
use crate::error::{Error, Result};
use crate::event::{Position, Timestamp};
use crate::store::{Advanced, InboxId, PublishedEvent, StreamCursor, StreamVersion};

const INSERT: &str = "
    INSERT INTO es_published (stream, version, position, source, type, subject, payload, metadata,
                              occurred_at, recorded_at, salt, hash)
    SELECT ?1, ?2, e.value->>0, e.value->>1, e.value->>2, e.value->>3, e.value->>4, e.value->>5,
           e.value->>6, e.value->>7, unhex(e.value->>8), unhex(e.value->>9)
    FROM json_each(?3) e";

pub(super) async fn write(
    tx: &mut Transaction<'static, Sqlite>,
    stream: &StreamVersion,
    events: &[PublishedEvent],
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    const DOING: &str = "writing integration events";
    let rows: Vec<_> = events.iter().map(row_of).collect();
    let rows = serde_json::to_string(&rows).map_err(|error| Error::database(DOING, error))?;
    let query = sqlx::query(INSERT)
        .bind(&stream.stream)
        .bind(stream.version);
    let query = query.bind(rows);
    query.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(())
}

/// The columns of an event, as [`INSERT`] takes them.
fn row_of(event: &PublishedEvent) -> impl Serialize {
    let PublishedEvent {
        position,
        source,
        event_type,
        subject,
        payload,
        metadata,
        time,
        recorded,
        salt,
        hash,
    } = event;
    let (time, recorded) = (time.as_micros(), recorded.as_micros());
    let (salt, hash) = (hex::encode(salt), hex::encode(hash));
    (
        position, source, event_type, subject, payload, metadata, time, recorded, salt, hash,
    )
}

pub(super) const PAGE: &str = "
    SELECT position, source, type, subject, payload, metadata, occurred_at, recorded_at, salt, hash
    FROM es_published WHERE stream = ?1 AND version = ?2 AND position > ?3
    ORDER BY position LIMIT ?4";

pub(super) const HEAD: &str = "
    SELECT position, hash FROM es_published WHERE stream = ? AND version = ?
    ORDER BY position DESC LIMIT 1";

pub(super) const INBOX: &str = "
    SELECT position, hash FROM es_inbox WHERE consumer = ? AND stream = ? AND version = ?";

/// Positions are dense, so a page is a range: its cost does not depend on statistics.
pub(super) async fn page(
    readers: &SqlitePool,
    stream: &StreamVersion,
    after: Position,
    limit: usize,
) -> Result<Vec<PublishedEvent>> {
    let query = sqlx::query(PAGE).bind(&stream.stream).bind(stream.version);
    let query = query
        .bind(signed("position", after.get())?)
        .bind(rows_limit(limit));
    let rows = query
        .fetch_all(readers)
        .await
        .map_err(failed("reading integration events"))?;
    rows.iter().map(event_of).collect()
}

fn event_of(row: &SqliteRow) -> Result<PublishedEvent> {
    const DOING: &str = "reading an integration event";
    let number = |column| row.try_get::<i64, _>(column).map_err(failed(DOING));
    let text = |column| row.try_get::<String, _>(column).map_err(failed(DOING));
    Ok(PublishedEvent {
        position: position(number(0)?)?,
        source: position(number(1)?)?,
        event_type: text(2)?,
        subject: text(3)?,
        payload: text(4)?,
        metadata: row.try_get(5).map_err(failed(DOING))?,
        time: Timestamp::from_micros(number(6)?),
        recorded: Timestamp::from_micros(number(7)?),
        salt: bytes(row, 8)?,
        hash: bytes(row, 9)?,
    })
}

fn bytes<const N: usize>(row: &SqliteRow, column: usize) -> Result<[u8; N]> {
    const DOING: &str = "reading a hash or salt";
    let bytes: &[u8] = row.try_get(column).map_err(failed(DOING))?;
    bytes
        .try_into()
        .map_err(|error| Error::database(DOING, error))
}

pub(super) async fn head(readers: &SqlitePool, stream: &StreamVersion) -> Result<StreamCursor> {
    let query = sqlx::query(HEAD).bind(&stream.stream).bind(stream.version);
    let row = query
        .fetch_optional(readers)
        .await
        .map_err(failed("reading a stream's head"))?;
    row.map_or_else(|| Ok(StreamCursor::default()), |row| cursor_of(&row))
}

fn cursor_of(row: &SqliteRow) -> Result<StreamCursor> {
    let stored = row.try_get(0).map_err(failed("reading a cursor"))?;
    Ok(StreamCursor {
        position: position(stored)?,
        hash: bytes(row, 1)?,
    })
}

pub(super) async fn inbox(readers: &SqlitePool, inbox: &InboxId) -> Result<StreamCursor> {
    let query = sqlx::query(INBOX)
        .bind(&inbox.consumer)
        .bind(&inbox.stream.stream)
        .bind(inbox.stream.version);
    let row = query
        .fetch_optional(readers)
        .await
        .map_err(failed("reading an inbox"))?;
    row.map_or_else(|| Ok(StreamCursor::default()), |row| cursor_of(&row))
}

/// Moves the inbox's cursor if it stands where the consumer believes: the fence.
pub(super) async fn advance_inbox(
    tx: &mut Transaction<'static, Sqlite>,
    inbox: &InboxId,
    from: StreamCursor,
    to: StreamCursor,
) -> Result<Advanced> {
    const DOING: &str = "moving an inbox's cursor";
    let InboxId { consumer, stream } = inbox;
    let make = sqlx::query(
        "INSERT INTO es_inbox (consumer, stream, version, position, hash)
         VALUES (?, ?, ?, 0, zeroblob(32)) ON CONFLICT DO NOTHING",
    );
    let make = make
        .bind(consumer)
        .bind(&stream.stream)
        .bind(stream.version);
    make.execute(&mut **tx).await.map_err(failed(DOING))?;
    let query = sqlx::query(
        "UPDATE es_inbox SET position = ?, hash = ?
         WHERE consumer = ? AND stream = ? AND version = ? AND position = ? AND hash = ?",
    );
    let query = query
        .bind(signed("position", to.position.get())?)
        .bind(&to.hash[..]);
    let query = query
        .bind(consumer)
        .bind(&stream.stream)
        .bind(stream.version);
    let query = query
        .bind(signed("position", from.position.get())?)
        .bind(&from.hash[..]);
    let done = query.execute(&mut **tx).await.map_err(failed(DOING))?;
    Ok(if done.rows_affected() == 1 {
        Advanced::Moved
    } else {
        Advanced::Fenced
    })
}
