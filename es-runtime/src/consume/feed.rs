//! The HTTP client of another service's feed.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;

use super::source::{Page, Source};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::CloudEvent;
use crate::store::StreamVersion;

/// How long an answer may take beyond what the server was asked to wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// A service's feed over HTTP.
#[derive(Clone, Debug)]
pub struct Feed {
    base: String,
    client: Client,
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
            warned: false,
        }
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

    /// What a refusal means: some heal with time, the others need somebody to look.
    async fn refused(&self, response: Response, stream: &StreamVersion, cursor: Position) -> Error {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
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

impl Source for Feed {
    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        let StreamVersion {
            stream: name,
            version,
        } = stream;
        let wait_ms = wait.as_millis();
        let url = format!(
            "{}/streams/{name}/v{version}/events?after={after}&limit={limit}&wait={wait_ms}",
            self.base
        );
        let request = self.client.get(url).timeout(wait + PATIENCE);
        let response = request.send().await.map_err(|error| self.failed(error))?;
        if !response.status().is_success() {
            return Err(self.refused(response, stream, after).await);
        }
        self.warn(response.headers(), stream);
        let body = response.bytes().await.map_err(|error| self.failed(error))?;
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
