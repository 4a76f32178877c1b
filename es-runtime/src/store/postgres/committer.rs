//! One server-side call for a batch of appends: arrays in, arrays out, one round trip. A lone append of
//! one event has a cheaper one.

use std::sync::Arc;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Postgres, Row, Transaction, raw_sql};
use tokio::select;
use tokio::time::Instant;
use uuid::Uuid;

use super::append_one::{self, One};
use super::failure::{Fault, fault, is_outdated};
use super::hosts::{Hosts, begin};
use super::types::{Json, Moment, position, signed, unsigned};
use super::{PostgresStore, failed};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::runtime::without;
use crate::store::group::{Commit, DOING, Failed};
use crate::store::wake::{Heads, Wake};
use crate::store::{Append, Appended, EventStore, Outcome, known_instances};

/// Hands batches to `es.append_1` or `es.append_one_1`, on a connection of its own: one from a pool
/// would cost a round trip before and after each call.
pub(super) struct Calls {
    hosts: Arc<Hosts>,
    connection: Option<PgConnection>,
    /// Whether its session is one for lone appends.
    is_prepared: bool,
    /// Since when there is none.
    outage: Option<Instant>,
    wake: Arc<Wake>,
    own: Arc<Heads>,
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
            connection: Some(connection),
            is_prepared: false,
            outage: None,
            wake,
            own,
        }
    }

    /// An append that was accepted before is visible when it is on this server's disk, which its
    /// lost connection may have waited for no longer; its acknowledgement is a promise that the
    /// standby has it, too.
    async fn barrier(&mut self) -> sqlx::Result<()> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let barrier = format!("{}; {BARRIER}; COMMIT", begin(self.hosts.settings()));
        let written = select! {
            biased;
            written = raw_sql(AssertSqlSafe(barrier)).execute(connection) => written,
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
                self.connection = None;
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

/// A batch as the call takes it: one array per column.
#[derive(Default)]
struct Columns<'a> {
    stream: Vec<&'a str>,
    expected: Vec<i64>,
    command: Vec<Uuid>,
    /// Nothing where no command is kept.
    kept: Option<Vec<bool>>,
    count: Vec<i32>,
    offset: Vec<i64>,
    at: Vec<Moment>,
    correlation: Vec<Option<&'a str>>,
    /// Nothing where each append has one event, to which the others say it all.
    own: Option<Own<'a>>,
    events: Events<'a>,
    known_instances: Option<i64>,
}

/// What the rows of a batch's events say of their appends.
#[derive(Default)]
struct Own<'a> {
    append: Vec<i32>,
    stream: Vec<&'a str>,
    version: Vec<i64>,
    command: Vec<Uuid>,
    at: Vec<Moment>,
}

/// The rest of the rows of a batch's events, without their positions.
#[derive(Default)]
struct Events<'a> {
    slice: Vec<i16>,
    event_type: Vec<&'a str>,
    schema_version: Vec<i32>,
    min_reader: Vec<i32>,
    payload: Vec<Json<'a>>,
    metadata: Vec<Option<Json<'a>>>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a [Append]) -> Result<Self> {
        let known = known_instances(batch).map(|known| signed("instance", known));
        let mut columns = Self {
            known_instances: known.transpose()?,
            ..Self::default()
        };
        if batch.iter().any(|append| append.events.len() != 1) {
            columns.own = Some(Own::default());
        }
        if batch.iter().any(Append::is_kept) {
            columns.kept = Some(batch.iter().map(Append::is_kept).collect());
        }
        for (append, ordinal) in batch.iter().zip(1..) {
            let command = Uuid::from_u128(append.command_id.as_u128());
            let expected = signed("version", append.expected)?;
            let offset = signed("events", columns.events.payload.len())?;
            columns.stream.push(append.stream.as_str());
            columns.expected.push(expected);
            columns.command.push(command);
            columns.count.push(signed("events", append.events.len())?);
            columns.offset.push(offset);
            columns.at.push(Moment(append.time));
            columns.correlation.push(append.correlation.as_deref());
            let slice = signed("slice", append.stream.slice())?;
            for (event, version) in append.events.iter().zip(expected + 1..) {
                if let Some(own) = &mut columns.own {
                    own.append.push(ordinal);
                    own.stream.push(append.stream.as_str());
                    own.version.push(version);
                    own.command.push(command);
                    own.at.push(Moment(append.time));
                }
                let rows = &mut columns.events;
                rows.slice.push(slice);
                rows.event_type.push(event.event_type);
                let number = |version| signed("schema version", version);
                rows.schema_version.push(number(event.schema_version)?);
                rows.min_reader.push(number(event.min_reader)?);
                rows.payload.push(Json(&event.payload));
                rows.metadata.push(append.metadata.as_deref().map(Json));
            }
        }
        Ok(columns)
    }
}

impl Commit for Calls {
    /// The call compares each append with the streams as they were before it.
    const STREAMS_REPEAT: bool = false;

    async fn commit(&mut self, batch: &Arc<[Append]>) -> Result<Vec<Appended>, Failed> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connecting = self.hosts.connect(&mut self.outage).await;
                self.is_prepared = false;
                none.insert(connecting.map_err(Failed::Before)?)
            }
        };
        let called = select! {
            biased;
            called = call(&self.hosts, connection, &mut self.is_prepared, batch) => called,
            error = self.hosts.gone() => Err(error),
        };
        let results = called.map_err(|error| self.failed(error))?;
        let results = results.map_err(Failed::Within)?;
        let again = |result: &Appended| matches!(result, Appended::Already(_));
        if results.iter().any(again) && !without("an answer given again waits for the standby") {
            self.barrier().await.map_err(|error| self.failed(error))?;
        }
        let new = |result: &Appended| match result {
            Appended::New(outcome) => Some(outcome.position()),
            _ => None,
        };
        if let Some(head) = results.iter().filter_map(new).max() {
            self.wake.log_grew(head);
            self.own.log_grew(head);
        }
        Ok(results)
    }

    async fn close(self) {
        if let Some(connection) = self.connection {
            // The server notices also without a goodbye.
            connection.close().await.ok();
        }
    }
}

/// What the server says of the batch, or why it says nothing.
async fn call(
    hosts: &Hosts,
    connection: &mut PgConnection,
    is_prepared: &mut bool,
    batch: &[Append],
) -> sqlx::Result<Result<Vec<Appended>>> {
    let is_shared = hosts.settings().pgbouncer;
    if let (Some(one), false) = (One::of(batch), is_shared) {
        if !*is_prepared {
            append_one::prepare(connection).await?;
            *is_prepared = true;
        }
        if let Some(appended) = one.call(connection).await? {
            return Ok(appended.map(|appended| vec![appended]));
        }
    }
    let columns = match Columns::of(batch) {
        Ok(columns) => columns,
        Err(error) => return Ok(Err(error)),
    };
    let row = if is_shared {
        let begin = AssertSqlSafe(begin(hosts.settings()));
        let mut tx = connection.begin_with(begin).await?;
        let row = call_in(&mut tx, &columns).await?;
        tx.commit().await?;
        row
    } else {
        call_in(connection, &columns).await?
    };
    Ok(results(&row, batch, &columns.offset))
}

/// The append's part of a transaction.
pub(super) async fn append_in(connection: &mut PgConnection, append: &Append) -> Result<Appended> {
    let batch = std::slice::from_ref(append);
    let columns = Columns::of(batch)?;
    let row = call_in(connection, &columns).await.map_err(told)?;
    Ok(results(&row, batch, &columns.offset)?[0])
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

fn results(row: &PgRow, batch: &[Append], offsets: &[i64]) -> Result<Vec<Appended>> {
    let head = position(row.try_get(0).map_err(failed(DOING))?)?;
    let outcomes: Option<Vec<i16>> = row.try_get(1).map_err(failed(DOING))?;
    let Some(outcomes) = outcomes else {
        let new = |(append, offset): (&Append, &i64)| new(head, append, *offset);
        return batch.iter().zip(offsets).map(new).collect();
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

/// Where an append went when all of its batch were accepted.
fn new(head: Position, append: &Append, offset: i64) -> Result<Appended> {
    let first = head.next().plus(unsigned("offset", offset)?);
    let count: u32 = signed("events", append.events.len())?;
    Ok(Appended::New(Outcome {
        first,
        count,
        version: append.expected + u64::from(count),
    }))
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
