//! Aggregates' states at a version, to read fewer events.

use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::log::{CHUNK, add, events};
use super::{failed, limit as rows_limit, signed, unsigned};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Result};
use crate::event::{StoredEvents, StreamId, Timestamp};
use crate::store::{Outdated, Snapshot, StreamPage};

const DOING: &str = "reading a snapshot";

/// The snapshot, and the events from its last one on: one statement, so that both are of one
/// moment.
pub(super) const READ: &str = concat!(
    "SELECT s.version, s.state, s.at, s.seal, (SELECT group_concat(event, '') FROM ",
    events!("WHERE stream = ?1 AND version >= coalesce(s.version, 1) ORDER BY version LIMIT ?3"),
    ") FROM (SELECT 1) LEFT JOIN es_snapshot s ON s.stream = ?1 AND s.fingerprint = ?2"
);

pub(super) async fn read(
    readers: &SqlitePool,
    stream: &StreamId,
    fingerprint: Fingerprint,
    limit: usize,
) -> Result<(Option<Snapshot>, StreamPage)> {
    // One more than was asked for tells whether there are more.
    let limit = limit.min(CHUNK);
    let query = sqlx::query(READ)
        .bind(stream.as_str())
        .bind(&fingerprint.as_bytes()[..])
        .bind(rows_limit(limit + 1));
    let row = query.fetch_one(readers).await.map_err(failed(DOING))?;
    let text: Option<&str> = row.try_get(4).map_err(failed(DOING))?;
    let mut events = StoredEvents::new();
    add(&mut events, text.unwrap_or_default())?;
    let more = events.len() > limit;
    events.truncate(limit);
    let seal: Option<&[u8]> = row.try_get(3).map_err(failed(DOING))?;
    let snapshot = seal.map(|seal| snapshot_of(&row, seal, stream, fingerprint));
    Ok((snapshot.transpose()?, StreamPage { events, more }))
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
        version: unsigned("version", row.try_get(0).map_err(failed(DOING))?)?,
        state: row.try_get(1).map_err(failed(DOING))?,
        // What is no seal fits nothing.
        seal: seal.try_into().unwrap_or_default(),
        time: Timestamp::from_micros(row.try_get(2).map_err(failed(DOING))?),
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
