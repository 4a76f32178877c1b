//! Rows as the inserts take them: one text for all, so that they cross to SQLite's thread at once.

use serde::Serialize;

use super::signed;
use crate::error::{Error, Result};
use crate::event::{CommandId, StoredEventRef};
use crate::store::AcceptedCommand;

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

    pub(super) fn event(&mut self, event: StoredEventRef<'_>, slice: u16) -> Result<()> {
        self.row(&(
            signed("position", event.position.get())?,
            event.stream,
            signed("version", event.version)?,
            slice,
            event.event_type,
            event.schema_version,
            event.min_reader,
            event.command_id.map(hex),
            event.payload,
            event.metadata,
            event.time.as_micros(),
        ))
    }

    pub(super) fn command(&mut self, command: &AcceptedCommand) -> Result<()> {
        self.row(&(
            command.stream.as_str(),
            hex(command.command_id),
            signed("position", command.outcome.first.get())?,
            command.outcome.count,
            signed("version", command.outcome.version)?,
            command.time.as_micros(),
            &command.correlation,
        ))
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
