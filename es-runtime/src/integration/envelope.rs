//! The envelope on the wire: CloudEvents 1.0, structured JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{IntegrationEvent, IntegrationType, Salt, StreamHash};
use crate::error::{Error, Kind, Result};
use crate::event::{Metadata, Position, Timestamp, decode};
use crate::store::{PublishedEvent, StreamVersion};

/// An integration event as it travels: a CloudEvent whose `data` is the stored payload, byte for
/// byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// `{stream}.v{version}-{position}`: the same event has the same id, however often it is sent.
    pub id: String,
    /// `urn:es:{service}:{stream}:v{version}`: the scope of `sequence`.
    pub source: String,
    /// `{namespace}.{event}.v{version}`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The aggregate's id.
    pub subject: String,
    /// The aggregate's id: what must stay in order.
    pub partitionkey: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// When it happened.
    pub time: Timestamp,
    /// When it was projected.
    pub recordedtime: Timestamp,
    /// The position in the stream version, padded to 20 digits, contiguous from 1.
    pub sequence: String,
    /// The running hash of the stream, in hexadecimal.
    pub streamhash: String,
    /// What the payload's digest is salted with, in hexadecimal.
    pub streamsalt: String,
    /// What belongs together across services.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlationid: Option<String>,
    /// What directly caused the event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causationid: Option<String>,
    /// The W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// The event's fields.
    pub data: Box<RawValue>,
}

impl CloudEvent {
    /// The envelope of an event that `service` published on `stream`.
    ///
    /// # Errors
    /// When the stored payload or metadata is not JSON.
    pub fn new(service: &str, stream: &StreamVersion, event: PublishedEvent) -> Result<Self> {
        let broken = |error| {
            let why = format!("position {} is not stored as JSON", event.position);
            Error::caused_by(
                Kind::BadEnvelope {
                    stream: stream.to_string(),
                    why,
                },
                error,
            )
        };
        let metadata = match &event.metadata {
            Some(json) => serde_json::from_str(json).map_err(broken)?,
            None => Metadata::new(),
        };
        let data = RawValue::from_string(event.payload.clone()).map_err(broken)?;
        Ok(Self {
            specversion: "1.0".to_owned(),
            id: format!("{}-{}", stream.address(), event.position),
            source: source_of(service, stream),
            event_type: event.event_type,
            partitionkey: event.subject.clone(),
            subject: event.subject,
            datacontenttype: "application/json".to_owned(),
            time: event.time,
            recordedtime: event.recorded,
            sequence: format!("{:020}", event.position.get()),
            streamhash: StreamHash::from_bytes(event.hash).to_string(),
            streamsalt: Salt::from_bytes(event.salt).to_string(),
            correlationid: metadata.correlation,
            causationid: metadata.causation,
            traceparent: metadata.traceparent,
            data,
        })
    }

    /// The position that `sequence` names.
    pub fn position(&self) -> Option<Position> {
        self.sequence.parse().ok().map(Position::new)
    }

    /// The stream's hash after this event, given the hash before it: equal to `streamhash` if
    /// nothing was changed on the way.
    pub fn proof(&self, before: StreamHash) -> Option<StreamHash> {
        let salt = self.streamsalt.parse().ok()?;
        Some(before.after(self.position()?, &self.event_type, salt, self.data.get()))
    }
}

/// An integration event as a consumer's handler receives it.
#[derive(Clone, Debug)]
pub struct Received<E> {
    /// The event.
    pub data: E,
    /// Its place in the stream version.
    pub position: Position,
    /// Names the event for ever, within its [`source`](Self::source).
    pub id: String,
    /// The service, the stream and the version that it comes from, as a URI.
    pub source: String,
    /// The publishing service's aggregate id.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// What belongs together across services.
    pub correlation: Option<String>,
    /// The W3C trace context.
    pub traceparent: Option<String>,
}

#[cfg(feature = "runtime")]
impl<E> Received<E> {
    /// Another event in the place of this one.
    pub(crate) fn with<N>(&self, data: N) -> Received<N> {
        Received {
            data,
            position: self.position,
            id: self.id.clone(),
            source: self.source.clone(),
            subject: self.subject.clone(),
            time: self.time,
            correlation: self.correlation.clone(),
            traceparent: self.traceparent.clone(),
        }
    }
}

impl<E: IntegrationEvent> Received<E> {
    /// Decodes an envelope; `None` if the contract `E` has no event of this type.
    ///
    /// # Errors
    /// When the payload does not decode or the position is no number.
    pub(crate) fn open(event: &CloudEvent) -> Result<Option<Self>> {
        let stream = || super::stream_of::<E>().to_string();
        let Some(variant) = variant_of::<E>(&event.event_type) else {
            return Ok(None);
        };
        let data = decode(variant, event.data.get()).map_err(|error| {
            let why = format!("the data of `{}` does not decode", event.id);
            Error::caused_by(
                Kind::BadEnvelope {
                    stream: stream(),
                    why,
                },
                error,
            )
        })?;
        let Some(position) = event.position() else {
            let why = format!("`{}` has the sequence `{}`", event.id, event.sequence);
            return Err(Error::new(Kind::BadEnvelope {
                stream: stream(),
                why,
            }));
        };
        Ok(Some(Self {
            data,
            position,
            id: event.id.clone(),
            source: event.source.clone(),
            subject: event.subject.clone(),
            time: event.time,
            correlation: event.correlationid.clone(),
            traceparent: event.traceparent.clone(),
        }))
    }

    /// An event as if a service `example` had published it: for tests of what is made of it.
    pub fn example(subject: &str, position: u64, data: E) -> Self {
        let stream = super::stream_of::<E>();
        Self {
            data,
            position: Position::new(position),
            id: format!("{}-{position}", stream.address()),
            source: source_of("example", &stream),
            subject: subject.to_owned(),
            time: Timestamp::default(),
            correlation: None,
            traceparent: None,
        }
    }
}

/// The scope of a stream's positions: `urn:es:bank:accounts:v2`.
fn source_of(service: &str, stream: &StreamVersion) -> String {
    let StreamVersion { stream, version } = stream;
    format!("urn:es:{service}:{stream}:v{version}")
}

/// The public type of an event: `bank.account-opened.v2`.
pub(crate) fn type_of(namespace: &str, event: &IntegrationType, version: u32) -> String {
    format!("{namespace}.{}.v{version}", event.name)
}

/// The variant behind a public type, whatever its namespace.
fn variant_of<E: IntegrationEvent>(event_type: &str) -> Option<usize> {
    let event = event_type.strip_suffix(&format!(".v{}", E::VERSION))?;
    let name = event.rsplit('.').next()?;
    E::TYPES.iter().position(|t| t.name == name)
}
