//! Reading the log and its streams. Every row that SQLite hands over crosses a thread, so a
//! thousand events come as one row: one text, cut up here.

use sqlx::query::QueryAs;
use sqlx::sqlite::{SqliteArguments, SqliteExecutor, SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite};

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

/// The events that `rest` finds, each as one text: its numbers and the lengths of its texts, then
/// the texts. [`next_event`] reads it.
macro_rules! events {
    ($($rest:literal)+) => {
        concat!(
            "(SELECT position, version,
                     concat(position, ',', version, ',', schema_version, ',', min_reader, ',',
                            occurred_at, ',', hex(command_id), ',', octet_length(stream), ',',
                            octet_length(type), ',', octet_length(payload), ',',
                            octet_length(metadata), ';', stream, type, payload, metadata) AS event
              FROM es_event ",
            $($rest),+,
            ")"
        )
    };
}

pub(super) use events;

/// The events that `rest` finds as one text, how many they are, and the place behind which to read
/// on.
macro_rules! select {
    ($place:literal, $($rest:literal)+) => {
        concat!(
            "SELECT group_concat(event, ''), count(*), ", $place, " FROM ", events!($($rest)+)
        )
    };
}

pub(super) const PAGE: &str = select!(
    "max(position)",
    "WHERE position > ? ORDER BY position LIMIT ?"
);

/// All of one aggregate; each word more is asked of every row.
pub(super) const OF_ONE: &str = select!(
    "max(position)",
    "WHERE position > ?1 AND position <= ?3 AND stream >= ?4 AND stream < ?5
     ORDER BY position LIMIT ?2"
);

pub(super) const FILTERED: &str = select!(
    "max(position)",
    "WHERE position > ?1 AND position <= ?3
       AND (?4 IS NULL
            OR substr(stream, 1, instr(stream, '-') - 1) IN (SELECT value FROM json_each(?4)))
       AND (?8 IS NULL OR stream >= ?8 AND stream < ?9)
       AND (?5 IS NULL OR type IN (SELECT value FROM json_each(?5)))
       AND slice >= ?6 AND slice < ?7
     ORDER BY position LIMIT ?2"
);

pub(super) const FORWARDS: &str = select!(
    "max(version)",
    "WHERE stream = ? AND version > ? ORDER BY version LIMIT ?"
);

pub(super) const BACKWARDS: &str = select!(
    "min(version)",
    "WHERE stream = ? AND version < ? ORDER BY version DESC LIMIT ?"
);

pub(super) const CORRELATED: &str = select!(
    "max(position)",
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
        let ask = |after, limit| sqlx::query_as(PAGE).bind(after).bind(limit);
        let (events, _) = read(readers, query.limit, number(query.after)?, ask).await?;
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
    let (after, to) = (number(query.after)?, number(to)?);
    // The streams of one aggregate alone are found by how they begin; `.` follows `-`.
    let (from, before) = match filter.aggregates.as_deref() {
        Some([one]) => (Some(format!("{one}-")), Some(format!("{one}."))),
        _ => (None, None),
    };
    if filter.only_aggregate().is_some() {
        let ask = |after, limit| {
            let query = sqlx::query_as(OF_ONE).bind(after).bind(limit);
            query.bind(to).bind(from.clone()).bind(before.clone())
        };
        return Ok(read(readers, query.limit, after, ask).await?.0);
    }
    let aggregates = match from {
        Some(_) => None,
        None => names(&filter.aggregates),
    };
    let types = names(&filter.types);
    let ask = |after, limit| {
        sqlx::query_as(FILTERED)
            .bind(after)
            .bind(limit)
            .bind(to)
            .bind(aggregates.clone())
            .bind(types.clone())
            .bind(filter.slices.start)
            .bind(filter.slices.end)
            .bind(from.clone())
            .bind(before.clone())
    };
    Ok(read(readers, query.limit, after, ask).await?.0)
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
    let ask = |version, limit| {
        let query = sqlx::query_as(select).bind(stream.as_str());
        query.bind(version).bind(limit)
    };
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    // One more than was asked for tells whether there are more.
    let (events, full) = read(readers, query.limit.saturating_add(1), version, ask).await?;
    Ok(StreamPage::cut(events, query.limit, full))
}

pub(super) async fn correlated(
    readers: &SqlitePool,
    correlation: &str,
    after: Position,
    limit: usize,
) -> Result<StreamPage> {
    let ask = |after, limit| {
        let query = sqlx::query_as(CORRELATED).bind(correlation);
        query.bind(after).bind(limit)
    };
    let (events, full) = read(readers, limit.saturating_add(1), number(after)?, ask).await?;
    Ok(StreamPage::cut(events, limit, full))
}

/// A row of [`select`](macro@select).
type Chunk = (Option<String>, i64, Option<i64>);

type Select<'q> = QueryAs<'q, Sqlite, Chunk, SqliteArguments>;

/// Reads row by row what `ask` selects behind a place, first behind `from`; the answer tells, too,
/// whether it ended because the page was full of bytes.
async fn read<'q>(
    readers: &SqlitePool,
    limit: usize,
    mut from: i64,
    ask: impl Fn(i64, i64) -> Select<'q>,
) -> Result<(StoredEvents, bool)> {
    // One for all rows: a pool asks its connections how they are before it hands them out.
    let mut connection = readers.acquire().await.map_err(failed(DOING))?;
    let (mut events, mut text) = (StoredEvents::new(), String::new());
    let (mut left, mut most, mut bytes, mut more) = (limit, CHUNK, 0, true);
    while more && left > 0 && bytes < PAGE_BYTES {
        let chunk = most.min(left);
        // The database looks for the next events while the last ones are cut up.
        let next = ask(from, rows_limit(chunk)).fetch_one(&mut *connection);
        let (next, added) = tokio::join!(next, async { add(&mut events, &text) });
        added?;
        text.clear();
        match next {
            Ok((found, count, last)) => {
                text = found.unwrap_or_default();
                from = last.unwrap_or(from);
                bytes += text.len();
                let count = unsigned("count", count)?;
                left -= chunk.min(count);
                more = count == chunk;
            }
            Err(error) if chunk > 1 && is_too_big(&error) => most = chunk / 2,
            Err(error) => return Err(failed(DOING)(error)),
        }
    }
    add(&mut events, &text)?;
    Ok((events, more && left > 0))
}

fn is_too_big(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some(TOO_BIG)
}

/// Adds the events of a text that [`events`](macro@events) made.
pub(super) fn add(events: &mut StoredEvents, mut text: &str) -> Result<()> {
    while !text.is_empty() {
        let broken = || Error::database(DOING, "a row of the log is not well-formed");
        let (event, rest) = next_event(text).ok_or_else(broken)?;
        events.push(event);
        text = rest;
    }
    Ok(())
}

/// The first event of a text that [`events`](macro@events) made, and what follows it.
fn next_event(text: &str) -> Option<(StoredEventRef<'_>, &str)> {
    let mut numbers = Numbers(text);
    let position = numbers.next()?;
    let version = numbers.next()?;
    let schema_version = numbers.next()?.try_into().ok()?;
    let min_reader = numbers.next()?.try_into().ok()?;
    let time = numbers.field()?.parse().ok()?;
    let command_id = match numbers.field()? {
        "" => None,
        hex => Some(u128::from_str_radix(hex, 16).ok()?),
    };
    let lengths = [numbers.next()?, numbers.next()?, numbers.next()?];
    let metadata = match numbers.field()? {
        "" => None,
        length => Some(length.parse().ok()?),
    };
    let mut texts = numbers.0;
    let mut cut = |length: u64| {
        let (text, rest) = texts.split_at_checked(length.try_into().ok()?)?;
        texts = rest;
        Some(text)
    };
    let event = StoredEventRef {
        position: Position::new(position),
        stream: cut(lengths[0])?,
        version,
        event_type: cut(lengths[1])?,
        schema_version,
        min_reader,
        command_id: command_id.map(CommandId::from_u128),
        payload: cut(lengths[2])?,
        metadata: match metadata {
            Some(length) => Some(cut(length)?),
            None => None,
        },
        time: Timestamp::from_micros(time),
    };
    Some((event, texts))
}

/// Fields of a text, each ended by a comma or, the last of them, by a semicolon.
struct Numbers<'a>(&'a str);

impl<'a> Numbers<'a> {
    fn field(&mut self) -> Option<&'a str> {
        let end = self
            .0
            .bytes()
            .position(|byte| matches!(byte, b',' | b';'))?;
        let (field, rest) = (&self.0[..end], &self.0[end + 1..]);
        self.0 = rest;
        Some(field)
    }

    /// A number without a sign.
    fn next(&mut self) -> Option<u64> {
        self.field()?.parse().ok()
    }
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
