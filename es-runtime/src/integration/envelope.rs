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
        let StreamVersion {
            stream: name,
            version,
        } = stream;
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
            id: format!("{name}.v{version}-{}", event.position),
            source: format!("urn:es:{service}:{name}:v{version}"),
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

    /// Appends the envelope of an event as JSON: the bytes of [`new`](Self::new), without the value in
    /// between.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[cfg(feature = "feed")]
    pub(crate) fn write(
        body: &mut Vec<u8>,
        service: &str,
        stream: &StreamVersion,
        event: &PublishedEvent,
    ) -> Result<()> {
        let broken = |error| {
            let why = format!("position {} is not stored as JSON", event.position);
            let stream = stream.to_string();
            Error::caused_by(Kind::BadEnvelope { stream, why }, error)
        };
        let metadata: Travelling<'_> = match &event.metadata {
            Some(json) => serde_json::from_str(json).map_err(broken)?,
            None => Travelling::default(),
        };
        // What is no JSON is found here, before it makes the whole page unreadable.
        let data: &RawValue = serde_json::from_str(&event.payload).map_err(broken)?;
        let (name, version) = (&stream.stream, stream.version);
        let position = event.position.get();
        let mut digits = [0; 64];
        let mut hex = |bytes: &[u8]| {
            let digits = &mut digits[..bytes.len() * 2];
            hex::encode_to_slice(bytes, digits).ok();
            String::from_utf8_lossy(digits).into_owned()
        };
        let mut envelope = Writer(body);
        envelope.raw("{\"specversion\":\"1.0\",\"id\":");
        envelope.text(&format!("{name}.v{version}-{position}"));
        envelope.raw(",\"source\":");
        envelope.text(&format!("urn:es:{service}:{name}:v{version}"));
        envelope.raw(",\"type\":");
        envelope.text(&event.event_type);
        envelope.raw(",\"subject\":");
        envelope.text(&event.subject);
        envelope.raw(",\"partitionkey\":");
        envelope.text(&event.subject);
        envelope.raw(",\"datacontenttype\":\"application/json\"");
        let (time, recorded) = (event.time, event.recorded);
        envelope.raw(&format!(
            ",\"time\":\"{time}\",\"recordedtime\":\"{recorded}\",\"sequence\":\"{position:020}\""
        ));
        envelope.raw(",\"streamhash\":\"");
        envelope.raw(&hex(&event.hash));
        envelope.raw("\",\"streamsalt\":\"");
        envelope.raw(&hex(&event.salt));
        envelope.raw("\"");
        for (name, value) in [
            (",\"correlationid\":", metadata.correlation),
            (",\"causationid\":", metadata.causation),
            (",\"traceparent\":", metadata.traceparent),
        ] {
            if let Some(value) = value {
                envelope.raw(name);
                envelope.raw(value.get());
            }
        }
        envelope.raw(",\"data\":");
        envelope.raw(data.get());
        envelope.raw("}");
        Ok(())
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

/// What of the metadata travels, as it is stored.
#[cfg(feature = "feed")]
#[derive(Default, Deserialize)]
struct Travelling<'m> {
    #[serde(borrow, default)]
    correlation: Option<&'m RawValue>,
    #[serde(borrow, default)]
    causation: Option<&'m RawValue>,
    #[serde(borrow, default)]
    traceparent: Option<&'m RawValue>,
}

#[cfg(feature = "feed")]
struct Writer<'b>(&'b mut Vec<u8>);

#[cfg(feature = "feed")]
impl Writer<'_> {
    /// JSON as it is.
    fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// A text as JSON.
    fn text(&mut self, text: &str) {
        // A text into memory: neither fails.
        serde_json::to_writer(&mut *self.0, text).ok();
    }
}

/// An integration event as a consumer's handler receives it.
#[derive(Clone, Debug)]
pub struct Received<E> {
    /// The event.
    pub data: E,
    /// Its place in the stream version.
    pub position: Position,
    /// Names the event for ever.
    pub id: String,
    /// The publishing service's aggregate id.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// What belongs together across services.
    pub correlation: Option<String>,
}

#[cfg(feature = "runtime")]
impl<E> Received<E> {
    /// Another event in the place of this one.
    pub(crate) fn with<N>(&self, data: N) -> Received<N> {
        Received {
            data,
            position: self.position,
            id: self.id.clone(),
            subject: self.subject.clone(),
            time: self.time,
            correlation: self.correlation.clone(),
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
            subject: event.subject.clone(),
            time: event.time,
            correlation: event.correlationid.clone(),
        }))
    }
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

#[cfg(all(test, feature = "feed"))]
mod tests {
    use super::*;

    #[test]
    fn written_at_once_it_is_the_same_to_the_byte() {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version: 2,
        };
        let all = r#"{"correlation":"o\"ü","causation":"c","traceparent":"00-1","actor":"x"}"#;
        for (metadata, payload) in [
            (None, "{}"),
            (Some("{}"), r#"{"a":[1.0,2e3,"\u0000ü"],"b":null}"#),
            (Some(all), "\"text\""),
            (Some(r#"{"correlation":null,"causation":"c"}"#), "7"),
        ] {
            let event = PublishedEvent {
                position: Position::new(17),
                source: Position::new(40),
                event_type: "dk.example.opened.v2".to_owned(),
                subject: "it's \"ü\" \\ \n".to_owned(),
                payload: payload.to_owned(),
                metadata: metadata.map(str::to_owned),
                time: Timestamp::from_micros(-5),
                recorded: Timestamp::from_micros(1_700_000_000_123_456),
                salt: [0xa5; 16],
                hash: [0x5a; 32],
            };
            let mut written = Vec::new();
            CloudEvent::write(&mut written, "the \"bank\"", &stream, &event).unwrap();
            let made = CloudEvent::new("the \"bank\"", &stream, event).unwrap();
            let made = serde_json::to_string(&made).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), made);
        }
    }

    #[test]
    fn what_is_no_json_is_not_written() {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version: 2,
        };
        for (metadata, payload) in [(None, "{"), (None, "{},{}"), (Some("{"), "{}")] {
            let event = PublishedEvent {
                position: Position::new(1),
                source: Position::new(1),
                event_type: String::new(),
                subject: String::new(),
                payload: payload.to_owned(),
                metadata: metadata.map(str::to_owned),
                time: Timestamp::default(),
                recorded: Timestamp::default(),
                salt: [0; 16],
                hash: [0; 32],
            };
            let refused = CloudEvent::write(&mut Vec::new(), "bank", &stream, &event);
            assert_eq!(refused.unwrap_err().code(), "ES0136", "{payload}");
        }
    }
}
