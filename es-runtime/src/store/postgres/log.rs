//! Reading the log and its streams.

use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Either, Executor, Row};
use uuid::Uuid;

use super::event_row::{bare_event_of, event_of};
use super::failed;
use super::types::{limit as rows_limit, number, position, signed, unsigned};
use crate::error::Result;
use crate::event::{CommandId, Position, StoredEvents, StreamId};
use crate::store::{
    LogPage, LogQuery, Outcome, PAGE_BYTES, Start, StreamPage, StreamQuery, WINDOW,
};

pub(super) const DOING: &str = "reading events";

pub(super) const HEAD: &str = "SELECT coalesce(max(position), 0) FROM es.event";

/// The columns of an event, in the order that [`event_of`] reads them. Two numbers that fit into one
/// are one: what a column costs adds up, on both sides.
macro_rules! select {
    ($($rest:literal)+) => {
        concat!(
            "SELECT position, stream, version, type, schema_version * 4294967296 + min_reader,
                    command_id, payload, metadata, occurred_at FROM es.event ",
            $($rest),+
        )
    };
}

pub(super) const PAGE: &str = select!("WHERE position > $1 ORDER BY position LIMIT $2");

/// All of one aggregate; each word more is asked of every row. Bytes are compared, where `^@` would
/// count characters, and in a collation that no index has: the log is read by position.
pub(super) const OF_ONE: &str = select!(
    "WHERE position > $1 AND position <= $3
       AND stream COLLATE \"POSIX\" >= $4 AND stream COLLATE \"POSIX\" < $5
     ORDER BY position LIMIT $2"
);

pub(super) const FILTERED: &str = select!(
    "WHERE position > $1 AND position <= $3
       AND ($4::text[] IS NULL OR stream ^@ ANY ($4))
       AND ($5::text[] IS NULL OR type = ANY ($5))
       AND slice >= $6 AND slice < $7
     ORDER BY position LIMIT $2"
);

pub(super) const FORWARDS: &str =
    select!("WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3");

/// For a fold: what the stream's name, the page and the reader say already is not sent.
pub(super) const BARE: &str = "
    SELECT position, version, type, schema_version * 4294967296 + min_reader, command_id, payload
    FROM es.event WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3";

pub(super) const BACKWARDS: &str =
    select!("WHERE stream = $1 AND version < $2 ORDER BY version DESC LIMIT $3");

pub(super) const CORRELATED: &str = select!(
    "WHERE position > $2 AND position IN (
       SELECT generate_series(c.first_position, c.first_position + c.count - 1)
       FROM es.command c WHERE c.correlation = $1)
     ORDER BY position LIMIT $3"
);

pub(super) const OUTCOME: &str = "
    SELECT first_position, count, version FROM es.command WHERE stream = $1 AND command_id = $2";

pub(super) async fn head(connection: &mut PgConnection) -> Result<Position> {
    position(
        sqlx::query_scalar(HEAD)
            .fetch_one(connection)
            .await
            .map_err(failed(DOING))?,
    )
}

pub(super) async fn page(connection: &mut PgConnection, query: &LogQuery) -> Result<LogPage> {
    if query.filter.is_all() {
        let rows = sqlx::query(PAGE)
            .bind(number(query.after)?)
            .bind(rows_limit(query.limit));
        let (events, _) = read(connection, rows, None).await?;
        return Ok(LogPage::dense(query, events));
    }
    let to = query.after.plus(WINDOW);
    let events = filtered(connection, query, to).await?;
    if !events.is_empty() || query.limit == 0 {
        return Ok(LogPage::dense(query, events));
    }
    // First the head, then the events: all positions up to the head are there to be seen.
    let to = head(connection).await?.max(query.after).min(to);
    let events = filtered(connection, query, to).await?;
    if events.is_empty() {
        return Ok(LogPage { events, seen: to });
    }
    Ok(LogPage::dense(query, events))
}

async fn filtered(
    connection: &mut PgConnection,
    query: &LogQuery,
    to: Position,
) -> Result<StoredEvents> {
    let filter = &query.filter;
    let prefix = |name: &str| format!("{name}-");
    let only = filter.only_aggregate();
    let rows = sqlx::query(only.map_or(FILTERED, |_| OF_ONE))
        .bind(number(query.after)?)
        .bind(rows_limit(query.limit))
        .bind(number(to)?);
    let rows = match only {
        // The full stop follows the hyphen.
        Some(name) => rows.bind(prefix(name)).bind(format!("{name}.")),
        None => {
            let aggregates = filter.aggregates.as_ref();
            let prefixes = aggregates.map(|names| names.iter().map(|name| prefix(name)));
            rows.bind(prefixes.map(Vec::from_iter))
                .bind(filter.types.as_deref())
                .bind(signed::<i16, _>("slice", filter.slices.start)?)
                .bind(signed::<i16, _>("slice", filter.slices.end)?)
        }
    };
    Ok(read(connection, rows, None).await?.0)
}

pub(super) async fn stream(
    connection: &mut PgConnection,
    stream: &StreamId,
    query: StreamQuery,
) -> Result<StreamPage> {
    let (select, version) = match query.from {
        Start::After(version) if query.bare => (BARE, version),
        Start::After(version) => (FORWARDS, version),
        Start::Before(version) => (BACKWARDS, version),
    };
    // One more than was asked for tells whether there are more.
    let rows = sqlx::query(select)
        .bind(stream.as_str())
        .bind(i64::try_from(version).unwrap_or(i64::MAX))
        .bind(rows_limit(query.limit.saturating_add(1)));
    let bare = (select == BARE).then_some(stream.as_str());
    let (events, cut) = read(connection, rows, bare).await?;
    Ok(StreamPage::cut(events, query.limit, cut))
}

pub(super) async fn correlated(
    connection: &mut PgConnection,
    correlation: &str,
    after: Position,
    limit: usize,
) -> Result<StreamPage> {
    let rows = sqlx::query(CORRELATED)
        .bind(correlation)
        .bind(number(after)?)
        .bind(rows_limit(limit.saturating_add(1)));
    let (events, cut) = read(connection, rows, None).await?;
    Ok(StreamPage::cut(events, limit, cut))
}

/// Takes rows until there are no more or the page is full of bytes; the latter is told. Rows that
/// [`BARE`] selects are all of the stream `bare`.
async fn read(
    connection: &mut PgConnection,
    rows: Query<'_, sqlx::Postgres, PgArguments>,
    bare: Option<&str>,
) -> Result<(StoredEvents, bool)> {
    let mut rows = connection.fetch_many(rows);
    let mut events = StoredEvents::new();
    while let Some(row) = rows.try_next().await.map_err(failed(DOING))? {
        let Either::Right(row) = row else { continue };
        events.push(match bare {
            Some(stream) => bare_event_of(&row, stream)?,
            None => event_of(&row)?,
        });
        if events.bytes() >= PAGE_BYTES {
            return Ok((events, true));
        }
    }
    Ok((events, false))
}

pub(super) async fn outcome(
    connection: &mut PgConnection,
    stream: &StreamId,
    command: CommandId,
) -> Result<Option<Outcome>> {
    let id = Uuid::from_u128(command.as_u128());
    let query = sqlx::query(OUTCOME).bind(stream.as_str()).bind(id);
    let row = query
        .fetch_optional(connection)
        .await
        .map_err(failed(DOING))?;
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

/// A column of our own tables, whose types are known.
pub(super) fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres>,
{
    row.try_get_unchecked(column).map_err(failed(DOING))
}
