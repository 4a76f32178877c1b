use std::borrow::Cow;
use std::str::FromStr;

use super::history::{Foreign, NoWay};
use super::{
    CommandId, Event, Metadata, Parts, Position, StoredEventRef, StreamId, Timestamp, decode,
    variant_of,
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
    /// Which of the stored event's parts it is, from 0: more than one where its history says that
    /// it was split.
    pub part: u32,
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
            part: 0,
            time: Timestamp::default(),
            command_id: None,
            metadata: Metadata::new(),
        }
    }
}

impl<E: Event> Recorded<E> {
    /// Turns a stored event into what it is today: one event of the enum as a rule, and none or
    /// several where its history says that it was dropped or split.
    ///
    /// # Errors
    /// [`is_unreadable`](Error::is_unreadable) when the name is unknown, the payload needs a newer
    /// reader, does not become one of today's version, or does not decode. None of these is ever
    /// skipped.
    pub fn decode<'a>(stored: impl Into<StoredEventRef<'a>>) -> Result<Parts<Self>> {
        let stored = stored.into();
        let parts = decode_event(stored)?;
        let undecodable = |error| Error::caused_by(Kind::Undecodable(at(stored)), error);
        let metadata = match stored.metadata {
            Some(json) => serde_json::from_str(json).map_err(undecodable)?,
            None => Metadata::new(),
        };
        let stream: StreamId = stored.stream.parse()?;
        let recorded = |part, data, stream, metadata| Self {
            data,
            position: stored.position,
            stream,
            version: stored.version,
            part,
            time: stored.time,
            command_id: stored.command_id,
            metadata,
        };
        Ok(match parts.single() {
            Ok(data) => Parts::one(recorded(0, data, stream, metadata)),
            Err(parts) => {
                parts.with_each(|part, data| recorded(part, data, stream.clone(), metadata.clone()))
            }
        })
    }
}

/// The events alone, without their place and reasons.
///
/// # Errors
/// As [`Recorded::decode`].
#[inline]
pub(crate) fn decode_event<E: Event>(stored: StoredEventRef<'_>) -> Result<Parts<E>> {
    let Some(variant) = variant_of(E::TYPES, stored.event_type) else {
        return decode_foreign(stored);
    };
    let known = E::TYPES[variant].version;
    if stored.min_reader > known {
        return Err(newer(stored, known));
    }
    let payload = match stored.schema_version < known {
        true => Cow::Owned(upcast::<E>(variant, stored)?),
        false => Cow::Borrowed(stored.payload),
    };
    decode(variant, &payload)
        .map(Parts::one)
        .map_err(|error| undecodable(stored, error))
}

/// An event that no variant is any more, or not under that name.
#[cold]
fn decode_foreign<E: Event>(stored: StoredEventRef<'_>) -> Result<Parts<E>> {
    let name = stored.event_type;
    if let Some(known) = E::HISTORY
        .foreign_version(name)
        .filter(|known| stored.min_reader > *known)
    {
        return Err(newer(stored, known));
    }
    match E::HISTORY.foreign(name, stored.schema_version, stored.payload) {
        None => Err(Error::new(Kind::UnknownEvent(at(stored)))),
        Some(Err(no_way)) => Err(not_upcast(stored, no_way)),
        Some(Ok(Foreign::Parts(parts))) => Ok(parts),
        Some(Ok(Foreign::Payload(variant, payload))) => decode(variant, &payload)
            .map(Parts::one)
            .map_err(|error| undecodable(stored, error)),
    }
}

#[cold]
fn upcast<E: Event>(variant: usize, stored: StoredEventRef<'_>) -> Result<String> {
    let upcast = E::HISTORY.upcast(variant, stored.schema_version, stored.payload);
    upcast.map_err(|no_way| not_upcast(stored, no_way))
}

/// What readers will make of an event that is about to be stored; nothing if they cannot read it.
pub(crate) fn read_back<E: Event>(name: &str, version: u32, payload: &str) -> Option<Parts<E>> {
    let variant = variant_of(E::TYPES, name)?;
    let payload = match version < E::TYPES[variant].version {
        true => Cow::Owned(E::HISTORY.upcast(variant, version, payload).ok()?),
        false => Cow::Borrowed(payload),
    };
    decode(variant, &payload).ok().map(Parts::one)
}

fn undecodable(stored: StoredEventRef<'_>, error: serde_json::Error) -> Error {
    Error::caused_by(Kind::Undecodable(at(stored)), error)
}

fn newer(stored: StoredEventRef<'_>, known: u32) -> Error {
    let (at, needs) = (at(stored), stored.min_reader);
    Error::new(Kind::NewerEvent { at, needs, known })
}

fn not_upcast(stored: StoredEventRef<'_>, NoWay { version, why }: NoWay) -> Error {
    let (at, from) = (at(stored), stored.schema_version);
    Error::caused_by(Kind::NotUpcast { at, from, version }, why)
}

/// Where an event stands, for errors.
pub(crate) fn at(stored: StoredEventRef<'_>) -> At {
    Box::new((
        stored.event_type.to_owned(),
        stored.stream.to_owned(),
        stored.version,
    ))
}
