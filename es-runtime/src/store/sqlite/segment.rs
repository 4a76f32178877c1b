//! Moving history in and out: commands as they are kept, whole segments, and forgetting.

use sqlx::sqlite::{Sqlite, SqliteExecutor, SqlitePool, SqliteRow};
use sqlx::{Row, Transaction};

use super::log::outcome_of;
use super::rows::{
    INSERT_COMMANDS, INSERT_EVENTS, Rows, accepted_values, event_values, hex, id_of,
};
use super::{begin, failed, limit as rows_limit, position, signed, unsigned};
use crate::error::Result;
use crate::event::{CommandId, Position, StreamId, Timestamp};
use crate::store::segment::{
    Streams, elsewhere, kept_ids, keys_at_the_seam, new_commands, other_version, there_already,
};
use crate::store::{AcceptedCommand, Segment};

const READING: &str = "reading commands";
const IMPORTING: &str = "importing events";
const FORGETTING: &str = "forgetting commands";

pub(super) const COMMANDS: &str = "
    SELECT c.stream, c.command_id, c.first_position, c.count, c.version, c.at, c.correlation
    FROM json_each(?) a CROSS JOIN es_command c
      ON c.command_id = unhex(a.value->>1) AND c.stream = a.value->>0";

pub(super) const EMPTY: &str = "
    SELECT stream, command_id, first_position, count, version, at, correlation
    FROM es_command
    WHERE count = 0 AND (first_position, command_id, stream) > (?, ?, ?)
    ORDER BY first_position, command_id, stream LIMIT ?";

pub(super) async fn commands(
    database: impl SqliteExecutor<'_>,
    keys: &[(StreamId, CommandId)],
) -> Result<Vec<AcceptedCommand>> {
    let mut rows = Rows::new(READING);
    for (stream, id) in keys {
        rows.row(&(stream.as_str(), hex(*id)))?;
    }
    let query = sqlx::query(COMMANDS).bind(rows.finish()?);
    let rows = query.fetch_all(database).await.map_err(failed(READING))?;
    rows.iter().map(command_of).collect()
}

pub(super) async fn empty_commands(
    readers: &SqlitePool,
    from: Position,
    after: Option<&(StreamId, CommandId)>,
    limit: usize,
) -> Result<Vec<AcceptedCommand>> {
    let (stream, id) = after.map_or(("", 0), |(stream, id)| (stream.as_str(), id.as_u128()));
    let id = id.to_be_bytes();
    let query = sqlx::query(EMPTY)
        .bind(signed("position", from.get())?)
        .bind(&id[..])
        .bind(stream)
        .bind(rows_limit(limit));
    let rows = query.fetch_all(readers).await.map_err(failed(READING))?;
    rows.iter().map(command_of).collect()
}

fn command_of(row: &SqliteRow) -> Result<AcceptedCommand> {
    let (stream, id): (&str, &[u8]) = (
        row.try_get(0).map_err(failed(READING))?,
        row.try_get(1).map_err(failed(READING))?,
    );
    let at = row.try_get(5).map_err(failed(READING))?;
    Ok(AcceptedCommand {
        stream: stream.parse()?,
        command_id: id_of(id, READING)?,
        outcome: outcome_of(row, 2)?,
        time: Timestamp::from_micros(at),
        correlation: row.try_get(6).map_err(failed(READING))?,
    })
}

/// Adds the segment in one transaction if it continues the log, and answers the new head.
pub(super) async fn import(writer: &SqlitePool, segment: &Segment) -> Result<Position> {
    let streams = segment.check()?;
    let mut tx = begin(writer, IMPORTING).await?;
    follows(&mut tx, segment, &streams).await?;
    let there = commands(&mut *tx, &keys_at_the_seam(segment)).await?;
    let commands = new_commands(segment, &there)?;
    let events = INSERT_EVENTS.each(IMPORTING, &segment.events, |event| {
        event_values(event.into(), event.stream.slice())
    });
    let commands = INSERT_COMMANDS.each(IMPORTING, &commands, |&command| accepted_values(command));
    for insert in events.chain(commands) {
        match insert?.execute(&mut *tx).await {
            // A trigger answers for a version that is there, and a key for a command.
            Err(sqlx::Error::Database(why)) if why.is_unique_violation() || aborted(&*why) => {
                return there_already();
            }
            inserted => inserted.map_err(failed(IMPORTING))?,
        };
    }
    tx.commit().await.map_err(failed(IMPORTING))?;
    Ok(segment.head())
}

/// Whether a trigger refused.
fn aborted(error: &dyn sqlx::error::DatabaseError) -> bool {
    const SQLITE_CONSTRAINT_TRIGGER: &str = "1811";
    error.code().as_deref() == Some(SQLITE_CONSTRAINT_TRIGGER)
}

pub(super) const SEAM: &str = "
    SELECT max((SELECT coalesce(max(position), 0) FROM es_event), floor) FROM es_log WHERE id = 1";

pub(super) const VERSIONS: &str = "
    SELECT (SELECT coalesce(max(version), 0) FROM es_event WHERE stream = a.value)
    FROM json_each(?) a";

/// Whether the log ends where the segment begins, and its streams do.
async fn follows(
    tx: &mut Transaction<'static, Sqlite>,
    segment: &Segment,
    streams: &Streams<'_>,
) -> Result<()> {
    let head = sqlx::query_scalar(SEAM).fetch_one(&mut **tx).await;
    let head = position(head.map_err(failed(IMPORTING))?)?;
    if head != segment.after {
        return elsewhere(segment.after, head);
    }
    let mut names = Rows::new(IMPORTING);
    for (stream, _) in streams {
        names.row(&stream.as_str())?;
    }
    let query = sqlx::query_scalar(VERSIONS).bind(names.finish()?);
    let versions: Vec<i64> = query
        .fetch_all(&mut **tx)
        .await
        .map_err(failed(IMPORTING))?;
    for (found, (stream, expected)) in versions.into_iter().zip(streams) {
        let found = unsigned("version", found)?;
        if found != *expected {
            return other_version(stream.as_str(), found, *expected);
        }
    }
    Ok(())
}

/// Where a run of commands ends, in the order of their key.
pub(super) const RUN: &str = "
    SELECT stream, command_id FROM es_command WHERE (stream, command_id) > (?, ?)
    ORDER BY stream, command_id LIMIT 1 OFFSET ?";

pub(super) const FORGET: &str = "
    DELETE FROM es_command
    WHERE (stream, command_id) > (?, ?) AND (stream, command_id) <= (?, ?) AND at < ?
      AND command_id NOT BETWEEN ? AND ?";

/// Goes once over all commands, by their key, in runs that are one transaction each.
pub(super) async fn forget(writer: &SqlitePool, before: Timestamp, limit: usize) -> Result<u64> {
    let before = before.as_micros();
    let mark = "UPDATE es_log SET forgotten_before = ?1
                WHERE forgotten_before IS NULL OR forgotten_before < ?1";
    let mark = sqlx::query(mark).bind(before).execute(writer).await;
    mark.map_err(failed(FORGETTING))?;
    let (first_kept, last_kept) = kept_ids();
    let (mut from, mut forgotten) = ((String::new(), Vec::new()), 0);
    loop {
        let mut tx = begin(writer, FORGETTING).await?;
        let run = sqlx::query_as(RUN).bind(&from.0).bind(&from.1);
        let run = run.bind(rows_limit(limit.max(1) - 1));
        let to: Option<(String, Vec<u8>)> = run
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed(FORGETTING))?;
        // Beyond every key: longer than a stream's name may be, of the last character there is.
        let beyond = || ("\u{10FFFF}".repeat(200), Vec::new());
        let end = to.clone().unwrap_or_else(beyond);
        let delete = sqlx::query(FORGET)
            .bind(&from.0)
            .bind(&from.1)
            .bind(&end.0)
            .bind(&end.1)
            .bind(before)
            .bind(first_kept.as_u128().to_be_bytes().to_vec())
            .bind(last_kept.as_u128().to_be_bytes().to_vec());
        let done = delete.execute(&mut *tx).await.map_err(failed(FORGETTING))?;
        tx.commit().await.map_err(failed(FORGETTING))?;
        forgotten += done.rows_affected();
        match to {
            Some(to) => from = to,
            None => return Ok(forgotten),
        }
    }
}
