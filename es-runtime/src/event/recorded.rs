use std::str::FromStr;

use super::{
    CommandId, Event, Metadata, Position, StoredEventRef, StreamId, Timestamp, decode, variant_of,
};
use crate::error::{At, Error, Kind, Result};

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
    pub fn decode<'a>(stored: impl Into<StoredEventRef<'a>>) -> Result<Self> {
        let stored = stored.into();
        let data = decode_event(stored)?;
        let undecodable = |error| Error::caused_by(Kind::Undecodable(at(stored)), error);
        let metadata = match stored.metadata {
            Some(json) => serde_json::from_str(json).map_err(undecodable)?,
            None => Metadata::new(),
        };
        Ok(Self {
            data,
            position: stored.position,
            stream: stored.stream.parse()?,
            version: stored.version,
            time: stored.time,
            command_id: stored.command_id,
            metadata,
        })
    }
}

/// The event alone, without its place and reasons.
///
/// # Errors
/// As [`Recorded::decode`].
pub(crate) fn decode_event<E: Event>(stored: StoredEventRef<'_>) -> Result<E> {
    let Some(variant) = variant_of(E::TYPES, stored.event_type) else {
        return Err(Error::new(Kind::UnknownEvent(at(stored))));
    };
    let known = E::TYPES[variant].version;
    if stored.min_reader > known {
        let needs = stored.min_reader;
        return Err(Error::new(Kind::NewerEvent {
            at: at(stored),
            needs,
            known,
        }));
    }
    decode(variant, stored.payload)
        .map_err(|error| Error::caused_by(Kind::Undecodable(at(stored)), error))
}

/// Where an event stands, for errors.
pub(crate) fn at(stored: StoredEventRef<'_>) -> At {
    Box::new((
        stored.event_type.to_owned(),
        stored.stream.to_owned(),
        stored.version,
    ))
}
