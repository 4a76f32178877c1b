//! Errors of the feed as problem details (RFC 9457).

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::headers::{self, put};
use crate::error::Error;
use crate::event::Position;
use crate::store::StreamVersion;

/// What stands before the names of the problems that programs tell apart.
const TYPES: &str = "urn:es:problem:";

/// A status with a sentence, and what a program may want to know.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    /// The problem's own name; nothing where the status says it all.
    name: Option<&'static str>,
    detail: String,
    members: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    fn new(status: StatusCode, name: Option<&'static str>, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            name,
            detail: detail.into(),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// With what a program may want to know.
    fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    fn header(mut self, name: HeaderName, value: &str) -> Self {
        put(&mut self.0.headers, name, value);
        self
    }

    fn retry(self) -> Self {
        self.header(RETRY_AFTER, "1")
    }

    fn successor(mut self, successor: Option<String>) -> Self {
        let Some(successor) = successor else {
            return self;
        };
        headers::link(&mut self.0.headers, &successor, "successor-version");
        self.member("successor", successor)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, None, detail)
    }

    pub(super) fn unknown_stream(stream: &str, version: &str) -> Self {
        let detail = format!("there is no stream `{stream}` {version} here: /streams has all");
        Self::new(StatusCode::NOT_FOUND, Some("unknown-stream"), detail)
    }

    pub(super) fn wrong(parameter: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, Some("invalid-parameter"), detail);
        problem.member("parameter", parameter)
    }

    pub(super) fn method() -> Self {
        let detail = "the feed is only read: use GET or HEAD";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, None, detail).header(ALLOW, "GET, HEAD")
    }

    pub(super) fn not_acceptable(offered: &[&str]) -> Self {
        let detail = format!("this address has {} alone", offered.join(", "));
        Self::new(StatusCode::NOT_ACCEPTABLE, None, detail)
    }

    pub(super) fn long_uri(most: usize) -> Self {
        let detail = format!("the address is longer than {most} bytes");
        Self::new(StatusCode::URI_TOO_LONG, None, detail)
    }

    pub(super) fn long_headers(most: usize) -> Self {
        let detail = format!("the headers are longer than {most} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(status, None, detail)
    }

    pub(super) fn unauthenticated(challenge: &str) -> Self {
        let detail = "say who you are: the header `WWW-Authenticate` tells how";
        let problem = Self::new(StatusCode::UNAUTHORIZED, None, detail);
        problem.header(WWW_AUTHENTICATE, challenge)
    }

    pub(super) fn forbidden(what: &str) -> Self {
        let detail = format!("you may not read {what}: ask the people of this service");
        Self::new(StatusCode::FORBIDDEN, None, detail)
    }

    pub(super) fn building(stream: &StreamVersion) -> Self {
        let detail = format!("`{stream}` is still being filled from the first event");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, Some("building"), detail).retry()
    }

    pub(super) fn retired(stream: &StreamVersion, successor: Option<String>) -> Self {
        let detail = match &successor {
            Some(successor) => format!("`{stream}` is retired: read its successor at {successor}"),
            None => format!("`{stream}` is retired and has no successor"),
        };
        Self::new(StatusCode::GONE, Some("retired"), detail).successor(successor)
    }

    pub(super) fn cursor_ahead(stream: &StreamVersion, cursor: u64, head: Position) -> Self {
        let detail = format!(
            "`{stream}` ends at {head} and the cursor is {cursor}: the stream was restored from a backup, or this is another environment"
        );
        let problem = Self::new(StatusCode::CONFLICT, Some("cursor-ahead"), detail);
        problem.member("head", json!(head))
    }

    /// Another version knows more than this one.
    pub(super) fn behind(stream: &StreamVersion, of: &StreamVersion) -> Self {
        let detail = format!("`{stream}` has not come as far as `{of}` yet");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, Some("behind"), detail).retry()
    }

    pub(super) fn another_origin(of: &StreamVersion, position: Position) -> Self {
        let detail = format!(
            "nobody who stands at {position} of `{of}` has had as much as `origin` says: the stream was restored from a backup, or this is another environment"
        );
        Self::new(StatusCode::CONFLICT, Some("another-origin"), detail)
    }

    /// This reader waits too often at once.
    pub(super) fn waits_too_often(name: &str, most: usize) -> Self {
        let detail = format!(
            "{name} waits for news {most} times at once, and more is not allowed: end one of them, or ask without `wait`"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, Some("too-many-waiting"), detail).retry()
    }

    /// All readers together ask for too much.
    pub(super) fn crowded(detail: &str) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, Some("crowded"), detail).retry()
    }

    /// What cannot be written as JSON.
    pub(super) fn unwritable(error: &serde_json::Error) -> Self {
        tracing::error!(%error, "the feed cannot write an answer");
        let detail = "the service cannot write this answer";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, None, detail)
    }

    pub(super) fn is_forbidden(&self) -> bool {
        self.0.status == StatusCode::FORBIDDEN
    }

    /// Whether asking again may help.
    pub(super) fn may_heal(&self) -> bool {
        self.0.headers.contains_key(RETRY_AFTER)
    }

    /// The body alone.
    pub(super) fn body(&self) -> String {
        let Inner {
            status,
            name,
            detail,
            members,
            ..
        } = &*self.0;
        let title = name.map_or_else(
            || status.canonical_reason().unwrap_or_default().to_owned(),
            |name| name.replace('-', " "),
        );
        let kind = name.map_or("about:blank".to_owned(), |name| format!("{TYPES}{name}"));
        let mut body = json!({
            "type": kind,
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
        });
        if let Some(body) = body.as_object_mut() {
            body.extend(members.clone());
        }
        body.to_string()
    }
}

/// The reason stands in the log alone: it may name what is nobody's business outside.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "the feed cannot answer");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let detail = format!("the service cannot read the stream now [{}]", error.code());
        Self::new(status, Some("unavailable"), detail).retry()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.extend(self.0.headers);
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, problem);
        headers::no_store(headers);
        response
    }
}
