//! Integration streams.

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row, Transaction};

use super::failed;
use super::types::{Json, Moment, limit as rows_limit, number, position, signed};
use crate::error::{Error, Result};
use crate::event::Position;
use crate::store::sql::stream_life;
use crate::store::{
    PUBLISHED_BYTES, PublishedEvent, PublishedPage, PublishedQuery, StreamCursor, StreamLife,
    StreamVersion,
};

const INSERT: &str = "
    INSERT INTO es.published (stream, version, position, source, type, subject, payload, metadata,
                              occurred_at, recorded_at, salt, hash)
    SELECT $1, $2, e.p, e.s, e.t, e.u, e.d, e.m, e.o, e.r, e.x, e.h
    FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::json[], $8::json[],
                $9::timestamptz[], $10::timestamptz[], $11::bytea[], $12::bytea[])
         e(p, s, t, u, d, m, o, r, x, h)";

pub(super) async fn write(
    tx: &mut Transaction<'static, Postgres>,
    stream: &StreamVersion,
    events: &[PublishedEvent],
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    fn column<'e, T>(events: &'e [PublishedEvent], of: impl Fn(&'e PublishedEvent) -> T) -> Vec<T> {
        events.iter().map(of).collect()
    }
    let positions = events
        .iter()
        .map(|e| number(e.position))
        .collect::<Result<Vec<_>>>()?;
    let sources = events
        .iter()
        .map(|e| number(e.source))
        .collect::<Result<Vec<_>>>()?;
    let version: i32 = signed("version", stream.version)?;
    let query = sqlx::query(INSERT)
        .bind(&stream.stream)
        .bind(version)
        .bind(positions)
        .bind(sources)
        .bind(column(events, |e| e.event_type.as_str()))
        .bind(column(events, |e| e.subject.as_str()))
        .bind(column(events, |e| Json(&e.payload)))
        .bind(column(events, |e| e.metadata.as_deref().map(Json)))
        .bind(column(events, |e| Moment(e.time)))
        .bind(column(events, |e| Moment(e.recorded)))
        .bind(column(events, |e| &e.salt[..]))
        .bind(column(events, |e| &e.hash[..]));
    query
        .execute(&mut **tx)
        .await
        .map_err(failed("writing integration events"))?;
    Ok(())
}

/// A page is a range, which contiguous positions make possible: its cost does not depend on the
/// planner's idea of the table.
pub(super) const PAGE: &str = "
    SELECT position, source, type, subject, payload, metadata, occurred_at, recorded_at, salt, hash
    FROM es.published
    WHERE stream = $1 AND version = $2 AND position > $3 AND position <= $3 + $4
    ORDER BY position";

pub(super) async fn page(
    connection: &mut PgConnection,
    stream: &StreamVersion,
    after: Position,
    limit: usize,
) -> Result<Vec<PublishedEvent>> {
    let (version, after): (i32, i64) = (signed("version", stream.version)?, number(after)?);
    let limit = rows_limit(limit).min(i64::MAX - after);
    let query = sqlx::query(PAGE)
        .bind(&stream.stream)
        .bind(version)
        .bind(after)
        .bind(limit);
    let rows = query
        .fetch_all(connection)
        .await
        .map_err(failed("reading integration events"))?;
    rows.iter().map(event_of).collect()
}

/// One page with what is known of the stream at the same moment: one search in one index. What is
/// known comes once, in the place of position 0, where no event is: its head as the source, its
/// phase, its sunset, and since when.
pub(super) const QUERY: &str = "
    SELECT 0::bigint AS position,
           coalesce((SELECT max(position) FROM es.published
                     WHERE stream = $1 AND version = $2), 0) AS source,
           p.phase AS type, p.record ->> 'sunset' AS subject, NULL::json AS payload,
           NULL::json AS metadata, p.since AS occurred_at, NULL::timestamptz AS recorded_at,
           NULL::bytea AS salt, NULL::bytea AS hash
    FROM (SELECT) always
    LEFT JOIN es.projection p ON p.kind = 'stream' AND p.name = $1 AND p.version = $2
    UNION ALL
    (SELECT position, source, type, subject, payload, metadata, occurred_at, recorded_at, salt, hash
     FROM es.published
     WHERE stream = $1 AND version = $2 AND position > $3 AND position <= $4
       AND ($6::text[] IS NULL OR type = ANY ($6))
       AND ($7::text IS NULL OR subject = $7)
     ORDER BY position LIMIT $5)
    ORDER BY position";

pub(super) async fn query(
    connection: &mut PgConnection,
    query: &PublishedQuery,
) -> Result<PublishedPage> {
    const DOING: &str = "reading integration events";
    let (after, last) = (query.after.get(), query.last().get());
    let version: i32 = signed("version", query.stream.version)?;
    let mut rows = sqlx::query(QUERY)
        .bind(&query.stream.stream)
        .bind(version)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(last).unwrap_or(i64::MAX))
        .bind(rows_limit(query.limit))
        .bind(query.types.as_deref())
        .bind(query.subject.as_deref())
        .fetch(connection);
    let known = rows.try_next().await.map_err(failed(DOING))?;
    let nothing = || Error::database(DOING, "the stream's own row is missing");
    let known = known.ok_or_else(nothing)?;
    let head = position(known.try_get(1).map_err(failed(DOING))?)?;
    let life = life_of(&known)?;
    let (mut events, mut bytes) = (Vec::with_capacity(query.limit.min(1000)), 0);
    while bytes < PUBLISHED_BYTES
        && let Some(row) = rows.try_next().await.map_err(failed(DOING))?
    {
        let event = event_of(&row)?;
        bytes += event.bytes();
        events.push(event);
    }
    let cut = bytes >= PUBLISHED_BYTES;
    Ok(PublishedPage::of(query, events, cut, head, life))
}

fn life_of(row: &PgRow) -> Result<Option<StreamLife>> {
    const DOING: &str = "reading a stream's life";
    let phase: Option<String> = row.try_get(2).map_err(failed(DOING))?;
    let sunset: Option<String> = row.try_get(3).map_err(failed(DOING))?;
    let since: Option<Moment> = row.try_get(6).map_err(failed(DOING))?;
    let known = phase.zip(since.map(|since| since.0));
    known
        .map(|(phase, since)| stream_life(&phase, since, sunset.as_deref()))
        .transpose()
}

fn event_of(row: &PgRow) -> Result<PublishedEvent> {
    const DOING: &str = "reading an integration event";
    let moment = |column| row.try_get::<Moment, _>(column).map_err(failed(DOING));
    let text = |column| row.try_get::<String, _>(column).map_err(failed(DOING));
    Ok(PublishedEvent {
        position: position(row.try_get(0).map_err(failed(DOING))?)?,
        source: position(row.try_get(1).map_err(failed(DOING))?)?,
        event_type: text(2)?,
        subject: text(3)?,
        // `json` is its own text.
        payload: row.try_get_unchecked(4).map_err(failed(DOING))?,
        metadata: row.try_get_unchecked(5).map_err(failed(DOING))?,
        time: moment(6)?.0,
        recorded: moment(7)?.0,
        salt: bytes(row, 8)?,
        hash: bytes(row, 9)?,
    })
}

fn bytes<const N: usize>(row: &PgRow, column: usize) -> Result<[u8; N]> {
    const DOING: &str = "reading a hash or salt";
    let bytes: &[u8] = row.try_get(column).map_err(failed(DOING))?;
    bytes
        .try_into()
        .map_err(|error| Error::database(DOING, error))
}

pub(super) const HEAD: &str = "
    SELECT position, hash FROM es.published WHERE stream = $1 AND version = $2
    ORDER BY position DESC LIMIT 1";

pub(super) async fn head(
    connection: &mut PgConnection,
    stream: &StreamVersion,
) -> Result<StreamCursor> {
    let version: i32 = signed("version", stream.version)?;
    let query = sqlx::query(HEAD).bind(&stream.stream).bind(version);
    let row = query
        .fetch_optional(connection)
        .await
        .map_err(failed("reading a stream's head"))?;
    row.map_or_else(|| Ok(StreamCursor::default()), |row| cursor_of(&row))
}

fn cursor_of(row: &PgRow) -> Result<StreamCursor> {
    let stored = row.try_get(0).map_err(failed("reading a cursor"))?;
    Ok(StreamCursor {
        position: position(stored)?,
        hash: bytes(row, 1)?,
    })
}
