//! Moving history in and out: commands as they are kept, whole segments, and forgetting.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row, Transaction};
use uuid::Uuid;

use super::failed;
use super::pool::Pool;
use super::types::{CopyRows, Moment, limit as rows_limit, number, position, signed, unsigned};
use crate::error::Result;
use crate::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use crate::store::segment::{
    Streams, elsewhere, kept_ids, keys_at_the_seam, new_commands, other_version, there_already,
};
use crate::store::{AcceptedCommand, Outcome, Segment};

const READING: &str = "reading commands";
const IMPORTING: &str = "importing events";
const FORGETTING: &str = "forgetting commands";

pub(super) const COMMANDS: &str = "
    SELECT k.stream, k.command_id, k.first_position, k.count, k.version, k.at, k.correlation
    FROM unnest($1::text[], $2::uuid[]) a(s, c)
    JOIN es.command k ON k.command_id = a.c AND k.stream = a.s";

pub(super) const EMPTY: &str = "
    SELECT stream, command_id, first_position, count, version, at, correlation
    FROM es.command
    WHERE count = 0 AND (first_position, command_id, stream) > ($1, $2, $3)
    ORDER BY first_position, command_id, stream LIMIT $4";

pub(super) async fn commands(
    connection: &mut PgConnection,
    keys: &[(StreamId, CommandId)],
) -> Result<Vec<AcceptedCommand>> {
    let streams: Vec<_> = keys.iter().map(|(stream, _)| stream.as_str()).collect();
    let ids: Vec<_> = keys.iter().map(|(_, id)| uuid(*id)).collect();
    let query = sqlx::query(COMMANDS).bind(streams).bind(ids);
    let rows = query.fetch_all(connection).await.map_err(failed(READING))?;
    rows.iter().map(command_of).collect()
}

pub(super) async fn empty_commands(
    connection: &mut PgConnection,
    from: Position,
    after: Option<&(StreamId, CommandId)>,
    limit: usize,
) -> Result<Vec<AcceptedCommand>> {
    let (stream, id) = after.map_or(("", Uuid::nil()), |(s, id)| (s.as_str(), uuid(*id)));
    let query = sqlx::query(EMPTY)
        .bind(number(from)?)
        .bind(id)
        .bind(stream)
        .bind(rows_limit(limit));
    let rows = query.fetch_all(connection).await.map_err(failed(READING))?;
    rows.iter().map(command_of).collect()
}

fn uuid(id: CommandId) -> Uuid {
    Uuid::from_u128(id.as_u128())
}

fn command_of(row: &PgRow) -> Result<AcceptedCommand> {
    fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        row.try_get(column).map_err(failed(READING))
    }
    Ok(AcceptedCommand {
        stream: get::<&str>(row, 0)?.parse()?,
        command_id: CommandId::from_u128(get::<Uuid>(row, 1)?.as_u128()),
        outcome: Outcome {
            first: position(get(row, 2)?)?,
            count: unsigned("count", get::<i32>(row, 3)?)?,
            version: unsigned("version", get::<i64>(row, 4)?)?,
        },
        time: get::<Moment>(row, 5)?.0,
        correlation: get(row, 6)?,
    })
}

const COPY_EVENTS: &str = "
    COPY es.event (position, stream, version, slice, type, schema_version, min_reader, command_id,
                   payload, metadata, occurred_at) FROM STDIN (FORMAT binary)";

const COPY_COMMANDS: &str = "
    COPY es.command (stream, command_id, first_position, count, version, at, correlation)
    FROM STDIN (FORMAT binary)";

/// Adds the segment in one transaction if it continues the log, and answers the new head.
pub(super) async fn import(pool: &Pool, segment: &Segment) -> Result<Position> {
    let streams = segment.check()?;
    let mut tx = pool.begin(IMPORTING).await?;
    follows(&mut tx, segment, &streams).await?;
    let seam = keys_at_the_seam(segment);
    let there = match seam.is_empty() {
        true => Vec::new(),
        false => commands(&mut tx, &seam).await?,
    };
    let commands = new_commands(segment, &there)?;
    copy(&mut tx, COPY_EVENTS, 11, &segment.events, event).await?;
    copy(&mut tx, COPY_COMMANDS, 7, &commands, |rows, row| {
        command(rows, row)
    })
    .await?;
    tx.commit().await.map_err(failed(IMPORTING))?;
    Ok(segment.head())
}

/// The lock of `es.append_1`: an append waits for us, or we for it. What follows it sees all that
/// was committed before it was granted, in READ COMMITTED.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(1163084889, 1)";

pub(super) const SEAM: &str = "
    SELECT greatest(coalesce((SELECT max(e.position) FROM es.event e), 0), l.floor) FROM es.log l";

/// The streams whose version is another one. The versions of new streams are guarded by their key.
pub(super) const OTHERS: &str = "
    SELECT a.s, coalesce(v.version, 0), a.v
    FROM unnest($1::text[], $2::bigint[]) a(s, v)
    LEFT JOIN LATERAL (SELECT e.version FROM es.event e WHERE e.stream = a.s
                       ORDER BY e.version DESC LIMIT 1) v ON true
    WHERE coalesce(v.version, 0) <> a.v LIMIT 1";

/// Takes the log's lock, and looks whether the log ends where the segment begins, and its streams
/// do.
async fn follows(
    tx: &mut Transaction<'static, Postgres>,
    segment: &Segment,
    streams: &Streams<'_>,
) -> Result<()> {
    let lock = sqlx::query(LOCK).execute(&mut **tx).await;
    lock.map_err(failed(IMPORTING))?;
    let head = sqlx::query_scalar(SEAM).fetch_one(&mut **tx).await;
    let head = position(head.map_err(failed(IMPORTING))?)?;
    if head != segment.after {
        return elsewhere(segment.after, head);
    }
    let emitted: std::collections::HashSet<_> = segment.events.iter().map(|e| &e.stream).collect();
    let (mut names, mut versions) = (Vec::new(), Vec::<i64>::new());
    for (stream, version) in streams {
        if *version > 0 || !emitted.contains(stream) {
            names.push(stream.as_str());
            versions.push(signed("version", *version)?);
        }
    }
    let other = sqlx::query_as(OTHERS).bind(names).bind(versions);
    let other: Option<(String, i64, i64)> = other
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed(IMPORTING))?;
    match other {
        Some((stream, found, expected)) => other_version(
            &stream,
            unsigned("version", found)?,
            unsigned("version", expected)?,
        ),
        None => Ok(()),
    }
}

fn event(rows: &mut CopyRows, event: &StoredEvent) -> Result<()> {
    rows.bigint(number(event.position)?);
    rows.text(event.stream.as_str())?;
    rows.bigint(signed("version", event.version)?);
    rows.smallint(signed("slice", event.stream.slice())?);
    rows.text(&event.event_type)?;
    rows.int(signed("schema version", event.schema_version)?);
    rows.int(signed("schema version", event.min_reader)?);
    rows.uuid(event.command_id.map(uuid));
    rows.text(&event.payload)?;
    rows.nullable_text(event.metadata.as_deref())?;
    rows.moment(event.time)
}

fn command(rows: &mut CopyRows, command: &AcceptedCommand) -> Result<()> {
    rows.text(command.stream.as_str())?;
    rows.uuid(Some(uuid(command.command_id)));
    rows.bigint(number(command.outcome.first)?);
    rows.int(signed("count", command.outcome.count)?);
    rows.bigint(signed("version", command.outcome.version)?);
    rows.moment(command.time)?;
    rows.nullable_text(command.correlation.as_deref())
}

/// Sends rows piece by piece: while the server works on one, the next is made.
async fn copy<T>(
    tx: &mut Transaction<'static, Postgres>,
    statement: &str,
    columns: i16,
    items: &[T],
    write: impl Fn(&mut CopyRows, &T) -> Result<()>,
) -> Result<()> {
    const PIECE: usize = 1 << 17;
    if items.is_empty() {
        return Ok(());
    }
    let mut copy = tx.copy_in_raw(statement).await.map_err(failed(IMPORTING))?;
    let mut rows = CopyRows::new(columns);
    let mut sent = Ok(());
    for item in items {
        rows.row();
        if let Err(error) = write(&mut rows, item) {
            // The connection is of use only when the server has heard of it.
            copy.abort(error.to_string())
                .await
                .map_err(failed(IMPORTING))?;
            return Err(error);
        }
        if rows.len() >= PIECE {
            sent = copy.send(rows.take()).await.map(drop);
        }
        if sent.is_err() {
            break;
        }
    }
    let copied = async {
        sent?;
        copy.send(rows.finish()).await?;
        copy.finish().await
    };
    match copied.await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(why)) if why.is_unique_violation() => there_already(),
        Err(error) => Err(failed(IMPORTING)(error)),
    }
}

pub(super) const FORGET: &str = "
    DELETE FROM es.command
    WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
      AND at < $3 AND command_id NOT BETWEEN $4 AND $5";

/// Goes once over the table from its first block to its last, in runs that are one transaction
/// each. Without an index, which every append would pay for.
pub(super) async fn forget(pool: &Pool, before: Timestamp, limit: usize) -> Result<u64> {
    /// A command takes more than 80 bytes of a block's 8192.
    const IN_A_BLOCK: i64 = 102;
    let mark = "UPDATE es.log SET forgotten_before = $1
                WHERE forgotten_before IS NULL OR forgotten_before < $1";
    let blocks = "SELECT pg_relation_size('es.command') / current_setting('block_size')::bigint";
    let mut tx = pool.begin(FORGETTING).await?;
    let mark = sqlx::query(mark)
        .bind(Moment(before))
        .execute(&mut *tx)
        .await;
    mark.map_err(failed(FORGETTING))?;
    let blocks = sqlx::query_scalar(blocks).fetch_one(&mut *tx).await;
    let blocks: i64 = blocks.map_err(failed(FORGETTING))?;
    tx.commit().await.map_err(failed(FORGETTING))?;
    let step = (rows_limit(limit) / IN_A_BLOCK).max(1);
    let (mut from, mut forgotten) = (0, 0);
    while from < blocks {
        let to = from.saturating_add(step);
        let mut tx = pool.begin(FORGETTING).await?;
        let (first_kept, last_kept) = kept_ids();
        let delete = sqlx::query(FORGET)
            .bind(from)
            .bind(to)
            .bind(Moment(before))
            .bind(uuid(first_kept))
            .bind(uuid(last_kept));
        let done = delete.execute(&mut *tx).await.map_err(failed(FORGETTING))?;
        tx.commit().await.map_err(failed(FORGETTING))?;
        forgotten += done.rows_affected();
        from = to;
    }
    Ok(forgotten)
}
