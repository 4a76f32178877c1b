//! Rows of events and commands on their way into tables, and what is asked for as one text, so that it
//! crosses to SQLite's thread at once.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;

use super::many::Many;
use super::signed;
use crate::error::{Error, Result};
use crate::event::{CommandId, StoredEventRef, StreamId, Timestamp};
use crate::store::{AcceptedCommand, Append, Outcome};

/// A row that does not fit fails the statement and leaves those before it, which end with their
/// transaction: so SQLite need not keep how each page was before.
pub(super) static INSERT_EVENTS: Many = Many::new(
    "INSERT OR FAIL INTO es_event (position, stream, version, slice, type, schema_version,
                                   min_reader, command_id, payload, metadata, occurred_at) VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
);

pub(super) static INSERT_COMMANDS: Many = Many::new(
    "INSERT INTO es_command (stream, command_id, first_position, count, version, at, correlation)
     VALUES ",
    "(?, ?, ?, ?, ?, ?, ?)",
    "",
);

/// A value on its way to SQLite, whoever brings it there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Id([u8; 16]),
}

impl Value<'_> {
    pub(super) fn id(id: CommandId) -> Self {
        Self::Id(id.as_u128().to_be_bytes())
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Value::Null, Value::Text)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Id(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The values of [`INSERT_EVENTS`].
pub(super) fn event_values(event: StoredEventRef<'_>, slice: u16) -> Result<[Value<'_>; 11]> {
    Ok([
        Value::Integer(signed("position", event.position.get())?),
        Value::Text(event.stream),
        Value::Integer(signed("version", event.version)?),
        Value::Integer(slice.into()),
        Value::Text(event.event_type),
        Value::Integer(event.schema_version.into()),
        Value::Integer(event.min_reader.into()),
        event.command_id.map_or(Value::Null, Value::id),
        Value::Text(event.payload),
        event.metadata.into(),
        Value::Integer(event.time.as_micros()),
    ])
}

/// The values of [`INSERT_COMMANDS`], of an append that was accepted.
pub(super) fn command_values(append: &Append, outcome: Outcome) -> Result<[Value<'_>; 7]> {
    let correlation = append.correlation.as_deref();
    accepted(
        &append.stream,
        append.command_id,
        outcome,
        append.time,
        correlation,
    )
}

/// The values of [`INSERT_COMMANDS`], of a command from elsewhere.
pub(super) fn accepted_values(command: &AcceptedCommand) -> Result<[Value<'_>; 7]> {
    let correlation = command.correlation.as_deref();
    let (id, outcome) = (command.command_id, command.outcome);
    accepted(&command.stream, id, outcome, command.time, correlation)
}

fn accepted<'a>(
    stream: &'a StreamId,
    id: CommandId,
    outcome: Outcome,
    time: Timestamp,
    correlation: Option<&'a str>,
) -> Result<[Value<'a>; 7]> {
    Ok([
        Value::Text(stream.as_str()),
        Value::id(id),
        Value::Integer(signed("position", outcome.first.get())?),
        Value::Integer(outcome.count.into()),
        Value::Integer(signed("version", outcome.version)?),
        Value::Integer(time.as_micros()),
        correlation.into(),
    ])
}

/// A JSON array of arrays.
pub(super) struct Rows {
    doing: &'static str,
    json: Vec<u8>,
}

impl Rows {
    pub(super) fn new(doing: &'static str) -> Self {
        Self {
            doing,
            json: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, row: &impl Serialize) -> Result<()> {
        self.json
            .push(if self.json.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut self.json, row)
            .map_err(|error| Error::database(self.doing, error))
    }

    /// The text, if there is a row.
    pub(super) fn finish(mut self) -> Result<Option<String>> {
        if self.json.is_empty() {
            return Ok(None);
        }
        self.json.push(b']');
        let text = String::from_utf8(self.json);
        text.map(Some)
            .map_err(|error| Error::database(self.doing, error))
    }
}

pub(super) fn hex(id: CommandId) -> String {
    format!("{:032x}", id.as_u128())
}

/// A command's id as it is kept.
pub(super) fn id_of(bytes: &[u8], doing: &'static str) -> Result<CommandId> {
    let bytes = bytes.try_into();
    let bytes = bytes.map_err(|error| Error::database(doing, error))?;
    Ok(CommandId::from_u128(u128::from_be_bytes(bytes)))
}
