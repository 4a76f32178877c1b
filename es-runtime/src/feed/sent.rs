//! Server-sent events: what is there, and then what comes, over one connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::time::{Instant, sleep_until};

use super::asked::Question;
use super::headers::no_store;
use super::page::held_bytes;
use super::places::{Place, Seat};
use super::problem::Problem;
use super::{Reader, Shared};
use crate::error::Result;
use crate::event::Position;
use crate::integration::Envelopes;
use crate::store::PublishedPage;

/// Events that are read at once: a slow reader holds no more.
const PIECE: usize = 100;
/// What comes first: how long a browser waits before it connects again, in milliseconds.
const FIRST: &[u8] = b"retry: 1000\n\n";
const HEARTBEAT: &[u8] = b":\n\n";
/// How long after the store has failed it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Events on their way to one reader. Nothing is read before the reader has taken what was read
/// before.
struct Sent {
    shared: Arc<Shared>,
    asked: Question,
    /// What was read already.
    first: Option<(PublishedPage, Place)>,
    ends: Instant,
    ended: bool,
    _seat: Seat,
}

pub(super) async fn answer(
    shared: Arc<Shared>,
    reader: Reader,
    mut asked: Question,
) -> Result<Response, Problem> {
    let seat = shared.places.wait(reader.name.as_deref())?;
    asked.query.limit = asked.query.limit.min(PIECE);
    // What is wrong is told as a problem, and not as an event.
    let first = shared.look(&asked).await?;
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    no_store(&mut headers);
    let stream = asked.query.stream.clone();
    shared.deprecated(&mut headers, &stream, first.0.life);
    let sent = Sent {
        ends: Instant::now() + shared.feed.serve.limits.lifetime,
        shared,
        asked,
        first: Some(first),
        ended: false,
        _seat: seat,
    };
    let pieces = unfold(sent, async |mut sent| Some((sent.next().await?, sent)));
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// A piece of the answer. An error breaks the connection off, so that the reader comes again.
type Piece = std::result::Result<Bytes, std::io::Error>;

impl Sent {
    /// The next piece, as soon as the reader wants it and there is one.
    async fn next(&mut self) -> Option<Piece> {
        if let Some((page, place)) = self.first.take() {
            return Some(self.piece(FIRST, page, place));
        }
        let mut stop = self.shared.stop.clone();
        loop {
            if self.ended || stop.is_asked() || Instant::now() >= self.ends {
                return None;
            }
            // From here on nothing is missed.
            let mut news = self.shared.tails.follow(&self.asked.query.stream)?;
            let mut until = Instant::now() + self.shared.feed.serve.limits.heartbeat;
            match self.shared.look(&self.asked).await {
                Ok((page, place)) if page.seen > self.asked.query.after => {
                    return Some(self.piece(b"", page, place));
                }
                Ok(_) => {}
                // It heals, or whoever reads is told when they come again.
                Err(problem) if problem.may_heal() => until = until.min(Instant::now() + PAUSE),
                Err(problem) => {
                    self.ended = true;
                    let told = format!("event: problem\ndata: {}\n\n", problem.body());
                    return Some(Ok(told.into()));
                }
            }
            tokio::select! {
                _ = news.changed() => {}
                () = sleep_until(until.min(self.ends)) => return Some(Ok(HEARTBEAT.into())),
                () = stop.asked() => {}
            }
        }
    }

    /// The events of a page, and how far it looked.
    fn piece(&mut self, before: &[u8], page: PublishedPage, place: Place) -> Piece {
        let stream = &self.asked.query.stream;
        let address = stream.address();
        let id = |position: Position| format!("id: {address}-{position}\n");
        let envelopes = Envelopes::new(&self.shared.feed.service, stream);
        let (mut body, mut last) = (before.to_vec(), self.asked.query.after);
        for event in &page.events {
            last = event.position;
            body.extend_from_slice(id(last).as_bytes());
            body.extend_from_slice(b"data: ");
            let start = body.len();
            let written = envelopes.write(&mut body, event);
            written.map_err(|error| {
                tracing::error!(%error, "the feed cannot send an event");
                std::io::Error::other(error)
            })?;
            one_line(&mut body, start);
            body.extend_from_slice(b"\n\n");
        }
        if page.seen > last {
            // A cursor alone: a reader with a filter goes on behind what it left out.
            body.extend_from_slice(id(page.seen).as_bytes());
            body.extend_from_slice(b"\n");
        }
        self.asked.look_on(page.seen);
        Ok(held_bytes(body, place))
    }
}

/// A line of an event's data ends at a line break, which JSON may have between its tokens alone.
fn one_line(body: &mut [u8], start: usize) {
    for byte in &mut body[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
