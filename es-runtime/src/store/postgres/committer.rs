//! One server-side call for a batch of appends: arrays in, arrays out, one round trip. Who is alone on
//! the log mostly needs none.

use std::sync::Arc;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Postgres, Row, Transaction, raw_sql};
use tokio::select;
use tokio::time::Instant;

use super::alone::{self, End};
use super::columns::Columns;
use super::failure::{Fault, fault, is_outdated};
use super::hosts::{Hosts, begin};
use super::options::Settings;
use super::types::{position, signed, unsigned};
use super::{PostgresStore, failed};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::runtime::without;
use crate::store::group::{Commit, DOING, Failed};
use crate::store::wake::{Heads, Wake};
use crate::store::{Append, Appended, EventStore, Outcome};

/// Writes batches on a connection of its own: one from a pool would cost a round trip before and after
/// each.
pub(super) struct Calls {
    hosts: Arc<Hosts>,
    session: Option<Session>,
    /// Since when there is none.
    outage: Option<Instant>,
    wake: Arc<Wake>,
    own: Arc<Heads>,
}

/// A connection, and what is known by it.
struct Session {
    connection: PgConnection,
    /// Whether it may append without the call.
    is_prepared: bool,
    end: End,
}

impl Session {
    fn new(connection: PgConnection) -> Self {
        Self {
            connection,
            is_prepared: false,
            end: End::default(),
        }
    }
}

impl Calls {
    pub(super) fn new(
        hosts: Arc<Hosts>,
        connection: PgConnection,
        wake: Arc<Wake>,
        own: Arc<Heads>,
    ) -> Self {
        Self {
            hosts,
            session: Some(Session::new(connection)),
            outage: None,
            wake,
            own,
        }
    }

    /// An append that was accepted before is visible when it is on this server's disk, which its
    /// lost connection may have waited for no longer; its acknowledgement is a promise that the
    /// standby has it, too.
    async fn barrier(&mut self) -> sqlx::Result<()> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let barrier = format!("{}; {BARRIER}; COMMIT", begin(self.hosts.settings()));
        let written = select! {
            biased;
            written = raw_sql(AssertSqlSafe(barrier)).execute(&mut session.connection) => written,
            error = self.hosts.gone() => Err(error),
        };
        written.map(drop)
    }

    /// Gives the connection up after an error that may be its own.
    fn failed(&mut self, error: sqlx::Error) -> Failed {
        let fault = fault(&error);
        let error = told(error);
        match fault {
            Fault::Connection => {
                self.session = None;
                self.hosts.lost();
                Failed::Lost(error)
            }
            Fault::Database => Failed::Before(error),
            Fault::Statement => Failed::Within(error),
        }
    }
}

/// Writes into the server's journal, so that this commit comes after all that was visible to it,
/// on the disk and on a synchronous standby.
const BARRIER: &str = "SELECT pg_logical_emit_message(true, 'es', '')";

pub(super) const APPEND: &str = "
    SELECT head, outcome, first, count, version, es.expect_no_newer_1($20)
    FROM es.append_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                     $18, $19)";

impl Commit for Calls {
    /// The call compares each append with the streams as they were before it.
    const STREAMS_REPEAT: bool = false;

    async fn commit(&mut self, batch: &Arc<[Append]>) -> Result<Vec<Appended>, Failed> {
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                let connecting = self.hosts.connect(&mut self.outage).await;
                none.insert(Session::new(connecting.map_err(Failed::Before)?))
            }
        };
        let called = select! {
            biased;
            called = session.write(self.hosts.settings(), batch) => called,
            error = self.hosts.gone() => Err(error),
        };
        let results = called.map_err(|error| self.failed(error))?;
        let results = results.map_err(Failed::Within)?;
        let again = |result: &Appended| matches!(result, Appended::Already(_));
        if results.iter().any(again) && !without("an answer given again waits for the standby") {
            self.barrier().await.map_err(|error| self.failed(error))?;
        }
        if let Some((_, head)) = moved(&results) {
            self.wake.log_grew(head);
            self.own.log_grew(head);
        }
        Ok(results)
    }

    async fn close(self) {
        if let Some(session) = self.session {
            // The server notices also without a goodbye.
            session.connection.close().await.ok();
        }
    }
}

impl Session {
    /// What the server says of the batch, or why it says nothing.
    async fn write(
        &mut self,
        settings: &Settings,
        batch: &[Append],
    ) -> sqlx::Result<Result<Vec<Appended>>> {
        // What a pooler shares between clients is no session.
        if !settings.pgbouncer
            && alone::may(batch)
            && let Some(head) = self.end.expected()
        {
            if !self.is_prepared {
                alone::prepare(&mut self.connection).await?;
                self.is_prepared = true;
            }
            if alone::append(&mut self.connection, head, batch).await? {
                return Ok(self.follow(all(head, batch)));
            }
            self.end.was_wrong();
        }
        let columns = match Columns::of(batch) {
            Ok(columns) => columns,
            Err(error) => return Ok(Err(error)),
        };
        let row = if settings.pgbouncer {
            let begin = AssertSqlSafe(begin(settings));
            let mut tx = self.connection.begin_with(begin).await?;
            let row = call_in(&mut tx, &columns).await?;
            tx.commit().await?;
            row
        } else {
            call_in(&mut self.connection, &columns).await?
        };
        Ok(self.follow(results(&row, batch)))
    }

    /// Keeps where the log ends now.
    fn follow(&mut self, results: Result<Vec<Appended>>) -> Result<Vec<Appended>> {
        let results = results?;
        if let Some((first, last)) = moved(&results) {
            self.end.moved(first, last);
        }
        Ok(results)
    }
}

/// The first and the last position that are new.
fn moved(results: &[Appended]) -> Option<(Position, Position)> {
    let new = |result: &Appended| match result {
        Appended::New(outcome) if outcome.count > 0 => Some(*outcome),
        _ => None,
    };
    let first = results.iter().filter_map(new).map(|new| new.first).min()?;
    let last = results
        .iter()
        .filter_map(new)
        .map(|new| new.position())
        .max()?;
    Some((first, last))
}

/// The append's part of a transaction.
pub(super) async fn append_in(connection: &mut PgConnection, append: &Append) -> Result<Appended> {
    let batch = std::slice::from_ref(append);
    let columns = Columns::of(batch)?;
    let row = call_in(connection, &columns).await.map_err(told)?;
    Ok(results(&row, batch)?[0])
}

async fn call_in(connection: &mut PgConnection, columns: &Columns<'_>) -> sqlx::Result<PgRow> {
    let (events, own) = (&columns.events, columns.own.as_ref());
    let call = sqlx::query(APPEND)
        .bind(&columns.stream)
        .bind(&columns.expected)
        .bind(&columns.command)
        .bind(&columns.kept)
        .bind(&columns.count)
        .bind(&columns.offset)
        .bind(&columns.at)
        .bind(&columns.correlation)
        .bind(own.map(|own| &own.append))
        .bind(own.map(|own| &own.stream))
        .bind(own.map(|own| &own.version))
        .bind(&events.slice)
        .bind(&events.event_type)
        .bind(&events.schema_version)
        .bind(&events.min_reader)
        .bind(own.map(|own| &own.command))
        .bind(&events.payload)
        .bind(&events.metadata)
        .bind(own.map(|own| &own.at))
        .bind(columns.known_instances);
    call.fetch_one(connection).await
}

/// What the caller of a call that failed is told.
fn told(error: sqlx::Error) -> Error {
    match is_outdated(&error) {
        true => Error::new(Kind::OtherInstances),
        false => failed(DOING)(error),
    }
}

fn results(row: &PgRow, batch: &[Append]) -> Result<Vec<Appended>> {
    let outcomes: Option<Vec<i16>> = row.try_get(1).map_err(failed(DOING))?;
    let Some(outcomes) = outcomes else {
        return all(position(row.try_get(0).map_err(failed(DOING))?)?, batch);
    };
    let first: Vec<i64> = row.try_get(2).map_err(failed(DOING))?;
    let count: Vec<i32> = row.try_get(3).map_err(failed(DOING))?;
    let version: Vec<i64> = row.try_get(4).map_err(failed(DOING))?;
    let result = |(i, outcome)| {
        let version = unsigned("version", version[i])?;
        let (first, count) = (position(first[i])?, unsigned("count", count[i])?);
        let done = Outcome {
            first,
            count,
            version,
        };
        match outcome {
            0 => Ok(Appended::New(done)),
            1 => Ok(Appended::Already(done)),
            2 => Ok(Appended::Conflict { found: version }),
            other => Err(Error::database(
                DOING,
                format!("the outcome {other} is unknown"),
            )),
        }
    };
    outcomes.into_iter().enumerate().map(result).collect()
}

/// Where the appends went when all of them were accepted, behind the head.
fn all(mut head: Position, batch: &[Append]) -> Result<Vec<Appended>> {
    let new = |append: &Append| {
        let first = head.next();
        let count: u32 = signed("events", append.events.len())?;
        head = head.plus(u64::from(count));
        Ok(Appended::New(Outcome {
            first,
            count,
            version: append.expected + u64::from(count),
        }))
    };
    batch.iter().map(new).collect()
}

impl PostgresStore {
    /// Makes the append the transaction's last statement.
    pub(in crate::store) async fn append_in(
        &self,
        mut tx: Transaction<'static, Postgres>,
        append: Append,
    ) -> Result<Appended> {
        let appending = append_in(&mut tx, &append);
        let appended = self.pool.watch(DOING, appending).await?;
        match appended {
            Appended::New(outcome) => {
                tx.commit().await.map_err(failed(DOING))?;
                self.wake.log_grew(outcome.position());
                self.own.log_grew(outcome.position());
                Ok(appended)
            }
            // The committer knows when that is a promise.
            Appended::Already(_) => {
                tx.rollback().await.map_err(failed(DOING))?;
                self.append(append).await
            }
            Appended::Conflict { .. } => Ok(appended),
        }
    }
}
