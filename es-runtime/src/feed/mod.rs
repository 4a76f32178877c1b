//! The feed: the integration streams over HTTP, in pages of CloudEvents.
//!
//! | request | answer |
//! |---|---|
//! | `GET /streams` | every stream version with its head |
//! | `GET /streams/{stream}/v{version}` | one of them |
//! | `GET /streams/{stream}/v{version}/events?after=&limit=&wait=` | the events after a position; `wait` milliseconds if there are none yet; `[]` means: nothing new |
//!
//! A deprecated version says so in headers, and a retired one is gone (410) with its successor's
//! address. Errors are problem details (RFC 9457). The feed is the truth: whoever missed something asks
//! here, from any position, as often as they like.

mod problem;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::problem::Problem;
use crate::error::{Error, Kind, Result};
use crate::event::{Position, Timestamp};
use crate::integration::{CloudEvent, Status};
use crate::runtime::Stop;
use crate::store::{EventStore, Phase, Store, StreamVersion};

/// The header that tells a stream's last position.
pub(crate) const STREAM_HEAD: HeaderName = HeaderName::from_static("stream-head");

/// Since when a stream version is deprecated (RFC 9745), and when it may be gone (RFC 8594).
pub(crate) const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
pub(crate) const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Events in a page unless the client wants fewer or more, and the most that it gets.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;
/// The longest that a client may wait for news.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The HTTP server of one service.
pub(crate) struct Feed {
    service: String,
    store: Store,
    streams: BTreeMap<StreamVersion, Status>,
}

struct Shared {
    feed: Feed,
    stop: Stop,
}

type Server = State<Arc<Shared>>;

impl Feed {
    pub(crate) fn new(
        service: String,
        store: Store,
        streams: BTreeMap<StreamVersion, Status>,
    ) -> Self {
        Self {
            service,
            store,
            streams,
        }
    }

    /// Listens on `address` and serves until `stop` says so; long polls end then.
    pub(crate) async fn listen(
        self,
        address: String,
        mut stop: Stop,
    ) -> Result<(SocketAddr, JoinHandle<()>)> {
        let taken = |error| {
            Error::caused_by(
                Kind::Listen {
                    address: address.clone(),
                },
                error,
            )
        };
        let listener = TcpListener::bind(&address).await.map_err(taken)?;
        let local = listener.local_addr().map_err(taken)?;
        let shared = Arc::new(Shared {
            feed: self,
            stop: stop.clone(),
        });
        let router = Router::new()
            .route("/streams", get(streams))
            .route("/streams/{stream}/{version}", get(stream))
            .route("/streams/{stream}/{version}/events", get(events))
            .fallback(|| async { Problem::not_found("there is nothing at this address") })
            .with_state(shared);
        let task = tokio::spawn(async move {
            let server = axum::serve(listener, router);
            let stopped = async move { stop.asked().await };
            if let Err(error) = server.with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the feed failed");
            }
        });
        Ok((local, task))
    }
}

/// What the catalogue tells of a stream version.
#[derive(Serialize)]
struct Entry {
    stream: String,
    version: u32,
    status: &'static str,
    first: u64,
    head: Position,
    events: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

impl Shared {
    async fn entry(&self, stream: &StreamVersion, status: Status) -> Result<Entry, Problem> {
        let state = self.feed.store.projection(&stream.into()).await?;
        let status = status.with(state.as_ref());
        let phase = state.map_or(Phase::Building, |state| state.phase);
        let head = self.feed.store.published_head(stream).await?.position;
        let (status, deprecation, sunset) = match status {
            Status::Retired => ("retired", None, None),
            Status::Deprecated { from, sunset } if phase.is_complete() => {
                ("deprecated", Some(from), sunset)
            }
            _ => (phase.as_str(), None, None),
        };
        Ok(Entry {
            events: format!("{}/events", path(stream)),
            successor: self.successor(stream).map(path),
            stream: stream.stream.clone(),
            version: stream.version,
            status,
            first: 1,
            head,
            deprecation,
            sunset,
        })
    }

    /// The stream version that a path names.
    fn find(&self, stream: &str, version: &str) -> Result<(&StreamVersion, Status), Problem> {
        let named = |(known, _): &(&StreamVersion, &Status)| {
            known.stream == stream && version == format!("v{}", known.version)
        };
        let unknown =
            || Problem::not_found(format!("there is no stream `{stream}` {version} here"));
        let (stream, status) = self.feed.streams.iter().find(named).ok_or_else(unknown)?;
        Ok((stream, *status))
    }

    /// The newest version of a stream, for readers of an older one.
    fn successor(&self, stream: &StreamVersion) -> Option<&StreamVersion> {
        let newer = |(known, status): &(&StreamVersion, &Status)| {
            let live = **status != Status::Retired;
            live && known.stream == stream.stream && known.version > stream.version
        };
        let (newest, _) = self.feed.streams.iter().rfind(newer)?;
        Some(newest)
    }
}

/// Where a stream version is.
fn path(StreamVersion { stream, version }: &StreamVersion) -> String {
    format!("/streams/{stream}/v{version}")
}

async fn streams(State(shared): Server) -> Result<Json<Vec<Entry>>, Problem> {
    let mut entries = Vec::new();
    for (stream, status) in &shared.feed.streams {
        entries.push(shared.entry(stream, *status).await?);
    }
    Ok(Json(entries))
}

async fn stream(
    State(shared): Server,
    Path((stream, version)): Path<(String, String)>,
) -> Result<Json<Entry>, Problem> {
    let (stream, status) = shared.find(&stream, &version)?;
    shared.entry(stream, status).await.map(Json)
}

/// Where to read from. Texts, so that a wrong one is answered as a problem.
#[derive(Deserialize)]
struct Range {
    #[serde(alias = "lastEventId")]
    after: Option<String>,
    limit: Option<String>,
    #[serde(alias = "timeout")]
    wait: Option<String>,
}

fn number(name: &str, text: Option<&str>, default: u64) -> Result<u64, Problem> {
    let wrong = |text| Problem::bad_request(format!("`{name}` is a whole number, not `{text}`"));
    text.map_or(Ok(default), |text| text.parse().map_err(|_| wrong(text)))
}

async fn events(
    State(shared): Server,
    Path((name, version)): Path<(String, String)>,
    Query(range): Query<Range>,
) -> Result<Response, Problem> {
    let (stream, status) = shared.find(&name, &version)?;
    let successor = shared
        .successor(stream)
        .map(|newest| format!("{}/events", path(newest)));
    if status == Status::Retired {
        return Err(Problem::retired(stream, successor));
    }
    // The last event's id, `accounts.v2-17`, is a cursor too.
    let after = range.after.as_deref();
    let prefix = format!("{name}.{version}-");
    let after = after.map(|after| after.strip_prefix(&prefix).unwrap_or(after));
    let after = Position::new(number("after", after, 0)?);
    let limit = number("limit", range.limit.as_deref(), PAGE as u64)?.max(1);
    let limit = usize::try_from(limit)
        .unwrap_or(LARGEST_PAGE)
        .min(LARGEST_PAGE);
    let wait = Duration::from_millis(number("wait", range.wait.as_deref(), 0)?);
    let (page, head, status) = shared
        .page(stream, status, after, limit, wait.min(LONGEST_WAIT))
        .await?;

    let next = page.last().map_or(after, |event| event.position);
    let full = page.len() == limit;
    let events = page
        .into_iter()
        .map(|event| CloudEvent::new(&shared.feed.service, stream, event));
    let events = events.collect::<Result<Vec<_>>>()?;
    let mut response = Json(events).into_response();
    let headers = response.headers_mut();
    let batch = HeaderValue::from_static("application/cloudevents-batch+json");
    headers.insert(CONTENT_TYPE, batch);
    headers.insert(STREAM_HEAD, head.get().into());
    // A full page never changes; anything else may be longer a moment later.
    let cache = if full {
        "max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    let next = format!("/streams/{name}/{version}/events?after={next}&limit={limit}");
    link(headers, &next, "next");
    if let Status::Deprecated { from, sunset } = status {
        let deprecation = format!("@{}", from.as_micros() / 1_000_000);
        put(headers, DEPRECATION, &deprecation);
        if let Some(sunset) = sunset {
            put(headers, SUNSET, &sunset.http_date());
        }
        if let Some(successor) = successor {
            link(headers, &successor, "successor-version");
        }
    }
    Ok(response)
}

fn link(headers: &mut HeaderMap, target: &str, relation: &str) {
    put(headers, LINK, &format!("<{target}>; rel=\"{relation}\""));
}

/// Adds a header; what cannot be one is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

impl Shared {
    /// The events after a position, the stream's head and what holds for it; waits if there are none
    /// yet.
    async fn page(
        &self,
        stream: &StreamVersion,
        declared: Status,
        after: Position,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<crate::store::PublishedEvent>, Position, Status), Problem> {
        let store = &self.feed.store;
        let deadline = Instant::now() + wait;
        let mut stop = self.stop.clone();
        loop {
            let state = store.projection(&stream.into()).await?;
            let status = declared.with(state.as_ref());
            match state.map_or(Phase::Building, |state| state.phase) {
                Phase::Building => return Err(Problem::building(stream)),
                // By a person, and not by the code.
                Phase::Retired => {
                    let successor = self.successor(stream);
                    let successor = successor.map(|newest| format!("{}/events", path(newest)));
                    return Err(Problem::retired(stream, successor));
                }
                Phase::Shadow | Phase::Live | Phase::Deprecated => {}
            }
            let page = store.read_published(stream, after, limit).await?;
            let head = store.published_head(stream).await?.position;
            if after > head {
                return Err(Problem::cursor_ahead(stream, after, head));
            }
            if !page.is_empty() || Instant::now() >= deadline || stop.is_asked() {
                return Ok((page, head, status));
            }
            tokio::select! {
                () = store.wait_for_published(stream, after) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = stop.asked() => {}
            }
        }
    }
}
