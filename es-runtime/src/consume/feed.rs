//! The HTTP client of another service's feed.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;

use super::broker::Broker;
use super::brokered::Brokered;
use super::source::{Filtered, Page, Source};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::place::Wire;
use crate::integration::{CloudEvent, Place};
use crate::store::{StreamCursor, StreamVersion};

/// How long an answer may take beyond what the server was asked to wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is taken, in bytes. A feed's pages are about a megabyte, with one event
/// of any size.
const LONGEST: usize = 64 << 20;
/// The name of a problem: the stream is still being filled.
const BUILDING: &str = "urn:es:problem:building";
/// The longest name that a feed takes.
const LONGEST_NAME: usize = 128;

/// A service's feed over HTTP.
#[derive(Clone)]
pub struct Feed {
    base: String,
    client: Client,
    /// Sent with every request.
    headers: Vec<(String, String)>,
    /// Whether it was told that the stream is deprecated.
    warned: bool,
}

/// What a problem of the feed tells a program.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type", default)]
    kind: String,
    detail: String,
    head: Option<Position>,
}

impl Feed {
    /// The feed at `base`, as `http://bank:8080`.
    pub fn http(base: impl Into<String>) -> Self {
        let base = base.into().trim_end_matches('/').to_owned();
        Self {
            base,
            client: Client::new(),
            headers: Vec::new(),
            warned: false,
        }
    }

    /// Sends this header with every request: `authorization`, where the feed wants to know who reads.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Hears of events over a message broker, and reads from the feed what does not come over it.
    pub fn with_broker<B: Broker>(self, broker: B) -> Brokered<B, Self> {
        Brokered::new(self, broker)
    }

    /// Says once, in the log, that the stream is to be left.
    fn warn(&mut self, headers: &HeaderMap, stream: &StreamVersion) {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        if text("deprecation").is_none() || std::mem::replace(&mut self.warned, true) {
            return;
        }
        let mut links = headers
            .get_all("link")
            .iter()
            .filter_map(|link| link.to_str().ok());
        let successor = links.find(|link| link.contains("successor-version"));
        let sunset = text("sunset");
        tracing::warn!(%stream, sunset, successor, "the stream is deprecated: move to its successor");
    }

    fn failed(&self, error: reqwest::Error) -> Error {
        // The text of the whole chain: the outermost alone says little.
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        Error::new(Kind::Feed {
            url: self.base.clone(),
            why,
        })
    }

    /// What is no JSON was broken off or replaced by somebody on the way, and comes whole another time.
    fn unreadable(&self, stream: &StreamVersion, error: serde_json::Error) -> Error {
        let why = "the answer is no batch of CloudEvents".to_owned();
        let kind = match error.is_data() {
            true => Kind::BadEnvelope {
                stream: stream.to_string(),
                why,
            },
            false => Kind::Feed {
                url: self.base.clone(),
                why,
            },
        };
        Error::caused_by(kind, error)
    }

    /// What the feed answers to whoever asks for events, of one subject or of all.
    async fn ask(
        &mut self,
        stream: &StreamVersion,
        subject: Option<&str>,
        after: Position,
        limit: usize,
        wait: Duration,
    ) -> Result<Response> {
        let wait_ms = wait.as_millis();
        let mut asked = format!("events?after={after}&limit={limit}&wait={wait_ms}");
        if let Some(subject) = subject {
            asked = format!("{asked}&subject={}", encoded(subject));
        }
        let response = self.get(stream, &asked, wait).await?;
        if !response.status().is_success() {
            return Err(self.refused(response, stream, stream, after).await);
        }
        self.warn(response.headers(), stream);
        Ok(response)
    }

    /// What the feed answers to a question about a stream.
    async fn get(&self, stream: &StreamVersion, asked: &str, wait: Duration) -> Result<Response> {
        let (base, name, version) = (&self.base, &stream.stream, stream.version);
        let url = format!("{base}/streams/{name}/v{version}/{asked}");
        let mut request = self.client.get(url).timeout(wait + PATIENCE);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send().await.map_err(|error| self.failed(error))
    }

    /// The events in an answer.
    async fn events(&self, response: Response, stream: &StreamVersion) -> Result<Vec<CloudEvent>> {
        let body = self.body(response, stream).await?;
        serde_json::from_slice(&body).map_err(|error| self.unreadable(stream, error))
    }

    /// The answer's body, if it is not too long to be one.
    async fn body(&self, mut response: Response, stream: &StreamVersion) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > LONGEST {
                let why = format!("the answer is longer than {LONGEST} bytes");
                let stream = stream.to_string();
                return Err(Error::new(Kind::BadEnvelope { stream, why }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What a refusal means to one whose cursor is in `of`: some heal with time, the others need
    /// somebody to look.
    async fn refused(
        &self,
        response: Response,
        stream: &StreamVersion,
        of: &StreamVersion,
        cursor: Position,
    ) -> Error {
        let status = response.status();
        let body = self.body(response, stream).await.unwrap_or_default();
        let problem = serde_json::from_slice::<Problem>(&body);
        if let (
            StatusCode::CONFLICT,
            Ok(Problem {
                head: Some(head), ..
            }),
        ) = (status, &problem)
        {
            let (stream, head) = (of.to_string(), *head);
            return Error::new(Kind::CursorAhead {
                stream,
                cursor,
                head,
            });
        }
        let is_building = problem.as_ref().is_ok_and(|p| p.kind == BUILDING);
        let detail = problem.map_or_else(|_| "no reason given".to_owned(), |p| p.detail);
        let why = format!("{status}: {detail}");
        let url = self.base.clone();
        if status == StatusCode::NOT_FOUND || is_building {
            // A stream that is not there may be deployed later than its consumer.
            let mut served = stream.to_string();
            if of != stream {
                served = format!("{of}` or `{served}");
            }
            return Error::new(Kind::NotServed {
                stream: served,
                why,
            });
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Error::new(Kind::Feed { url, why });
        }
        Error::new(Kind::FeedRefused { url, why })
    }
}

/// A text as it stands in an address.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

/// The position that a header has.
fn position_in(headers: &HeaderMap, name: &str, stream: &StreamVersion) -> Result<Position> {
    let position = headers
        .get(name)
        .and_then(|head| head.to_str().ok()?.parse().ok());
    let nothing = || {
        let why = format!("the answer has no `{name}`");
        let stream = stream.to_string();
        Error::new(Kind::BadEnvelope { stream, why })
    };
    position.map(Position::new).ok_or_else(nothing)
}

/// Without the values of headers, which may be secrets.
impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Feed")
            .field("base", &self.base)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

impl Source for Feed {
    /// The feed hears the name in a header, with `-` for what it does not take.
    fn introduce(&mut self, consumer: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        let name = consumer.chars().map(|c| if plain(c) { c } else { '-' });
        let name: String = name.take(LONGEST_NAME).collect();
        if !name.is_empty() {
            self.headers.push(("es-consumer".to_owned(), name));
        }
    }

    async fn head(&mut self, stream: &StreamVersion) -> Result<Position> {
        let response = self.ask(stream, None, Position::START, 1, Duration::ZERO);
        position_in(response.await?.headers(), "stream-head", stream)
    }

    async fn subject(
        &mut self,
        stream: &StreamVersion,
        subject: &str,
        after: Position,
        limit: usize,
    ) -> Result<Filtered> {
        let response = self.ask(stream, Some(subject), after, limit, Duration::ZERO);
        let response = response.await?;
        let position = |header| position_in(response.headers(), header, stream);
        let (checkpoint, head) = (position("stream-checkpoint")?, position("stream-head")?);
        let events = self.events(response, stream).await?;
        Ok(Filtered {
            events,
            checkpoint,
            head,
        })
    }

    async fn place(
        &mut self,
        stream: &StreamVersion,
        of: u32,
        position: Position,
        origin: Position,
    ) -> Result<Place> {
        let asked = format!("place?of={of}&position={position}&origin={origin}");
        let response = self.get(stream, &asked, Duration::ZERO).await?;
        if !response.status().is_success() {
            let other = StreamVersion {
                stream: stream.stream.clone(),
                version: of,
            };
            return Err(self.refused(response, stream, &other, position).await);
        }
        let body = self.body(response, stream).await?;
        let place = serde_json::from_slice::<Wire>(&body);
        let place = place.ok().and_then(|place| place.place(of));
        place.ok_or_else(|| {
            let why = "the answer is no place in it".to_owned();
            let stream = stream.to_string();
            Error::new(Kind::BadEnvelope { stream, why })
        })
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        let response = self.ask(stream, None, after.position, limit, wait).await?;
        let events = self.events(response, stream).await?;
        Ok(Page { events })
    }
}
