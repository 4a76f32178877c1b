//! NATS JetStream: a stream for each stream version, which refuses what does not follow.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, HeaderMap, StatusCode, Subscriber};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Link, Message, Route, Transport};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::runtime::without;
use crate::store::StreamVersion;

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// There is no such stream, and: the stream has no such message.
const NO_STREAM: u32 = 10_059;
const NO_MESSAGE: u32 = 10_037;

/// A NATS server with JetStream, and the prefix of the subjects that stream versions are published to.
///
/// ```no_run
/// use es_runtime::publish::Nats;
///
/// let broker = Nats::at("nats://nats.example:4222").prefix("bank");
/// let service = es_runtime::Service::builder("bank").relay(broker);
/// ```
///
/// An event goes to the subject `{prefix}.{stream}.v{version}.{event}`. Each stream version has a
/// JetStream stream of its own, `{prefix}-{stream}-v{version}`, which is made where it is missing, and
/// which may be configured as anybody likes: limits, replicas, storage.
///
/// One relay at a time sends a stream version: each event names the one before it
/// (`Nats-Expected-Last-Msg-Id`), and JetStream refuses an event that does not follow.
///
/// With its default settings, JetStream confirms what is not on the disk yet. `sync_interval: always`
/// makes its confirmations promises.
#[derive(Clone)]
pub struct Nats {
    name: String,
    url: String,
    prefix: String,
}

impl Nats {
    /// The server at `url`, `nats://user:password@host:4222`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            name: "nats".to_owned(),
            url: url.into(),
            prefix: "events".to_owned(),
        }
    }

    /// What all subjects begin with; `events` unless something is said.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The name under which it is kept how far each stream went; `nats` unless something is said. A
    /// service that publishes to two servers or prefixes gives each its own. Another name gets every
    /// stream from the first event on.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The subjects of a stream version: `{prefix}.{stream}.v{version}.>`.
    pub(crate) fn subjects(&self, stream: &StreamVersion) -> String {
        format!("{}.{}.>", self.prefix, stream.address())
    }

    pub(crate) async fn connect(&self, purpose: String) -> Result<Connection> {
        let (lost, is_lost) = watch::channel(false);
        let options = ConnectOptions::new()
            .name(purpose)
            .connection_timeout(PATIENCE)
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    lost.send_replace(true);
                }
                async {}
            });
        let client = options.connect(self.url.as_str()).await;
        let client = client.map_err(failed("connecting"))?;
        Ok(Connection { client, is_lost })
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

pub(crate) fn failed<E>(doing: &'static str) -> impl FnOnce(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| Error::broker(doing, error)
}

/// The client connects again by itself, and sends what it had not sent: here, a connection that was
/// lost is of no use any more.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) is_lost: watch::Receiver<bool>,
}

/// What JetStream says to a request or an event.
#[derive(Debug, Deserialize)]
struct Answer {
    error: Option<Refusal>,
    state: Option<StreamState>,
    message: Option<StoredMessage>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    err_code: u32,
    description: String,
}

#[derive(Debug, Deserialize)]
struct StreamState {
    last_seq: u64,
}

#[derive(Debug, Deserialize)]
struct StoredMessage {
    data: Option<String>,
}

impl Connection {
    /// Asks JetStream; a refusal is an answer, too.
    async fn ask(&self, what: String, with: serde_json::Value) -> Result<Answer> {
        const DOING: &str = "asking JetStream";
        let subject = format!("$JS.API.{what}");
        let asked = self.client.request(subject, with.to_string().into());
        let late = |_| Error::broker(DOING, format!("no answer within {PATIENCE:?}"));
        let answer = timeout(PATIENCE, asked).await.map_err(late)?;
        let answer = answer.map_err(failed(DOING))?;
        serde_json::from_slice(&answer.payload).map_err(failed(DOING))
    }

    /// The number of the stream's last message, which may be gone; makes the stream if there is none.
    async fn last_number(&self, name: &str, subjects: &str) -> Result<u64> {
        let found = self.ask(format!("STREAM.INFO.{name}"), json!({})).await?;
        let found = match found.error {
            Some(refusal) if refusal.err_code == NO_STREAM => {
                let new = json!({ "name": name, "subjects": [subjects], "storage": "file" });
                self.ask(format!("STREAM.CREATE.{name}"), new).await?
            }
            _ => found,
        };
        if let Some(refusal) = found.error {
            return Err(Error::broker("making the stream", refusal.description));
        }
        Ok(found.state.map_or(0, |state| state.last_seq))
    }

    /// The position of the last event that the stream has.
    async fn last_event(&self, name: &str, subjects: &str) -> Result<Option<Position>> {
        const DOING: &str = "reading the stream's last event";
        let last = json!({ "last_by_subj": subjects });
        let found = self.ask(format!("STREAM.MSG.GET.{name}"), last).await?;
        let message = match (found.message, found.error) {
            (Some(message), _) => message,
            (None, Some(refusal)) if refusal.err_code != NO_MESSAGE => {
                return Err(Error::broker(DOING, refusal.description));
            }
            _ => return Ok(None),
        };
        #[derive(Deserialize)]
        struct Numbered {
            sequence: String,
        }
        let body = decode(message.data.as_deref().unwrap_or_default());
        let event: Numbered = serde_json::from_slice(&body).map_err(failed(DOING))?;
        let position: u64 = event.sequence.parse().map_err(failed(DOING))?;
        Ok(Some(Position::new(position)))
    }
}

/// Base 64, as JetStream writes bytes in JSON. What is none ends it.
fn decode(text: &str) -> Vec<u8> {
    let value = |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(text.len() / 4 * 3));
    for six in text.bytes().map_while(value) {
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

impl Transport for Nats {
    type Link = NatsLink;

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        let bad = |why: String| {
            let url = "nats://user:password@host:4222".to_owned();
            Error::new(Kind::BadBrokerUrl { url, why })
        };
        let parsed = self.url.parse::<async_nats::ServerAddr>();
        parsed.map_err(|error| bad(error.to_string()))?;
        match self.prefix.contains(|c: char| " .*>\t/\\".contains(c)) || self.prefix.is_empty() {
            true => Err(Error::new(Kind::Untransportable {
                what: self.prefix.clone(),
            })),
            false => Ok(()),
        }
    }

    async fn open(&self, route: &Route) -> Result<NatsLink> {
        let address = route.address();
        let purpose = format!("{}: relay of {address}", route.service);
        let connection = self.connect(purpose).await?;
        let (name, subjects) = (
            format!("{}-{}", self.prefix, address.replace('.', "-")),
            self.subjects(&route.stream),
        );
        let last_number = connection.last_number(&name, &subjects).await?;
        let has = connection.last_event(&name, &subjects).await?;
        let inbox = connection.client.new_inbox();
        let answers = connection.client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(failed("waiting for confirmations"))?;
        Ok(NatsLink {
            connection,
            prefix: self.prefix.clone(),
            inbox,
            answers,
            unconfirmed: VecDeque::new(),
            has,
            last_number,
            before: None,
            heard: Instant::now(),
        })
    }

    async fn redeliver(&self, to: &str, messages: Vec<Message>) -> Result<()> {
        const DOING: &str = "redelivering";
        let connection = self.connect(format!("redelivery to {to}")).await?;
        for message in messages {
            // Without its id: JetStream would take it for a double of the last redelivery.
            let mut headers = HeaderMap::new();
            headers.insert("content-type", Message::CONTENT_TYPE);
            let client = &connection.client;
            let sent = client.request_with_headers(to.to_owned(), headers, message.body.into());
            let late = |_| Error::broker(DOING, format!("no answer within {PATIENCE:?}"));
            let answer = timeout(PATIENCE, sent).await.map_err(late)?;
            let answer = answer.map_err(|error| match error.kind() {
                async_nats::RequestErrorKind::NoResponders => {
                    let to = to.to_owned();
                    Error::new(Kind::NoSuchPlace { to })
                }
                _ => failed(DOING)(error),
            })?;
            let answer: Answer = serde_json::from_slice(&answer.payload).map_err(failed(DOING))?;
            if let Some(refusal) = answer.error {
                return Err(Error::broker(DOING, refusal.description));
            }
        }
        Ok(())
    }
}

/// A connection that sends what follows the last event of a JetStream stream.
pub struct NatsLink {
    connection: Connection,
    prefix: String,
    inbox: String,
    answers: Subscriber,
    /// What was sent, and whether the broker answered.
    unconfirmed: VecDeque<(Position, bool)>,
    /// The last event that the stream had when the link was opened, and its last number.
    has: Option<Position>,
    last_number: u64,
    /// The id of the event before the next one.
    before: Option<String>,
    /// When the broker confirmed something, or something was sent to it that waits alone.
    heard: Instant,
}

impl fmt::Debug for NatsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsLink").finish_non_exhaustive()
    }
}

impl NatsLink {
    /// All up to here is confirmed; nothing if that is no news.
    fn front(&mut self) -> Option<Position> {
        let mut last = None;
        while let Some((position, true)) = self.unconfirmed.front() {
            last = Some(*position);
            self.unconfirmed.pop_front();
        }
        last
    }

    fn answered(&mut self, answer: &async_nats::Message) -> Result<()> {
        const DOING: &str = "confirming";
        let id = answer
            .subject
            .rsplit('.')
            .next()
            .and_then(|n| n.parse().ok());
        let Some(id) = id.map(Position::new) else {
            return Ok(());
        };
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(Error::broker(
                DOING,
                "the stream is gone, or JetStream is away",
            ));
        }
        let said: Answer = serde_json::from_slice(&answer.payload).map_err(failed(DOING))?;
        if let Some(refusal) = said.error {
            let why = format!(
                "the broker did not take event {id}: {}",
                refusal.description
            );
            return Err(Error::broker(DOING, why));
        }
        let sent = self
            .unconfirmed
            .iter_mut()
            .find(|(position, _)| *position == id);
        sent.into_iter().for_each(|(_, answered)| *answered = true);
        self.heard = Instant::now();
        Ok(())
    }
}

impl Link for NatsLink {
    fn has(&self) -> Option<Position> {
        self.has
    }

    async fn send(&mut self, message: Message) -> Result<()> {
        if *self.connection.is_lost.borrow() {
            return Err(Error::broker("sending", "the connection is lost"));
        }
        if self.unconfirmed.is_empty() {
            self.heard = Instant::now();
        }
        if self.has >= Some(message.position) {
            self.unconfirmed.push_back((message.position, true));
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", message.id());
        headers.insert("content-type", Message::CONTENT_TYPE);
        if !without("an event names the one before it to the broker") {
            match self.before.replace(message.id().to_owned()) {
                Some(before) => headers.insert("Nats-Expected-Last-Msg-Id", before),
                // Its id may be gone with it; its number is not.
                None => headers.insert("Nats-Expected-Last-Sequence", self.last_number.to_string()),
            }
        }
        let (subject, reply) = (
            format!("{}.{}", self.prefix, message.address),
            format!("{}.{}", self.inbox, message.position),
        );
        self.unconfirmed.push_back((message.position, false));
        let client = &self.connection.client;
        let body = message.body.into();
        let sent = client.publish_with_reply_and_headers(subject, reply, headers, body);
        sent.await.map_err(failed("sending"))
    }

    async fn confirmed(&mut self) -> Result<Position> {
        const DOING: &str = "confirming";
        loop {
            if let Some(position) = self.front() {
                return Ok(position);
            }
            let late = self.heard + PATIENCE;
            let answer = tokio::select! {
                answer = timeout_at(late, self.answers.next()) => answer,
                _ = self.connection.is_lost.wait_for(|lost| *lost) => Ok(None),
            };
            match answer {
                Ok(Some(answer)) => self.answered(&answer)?,
                Ok(None) => return Err(Error::broker(DOING, "the connection is lost")),
                Err(_) => {
                    let why = format!("no answer within {PATIENCE:?}");
                    return Err(Error::broker(DOING, why));
                }
            }
        }
    }

    async fn close(self) {
        // What is on its way is refused once somebody else has sent.
        timeout(PATIENCE, self.connection.client.drain()).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_checked_and_never_shown() {
        let broker = Nats::at("nats://bank:secret@localhost:1").prefix("bank");
        assert!(broker.check().is_ok());
        assert!(!format!("{broker:?}").contains("secret"));
        assert_eq!(Nats::at("nats://[").check().unwrap_err().code(), "ES0203");
        for prefix in ["", "bank.>", "two words"] {
            let wrong = Nats::at("localhost").prefix(prefix).check();
            assert_eq!(wrong.unwrap_err().code(), "ES0202", "{prefix}");
        }
    }

    #[test]
    fn bytes_come_out_of_base_64() {
        for (text, bytes) in [
            ("", ""),
            ("Mw==", "3"),
            ("YWI=", "ab"),
            ("eyI/fn4iOjF9", "{\"?~~\":1}"),
        ] {
            assert_eq!(String::from_utf8(decode(text)).unwrap(), bytes);
        }
    }
}
