//! Aggregates' states at a version, to read fewer events.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use sqlx::SqlitePool;

use super::log::{events, select};
use super::readers::Readers;
use super::{failed, limit as rows_limit, signed, unsigned};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Result};
use crate::event::{StreamId, Timestamp};
use crate::store::{Outdated, Snapshot, StreamPage};

const DOING: &str = "reading a snapshot";

pub(super) const READ: &str = "
    SELECT version, state, at, seal FROM es_snapshot WHERE stream = ? AND fingerprint = ?";

pub(super) const TAIL: &str = select!("WHERE stream = ? AND version >= ? ORDER BY version LIMIT ?");

/// The snapshot, and then the events from its last one on: the log only grows.
pub(super) async fn read(
    readers: &Readers,
    stream: &StreamId,
    fingerprint: Fingerprint,
    limit: usize,
) -> Result<(Option<Snapshot>, StreamPage)> {
    let stream = stream.clone();
    let read = move |log: &Connection| {
        let snapshot = snapshot(log, &stream, fingerprint)?;
        let from = snapshot.as_ref().map_or(1, |snapshot| snapshot.version);
        // One more than was asked for tells whether there are more.
        let one_more = limit.saturating_add(1);
        let tail = params![
            stream.as_str(),
            signed("version", from)?,
            rows_limit(one_more)
        ];
        let (events, full) = events(log, TAIL, tail)?;
        Ok((snapshot, StreamPage::cut(events, limit, full)))
    };
    readers.read(DOING, read).await
}

fn snapshot(
    log: &Connection,
    stream: &StreamId,
    fingerprint: Fingerprint,
) -> Result<Option<Snapshot>> {
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let mut select = log.prepare_cached(READ).map_err(failed(DOING))?;
    let found = select.query_row(params![stream.as_str(), fingerprint.as_bytes()], columns);
    let Some((version, state, at, seal)) = found.optional().map_err(failed(DOING))? else {
        return Ok(None);
    };
    let seal: Vec<u8> = seal;
    Ok(Some(Snapshot {
        stream: stream.clone(),
        fingerprint,
        version: unsigned("version", version)?,
        state,
        // What is no seal fits nothing.
        seal: seal.try_into().unwrap_or_default(),
        time: Timestamp::from_micros(at),
    }))
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
