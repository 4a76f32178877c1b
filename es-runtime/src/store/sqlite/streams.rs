//! Integration streams.

use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::json;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::{failed, limit as rows_limit, position, signed};
use crate::error::{Error, Result};
use crate::event::{Position, Timestamp};
use crate::store::sql::stream_life;
use crate::store::{
    PUBLISHED_BYTES, PublishedEvent, PublishedPage, PublishedQuery, StreamCursor, StreamLife,
    StreamVersion,
};

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

/// What a query asks for.
macro_rules! wanted {
    () => {
        "FROM es_published
         WHERE stream = ?1 AND version = ?2 AND position > ?3 AND position <= ?4
           AND (?6 IS NULL OR type IN (SELECT value FROM json_each(?6)))
           AND (?7 IS NULL OR subject = ?7)
         ORDER BY position LIMIT ?5"
    };
}

/// What is known of the stream, and its events as one text, both of one moment. Where the events are
/// too long for a page there is no text, and [`LONG`] reads them.
pub(super) const QUERY: &str = concat!(
    "SELECT m.head, p.phase, p.since, p.record ->> 'sunset',
            CASE WHEN ?8 > (SELECT coalesce(sum(bytes), 0) FROM
                              (SELECT octet_length(payload) AS bytes ",
    wanted!(),
    "))
            THEN (SELECT coalesce(group_concat(event, ''), '') FROM
                    (SELECT concat(position, ',', source, ',', occurred_at, ',', recorded_at, ',',
                                   hex(salt), ',', hex(hash), ',', octet_length(type), ',',
                                   octet_length(subject), ',', octet_length(payload), ',',
                                   octet_length(metadata), ';', type, subject, payload, metadata)
                            AS event ",
    wanted!(),
    ")) END
     FROM (SELECT coalesce((SELECT max(position) FROM es_published
                            WHERE stream = ?1 AND version = ?2), 0) AS head) m
     LEFT JOIN es_projection p ON p.kind = 'stream' AND p.name = ?1 AND p.version = ?2"
);

pub(super) const LONG: &str = concat!(
    "SELECT position, source, type, subject, payload, metadata, occurred_at, recorded_at, salt,
            hash ",
    wanted!()
);

pub(super) async fn query(readers: &SqlitePool, query: &PublishedQuery) -> Result<PublishedPage> {
    const DOING: &str = "reading integration events";
    let number = |position: Position| i64::try_from(position.get()).unwrap_or(i64::MAX);
    let types = query.types.as_ref().map(|types| json!(types).to_string());
    let ask = |statement: &'static str| {
        let ask = sqlx::query(statement)
            .bind(&query.stream.stream)
            .bind(query.stream.version);
        ask.bind(number(query.after))
            .bind(number(query.last()))
            .bind(rows_limit(query.limit))
            .bind(types.clone())
            .bind(query.subject.as_deref())
    };
    let asked = ask(QUERY).bind(rows_limit(PUBLISHED_BYTES));
    let row = asked.fetch_one(readers).await.map_err(failed(DOING))?;
    let head = position(row.try_get(0).map_err(failed(DOING))?)?;
    let life = life_of(&row)?;
    let text: Option<String> = row.try_get(4).map_err(failed(DOING))?;
    let (mut events, mut cut) = (Vec::new(), false);
    match text {
        Some(text) => add(&mut events, &text)?,
        // What is read later is the same: events never change.
        None => {
            let (mut rows, mut bytes) = (ask(LONG).fetch(readers), 0);
            while !cut {
                let Some(row) = rows.try_next().await.map_err(failed(DOING))? else {
                    break;
                };
                let event = event_of(&row)?;
                bytes += event.bytes();
                events.push(event);
                cut = bytes >= PUBLISHED_BYTES;
            }
        }
    }
    // The events of the second statement may be more than there were at the first.
    let head = events.last().map_or(head, |last| head.max(last.position));
    Ok(PublishedPage::of(query, events, cut, head, life))
}

fn life_of(row: &SqliteRow) -> Result<Option<StreamLife>> {
    const DOING: &str = "reading a stream's life";
    let phase: Option<String> = row.try_get(1).map_err(failed(DOING))?;
    let since: Option<i64> = row.try_get(2).map_err(failed(DOING))?;
    let sunset: Option<String> = row.try_get(3).map_err(failed(DOING))?;
    let known = phase.zip(since.map(Timestamp::from_micros));
    known
        .map(|(phase, since)| stream_life(&phase, since, sunset.as_deref()))
        .transpose()
}

/// Adds the events of a text that [`QUERY`] made.
fn add(events: &mut Vec<PublishedEvent>, mut text: &str) -> Result<()> {
    while !text.is_empty() {
        let broken = || {
            let why = "a row of an integration stream is not well-formed";
            Error::database("reading integration events", why)
        };
        let (event, rest) = next_event(text).ok_or_else(broken)?;
        events.push(event);
        text = rest;
    }
    Ok(())
}

/// The first event of a text that [`QUERY`] made, and what follows it.
fn next_event(text: &str) -> Option<(PublishedEvent, &str)> {
    let (numbers, mut texts) = text.split_once(';')?;
    let mut numbers = numbers.split(',');
    let position = numbers.next()?.parse().ok()?;
    let source = numbers.next()?.parse().ok()?;
    let time = numbers.next()?.parse().ok()?;
    let recorded = numbers.next()?.parse().ok()?;
    let (mut salt, mut hash) = ([0; 16], [0; 32]);
    hex::decode_to_slice(numbers.next()?, &mut salt).ok()?;
    hex::decode_to_slice(numbers.next()?, &mut hash).ok()?;
    let mut cut = |length: &str| {
        let (text, rest) = texts.split_at_checked(length.parse().ok()?)?;
        texts = rest;
        Some(text.to_owned())
    };
    let (event_type, subject) = (cut(numbers.next()?)?, cut(numbers.next()?)?);
    let payload = cut(numbers.next()?)?;
    let metadata = match numbers.next()? {
        "" => None,
        length => Some(cut(length)?),
    };
    let event = PublishedEvent {
        position: Position::new(position),
        source: Position::new(source),
        event_type,
        subject,
        payload,
        metadata,
        time: Timestamp::from_micros(time),
        recorded: Timestamp::from_micros(recorded),
        salt,
        hash,
    };
    Some((event, texts))
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
