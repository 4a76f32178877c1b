//! A batch of appends in one transaction of five statements, however many appends that are.

use std::sync::Arc;

use serde_json::json;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::log::outcome_of;
use super::{begin_immediate, failed, instances, position, signed, unsigned};
use crate::error::Result;
use crate::event::{Position, StoredEvent};
use crate::store::group::{Commit, DOING, Failed};
use crate::store::wake::Wake;
use crate::store::{Append, Appended, Found, known_instances, plan};

/// Writes batches with the one writer.
pub(super) struct Batches {
    writer: SqlitePool,
    wake: Arc<Wake>,
}

impl Batches {
    pub(super) fn new(writer: SqlitePool, wake: Arc<Wake>) -> Self {
        Self { writer, wake }
    }
}

/// Decides the batch in the transaction, and commits it if something is new.
pub(super) async fn write(
    mut tx: Transaction<'static, Sqlite>,
    batch: &[Append],
    wake: &Wake,
) -> Result<Vec<Appended>> {
    if let Some(known) = known_instances(batch) {
        instances::expect_no_newer(&mut tx, known).await?;
    }
    let (found, head) = look_up(&mut tx, batch).await?;
    let plan = plan(batch, &found, head);
    let new = |result: &Appended| matches!(result, Appended::New(_));
    if plan.results.iter().any(new) {
        insert(&mut tx, batch, &plan.results).await?;
        tx.commit().await.map_err(failed(DOING))?;
        wake.log_grew(plan.head);
    }
    Ok(plan.results)
}

impl Commit for Batches {
    const STREAMS_REPEAT: bool = true;

    async fn commit(&mut self, batch: &[Append]) -> Result<Vec<Appended>, Failed> {
        let tx = begin_immediate(&self.writer).await;
        let tx = tx.map_err(|error| Failed::Before(failed(DOING)(error)))?;
        write(tx, batch, &self.wake).await.map_err(Failed::Within)
    }

    /// The writer is closed with the store.
    async fn close(self) {}
}

pub(super) const LOOK_UP: &str = "
    SELECT (SELECT coalesce(max(version), 0) FROM es_event WHERE stream = a.value->>0),
           max((SELECT coalesce(max(position), 0) FROM es_event),
               (SELECT floor FROM es_log WHERE id = 1)),
           c.first_position, c.count, c.version
    FROM json_each(?) a
    LEFT JOIN es_command c
      ON c.stream = a.value->>0 AND c.command_id = unhex(a.value->>1)
    ORDER BY a.key";

/// What the log knows of each append's stream and command, and its head.
async fn look_up(
    tx: &mut Transaction<'_, Sqlite>,
    batch: &[Append],
) -> Result<(Vec<Found>, Position)> {
    let keys: Vec<_> = batch
        .iter()
        .map(|a| json!([a.stream.as_str(), hex(a)]))
        .collect();
    let query = sqlx::query(LOOK_UP).bind(json!(keys).to_string());
    let rows = query.fetch_all(&mut **tx).await.map_err(failed(DOING))?;
    let mut head = Position::START;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        head = position(row.try_get(1).map_err(failed(DOING))?)?;
        found.push(read_found(&row)?);
    }
    Ok((found, head))
}

fn read_found(row: &SqliteRow) -> Result<Found> {
    let version = unsigned("version", row.try_get(0).map_err(failed(DOING))?)?;
    let first: Option<i64> = row.try_get(2).map_err(failed(DOING))?;
    let done = first.map(|_| outcome_of(row, 2)).transpose()?;
    Ok(Found { version, done })
}

pub(super) const INSERT_EVENTS: &str = "
    INSERT INTO es_event (position, stream, version, slice, type, schema_version, min_reader,
                          command_id, payload, metadata, occurred_at)
    SELECT e.value->>0, e.value->>1, e.value->>2, e.value->>3, e.value->>4, e.value->>5,
           e.value->>6, unhex(e.value->>7), e.value->>8, e.value->>9, e.value->>10
    FROM json_each(?) e";

pub(super) const INSERT_COMMANDS: &str = "
    INSERT INTO es_command (stream, command_id, first_position, count, version, at, correlation)
    SELECT c.value->>0, unhex(c.value->>1), c.value->>2, c.value->>3, c.value->>4, c.value->>5,
           c.value->>6
    FROM json_each(?) c";

/// Writes what was decided: the events and the commands that emitted them.
async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    batch: &[Append],
    results: &[Appended],
) -> Result<()> {
    let (mut events, mut commands) = (Vec::new(), Vec::new());
    for (append, result) in batch.iter().zip(results) {
        let Appended::New(outcome) = *result else {
            continue;
        };
        let (first, version) = (
            signed("position", outcome.first.get())?,
            signed("version", outcome.version)?,
        );
        let (stream, command, at) = (append.stream.as_str(), hex(append), append.time.as_micros());
        let correlation = &append.correlation;
        commands.push(json!([
            stream,
            command,
            first,
            outcome.count,
            version,
            at,
            correlation
        ]));
        let slice = append.stream.slice();
        for event in append.clone().into_stored(outcome) {
            events.push(event_row(&event, slice, &command));
        }
    }
    for (statement, rows) in [(INSERT_EVENTS, events), (INSERT_COMMANDS, commands)] {
        if !rows.is_empty() {
            let query = sqlx::query(statement).bind(json!(rows).to_string());
            query.execute(&mut **tx).await.map_err(failed(DOING))?;
        }
    }
    Ok(())
}

fn event_row(event: &StoredEvent, slice: u16, command: &str) -> serde_json::Value {
    json!([
        event.position,
        event.stream.as_str(),
        event.version,
        slice,
        event.event_type,
        event.schema_version,
        event.min_reader,
        command,
        event.payload,
        event.metadata,
        event.time.as_micros(),
    ])
}

fn hex(append: &Append) -> String {
    format!("{:032x}", append.command_id.as_u128())
}
