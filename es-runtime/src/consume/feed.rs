//! The HTTP client of another service's feed.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;

use super::broker::Broker;
use super::brokered::Brokered;
use super::source::{Page, Source};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::CloudEvent;
use crate::store::{StreamCursor, StreamVersion};

/// How long an answer may take beyond what the server was asked to wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is taken, in bytes. A feed's pages are about a megabyte, with one event
/// of any size.
const LONGEST: usize = 64 << 20;
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

    /// What the feed answers to whoever asks for events.
    async fn ask(
        &mut self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
        wait: Duration,
    ) -> Result<Response> {
        let StreamVersion {
            stream: name,
            version,
        } = stream;
        let wait_ms = wait.as_millis();
        let url = format!(
            "{}/streams/{name}/v{version}/events?after={after}&limit={limit}&wait={wait_ms}",
            self.base
        );
        let mut request = self.client.get(url).timeout(wait + PATIENCE);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| self.failed(error))?;
        if !response.status().is_success() {
            return Err(self.refused(response, stream, after).await);
        }
        self.warn(response.headers(), stream);
        Ok(response)
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

    /// What a refusal means: some heal with time, the others need somebody to look.
    async fn refused(&self, response: Response, stream: &StreamVersion, cursor: Position) -> Error {
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
            let (stream, head) = (stream.to_string(), *head);
            return Error::new(Kind::CursorAhead {
                stream,
                cursor,
                head,
            });
        }
        let detail = problem.map_or_else(|_| "no reason given".to_owned(), |p| p.detail);
        let why = format!("{status}: {detail}");
        let url = self.base.clone();
        if status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::NOT_FOUND
        {
            // A stream that is not there may be deployed later than its consumer.
            return Error::new(Kind::Feed { url, why });
        }
        Error::new(Kind::FeedRefused { url, why })
    }
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
        let response = self.ask(stream, Position::START, 1, Duration::ZERO).await?;
        let head = response.headers().get("stream-head");
        let head = head.and_then(|head| head.to_str().ok()?.parse().ok());
        let nothing = || {
            let why = "the answer has no `Stream-Head`".to_owned();
            let stream = stream.to_string();
            Error::new(Kind::BadEnvelope { stream, why })
        };
        head.map(Position::new).ok_or_else(nothing)
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        let response = self.ask(stream, after.position, limit, wait).await?;
        let body = self.body(response, stream).await?;
        let events: Vec<CloudEvent> = serde_json::from_slice(&body).map_err(|error| {
            let why = "the answer is no batch of CloudEvents".to_owned();
            Error::caused_by(
                Kind::BadEnvelope {
                    stream: stream.to_string(),
                    why,
                },
                error,
            )
        })?;
        Ok(Page { events })
    }
}
