//! What goes to a broker.

use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::CloudEvent;
use crate::store::{PublishedEvent, StreamVersion};

/// The way of one stream version to a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The service's name.
    pub service: String,
    /// The stream version.
    pub stream: StreamVersion,
}

impl Route {
    /// The route of a service's stream version.
    pub fn new(service: impl Into<String>, stream: StreamVersion) -> Self {
        let service = service.into();
        Self { service, stream }
    }

    /// What the addresses of all its messages begin with: `accounts.v2`.
    pub fn address(&self) -> String {
        self.stream.address()
    }
}

/// An event on its way to a broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// The event's place in its stream version.
    pub position: Position,
    /// Where it belongs, for those who choose by topic: `accounts.v2.account-opened`.
    pub address: String,
    /// The event in its envelope.
    pub event: CloudEvent,
    /// The envelope as JSON: what is sent, the same bytes as in the feed.
    pub body: Vec<u8>,
}

impl Message {
    /// How the body is to be read.
    pub const CONTENT_TYPE: &str = "application/cloudevents+json";

    /// The message of an event.
    ///
    /// # Errors
    /// When the stored payload or metadata is not JSON.
    pub fn new(route: &Route, event: PublishedEvent) -> Result<Self> {
        let (prefix, position) = (route.address(), event.position);
        // `{namespace}.{event}.v{version}`
        let version = format!(".v{}", route.stream.version);
        let name = event.event_type.strip_suffix(&version);
        let name = name.unwrap_or(&event.event_type);
        let (_, name) = name.rsplit_once('.').unwrap_or(("", name));
        let address = format!("{prefix}.{name}");
        let event = CloudEvent::new(&route.service, &route.stream, event)?;
        let what = || format!("`{}`", event.id);
        let body = serde_json::to_vec(&event)
            .map_err(|error| Error::caused_by(Kind::Unencodable { what: what() }, error))?;
        Ok(Self {
            position,
            address,
            event,
            body,
        })
    }

    /// The event's id, `accounts.v2-17`: the same however often it is sent.
    pub fn id(&self) -> &str {
        &self.event.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;

    #[test]
    fn an_address_is_made_of_stream_version_and_event() {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version: 2,
        };
        let route = Route::new("bank", stream);
        for (event_type, address) in [
            ("dk.bank.account-opened.v2", "accounts.v2.account-opened"),
            ("account-opened.v2", "accounts.v2.account-opened"),
            ("bank.v2.closed.v2", "accounts.v2.closed"),
        ] {
            let event = PublishedEvent {
                position: Position::new(7),
                source: Position::new(9),
                event_type: event_type.to_owned(),
                subject: "alice".to_owned(),
                payload: r#"{"a": 1}"#.to_owned(),
                metadata: None,
                time: Timestamp::default(),
                recorded: Timestamp::default(),
                salt: [0; 16],
                hash: [0; 32],
            };
            let message = Message::new(&route, event).unwrap();
            assert_eq!(message.address, address);
            assert_eq!(message.id(), "accounts.v2-7");
            // The payload's own bytes, blanks too.
            let body = String::from_utf8(message.body).unwrap();
            assert!(body.ends_with(r#""data":{"a": 1}}"#), "{body}");
        }
    }
}
