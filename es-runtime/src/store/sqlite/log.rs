//! Reading the log and its streams. Every row that SQLite hands over crosses a thread, so a
//! thousand events come as one row: one text, cut up here.

use sqlx::Row;
use sqlx::query::QueryScalar;
use sqlx::sqlite::{SqliteArguments, SqliteExecutor, SqlitePool, SqliteRow};

use super::{failed, limit as rows_limit, position, signed, unsigned};
use crate::error::{Error, Result};
use crate::event::{CommandId, Position, StoredEventRef, StoredEvents, StreamId, Timestamp};
use crate::store::{
    LogPage, LogQuery, Outcome, PAGE_BYTES, Start, StreamPage, StreamQuery, WINDOW,
};

const DOING: &str = "reading events";

/// Events in one row.
pub(super) const CHUNK: usize = 1000;
/// SQLite's word for a row that is too long for it.
const TOO_BIG: &str = "18";

pub(super) const HEAD: &str = "SELECT coalesce(max(position), 0) FROM es_event";

/// The events that `rest` finds, as one text: for each its numbers and the lengths of its texts,
/// then the texts. [`next_event`] reads it.
macro_rules! select {
    ($($rest:literal)+) => {
        concat!(
            "SELECT group_concat(event, '') FROM (
               SELECT concat(position, ',', version, ',', schema_version, ',', min_reader, ',',
                             occurred_at, ',', hex(command_id), ',', octet_length(stream), ',',
                             octet_length(type), ',', octet_length(payload), ',',
                             octet_length(metadata), ';', stream, type, payload, metadata) AS event
               FROM es_event ",
            $($rest),+,
            ")"
        )
    };
}

pub(super) use select;

pub(super) const PAGE: &str = select!("WHERE position > ? ORDER BY position LIMIT ?");

pub(super) const FILTERED: &str = select!(
    "WHERE position > ?1 AND position <= ?3
       AND (?4 IS NULL
            OR substr(stream, 1, instr(stream, '-') - 1) IN (SELECT value FROM json_each(?4)))
       AND (?5 IS NULL OR type IN (SELECT value FROM json_each(?5)))
       AND slice >= ?6 AND slice < ?7
     ORDER BY position LIMIT ?2"
);

pub(super) const FORWARDS: &str =
    select!("WHERE stream = ? AND version > ? ORDER BY version LIMIT ?");

pub(super) const BACKWARDS: &str =
    select!("WHERE stream = ? AND version < ? ORDER BY version DESC LIMIT ?");

pub(super) const CORRELATED: &str = select!(
    "WHERE position > ?2 AND position IN (
       SELECT e.position FROM es_command c
       JOIN es_event e ON e.position >= c.first_position
                      AND e.position < c.first_position + c.count
       WHERE c.correlation = ?1)
     ORDER BY position LIMIT ?3"
);

pub(super) const OUTCOME: &str = "
    SELECT first_position, count, version FROM es_command WHERE stream = ? AND command_id = ?";

pub(super) async fn head(database: impl SqliteExecutor<'_>) -> Result<Position> {
    let query = sqlx::query_scalar(HEAD);
    position(query.fetch_one(database).await.map_err(failed(DOING))?)
}

pub(super) async fn page(readers: &SqlitePool, query: &LogQuery) -> Result<LogPage> {
    if query.filter.is_all() {
        let ask = |last: Option<StoredEventRef<'_>>, limit| {
            let after = last.map_or(query.after, |event| event.position);
            Ok(sqlx::query_scalar(PAGE).bind(number(after)?).bind(limit))
        };
        let (events, _) = read(readers, query.limit, ask).await?;
        return Ok(LogPage::dense(query, events));
    }
    let to = query.after.plus(WINDOW);
    let events = filtered(readers, query, to).await?;
    if !events.is_empty() || query.limit == 0 {
        return Ok(LogPage::dense(query, events));
    }
    // First the head, then the events: all positions up to the head are there to be seen.
    let to = head(readers).await?.max(query.after).min(to);
    let events = filtered(readers, query, to).await?;
    if events.is_empty() {
        return Ok(LogPage { events, seen: to });
    }
    Ok(LogPage::dense(query, events))
}

async fn filtered(readers: &SqlitePool, query: &LogQuery, to: Position) -> Result<StoredEvents> {
    let names = |names: &Option<Vec<String>>| {
        let names = names.as_ref();
        names.map(|names| serde_json::json!(names).to_string())
    };
    let filter = &query.filter;
    let (aggregates, types) = (names(&filter.aggregates), names(&filter.types));
    let to = number(to)?;
    let ask = |last: Option<StoredEventRef<'_>>, limit| {
        let after = last.map_or(query.after, |event| event.position);
        Ok(sqlx::query_scalar(FILTERED)
            .bind(number(after)?)
            .bind(limit)
            .bind(to)
            .bind(aggregates.clone())
            .bind(types.clone())
            .bind(filter.slices.start)
            .bind(filter.slices.end))
    };
    Ok(read(readers, query.limit, ask).await?.0)
}

pub(super) async fn stream(
    readers: &SqlitePool,
    stream: &StreamId,
    query: StreamQuery,
) -> Result<StreamPage> {
    let (select, version) = match query.from {
        Start::After(version) => (FORWARDS, version),
        Start::Before(version) => (BACKWARDS, version),
    };
    let ask = |last: Option<StoredEventRef<'_>>, limit| {
        let version = last.map_or(version, |event| event.version);
        Ok(sqlx::query_scalar(select)
            .bind(stream.as_str())
            .bind(i64::try_from(version).unwrap_or(i64::MAX))
            .bind(limit))
    };
    // One more than was asked for tells whether there are more.
    let (events, full) = read(readers, query.limit.saturating_add(1), ask).await?;
    Ok(StreamPage::cut(events, query.limit, full))
}

pub(super) async fn correlated(
    readers: &SqlitePool,
    correlation: &str,
    after: Position,
    limit: usize,
) -> Result<StreamPage> {
    let ask = |last: Option<StoredEventRef<'_>>, limit| {
        let after = last.map_or(after, |event| event.position);
        Ok(sqlx::query_scalar(CORRELATED)
            .bind(correlation)
            .bind(number(after)?)
            .bind(limit))
    };
    let (events, full) = read(readers, limit.saturating_add(1), ask).await?;
    Ok(StreamPage::cut(events, limit, full))
}

type Select<'q> = QueryScalar<'q, sqlx::Sqlite, Option<String>, SqliteArguments>;

/// Reads row by row what `ask` selects, from behind the last event on; the answer tells, too,
/// whether it ended because the page was full of bytes.
async fn read<'q>(
    readers: &SqlitePool,
    limit: usize,
    ask: impl Fn(Option<StoredEventRef<'_>>, i64) -> Result<Select<'q>>,
) -> Result<(StoredEvents, bool)> {
    let (mut events, mut most) = (StoredEvents::new(), CHUNK);
    while events.len() < limit {
        if events.bytes() >= PAGE_BYTES {
            return Ok((events, true));
        }
        let chunk = most.min(limit - events.len());
        let before = events.len();
        match ask(events.last(), rows_limit(chunk))?
            .fetch_one(readers)
            .await
        {
            Ok(text) => {
                add(&mut events, text.as_deref().unwrap_or_default())?;
            }
            Err(error) if chunk > 1 && is_too_big(&error) => {
                most = chunk / 2;
                continue;
            }
            Err(error) => return Err(failed(DOING)(error)),
        }
        if events.len() - before < chunk {
            break;
        }
    }
    Ok((events, false))
}

fn is_too_big(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some(TOO_BIG)
}

/// Adds the events of a text that [`select`](macro@select) made.
pub(super) fn add(events: &mut StoredEvents, mut text: &str) -> Result<()> {
    while !text.is_empty() {
        let broken = || Error::database(DOING, "a row of the log is not well-formed");
        let (event, rest) = next_event(text).ok_or_else(broken)?;
        events.push(event);
        text = rest;
    }
    Ok(())
}

/// The first event of a text that [`select`](macro@select) made, and what follows it.
fn next_event(text: &str) -> Option<(StoredEventRef<'_>, &str)> {
    let (numbers, mut texts) = text.split_once(';')?;
    let mut numbers = numbers.split(',');
    let position = numbers.next()?.parse().ok()?;
    let version = numbers.next()?.parse().ok()?;
    let schema_version = numbers.next()?.parse().ok()?;
    let min_reader = numbers.next()?.parse().ok()?;
    let time = numbers.next()?.parse().ok()?;
    let command_id = match numbers.next()? {
        "" => None,
        hex => Some(u128::from_str_radix(hex, 16).ok()?),
    };
    let mut cut = |length: &str| {
        let (text, rest) = texts.split_at_checked(length.parse().ok()?)?;
        texts = rest;
        Some(text)
    };
    let (stream, event_type) = (cut(numbers.next()?)?, cut(numbers.next()?)?);
    let payload = cut(numbers.next()?)?;
    let metadata = match numbers.next()? {
        "" => None,
        length => Some(cut(length)?),
    };
    let event = StoredEventRef {
        position: Position::new(position),
        stream,
        version,
        event_type,
        schema_version,
        min_reader,
        command_id: command_id.map(CommandId::from_u128),
        payload,
        metadata,
        time: Timestamp::from_micros(time),
    };
    Some((event, texts))
}

fn number(position: Position) -> Result<i64> {
    signed("position", position.get())
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
