//! Envelopes by the page: the bytes of [`CloudEvent`](super::CloudEvent), without making one for each
//! event.

use std::fmt::Arguments;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Kind, Result};
use crate::event::Timestamp;
use crate::store::{PublishedEvent, StreamVersion};

/// A [`CloudEvent`](super::CloudEvent) whose texts lie elsewhere.
#[derive(Serialize)]
struct Wire<'a> {
    specversion: &'static str,
    id: Arguments<'a>,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    subject: &'a str,
    partitionkey: &'a str,
    datacontenttype: &'static str,
    time: Timestamp,
    recordedtime: Timestamp,
    sequence: Arguments<'a>,
    streamhash: &'a str,
    streamsalt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a RawValue>,
    data: &'a RawValue,
}

/// What the world is told of who and why, as it is written.
#[derive(Default, Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    correlation: Option<&'a RawValue>,
    #[serde(borrow)]
    causation: Option<&'a RawValue>,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
}

/// Writes the envelopes of one stream version.
pub(crate) struct Envelopes<'a> {
    stream: &'a StreamVersion,
    source: String,
}

impl<'a> Envelopes<'a> {
    /// Of what `service` publishes on `stream`.
    pub(crate) fn new(service: &str, stream: &'a StreamVersion) -> Self {
        let StreamVersion {
            stream: name,
            version,
        } = stream;
        let source = format!("urn:es:{service}:{name}:v{version}");
        Self { stream, source }
    }

    /// Adds the envelope of an event. After an error, a part of it may be there.
    ///
    /// # Errors
    /// When the stored payload or metadata is not JSON.
    pub(crate) fn write(&self, body: &mut Vec<u8>, event: &PublishedEvent) -> Result<()> {
        let StreamVersion {
            stream: name,
            version,
        } = self.stream;
        let position = event.position;
        let broken = |error| {
            let stream = self.stream.to_string();
            let why = format!("position {position} is not stored as JSON");
            Error::caused_by(Kind::BadEnvelope { stream, why }, error)
        };
        let told: Told<'_> = match &event.metadata {
            Some(json) => serde_json::from_str(json).map_err(broken)?,
            None => Told::default(),
        };
        let data = serde_json::from_str(&event.payload).map_err(broken)?;
        let (mut hash, mut salt) = ([0; 64], [0; 32]);
        let wire = Wire {
            specversion: "1.0",
            id: format_args!("{name}.v{version}-{position}"),
            source: &self.source,
            event_type: &event.event_type,
            subject: &event.subject,
            partitionkey: &event.subject,
            datacontenttype: "application/json",
            time: event.time,
            recordedtime: event.recorded,
            sequence: format_args!("{:020}", position.get()),
            streamhash: digits(&event.hash, &mut hash),
            streamsalt: digits(&event.salt, &mut salt),
            correlationid: told.correlation,
            causationid: told.causation,
            traceparent: told.traceparent,
            data,
        };
        serde_json::to_writer(body, &wire).map_err(broken)
    }
}

/// Bytes in hexadecimal; `text` has room for twice as many.
fn digits<'t>(bytes: &[u8], text: &'t mut [u8]) -> &'t str {
    hex::encode_to_slice(bytes, text).ok();
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Position;
    use crate::integration::CloudEvent;

    #[test]
    fn both_ways_to_an_envelope_are_the_same_bytes() {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version: 2,
        };
        let envelopes = Envelopes::new("bank", &stream);
        for (position, subject, payload, metadata) in [
            (1, "alice", "{\"amount\": 5 }", None),
            (
                u64::MAX >> 1,
                "it's \"ü\" \\ \u{1}\u{2028}",
                "{}",
                Some(
                    "{\"correlation\":\"a\\n\\\"ü\",\"causation\":\"b\",\"traceparent\":\"00-1\"}",
                ),
            ),
            (
                7,
                "",
                "[1,\t2]",
                Some("{\"causation\":\"b\",\"command\":{\"name\":\"x\"}}"),
            ),
            (8, "a", "null", Some("{\"correlation\":null}")),
        ] {
            let event = PublishedEvent {
                position: Position::new(position),
                source: Position::new(3),
                event_type: "dk.example.opened.v2".to_owned(),
                subject: subject.to_owned(),
                payload: payload.to_owned(),
                metadata: metadata.map(str::to_owned),
                time: Timestamp::from_micros(-5),
                recorded: Timestamp::from_micros(1_700_000_000_000_001),
                salt: [0xa5; 16],
                hash: [0x5a; 32],
            };
            let mut written = Vec::new();
            envelopes.write(&mut written, &event).unwrap();
            let made = CloudEvent::new("bank", &stream, event).unwrap();
            let made = serde_json::to_string(&made).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), made);
        }
    }

    #[test]
    fn what_is_no_json_is_refused_in_both_ways() {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version: 2,
        };
        for (payload, metadata) in [("{", None), ("{} {}", None), ("{}", Some("{\"a\""))] {
            let event = PublishedEvent {
                position: Position::new(7),
                source: Position::new(3),
                event_type: "opened.v2".to_owned(),
                subject: "a".to_owned(),
                payload: payload.to_owned(),
                metadata: metadata.map(str::to_owned),
                time: Timestamp::default(),
                recorded: Timestamp::default(),
                salt: [0; 16],
                hash: [0; 32],
            };
            let written = Envelopes::new("bank", &stream).write(&mut Vec::new(), &event);
            let made = CloudEvent::new("bank", &stream, event).map(drop);
            let (written, made) = (written.unwrap_err(), made.unwrap_err());
            assert_eq!(written.to_string(), made.to_string());
        }
    }
}
