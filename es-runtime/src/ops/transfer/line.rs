//! The lines of an export, and the running account of them by which a torn or changed file is
//! noticed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::event::{CommandId, LogIdentity, Position, StoredEvent, StreamId, Timestamp};
use crate::store::{AcceptedCommand, Outcome};

/// The version of the format, raised when an older reader would misread.
pub(super) const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line<'a> {
    /// The first line.
    Log(Header),
    Event(#[serde(borrow)] EventLine<'a>),
    /// Right after the command's last event; one without events after the event that was the last.
    Command(#[serde(borrow)] CommandLine<'a>),
    /// The lines so far.
    Check(Check),
    /// The last line.
    End(End),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: u32,
    pub(super) identity: LogIdentity,
    /// The file has what follows this position.
    pub(super) after: Position,
    /// The SHA-256 of the event at `after`, as a line: what the file continues.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) previous: Option<String>,
    /// The log's head when the export began, which is where it ends.
    pub(super) head: Position,
    pub(super) time: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<'a> {
    position: Position,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    version: u64,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    schema_version: u32,
    min_reader: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    command_id: Option<CommandId>,
    time: Timestamp,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    metadata_text: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    payload_text: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandLine<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    command_id: CommandId,
    first_position: Position,
    count: u32,
    version: u64,
    time: Timestamp,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    correlation: Option<Cow<'a, str>>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {
    /// Lines between the first one and this one.
    lines: u64,
    /// Their SHA-256, each with its line feed.
    sha256: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) events: u64,
    pub(super) commands: u64,
    /// The position of the last event.
    pub(super) position: Position,
    lines: u64,
    sha256: String,
}

/// A JSON text as a value of the line, if the line can hold it byte for byte; else as a string.
fn embed(text: &str) -> (Option<&RawValue>, Option<Cow<'_, str>>) {
    let one_line = !text.bytes().any(|byte| matches!(byte, b'\n' | b'\r'));
    // `null` would read as none, and spaces around the value would be lost.
    let raw = serde_json::from_str::<&RawValue>(text).ok();
    let whole = |raw: &&RawValue| raw.get().len() == text.len() && text != "null";
    match raw.filter(|raw| one_line && whole(raw)) {
        Some(raw) => (Some(raw), None),
        None => (None, Some(text.into())),
    }
}

/// The text that [`embed`] was given.
fn embedded(
    what: &str,
    raw: Option<&RawValue>,
    text: Option<Cow<'_, str>>,
) -> Result<Option<String>, String> {
    match (raw, text) {
        (Some(raw), None) => Ok(Some(raw.get().to_owned())),
        (None, None) => Ok(None),
        (None, Some(text)) => match serde_json::from_str::<&RawValue>(&text) {
            Ok(_) => Ok(Some(text.into_owned())),
            Err(error) => Err(format!("its {what} is no JSON: {error}")),
        },
        (Some(_), Some(_)) => Err(format!("it has `{what}` and `{what}_text`")),
    }
}

impl<'a> From<&'a StoredEvent> for EventLine<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        let (payload, payload_text) = embed(&event.payload);
        let (metadata, metadata_text) = event.metadata.as_deref().map(embed).unwrap_or_default();
        Self {
            position: event.position,
            stream: event.stream.as_str().into(),
            version: event.version,
            event_type: event.event_type.as_str().into(),
            schema_version: event.schema_version,
            min_reader: event.min_reader,
            command_id: event.command_id,
            time: event.time,
            metadata,
            metadata_text,
            payload,
            payload_text,
        }
    }
}

impl EventLine<'_> {
    pub(super) fn position(&self) -> Position {
        self.position
    }
}

impl TryFrom<EventLine<'_>> for StoredEvent {
    type Error = String;

    fn try_from(line: EventLine<'_>) -> Result<Self, String> {
        let named = !line.event_type.is_empty() && !line.event_type.chars().any(char::is_control);
        if !named {
            return Err("a type is not empty and has no control characters".to_owned());
        }
        let payload = embedded("payload", line.payload, line.payload_text)?;
        Ok(Self {
            position: line.position,
            stream: stream(&line.stream)?,
            version: line.version,
            event_type: line.event_type.into_owned(),
            schema_version: line.schema_version,
            min_reader: line.min_reader,
            command_id: line.command_id,
            payload: payload.ok_or("it has no payload")?,
            metadata: embedded("metadata", line.metadata, line.metadata_text)?,
            time: line.time,
        })
    }
}

impl<'a> From<&'a AcceptedCommand> for CommandLine<'a> {
    fn from(command: &'a AcceptedCommand) -> Self {
        Self {
            stream: command.stream.as_str().into(),
            command_id: command.command_id,
            first_position: command.outcome.first,
            count: command.outcome.count,
            version: command.outcome.version,
            time: command.time,
            correlation: command.correlation.as_deref().map(Into::into),
        }
    }
}

impl TryFrom<CommandLine<'_>> for AcceptedCommand {
    type Error = String;

    fn try_from(line: CommandLine<'_>) -> Result<Self, String> {
        if line.first_position == Position::START {
            return Err("positions begin with 1".to_owned());
        }
        Ok(Self {
            stream: stream(&line.stream)?,
            command_id: line.command_id,
            outcome: Outcome {
                first: line.first_position,
                count: line.count,
                version: line.version,
            },
            time: line.time,
            correlation: line.correlation.map(Cow::into_owned),
        })
    }
}

fn stream(text: &str) -> Result<StreamId, String> {
    text.parse()
        .map_err(|error: crate::event::InvalidId| error.to_string())
}

impl Line<'_> {
    /// The line's text, with its line feed.
    pub(super) fn write(&self, to: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(&mut *to, self)?;
        to.push(b'\n');
        Ok(())
    }
}

/// What the lines behind the first one come to. Two exports of one log come to the same.
#[derive(Clone, Default)]
pub(super) struct Account {
    hash: Sha256,
    lines: u64,
    pub(super) events: u64,
    pub(super) commands: u64,
    /// The last event's.
    pub(super) position: Position,
    /// The last line, if that is a command's.
    pub(super) command: Option<AcceptedCommand>,
}

impl Account {
    pub(super) fn new(after: Position) -> Self {
        Self {
            position: after,
            ..Self::default()
        }
    }

    pub(super) fn event(&mut self, line: &[u8], position: Position) {
        self.line(line);
        self.events += 1;
        self.position = position;
        self.command = None;
    }

    pub(super) fn command(&mut self, line: &[u8], command: AcceptedCommand) {
        self.line(line);
        self.commands += 1;
        self.command = Some(command);
    }

    pub(super) fn line(&mut self, line: &[u8]) {
        self.hash.update(line);
        self.lines += 1;
    }

    pub(super) fn check(&self) -> Check {
        Check {
            lines: self.lines,
            sha256: self.sha256(),
        }
    }

    pub(super) fn end(&self) -> End {
        End {
            events: self.events,
            commands: self.commands,
            position: self.position,
            lines: self.lines,
            sha256: self.sha256(),
        }
    }

    fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &str, metadata: Option<&str>) -> StoredEvent {
        StoredEvent {
            position: Position::new(7),
            stream: "account-\"ü\" \\".parse().unwrap(),
            version: 3,
            event_type: "account.opened".into(),
            schema_version: 2,
            min_reader: 1,
            command_id: Some(CommandId::of("x")),
            payload: payload.into(),
            metadata: metadata.map(str::to_owned),
            time: Timestamp::from_micros(-1),
        }
    }

    #[test]
    fn every_text_survives_byte_for_byte() {
        let payloads = [
            "{}",
            r#"{"b":1.10,"a":1e400,"a":"\u0000\ud800"}"#,
            r#"{ "spaces" :  [ ] }"#,
            "{\n  \"lines\": 1\r\n}",
            " {} ",
            "null",
            "\"\u{2028}ü\"",
            "123456789012345678901234567890.50",
        ];
        for payload in payloads {
            for metadata in [None, Some(payload)] {
                let event = event(payload, metadata);
                let mut line = Vec::new();
                Line::Event((&event).into()).write(&mut line).unwrap();
                assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                let Line::Event(read) = serde_json::from_slice(&line).unwrap() else {
                    panic!("another line");
                };
                let read = StoredEvent::try_from(read).unwrap();
                assert_eq!(format!("{read:?}"), format!("{event:?}"));
            }
        }
    }

    #[test]
    fn what_is_no_json_is_kept_and_refused() {
        let event = event("{broken", None);
        let mut line = Vec::new();
        Line::Event((&event).into()).write(&mut line).unwrap();
        let Line::Event(read) = serde_json::from_slice(&line).unwrap() else {
            panic!("another line");
        };
        let why = StoredEvent::try_from(read).unwrap_err();
        assert!(why.starts_with("its payload is no JSON: "), "{why}");
    }
}
