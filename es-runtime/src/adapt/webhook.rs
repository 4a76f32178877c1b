//! A webhook: messages that an upstream sends over HTTP.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::adapter::{Taken, is_its_own};
use super::{Adapt, Adapter};
use crate::error::{Error, Kind};

/// Answers the requests of an upstream that sends each message as the body of a `POST`.
///
/// It is mounted in a server of your own, behind its TLS and its layers: who may send is theirs to
/// say. With axum:
///
/// ```
/// # async fn run<M: es_runtime::adapt::Adapt>(tower: es_runtime::adapt::Adapter<M>) {
/// use axum::extract::Request;
/// use axum::routing::any;
/// use es_runtime::adapt::Webhook;
///
/// let reports = Webhook::new(tower);
/// let answer = move |request: Request| {
///     let reports = reports.clone();
///     async move { reports.answer(request).await }
/// };
/// let app: axum::Router = axum::Router::new().route("/reports", any(answer));
/// # let _ = app;
/// # }
/// ```
///
/// | answer | when |
/// |---|---|
/// | 200 | the message is in the log, now or from before; `position` and `outcome` say how |
/// | 400, 408, 413, 422 | it cannot be read, came too slowly, is too long, has no place |
/// | 409 | its key belongs to another message |
/// | 405 | no `POST` |
/// | 503 | not now: send it again, as `Retry-After` says |
///
/// The law: an answer of 2xx is sent after the commit. Whatever else comes back, the message is the
/// sender's still.
pub struct Webhook<M: Adapt> {
    adapter: Adapter<M>,
    largest: usize,
    patience: Duration,
    room: Arc<Semaphore>,
}

impl<M: Adapt> Clone for Webhook<M> {
    fn clone(&self) -> Self {
        Self {
            adapter: self.adapter.clone(),
            room: self.room.clone(),
            ..*self
        }
    }
}

impl<M: Adapt> fmt::Debug for Webhook<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("adapter", &self.adapter)
            .field("largest", &self.largest)
            .finish_non_exhaustive()
    }
}

impl<M: Adapt> Webhook<M> {
    /// Takes messages of at most a mebibyte for an adapter, 256 at once.
    pub fn new(adapter: Adapter<M>) -> Self {
        Self {
            adapter,
            largest: 1 << 20,
            patience: Duration::from_secs(10),
            room: Arc::new(Semaphore::new(256)),
        }
    }

    /// The longest message, in bytes.
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// How many messages may be under way at once; one more is told to come again.
    pub fn at_once(mut self, messages: usize) -> Self {
        self.room = Arc::new(Semaphore::new(messages.max(1)));
        self
    }

    /// How long a sender may take to send a message; 10 seconds unless something is said.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Takes the message that a request brings.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<String>
    where
        B: Body,
        B::Error: fmt::Display,
    {
        match self.take(request).await {
            Ok(taken) => {
                let body = json!({ "position": taken.position, "outcome": taken.fate.to_string() });
                answer(StatusCode::OK, "application/json", body.to_string())
            }
            Err(problem) => problem.into(),
        }
    }

    async fn take<B>(&self, request: Request<B>) -> Result<Taken, Problem>
    where
        B: Body,
        B::Error: fmt::Display,
    {
        if request.method() != Method::POST {
            let detail = "send a message as the body of a POST";
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail));
        }
        let crowded = |_| {
            let detail = "too many messages are under way: send it again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        };
        let _place = self.room.try_acquire().map_err(crowded)?;
        let slow = |_| {
            let detail = "the message did not arrive in time: send it again";
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
        };
        let body = timeout(self.patience, self.read(request.into_body()));
        let body = body.await.map_err(slow)??;
        Ok(self.adapter.take_bytes(&body).await?)
    }

    /// All of the body, unless it is too long.
    async fn read<B>(&self, body: B) -> Result<Vec<u8>, Problem>
    where
        B: Body,
        B::Error: fmt::Display,
    {
        let (mut body, mut read) = (pin!(body), Vec::new());
        while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            let frame = frame.map_err(|error| {
                let detail = format!("the message did not arrive whole: {error}");
                Problem::new(StatusCode::BAD_REQUEST, detail)
            })?;
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            if read.len() + data.remaining() > self.largest {
                let detail = format!("the message is longer than {} bytes", self.largest);
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                read.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
        }
        Ok(read)
    }
}

/// A status with a sentence (RFC 9457).
struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            Kind::UnreadableMessage { .. } => StatusCode::BAD_REQUEST,
            Kind::KeyReused { .. } => StatusCode::CONFLICT,
            _ if is_its_own(&error) && !error.is_unreadable() => StatusCode::UNPROCESSABLE_ENTITY,
            _ => {
                // It may name what is nobody's business outside.
                tracing::error!(%error, "a webhook cannot take a message");
                let detail = format!("the message cannot be taken now [{}]", error.code());
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<Problem> for Response<String> {
    fn from(Problem { status, detail }: Problem) -> Self {
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut response = answer(status, "application/problem+json", body.to_string());
        let headers = response.headers_mut();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, http::HeaderValue::from_static("POST"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}
