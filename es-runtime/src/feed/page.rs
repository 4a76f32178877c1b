//! A page of events as an answer.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::asked::Question;
use super::headers::{
    self, DEPRECATION, Keep, STREAM_CHECKPOINT, STREAM_HEAD, SUNSET, link, put, tagged,
};
use super::places::Place;
use super::problem::Problem;
use super::{Reader, Shared, packed, path};
use crate::error::Result;
use crate::integration::{Envelopes, Status, StreamHash};
use crate::runtime::without;
use crate::store::{PublishedEvent, PublishedPage, StreamLife, StreamVersion};

/// Raised whenever the same events are written in other bytes: what is known under an older tag is
/// then asked for again.
const FORMAT: u8 = 1;
/// What an envelope takes beside its payload, about.
const ENVELOPE: usize = 700;

pub(super) async fn answer(
    shared: &Arc<Shared>,
    reader: &Reader,
    asked: Question,
    request: &Parts,
    content_type: &'static str,
) -> Result<Response, Problem> {
    let (page, place) = shared.page(reader.name.as_deref(), asked.clone()).await?;
    let PublishedPage {
        seen,
        full,
        head,
        life,
        events,
    } = page;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    headers.insert(STREAM_HEAD, head.get().into());
    headers.insert(STREAM_CHECKPOINT, seen.get().into());
    // A full page never changes; anything else may be longer a moment later.
    let keep = match full && !asked.query.is_filtered() {
        true => Keep::Immutable(shared.feed.serve.limits.max_age),
        false => Keep::Ask,
    };
    headers::keep(&mut headers, keep, shared.private());
    link(&mut headers, &asked.next(seen), "next");
    shared.deprecated(&mut headers, &asked.query.stream, life);
    let packed = !events.is_empty() && packed::is_wanted(&request.headers);
    if tagged(&mut headers, &request.headers, &tag(&events, packed)) {
        headers.remove(CONTENT_TYPE);
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let mut body = batch(&shared.feed.service, &asked.query.stream, &events)?;
    if packed {
        body = packed::pack(body).await?;
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok((headers, held(body, place)).into_response())
}

/// A tag of what the page holds: the hash of its last event covers all that came before it. Packed it
/// is in other bytes.
fn tag(events: &[PublishedEvent], packed: bool) -> String {
    let hash = events.last().map(|event| event.hash).unwrap_or_default();
    let hash = StreamHash::from_bytes(hash).to_string();
    let packed = if packed { "-gzip" } else { "" };
    format!("\"{FORMAT}-{}-{}{packed}\"", &hash[..32], events.len())
}

/// The events as a JSON array, written once.
fn batch(service: &str, stream: &StreamVersion, events: &[PublishedEvent]) -> Result<Vec<u8>> {
    let payloads: usize = events
        .iter()
        .map(|event| event.payload.len() + ENVELOPE)
        .sum();
    let (mut body, envelopes) = (
        Vec::with_capacity(payloads + 2),
        Envelopes::new(service, stream),
    );
    body.push(b'[');
    for event in events {
        if body.len() > 1 {
            body.push(b',');
        }
        envelopes.write(&mut body, event)?;
    }
    body.push(b']');
    Ok(body)
}

/// A body that takes its room until the last byte of it was handed to the network.
pub(super) fn held(body: Vec<u8>, place: Place) -> Body {
    Body::from(held_bytes(body, place))
}

pub(super) fn held_bytes(body: Vec<u8>, place: Place) -> Bytes {
    struct Held(Vec<u8>, #[allow(dead_code)] Option<Place>);
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let place = Some(place).filter(|_| !without("a page takes its place until it is taken"));
    Bytes::from_owner(Held(body, place))
}

impl Shared {
    /// Says that a stream version is to be left, and for which.
    pub(super) fn deprecated(
        &self,
        headers: &mut HeaderMap,
        stream: &StreamVersion,
        life: Option<StreamLife>,
    ) {
        let declared = self.feed.streams.get(stream).map(|served| served.status);
        let Status::Deprecated { from, sunset } = declared.unwrap_or_default().with(life) else {
            return;
        };
        let deprecation = format!("@{}", from.as_micros() / 1_000_000);
        put(headers, DEPRECATION, &deprecation);
        if let Some(sunset) = sunset {
            put(headers, SUNSET, &sunset.http_date());
        }
        if let Some(successor) = self.successor(stream) {
            let successor = format!("{}/events", path(successor));
            link(headers, &successor, "successor-version");
        }
    }
}
