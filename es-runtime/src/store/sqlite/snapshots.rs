//! Aggregates' states at a version, to read fewer events.

use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::log::event_of;
use super::{failed, limit as rows_limit, signed, unsigned};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Result};
use crate::event::{StoredEvent, StreamId, Timestamp};
use crate::store::{Outdated, Snapshot};

const DOING: &str = "reading a snapshot";

/// The snapshot, which has no position but a seal, and the events from its last one on, in one
/// statement: so that both are of one moment.
pub(super) const READ: &str = "
    SELECT NULL, NULL, version, NULL, NULL, NULL, NULL, state, NULL, at, seal
    FROM es_snapshot WHERE stream = ?1 AND fingerprint = ?2
    UNION ALL
    SELECT * FROM (
      SELECT position, stream, version, type, schema_version, min_reader, command_id, payload,
             metadata, occurred_at, NULL
      FROM es_event
      WHERE stream = ?1 AND version >= coalesce((
        SELECT version FROM es_snapshot WHERE stream = ?1 AND fingerprint = ?2), 1)
      ORDER BY version LIMIT ?3)";

pub(super) async fn read(
    readers: &SqlitePool,
    stream: &StreamId,
    fingerprint: Fingerprint,
    limit: usize,
) -> Result<(Option<Snapshot>, Vec<StoredEvent>)> {
    let query = sqlx::query(READ)
        .bind(stream.as_str())
        .bind(&fingerprint.as_bytes()[..])
        .bind(rows_limit(limit));
    let rows = query.fetch_all(readers).await.map_err(failed(DOING))?;
    let (mut snapshot, mut events) = (None, Vec::with_capacity(rows.len()));
    for row in rows {
        match row.try_get(10).map_err(failed(DOING))? {
            Some(seal) => snapshot = Some(snapshot_of(&row, seal, stream, fingerprint)?),
            None => events.push(event_of(&row)?),
        }
    }
    // The order of a union's parts is a custom, not a promise.
    events.sort_by_key(|event: &StoredEvent| event.version);
    Ok((snapshot, events))
}

fn snapshot_of(
    row: &SqliteRow,
    seal: &[u8],
    stream: &StreamId,
    fingerprint: Fingerprint,
) -> Result<Snapshot> {
    Ok(Snapshot {
        stream: stream.clone(),
        fingerprint,
        version: unsigned("version", row.try_get(2).map_err(failed(DOING))?)?,
        state: row.try_get(7).map_err(failed(DOING))?,
        // What is no seal fits nothing.
        seal: seal.try_into().unwrap_or_default(),
        time: Timestamp::from_micros(row.try_get(9).map_err(failed(DOING))?),
    })
}

const WRITE: &str = "
    INSERT INTO es_snapshot (stream, fingerprint, version, state, seal, at)
    SELECT s.value->>0, unhex(s.value->>1), s.value->>2, s.value->>3, unhex(s.value->>4),
           s.value->>5
    FROM json_each(?) s WHERE true
    ON CONFLICT (stream, fingerprint) DO UPDATE
    SET version = excluded.version, state = excluded.state, seal = excluded.seal, at = excluded.at
    WHERE es_snapshot.version < excluded.version";

pub(super) async fn write(writer: &SqlitePool, snapshots: &[Snapshot]) -> Result<()> {
    let row = |s: &Snapshot| {
        let (stream, fingerprint) = (s.stream.as_str(), s.fingerprint.to_string());
        let (version, at) = (signed("version", s.version)?, s.time.as_micros());
        Ok(json!([
            stream,
            fingerprint,
            version,
            s.state,
            hex::encode(s.seal),
            at
        ]))
    };
    let rows = snapshots.iter().map(row).collect::<Result<Vec<_>>>()?;
    let query = sqlx::query(WRITE).bind(json!(rows).to_string());
    let done = query.execute(writer).await;
    done.map(drop).map_err(failed("writing snapshots"))
}

pub(super) const REMOVE: &str =
    "DELETE FROM es_snapshot WHERE stream = ? AND fingerprint = ? AND version = ?";

pub(super) async fn remove(
    writer: &SqlitePool,
    stream: &StreamId,
    fingerprint: Fingerprint,
    version: u64,
) -> Result<()> {
    let query = sqlx::query(REMOVE)
        .bind(stream.as_str())
        .bind(&fingerprint.as_bytes()[..])
        .bind(signed("version", version)?);
    let done = query.execute(writer).await;
    done.map(drop).map_err(failed("removing a snapshot"))
}

pub(super) const REMOVE_OUTDATED: &str = "
    DELETE FROM es_snapshot WHERE rowid IN (
      SELECT rowid FROM es_snapshot
      WHERE stream >= ? AND stream < ? AND fingerprint <> ? AND at < ? LIMIT ?)";

pub(super) async fn remove_outdated(
    writer: &SqlitePool,
    outdated: &Outdated,
    limit: usize,
) -> Result<usize> {
    const DOING: &str = "removing outdated snapshots";
    let [first, behind] = outdated.streams();
    let query = sqlx::query(REMOVE_OUTDATED)
        .bind(first)
        .bind(behind)
        .bind(&outdated.keep.as_bytes()[..])
        .bind(outdated.before.as_micros())
        .bind(rows_limit(limit));
    let done = query.execute(writer).await.map_err(failed(DOING))?;
    usize::try_from(done.rows_affected()).map_err(|error| Error::database(DOING, error))
}
