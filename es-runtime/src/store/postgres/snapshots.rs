//! Aggregates' states at a version, to read fewer events.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::event_row::event_of;
use super::failed;
use super::types::{Moment, limit as rows_limit, signed, unsigned};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Result};
use crate::event::StreamId;
use crate::store::{Outdated, Snapshot, StreamPage};

const DOING: &str = "reading a snapshot";

/// The snapshot, which has no position but a seal, and the events from its last one on: one
/// statement, so that both are of one moment and cost one trip.
pub(super) const READ: &str = "
    SELECT NULL::bigint, NULL::text, version, NULL::text, NULL::bigint, NULL::uuid, state,
           NULL::json, at, seal
    FROM es.snapshot WHERE stream = $1 AND fingerprint = $2
    UNION ALL (
      SELECT position, stream, version, type, schema_version * 4294967296 + min_reader,
             command_id, payload, metadata, occurred_at, NULL
      FROM es.event
      WHERE stream = $1 AND version >= coalesce((
        SELECT version FROM es.snapshot WHERE stream = $1 AND fingerprint = $2), 1)
      ORDER BY version LIMIT $3)";

pub(super) async fn read(
    connection: &mut PgConnection,
    stream: &StreamId,
    fingerprint: Fingerprint,
    limit: usize,
) -> Result<(Option<Snapshot>, StreamPage)> {
    // One more than was asked for tells whether there are more.
    let query = sqlx::query(READ)
        .bind(stream.as_str())
        .bind(&fingerprint.as_bytes()[..])
        .bind(rows_limit(limit.saturating_add(1)));
    let rows = query.fetch_all(connection).await.map_err(failed(DOING))?;
    let (mut snapshot, mut found) = (None, Vec::with_capacity(rows.len()));
    for row in &rows {
        match row.try_get(9).map_err(failed(DOING))? {
            Some(seal) => snapshot = Some(snapshot_of(row, seal, stream, fingerprint)?),
            None => found.push(event_of(row)?),
        }
    }
    // The order of a union's parts is a custom, not a promise.
    found.sort_by_key(|event| event.version);
    let more = found.len() > limit;
    let events = found.into_iter().take(limit).collect();
    Ok((snapshot, StreamPage { events, more }))
}

fn snapshot_of(
    row: &PgRow,
    seal: &[u8],
    stream: &StreamId,
    fingerprint: Fingerprint,
) -> Result<Snapshot> {
    let version: i64 = row.try_get(2).map_err(failed(DOING))?;
    Ok(Snapshot {
        stream: stream.clone(),
        fingerprint,
        version: unsigned("version", version)?,
        // `json` is its own text.
        state: row.try_get_unchecked(6).map_err(failed(DOING))?,
        // What is no seal fits nothing.
        seal: seal.try_into().unwrap_or_default(),
        time: row.try_get::<Moment, _>(8).map_err(failed(DOING))?.0,
    })
}

/// A snapshot that a crash takes is made again, so its commit need not wait for the disk.
const WRITE: &str = "
    INSERT INTO es.snapshot AS kept (stream, fingerprint, version, state, seal, at)
    SELECT s.stream, s.fingerprint, s.version, s.state::json, s.seal, s.at
    FROM (SELECT set_config('synchronous_commit', 'off', true)) hasty,
         unnest($1::text[], $2::bytea[], $3::bigint[], $4::text[], $5::bytea[], $6::timestamptz[])
         s(stream, fingerprint, version, state, seal, at)
    ORDER BY s.stream, s.fingerprint
    ON CONFLICT (stream, fingerprint) DO UPDATE
    SET version = excluded.version, state = excluded.state, seal = excluded.seal, at = excluded.at
    WHERE kept.version < excluded.version";

pub(super) async fn write(connection: &mut PgConnection, snapshots: &[Snapshot]) -> Result<()> {
    fn column<'s, T>(snapshots: &'s [Snapshot], of: impl Fn(&'s Snapshot) -> T) -> Vec<T> {
        snapshots.iter().map(of).collect()
    }
    let version = |s: &Snapshot| signed::<i64, _>("version", s.version);
    let versions = snapshots.iter().map(version).collect::<Result<Vec<_>>>()?;
    let query = sqlx::query(WRITE)
        .bind(column(snapshots, |s| s.stream.as_str()))
        .bind(column(snapshots, |s| &s.fingerprint.as_bytes()[..]))
        .bind(versions)
        .bind(column(snapshots, |s| s.state.as_str()))
        .bind(column(snapshots, |s| &s.seal[..]))
        .bind(column(snapshots, |s| Moment(s.time)));
    let done = query.execute(connection).await;
    done.map(drop).map_err(failed("writing snapshots"))
}

const REMOVE: &str =
    "DELETE FROM es.snapshot WHERE stream = $1 AND fingerprint = $2 AND version = $3";

pub(super) async fn remove(
    connection: &mut PgConnection,
    stream: &StreamId,
    fingerprint: Fingerprint,
    version: u64,
) -> Result<()> {
    let query = sqlx::query(REMOVE)
        .bind(stream.as_str())
        .bind(&fingerprint.as_bytes()[..])
        .bind(signed::<i64, _>("version", version)?);
    let done = query.execute(connection).await;
    done.map(drop).map_err(failed("removing a snapshot"))
}

const REMOVE_OUTDATED: &str = "
    DELETE FROM es.snapshot s USING (
      SELECT stream, fingerprint FROM es.snapshot
      WHERE stream >= $1 AND stream < $2 AND fingerprint <> $3 AND at < $4 LIMIT $5) o
    WHERE s.stream = o.stream AND s.fingerprint = o.fingerprint AND s.at < $4";

pub(super) async fn remove_outdated(
    connection: &mut PgConnection,
    outdated: &Outdated,
    limit: usize,
) -> Result<usize> {
    const DOING: &str = "removing outdated snapshots";
    let [first, behind] = outdated.streams();
    let query = sqlx::query(REMOVE_OUTDATED)
        .bind(first)
        .bind(behind)
        .bind(&outdated.keep.as_bytes()[..])
        .bind(Moment(outdated.before))
        .bind(rows_limit(limit));
    let done = query.execute(connection).await.map_err(failed(DOING))?;
    usize::try_from(done.rows_affected()).map_err(|error| Error::database(DOING, error))
}
