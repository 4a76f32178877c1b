//! A batch of appends in one transaction, however many appends that are.
//!
//! It is written where the file is, on a thread that may wait: with `sqlx`, each statement crosses to
//! a thread of its own and back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Row, TransactionBehavior, params_from_iter};
use sqlx::sqlite::SqlitePool;
use tokio::task::spawn_blocking;

use super::log::outcome_in;
use super::open::writer_here;
use super::rows::{INSERT_COMMANDS, INSERT_EVENTS, Value, command_values, event_values, id_of};
use super::{failed, position, signed, unsigned};
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Position};
use crate::store::group::{Commit, DOING, Failed};
use crate::store::wake::Wake;
use crate::store::{Append, Appended, Found, Outcome, Plan, known_instances, plan};

/// Writes batches.
pub(super) struct Batches {
    /// Whoever has the one connection in it may write.
    turns: SqlitePool,
    file: PathBuf,
    connection: Option<Connection>,
    wake: Arc<Wake>,
}

impl Batches {
    pub(super) fn new(turns: SqlitePool, file: &Path, wake: Arc<Wake>) -> Self {
        Self {
            turns,
            file: file.to_owned(),
            connection: None,
            wake,
        }
    }
}

impl Commit for Batches {
    const STREAMS_REPEAT: bool = true;

    async fn commit(&mut self, batch: &Arc<[Append]>) -> Result<Vec<Appended>, Failed> {
        let turn = self.turns.acquire().await;
        let turn = turn.map_err(|error| Failed::Before(failed(DOING)(error)))?;
        let (batch, file, connection) = (batch.clone(), self.file.clone(), self.connection.take());
        let writing = spawn_blocking(move || {
            let connected = connection.map_or_else(|| writer_here(&file), Ok);
            let mut connection = connected.map_err(|error| Failed::Before(failed(DOING)(error)))?;
            let written = write(&mut connection, &batch);
            Ok((connection, written))
        });
        let written = writing.await;
        drop(turn);
        let (connection, written) =
            written.map_err(|error| Failed::Within(Error::database(DOING, error)))??;
        self.connection = Some(connection);
        let plan = written?;
        if plan.results.iter().any(is_new) {
            self.wake.log_grew(plan.head);
        }
        Ok(plan.results)
    }

    /// The writer is closed with the store.
    async fn close(self) {}
}

/// Decides the batch in a transaction, and commits it if something is new.
fn write(connection: &mut Connection, batch: &[Append]) -> Result<Plan, Failed> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let tx = tx.map_err(|error| Failed::Before(failed(DOING)(error)))?;
    let plan = append(&tx, batch).map_err(Failed::Within)?;
    if plan.results.iter().any(is_new) {
        tx.commit()
            .map_err(|error| Failed::Within(failed(DOING)(error)))?;
    }
    Ok(plan)
}

fn append(log: &Connection, batch: &[Append]) -> Result<Plan> {
    let stands = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (head, newest) = log
        .prepare_cached(LOG)
        .and_then(|mut select| select.query_row([], stands))
        .map_err(failed(DOING))?;
    are_known(batch, newest)?;
    let mut appending = Appending::new(log, position(head)?).map_err(failed(DOING))?;
    let results = batch.iter().map(|append| appending.append(append));
    Ok(Plan {
        results: results.collect::<Result<_>>()?,
        head: appending.head,
    })
}

pub(super) fn is_new(result: &Appended) -> bool {
    matches!(result, Appended::New(_))
}

/// Where the log stands, and the instance that came last.
pub(super) const LOG: &str = "
    SELECT max((SELECT coalesce(max(position), 0) FROM es_event),
               (SELECT floor FROM es_log WHERE id = 1)),
           (SELECT coalesce(max(number), 0) FROM es_instance)";

/// What the log knows of an append's stream and command, and of the event after the version that was
/// expected.
pub(super) const LOOK_UP: &str = "
    SELECT (SELECT coalesce(max(version), 0) FROM es_event WHERE stream = ?1),
           c.first_position, c.count, c.version, e.position, e.command_id
    FROM (SELECT 1)
    LEFT JOIN es_command c ON ?3 AND c.stream = ?1 AND c.command_id = ?2
    LEFT JOIN es_event e ON NOT ?3 AND e.stream = ?1 AND e.version = ?4";

/// The values of [`LOOK_UP`].
pub(super) fn question(append: &Append) -> [Value<'_>; 4] {
    // No version is beyond those that can be kept.
    let next = i64::try_from(append.expected).map_or(i64::MAX, |v| v.saturating_add(1));
    [
        Value::Text(append.stream.as_str()),
        Value::id(append.command_id),
        Value::Integer(append.is_kept().into()),
        Value::Integer(next),
    ]
}

/// What was found in the columns of [`LOOK_UP`]: numbers, and the next event's command.
pub(super) fn found(
    append: &Append,
    [version, first, count, after, next]: [Option<i64>; 5],
    command: Option<CommandId>,
) -> Result<Found> {
    let done = match (first.zip(count).zip(after), next) {
        (Some(((first, count), after)), _) => Some(outcome_in([first, count, after])?),
        (None, Some(next)) => append.done_by(position(next)?, command),
        (None, None) => None,
    };
    let version = unsigned("version", version.unwrap_or_default())?;
    Ok(Found { version, done })
}

/// Refuses the batch where an instance came that somebody in it does not know.
pub(super) fn are_known(batch: &[Append], newest: i64) -> Result<()> {
    let newest = unsigned("instance", newest)?;
    match known_instances(batch).is_some_and(|known| known < newest) {
        true => Err(Error::new(Kind::OtherInstances)),
        false => Ok(()),
    }
}

/// Writes one append after the other, each behind what those before it wrote.
struct Appending<'a> {
    events: CachedStatement<'a>,
    commands: CachedStatement<'a>,
    look_up: CachedStatement<'a>,
    head: Position,
}

impl<'a> Appending<'a> {
    fn new(log: &'a Connection, head: Position) -> rusqlite::Result<Self> {
        Ok(Self {
            events: log.prepare_cached(INSERT_EVENTS.text(0))?,
            commands: log.prepare_cached(INSERT_COMMANDS.text(0))?,
            look_up: log.prepare_cached(LOOK_UP)?,
            head,
        })
    }

    fn append(&mut self, append: &Append) -> Result<Appended> {
        // Without a row of its own, a command was not done before if its first event still fits.
        if !append.is_kept()
            && let Some(outcome) = behind(self.head, append)
            && self.insert(append, outcome)?
        {
            self.head = outcome.position();
            return Ok(Appended::New(outcome));
        }
        let found = self.look_up(append)?;
        let plan = plan(std::slice::from_ref(append), &[found], self.head);
        let result = plan.results[0];
        if let Appended::New(outcome) = result {
            if !self.insert(append, outcome)? {
                let why = format!("version {} fits, and was refused", append.expected + 1);
                return Err(Error::database(DOING, why));
            }
            self.head = plan.head;
        }
        Ok(result)
    }

    fn look_up(&mut self, append: &Append) -> Result<Found> {
        let mut rows = self
            .look_up
            .query(params_from_iter(question(append)))
            .map_err(failed(DOING))?;
        let row = rows.next().map_err(failed(DOING))?;
        let row = row.ok_or_else(|| failed(DOING)(rusqlite::Error::QueryReturnedNoRows))?;
        let get = |column| row.get::<_, Option<i64>>(column).map_err(failed(DOING));
        let command = match row.get_ref(5).map_err(failed(DOING))? {
            ValueRef::Null => None,
            id => Some(id_of(id.as_blob().map_err(failed(DOING))?, DOING)?),
        };
        found(
            append,
            [get(0)?, get(1)?, get(2)?, get(3)?, get(4)?],
            command,
        )
    }

    /// Inserts the events, and the command if it is kept; nothing where the first event does not
    /// follow its stream: a trigger knows.
    fn insert(&mut self, append: &Append, outcome: Outcome) -> Result<bool> {
        let slice = append.stream.slice();
        for event in append.stored(outcome) {
            let values = params_from_iter(event_values(event, slice)?);
            match self.events.execute(values) {
                Err(error) if event.position == outcome.first && is_refused(&error) => {
                    return Ok(false);
                }
                inserted => inserted.map_err(failed(DOING))?,
            };
        }
        if append.is_kept() {
            let values = params_from_iter(command_values(append, outcome)?);
            self.commands.execute(values).map_err(failed(DOING))?;
        }
        Ok(true)
    }
}

/// Where the append goes if its stream is as it expects; none where that is no version.
fn behind(head: Position, append: &Append) -> Option<Outcome> {
    let count = u32::try_from(append.events.len()).ok()?;
    let version = append.expected.checked_add(u64::from(count))?;
    signed("version", version).ok().map(|_| Outcome {
        first: head.next(),
        count,
        version,
    })
}

/// Whether a trigger refused.
fn is_refused(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_TRIGGER)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// What is acknowledged is on the disk.
    #[test]
    fn every_commit_waits_for_the_disk() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("es.db");
        drop(Connection::open(&file).unwrap());
        let connection = writer_here(&file).unwrap();
        let setting = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        const FULL: i64 = 2;
        assert_eq!(setting("synchronous"), Ok(FULL));
        assert_eq!(setting("wal_autocheckpoint"), Ok(16_000));
        assert_eq!(setting("cache_size"), Ok(-16_384));
    }
}
