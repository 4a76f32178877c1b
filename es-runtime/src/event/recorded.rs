use std::str::FromStr;

use super::{CommandId, Event, Metadata, Position, StreamId, Timestamp, decode, variant_of};
use crate::error::{Error, Kind, Result};

/// An event as the store keeps it: names and numbers in columns, the payload as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub position: Position,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 1.
    pub version: u64,
    /// The stored name, `account.opened`.
    pub event_type: String,
    /// The schema version of the payload.
    pub schema_version: u32,
    /// The oldest schema version whose readers understand the payload.
    pub min_reader: u32,
    /// The command that emitted it.
    pub command_id: Option<CommandId>,
    /// The variant's fields as JSON.
    pub payload: String,
    /// Who and why, as JSON.
    pub metadata: Option<String>,
    /// When it happened, by the service's clock.
    pub time: Timestamp,
}

impl StoredEvent {
    /// The name of the aggregate whose stream it belongs to.
    pub fn aggregate(&self) -> &str {
        self.stream.aggregate()
    }
}

/// An internal event with its place, time and reason, as folds and mappings receive it.
#[derive(Clone, Debug)]
pub struct Recorded<E> {
    /// The event.
    pub data: E,
    /// Its place in the log.
    pub position: Position,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 1.
    pub version: u64,
    /// When it happened, by the service's clock.
    pub time: Timestamp,
    /// The command that emitted it.
    pub command_id: Option<CommandId>,
    /// Who and why.
    pub metadata: Metadata,
}

impl<E> Recorded<E> {
    /// The aggregate's id, as text.
    pub fn id(&self) -> &str {
        self.stream.id()
    }

    /// What belongs together across services: what the caller said, or else the command.
    pub fn correlation(&self) -> Option<String> {
        self.metadata
            .correlation
            .clone()
            .or_else(|| self.command_id.map(|id| id.to_string()))
    }

    /// What directly caused the event: what the caller said, or else the command.
    pub fn causation(&self) -> Option<String> {
        self.metadata
            .causation
            .clone()
            .or_else(|| self.command_id.map(|id| id.to_string()))
    }

    /// The aggregate's id in its own type.
    ///
    /// # Errors
    /// What the type's `FromStr` answers.
    pub fn parse_id<Id: FromStr>(&self) -> Result<Id, Id::Err> {
        self.stream.id().parse()
    }
}

impl<E: Event> Recorded<E> {
    /// An event as if it had been stored: for tests of folds and mappings.
    ///
    /// # Panics
    /// When `id` cannot name a stream.
    pub fn example(id: &str, version: u64, data: E) -> Self {
        let stream = match StreamId::new(E::NAME, id) {
            Ok(stream) => stream,
            Err(error) => panic!("{error}"),
        };
        Self {
            data,
            position: Position::new(version),
            stream,
            version,
            time: Timestamp::default(),
            command_id: None,
            metadata: Metadata::new(),
        }
    }
}

impl<E: Event> Recorded<E> {
    /// Turns a stored event into the enum's variant.
    ///
    /// # Errors
    /// [`is_unreadable`](Error::is_unreadable) when the name is unknown, the payload needs a newer
    /// reader, or it does not decode. None of these is ever skipped.
    pub fn decode(stored: &StoredEvent) -> Result<Self> {
        let at = || {
            Box::new((
                stored.event_type.clone(),
                stored.stream.clone(),
                stored.version,
            ))
        };
        let Some(variant) = variant_of(E::TYPES, &stored.event_type) else {
            return Err(Error::new(Kind::UnknownEvent(at())));
        };
        let known = E::TYPES[variant].version;
        if stored.min_reader > known {
            let needs = stored.min_reader;
            return Err(Error::new(Kind::NewerEvent {
                at: at(),
                needs,
                known,
            }));
        }
        let undecodable = |error| Error::caused_by(Kind::Undecodable(at()), error);
        let data = decode(variant, &stored.payload).map_err(undecodable)?;
        let metadata = match &stored.metadata {
            Some(json) => serde_json::from_str(json).map_err(undecodable)?,
            None => Metadata::new(),
        };
        Ok(Self {
            data,
            position: stored.position,
            stream: stored.stream.clone(),
            version: stored.version,
            time: stored.time,
            command_id: stored.command_id,
            metadata,
        })
    }
}
