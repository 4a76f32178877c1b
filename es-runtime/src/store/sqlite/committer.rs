//! A batch of appends in one transaction of a few statements, however many appends that are.

use std::sync::Arc;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

use super::log::outcome_of;
use super::many::{Many, Values};
use super::rows::{INSERT_COMMANDS, INSERT_EVENTS, add_command, add_event, id_of};
use super::{begin_immediate, failed, position, unsigned};
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Position};
use crate::store::group::{Commit, DOING, Failed};
use crate::store::wake::Wake;
use crate::store::{AcceptedCommand, Append, Appended, Found, known_instances, plan};

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
    let Log {
        found,
        head,
        newest,
    } = look_up(&mut tx, batch).await?;
    if known_instances(batch).is_some_and(|known| known < newest) {
        return Err(Error::new(Kind::OtherInstances));
    }
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

pub(super) static LOOK_UP: Many = Many::new(
    "WITH asked (number, stream, id, kept, next) AS (VALUES ",
    "(?, ?, ?, ?, ?)",
    ")
    SELECT (SELECT coalesce(max(version), 0) FROM es_event WHERE stream = a.stream),
           max((SELECT coalesce(max(position), 0) FROM es_event),
               (SELECT floor FROM es_log WHERE id = 1)),
           c.first_position, c.count, c.version, e.position, e.command_id,
           (SELECT coalesce(max(number), 0) FROM es_instance)
    FROM asked a
    LEFT JOIN es_command c ON a.kept AND c.stream = a.stream AND c.command_id = a.id
    LEFT JOIN es_event e ON NOT a.kept AND e.stream = a.stream AND e.version = a.next
    ORDER BY a.number",
);

/// What a batch is decided by.
struct Log {
    /// What the log knows of each append's stream and command.
    found: Vec<Found>,
    head: Position,
    /// The instance that came last.
    newest: u64,
}

async fn look_up(tx: &mut Transaction<'_, Sqlite>, batch: &[Append]) -> Result<Log> {
    let mut log = Log {
        found: Vec::with_capacity(batch.len()),
        head: Position::START,
        newest: 0,
    };
    let mut number = 0_i64;
    let ask = |values: &mut Values, append: &Append| {
        number += 1;
        values.add(number)?;
        values.add(append.stream.as_str())?;
        values.add(&append.command_id.as_u128().to_be_bytes()[..])?;
        values.add(append.is_kept())?;
        // No version is beyond those that can be kept.
        values.add(i64::try_from(append.expected).map_or(i64::MAX, |v| v.saturating_add(1)))
    };
    for query in LOOK_UP.each(DOING, batch, ask) {
        let rows = query?.fetch_all(&mut **tx).await.map_err(failed(DOING))?;
        for row in &rows {
            log.head = position(row.try_get(1).map_err(failed(DOING))?)?;
            log.newest = unsigned("instance", row.try_get(7).map_err(failed(DOING))?)?;
            let append = &batch[log.found.len()];
            log.found.push(read_found(row, append)?);
        }
    }
    Ok(log)
}

fn read_found(row: &SqliteRow, append: &Append) -> Result<Found> {
    let get = |column| row.try_get::<Option<i64>, _>(column).map_err(failed(DOING));
    let version = unsigned("version", row.try_get(0).map_err(failed(DOING))?)?;
    let done = match (get(2)?, get(5)?) {
        (Some(_), _) => Some(outcome_of(row, 2)?),
        (None, Some(next)) => append.done_by(position(next)?, command(row)?),
        (None, None) => None,
    };
    Ok(Found { version, done })
}

/// The command of the event after the version that was expected.
fn command(row: &SqliteRow) -> Result<Option<CommandId>> {
    let id: Option<&[u8]> = row.try_get(6).map_err(failed(DOING))?;
    id.map(|id| id_of(id, DOING)).transpose()
}

/// Writes what was decided: the events, and the commands that are kept.
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
        if append.is_kept() {
            commands.push(AcceptedCommand {
                stream: append.stream.clone(),
                command_id: append.command_id,
                outcome,
                time: append.time,
                correlation: append.correlation.clone(),
            });
        }
        let slice = append.stream.slice();
        events.extend(append.stored(outcome).map(|event| (event, slice)));
    }
    let inserts = INSERT_EVENTS.each(DOING, &events, |values, (event, slice)| {
        add_event(values, *event, *slice)
    });
    for insert in inserts.chain(INSERT_COMMANDS.each(DOING, &commands, add_command)) {
        insert?.execute(&mut **tx).await.map_err(failed(DOING))?;
    }
    Ok(())
}
