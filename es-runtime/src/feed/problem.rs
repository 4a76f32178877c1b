//! Errors of the feed as problem details (RFC 9457).

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::Error;
use crate::event::Position;
use crate::store::StreamVersion;

/// A status with a sentence, and what a program may want to know.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    head: Option<Position>,
    successor: Option<String>,
    retry: bool,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title,
            detail: detail.into(),
            head: None,
            successor: None,
            retry: false,
        }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found", detail)
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad request", detail)
    }

    pub(super) fn building(stream: &StreamVersion) -> Self {
        let detail = format!("`{stream}` is still being filled from the first event");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self {
            retry: true,
            ..Self::new(status, "the stream is not live yet", detail)
        }
    }

    pub(super) fn retired(stream: &StreamVersion, successor: Option<String>) -> Self {
        let detail = match &successor {
            Some(successor) => format!("`{stream}` is retired: read its successor at {successor}"),
            None => format!("`{stream}` is retired and has no successor"),
        };
        Self {
            successor,
            ..Self::new(StatusCode::GONE, "the stream version is retired", detail)
        }
    }

    pub(super) fn cursor_ahead(stream: &StreamVersion, cursor: Position, head: Position) -> Self {
        let detail = format!(
            "`{stream}` ends at {head} and the cursor is {cursor}: the stream was restored from a backup, or this is another environment"
        );
        let status = StatusCode::CONFLICT;
        Self {
            head: Some(head),
            ..Self::new(status, "the cursor is beyond the head", detail)
        }
    }
}

/// The reason stands in the log alone: it may name what is nobody's business outside.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "the feed cannot answer");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let detail = format!("the service cannot read the stream now [{}]", error.code());
        Self {
            retry: true,
            ..Self::new(status, "try again", detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(head) = self.head {
            body["head"] = json!(head);
        }
        if let Some(successor) = &self.successor {
            body["successor"] = json!(successor);
        }
        let mut response = (self.status, Json(body)).into_response();
        if let Some(successor) = &self.successor {
            super::link(response.headers_mut(), successor, "successor-version");
        }
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, problem);
        if self.retry {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
