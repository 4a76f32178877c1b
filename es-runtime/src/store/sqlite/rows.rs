//! Rows of events and commands on their way into tables, and what is asked for as one text, so that it
//! crosses to SQLite's thread at once.

use serde::Serialize;

use super::many::{Many, Values};
use super::signed;
use crate::error::{Error, Result};
use crate::event::{CommandId, StoredEventRef};
use crate::store::AcceptedCommand;

pub(super) static INSERT_EVENTS: Many = Many::new(
    "INSERT INTO es_event (position, stream, version, slice, type, schema_version, min_reader,
                           command_id, payload, metadata, occurred_at) VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
);

pub(super) static INSERT_COMMANDS: Many = Many::new(
    "INSERT INTO es_command (stream, command_id, first_position, count, version, at, correlation)
     VALUES ",
    "(?, ?, ?, ?, ?, ?, ?)",
    "",
);

pub(super) fn add_event(values: &mut Values, event: StoredEventRef<'_>, slice: u16) -> Result<()> {
    let id = event.command_id.map(|id| id.as_u128().to_be_bytes());
    values.add(signed("position", event.position.get())?)?;
    values.add(event.stream)?;
    values.add(signed("version", event.version)?)?;
    values.add(slice)?;
    values.add(event.event_type)?;
    values.add(event.schema_version)?;
    values.add(event.min_reader)?;
    values.add(id.as_ref().map(|id| &id[..]))?;
    values.add(event.payload)?;
    values.add(event.metadata)?;
    values.add(event.time.as_micros())
}

pub(super) fn add_command(values: &mut Values, command: &AcceptedCommand) -> Result<()> {
    values.add(command.stream.as_str())?;
    values.add(&command.command_id.as_u128().to_be_bytes()[..])?;
    values.add(signed("position", command.outcome.first.get())?)?;
    values.add(command.outcome.count)?;
    values.add(signed("version", command.outcome.version)?)?;
    values.add(command.time.as_micros())?;
    values.add(command.correlation.as_deref())
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
