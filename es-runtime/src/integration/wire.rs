//! Envelopes by the page: the bytes of [`CloudEvent`](super::CloudEvent), without making one for each
//! event.

use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Kind, Result};
use crate::store::{PublishedEvent, StreamVersion};

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
    /// All that comes before the position in an id.
    before_position: String,
    /// All that comes between the position and the type.
    before_type: String,
}

impl<'a> Envelopes<'a> {
    /// Of what `service` publishes on `stream`.
    pub(crate) fn new(service: &str, stream: &'a StreamVersion) -> Self {
        let StreamVersion {
            stream: name,
            version,
        } = stream;
        let mut before_position = r#"{"specversion":"1.0","id":"#.to_owned();
        before_position += &json(&format!("{}-", stream.address()));
        before_position.pop();
        let source = json(&format!("urn:es:{service}:{name}:v{version}"));
        Self {
            stream,
            before_position,
            before_type: format!(r#"","source":{source},"type":"#),
        }
    }

    /// Adds the envelope of an event. After an error, a part of it may be there.
    ///
    /// # Errors
    /// When the stored payload or metadata is not JSON.
    pub(crate) fn write(&self, body: &mut Vec<u8>, event: &PublishedEvent) -> Result<()> {
        let broken = |error| {
            let stream = self.stream.to_string();
            let why = format!("position {} is not stored as JSON", event.position);
            Error::caused_by(Kind::BadEnvelope { stream, why }, error)
        };
        let told: Told<'_> = match &event.metadata {
            Some(json) => serde_json::from_str(json).map_err(broken)?,
            None => Told::default(),
        };
        let data: &RawValue = serde_json::from_str(&event.payload).map_err(broken)?;
        let written = self.assemble(body, event, &told, data);
        written.map_err(|error| broken(serde_json::Error::io(error)))
    }

    fn assemble(
        &self,
        body: &mut Vec<u8>,
        event: &PublishedEvent,
        told: &Told<'_>,
        data: &RawValue,
    ) -> std::io::Result<()> {
        let PublishedEvent {
            position,
            time,
            recorded,
            ..
        } = event;
        body.extend_from_slice(self.before_position.as_bytes());
        write!(body, "{position}")?;
        body.extend_from_slice(self.before_type.as_bytes());
        serde_json::to_writer(&mut *body, &event.event_type)?;
        body.extend_from_slice(br#","subject":"#);
        let subject = body.len();
        serde_json::to_writer(&mut *body, &event.subject)?;
        let subject = subject..body.len();
        body.extend_from_slice(br#","partitionkey":"#);
        body.extend_from_within(subject);
        write!(
            body,
            r#","datacontenttype":"application/json","time":"{time}","recordedtime":"{recorded}""#
        )?;
        write!(
            body,
            r#","sequence":"{:020}","streamhash":""#,
            position.get()
        )?;
        digits(body, &event.hash);
        body.extend_from_slice(br#"","streamsalt":""#);
        digits(body, &event.salt);
        body.push(b'"');
        for (name, told) in [
            (r#","correlationid":"#, told.correlation),
            (r#","causationid":"#, told.causation),
            (r#","traceparent":"#, told.traceparent),
        ] {
            if let Some(told) = told {
                body.extend_from_slice(name.as_bytes());
                body.extend_from_slice(told.get().as_bytes());
            }
        }
        body.extend_from_slice(br#","data":"#);
        body.extend_from_slice(data.get().as_bytes());
        body.push(b'}');
        Ok(())
    }
}

/// A text as JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Adds bytes in hexadecimal.
fn digits(body: &mut Vec<u8>, bytes: &[u8]) {
    let start = body.len();
    body.resize(start + 2 * bytes.len(), 0);
    hex::encode_to_slice(bytes, &mut body[start..]).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Position, Timestamp};
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
