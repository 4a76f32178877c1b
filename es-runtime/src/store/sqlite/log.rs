//! Reading the log and its streams.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};

use super::readers::Readers;
use super::rows::id_of;
use super::{failed, limit as rows_limit, position, signed, unsigned};
use crate::error::Result;
use crate::event::{CommandId, Position, StoredEventRef, StoredEvents, StreamId, Timestamp};
use crate::store::{
    LogPage, LogQuery, Outcome, PAGE_BYTES, Start, StreamPage, StreamQuery, WINDOW,
};

const DOING: &str = "reading events";

pub(super) const HEAD: &str = "SELECT coalesce(max(position), 0) FROM es_event";

/// The events that `rest` finds, in the columns that [`event`] reads.
macro_rules! select {
    ($($rest:literal)+) => {
        concat!(
            "SELECT position, stream, version, type, schema_version, min_reader, command_id,
                    payload, metadata, occurred_at
             FROM es_event ",
            $($rest),+
        )
    };
}

pub(super) use select;

pub(super) const PAGE: &str = select!("WHERE position > ? ORDER BY position LIMIT ?");

/// All of one aggregate; each word more is asked of every row.
pub(super) const OF_ONE: &str = select!(
    "WHERE position > ?1 AND position <= ?3 AND stream >= ?4 AND stream < ?5
     ORDER BY position LIMIT ?2"
);

pub(super) const FILTERED: &str = select!(
    "WHERE position > ?1 AND position <= ?3
       AND (?4 IS NULL
            OR substr(stream, 1, instr(stream, '-') - 1) IN (SELECT value FROM json_each(?4)))
       AND (?8 IS NULL OR stream >= ?8 AND stream < ?9)
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

pub(super) async fn page(readers: &Readers, query: &LogQuery) -> Result<LogPage> {
    let query = query.clone();
    readers.read(DOING, move |log| page_of(log, &query)).await
}

fn page_of(log: &Connection, query: &LogQuery) -> Result<LogPage> {
    if query.filter.is_all() {
        let page = params![number(query.after)?, rows_limit(query.limit)];
        let (events, _) = events(log, PAGE, page)?;
        return Ok(LogPage::dense(query, events));
    }
    let to = query.after.plus(WINDOW);
    let events = filtered(log, query, to)?;
    if !events.is_empty() || query.limit == 0 {
        return Ok(LogPage::dense(query, events));
    }
    // First the head, then the events: all positions up to the head are there to be seen.
    let head = log.prepare_cached(HEAD);
    let head = head.and_then(|mut head| head.query_row([], |row| row.get(0)));
    let to = position(head.map_err(failed(DOING))?)?
        .max(query.after)
        .min(to);
    let events = filtered(log, query, to)?;
    if events.is_empty() {
        return Ok(LogPage { events, seen: to });
    }
    Ok(LogPage::dense(query, events))
}

fn filtered(log: &Connection, query: &LogQuery, to: Position) -> Result<StoredEvents> {
    let names = |names: &Option<Vec<String>>| {
        let names = names.as_ref();
        names.map(|names| serde_json::json!(names).to_string())
    };
    let filter = &query.filter;
    let (after, to, limit) = (number(query.after)?, number(to)?, rows_limit(query.limit));
    // The streams of one aggregate alone are found by how they begin; `.` follows `-`.
    let (from, before) = match filter.aggregates.as_deref() {
        Some([one]) => (Some(format!("{one}-")), Some(format!("{one}."))),
        _ => (None, None),
    };
    if filter.only_aggregate().is_some() {
        let of_one = params![after, limit, to, from, before];
        return Ok(events(log, OF_ONE, of_one)?.0);
    }
    let aggregates = match from {
        Some(_) => None,
        None => names(&filter.aggregates),
    };
    let filtered = params![
        after,
        limit,
        to,
        aggregates,
        names(&filter.types),
        filter.slices.start,
        filter.slices.end,
        from,
        before
    ];
    Ok(events(log, FILTERED, filtered)?.0)
}

pub(super) async fn stream(
    readers: &Readers,
    stream: &StreamId,
    query: StreamQuery,
) -> Result<StreamPage> {
    let (select, version) = match query.from {
        Start::After(version) => (FORWARDS, version),
        Start::Before(version) => (BACKWARDS, version),
    };
    let (stream, version) = (stream.clone(), i64::try_from(version).unwrap_or(i64::MAX));
    // One more than was asked for tells whether there are more.
    let limit = query.limit.saturating_add(1);
    let read = move |log: &Connection| {
        let of_stream = params![stream.as_str(), version, rows_limit(limit)];
        let (events, full) = events(log, select, of_stream)?;
        Ok(StreamPage::cut(events, query.limit, full))
    };
    readers.read(DOING, read).await
}

pub(super) async fn correlated(
    readers: &Readers,
    correlation: &str,
    after: Position,
    limit: usize,
) -> Result<StreamPage> {
    let (correlation, after) = (correlation.to_owned(), number(after)?);
    let one_more = limit.saturating_add(1);
    let read = move |log: &Connection| {
        let correlated = params![correlation, after, rows_limit(one_more)];
        let (events, full) = events(log, CORRELATED, correlated)?;
        Ok(StreamPage::cut(events, limit, full))
    };
    readers.read(DOING, read).await
}

/// The events that a [`select`](macro@select) finds; the answer tells, too, whether it ended because
/// the page was full of bytes.
pub(super) fn events(
    log: &Connection,
    select: &str,
    values: impl Params,
) -> Result<(StoredEvents, bool)> {
    let mut select = log.prepare_cached(select).map_err(failed(DOING))?;
    let mut rows = select.query(values).map_err(failed(DOING))?;
    let mut events = StoredEvents::new();
    while let Some(row) = rows.next().map_err(failed(DOING))? {
        event(row, |event| events.push(event))?;
        if events.bytes() >= PAGE_BYTES {
            return Ok((events, rows.next().map_err(failed(DOING))?.is_some()));
        }
    }
    Ok((events, false))
}

/// Hands over the event in a row of a [`select`](macro@select).
fn event(row: &Row<'_>, take: impl FnOnce(StoredEventRef<'_>)) -> Result<()> {
    let value = |column| row.get_ref(column).map_err(failed(DOING));
    let text = |column| value(column)?.as_str().map_err(failed(DOING));
    let number = |column| value(column)?.as_i64().map_err(failed(DOING));
    take(StoredEventRef {
        position: position(number(0)?)?,
        stream: text(1)?,
        version: unsigned("version", number(2)?)?,
        event_type: text(3)?,
        schema_version: unsigned("schema_version", number(4)?)?,
        min_reader: unsigned("min_reader", number(5)?)?,
        command_id: match value(6)? {
            ValueRef::Null => None,
            id => Some(id_of(id.as_blob().map_err(failed(DOING))?, DOING)?),
        },
        payload: text(7)?,
        metadata: value(8)?.as_str_or_null().map_err(failed(DOING))?,
        time: Timestamp::from_micros(number(9)?),
    });
    Ok(())
}

fn number(position: Position) -> Result<i64> {
    signed("position", position.get())
}

pub(super) async fn outcome(
    readers: &Readers,
    stream: &StreamId,
    command: CommandId,
) -> Result<Option<Outcome>> {
    let (stream, id) = (stream.clone(), command.as_u128().to_be_bytes());
    let read = move |log: &Connection| {
        let mut select = log.prepare_cached(OUTCOME).map_err(failed(DOING))?;
        let row = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
        let found = select.query_row(params![stream.as_str(), id], row);
        found
            .optional()
            .map_err(failed(DOING))?
            .map(outcome_in)
            .transpose()
    };
    readers.read(DOING, read).await
}

/// The outcome in three columns from `at` on.
pub(super) fn outcome_of(row: &SqliteRow, at: usize) -> Result<Outcome> {
    let get = |i| row.try_get::<i64, _>(at + i).map_err(failed(DOING));
    outcome_in([get(0)?, get(1)?, get(2)?])
}

pub(super) fn outcome_in([first, count, version]: [i64; 3]) -> Result<Outcome> {
    Ok(Outcome {
        first: position(first)?,
        count: unsigned("count", count)?,
        version: unsigned("version", version)?,
    })
}
