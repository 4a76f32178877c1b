//! The feed: the integration streams over HTTP, in pages of CloudEvents and as server-sent events.
//!
//! | request | answer |
//! |---|---|
//! | `GET /streams` | every stream version with its head |
//! | `GET /streams/{stream}/v{version}` | one of them |
//! | `GET /streams/{stream}/v{version}/events` | the events after a position, of some types or of one subject; `[]` means: nothing new |
//! | the same with `Accept: text/event-stream` | the events, and all that come after them |
//! | `GET /streams/{stream}/v{version}/place` | where a consumer of another version goes on in this one |
//! | `GET /schemas/{type}/{revision}.json`, `GET /asyncapi.json` | what the events look like |
//!
//! [`Serve`] says how it is served, and [`Authorize`] to whom. The feed is the truth: whoever missed
//! something asks here, from any position, as often as they like.

mod access;
mod asked;
mod catalogue;
mod documents;
mod headers;
mod mounted;
mod packed;
mod page;
mod patient;
mod place;
mod places;
mod problem;
mod read;
mod readers;
mod sent;
mod serve;
mod server;
mod tail;

pub use access::{Access, Authorize};
pub use axum::http::request::Parts;
pub use mounted::{Body, Mounted};
pub use serve::Serve;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::asked::{Form, form};
use self::places::Places;
use self::problem::Problem;
use self::readers::{Readers, name_of};
use self::serve::{LONGEST_HEADERS, LONGEST_URI};
use self::tail::Tails;
use crate::error::{Error, Kind, Result};
use crate::integration::Status;
use crate::runtime::{Stop, without};
use crate::store::{Store, StreamVersion};

/// A stream version as the code declares it.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) status: Status,
    /// The public types of its events; none of one that is retired.
    pub(crate) types: Vec<String>,
}

/// The HTTP server of one service.
pub(crate) struct Feed {
    pub(crate) service: String,
    /// This instance, as others see it at its work.
    pub(crate) who: String,
    pub(crate) store: Store,
    pub(crate) streams: BTreeMap<StreamVersion, Served>,
    pub(crate) serve: Serve,
}

/// What all requests share.
struct Shared {
    feed: Feed,
    places: Arc<Places>,
    tails: Tails,
    readers: Readers,
    stop: Stop,
}

/// Who asks, once they may.
struct Reader {
    name: Option<String>,
}

impl Feed {
    /// Serves until `stop` says so; long polls and sent events end then.
    pub(crate) async fn start(mut self, stop: Stop) -> Result<Running> {
        self.serve.documents.describe(&self.streams)?;
        self.serve.documents.keep(&self.store).await?;
        let listener = match &self.serve.address {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let limits = self.serve.limits;
        let streams: Vec<_> = self.streams.keys().cloned().collect();
        let shared = Arc::new(Shared {
            places: Arc::new(Places::new(limits)),
            tails: Tails::new(streams.iter().cloned()),
            readers: Readers::default(),
            feed: self,
            stop: stop.clone(),
        });
        let mut tasks = Vec::new();
        for stream in streams {
            let (shared, stop) = (shared.clone(), stop.clone());
            tasks.push(tokio::spawn(async move {
                let Shared { tails, feed, .. } = &*shared;
                tails.look_after(&stream, &feed.store, stop).await;
            }));
        }
        let router = router(shared.clone());
        let (mounted, mut address) = (Mounted(router.clone()), None);
        let server = listener.map(|(listener, local)| {
            address = Some(local);
            server::run(listener, router, limits, stop.clone())
        });
        tasks.push(tokio::spawn(async move {
            let serving = async {
                if let Some(server) = server {
                    server.await;
                }
            };
            tokio::join!(serving, readers::run(&shared, stop));
            // What the last requests told.
            shared
                .readers
                .tell(&shared.feed.store, &shared.feed.who)
                .await;
        }));
        Ok(Running {
            address,
            mounted,
            tasks,
        })
    }
}

/// A feed that is served.
pub(crate) struct Running {
    /// Where it listens, if it has a port of its own.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) mounted: Mounted,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

async fn listen(address: &str) -> Result<(TcpListener, SocketAddr)> {
    let taken = |error| {
        let address = address.to_owned();
        Error::caused_by(Kind::Listen { address }, error)
    };
    let listener = TcpListener::bind(address).await.map_err(taken)?;
    let local = listener.local_addr().map_err(taken)?;
    Ok((listener, local))
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/streams", get(catalogue::all))
        .route("/streams/{stream}/{version}", get(catalogue::one))
        .route("/streams/{stream}/{version}/events", get(events))
        .route("/streams/{stream}/{version}/place", get(place::answer))
        .route("/schemas/{type}/{revision}", get(documents::schema))
        .route("/asyncapi.json", get(documents::asyncapi))
        .fallback(|| async {
            Problem::not_found("there is nothing at this address: /streams has the streams")
        })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .layer(from_fn(bounded))
        .with_state(shared)
}

/// Refuses what is too long before anybody looks at it.
async fn bounded(request: Request, next: Next) -> Response {
    let headers = request.headers().iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers > LONGEST_HEADERS {
        return Problem::long_headers(LONGEST_HEADERS).into_response();
    }
    let uri = request
        .uri()
        .path_and_query()
        .map_or("", |uri| uri.as_str());
    if uri.len() > LONGEST_URI {
        return Problem::long_uri(LONGEST_URI).into_response();
    }
    next.run(request).await
}

type Names = std::result::Result<Path<(String, String)>, PathRejection>;

/// The two names in a path, which percent-encoding may have made unreadable.
fn names(path: Names) -> Result<(String, String), Problem> {
    let unreadable = |_| Problem::not_found("there is nothing at this address: it is not UTF-8");
    path.map(|Path(names)| names).map_err(unreadable)
}

async fn events(
    State(shared): State<Arc<Shared>>,
    path: Names,
    request: Request,
) -> Result<Response, Problem> {
    let (stream, version) = names(path)?;
    let (stream, served) = shared.find(&stream, &version)?;
    let (request, _) = request.into_parts();
    let reader = shared.admit(&request, stream).await?;
    if served.status == Status::Retired {
        return Err(shared.retired(stream));
    }
    let form = form(&request.headers)?;
    let question = asked::question(&request, stream, served, &shared.feed.serve, form)?;
    shared
        .readers
        .note(reader.name.as_deref(), stream, question.query.after);
    match form {
        Form::Sent => sent::answer(shared.clone(), reader, question).await,
        Form::Batch(content_type) => {
            page::answer(&shared, &reader, question, &request, content_type).await
        }
    }
}

impl Shared {
    /// The stream version that a path names.
    fn find(&self, stream: &str, version: &str) -> Result<(&StreamVersion, &Served), Problem> {
        let named = |(known, _): &(&StreamVersion, &Served)| {
            known.stream == stream && version == format!("v{}", known.version)
        };
        let found = self.feed.streams.iter().find(named);
        found.ok_or_else(|| Problem::unknown_stream(stream, version))
    }

    /// Who asks, if they may read the stream.
    async fn admit(&self, request: &Parts, stream: &StreamVersion) -> Result<Reader, Problem> {
        let said = name_of(request)?;
        let access = match &self.feed.serve.guard {
            Some(guard) if !without("nothing is told before it is allowed") => {
                guard.ask(request, stream).await
            }
            _ => Access::allowed(),
        };
        match access {
            Access::Allowed { reader } => {
                let name = reader.or(said);
                Ok(Reader { name })
            }
            Access::Unauthenticated { challenge } => Err(Problem::unauthenticated(&challenge)),
            Access::Forbidden => Err(Problem::forbidden(&format!("`{stream}`"))),
        }
    }

    /// Whether answers are for those alone who asked.
    fn private(&self) -> bool {
        self.feed.serve.guard.is_some()
    }

    /// The newest version of a stream, for readers of an older one.
    fn successor(&self, stream: &StreamVersion) -> Option<&StreamVersion> {
        let newer = |(known, served): &(&StreamVersion, &Served)| {
            let live = served.status != Status::Retired;
            live && known.stream == stream.stream && known.version > stream.version
        };
        let (newest, _) = self.feed.streams.iter().rfind(newer)?;
        Some(newest)
    }

    fn retired(&self, stream: &StreamVersion) -> Problem {
        let successor = self.successor(stream);
        Problem::retired(
            stream,
            successor.map(|newest| format!("{}/events", path(newest))),
        )
    }
}

/// Where a stream version is.
fn path(StreamVersion { stream, version }: &StreamVersion) -> String {
    format!("/streams/{stream}/v{version}")
}
