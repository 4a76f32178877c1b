//! What streams there are.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::documents::Schemas;
use super::headers::{self, Keep, tagged, wanted};
use super::problem::Problem;
use super::{Names, Served, Shared, names, path};
use crate::error::Result;
use crate::event::{Position, Timestamp};
use crate::integration::Status;
use crate::store::{EventStore, Phase, PublishedQuery, StreamVersion};

const JSON: &str = "application/json";

/// What the catalogue tells of a stream version.
#[derive(Serialize)]
struct Entry<'a> {
    stream: &'a str,
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
    #[serde(flatten)]
    schemas: Schemas<'a>,
}

impl Shared {
    async fn entry<'a>(
        &'a self,
        stream: &'a StreamVersion,
        served: &'a Served,
    ) -> Result<Entry<'a>, Problem> {
        let nothing = PublishedQuery::after(stream, Position::START).limit(0);
        let known = self.feed.store.query_published(&nothing).await?;
        let phase = known.life.map_or(Phase::Building, |life| life.phase);
        let (status, deprecation, sunset) = match served.status.with(known.life) {
            Status::Retired => (Phase::Retired, None, None),
            Status::Deprecated { from, sunset } if phase.is_complete() => {
                (Phase::Deprecated, Some(from), sunset)
            }
            _ => (phase, None, None),
        };
        Ok(Entry {
            events: format!("{}/events", path(stream)),
            successor: self.successor(stream).map(path),
            stream: &stream.stream,
            version: stream.version,
            status: status.as_str(),
            first: 1,
            head: known.head,
            deprecation,
            sunset,
            schemas: self.feed.serve.documents.of(stream),
        })
    }
}

pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    let (mut entries, mut refused) = (Vec::new(), None);
    for (stream, served) in &shared.feed.streams {
        match shared.admit(&request, stream).await {
            Ok(_) => entries.push(shared.entry(stream, served).await?),
            Err(problem) if problem.is_forbidden() => {}
            Err(problem) => refused = Some(problem),
        }
    }
    // Who is not known may see what everybody may see.
    match refused {
        Some(problem) if entries.is_empty() => Err(problem),
        _ => json(&shared, &request, &entries),
    }
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    path: Names,
    request: Request,
) -> Result<Response, Problem> {
    let (stream, version) = names(path)?;
    let (stream, served) = shared.find(&stream, &version)?;
    let (request, _) = request.into_parts();
    shared.admit(&request, stream).await?;
    let entry = shared.entry(stream, served).await?;
    json(&shared, &request, &entry)
}

pub(super) fn json(
    shared: &Shared,
    request: &Parts,
    value: &(impl Serialize + ?Sized),
) -> Result<Response, Problem> {
    if wanted(&request.headers, ACCEPT, &[JSON]).is_none() {
        return Err(Problem::not_acceptable(&[JSON]));
    }
    let body = serde_json::to_vec(value).map_err(|error| Problem::unwritable(&error))?;
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    let mut headers = HeaderMap::new();
    headers::keep(&mut headers, Keep::Ask, shared.private());
    shared.feed.serve.documents.link(&mut headers);
    if tagged(&mut headers, &request.headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok((headers, Body::from(body)).into_response())
}
