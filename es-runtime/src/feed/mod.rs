//! The feed: the integration streams over HTTP, in pages of CloudEvents.
//!
//! | request | answer |
//! |---|---|
//! | `GET /streams` | every stream version with its head |
//! | `GET /streams/{stream}/v{version}` | one of them |
//! | `GET /streams/{stream}/v{version}/events?after=&limit=&wait=` | the events after a position; `wait` milliseconds if there are none yet; `[]` means: nothing new |
//!
//! Errors are problem details (RFC 9457). The feed is the truth: whoever missed something asks
//! here, from any position, as often as they like.

mod problem;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LINK};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::problem::Problem;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::CloudEvent;
use crate::runtime::Stop;
use crate::store::{EventStore, Phase, Store, StreamVersion};

/// The header that tells a stream's last position.
pub(crate) const STREAM_HEAD: HeaderName = HeaderName::from_static("stream-head");

/// Events in a page unless the client wants fewer or more, and the most that it gets.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;
/// The longest that a client may wait for news.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The HTTP server of one service.
pub(crate) struct Feed {
    service: String,
    store: Store,
    streams: Vec<StreamVersion>,
}

struct Shared {
    feed: Feed,
    stop: Stop,
}

type Server = State<Arc<Shared>>;

impl Feed {
    pub(crate) fn new(service: String, store: Store, streams: Vec<StreamVersion>) -> Self {
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
}

impl Shared {
    async fn entry(&self, stream: &StreamVersion) -> Result<Entry, Problem> {
        let state = self.feed.store.projection(&stream.into()).await?;
        let phase = state.map_or(Phase::Building, |state| state.phase);
        let head = self.feed.store.published_head(stream).await?.position;
        let StreamVersion { stream, version } = stream;
        Ok(Entry {
            events: format!("/streams/{stream}/v{version}/events"),
            stream: stream.clone(),
            version: *version,
            status: phase.as_str(),
            first: 1,
            head,
        })
    }

    /// The stream version that a path names.
    fn find(&self, stream: &str, version: &str) -> Result<&StreamVersion, Problem> {
        let named = |known: &&StreamVersion| {
            known.stream == stream && version == format!("v{}", known.version)
        };
        let unknown =
            || Problem::not_found(format!("there is no stream `{stream}` {version} here"));
        self.feed.streams.iter().find(named).ok_or_else(unknown)
    }
}

async fn streams(State(shared): Server) -> Result<Json<Vec<Entry>>, Problem> {
    let mut entries = Vec::new();
    for stream in &shared.feed.streams {
        entries.push(shared.entry(stream).await?);
    }
    Ok(Json(entries))
}

async fn stream(
    State(shared): Server,
    Path((stream, version)): Path<(String, String)>,
) -> Result<Json<Entry>, Problem> {
    let stream = shared.find(&stream, &version)?;
    shared.entry(stream).await.map(Json)
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
    let stream = shared.find(&name, &version)?;
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
    let (page, head) = shared
        .page(stream, after, limit, wait.min(LONGEST_WAIT))
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
    let link =
        format!("</streams/{name}/{version}/events?after={next}&limit={limit}>; rel=\"next\"");
    if let Ok(link) = HeaderValue::from_str(&link) {
        headers.insert(LINK, link);
    }
    Ok(response)
}

impl Shared {
    /// The events after a position and the stream's head; waits if there are none yet.
    async fn page(
        &self,
        stream: &StreamVersion,
        after: Position,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<crate::store::PublishedEvent>, Position), Problem> {
        let store = &self.feed.store;
        let deadline = Instant::now() + wait;
        let mut stop = self.stop.clone();
        loop {
            let state = store.projection(&stream.into()).await?;
            if state.is_none_or(|state| state.phase == Phase::Building) {
                return Err(Problem::building(stream));
            }
            let page = store.read_published(stream, after, limit).await?;
            let head = store.published_head(stream).await?.position;
            if after > head {
                return Err(Problem::cursor_ahead(stream, after, head));
            }
            if !page.is_empty() || Instant::now() >= deadline || stop.is_asked() {
                return Ok((page, head));
            }
            tokio::select! {
                () = store.wait_for_published(stream, after) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = stop.asked() => {}
            }
        }
    }
}
