//! Reads the stream from its source, judges what it answers, and opens the envelopes: once for all
//! parts of the inbox in this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ahead::{Ahead, Opened, Read};
use super::detector::{Detector, Verdict};
use super::handler::Handler;
use super::source::Source;
use super::told::Told;
use crate::error::{Error, Kind, Result};
use crate::event::slice_of;
use crate::integration::{CloudEvent, IntegrationEvent, Received};
use crate::runtime::{Stop, backoff};
use crate::store::{InboxId, StreamCursor};

/// Events in one page, and so at most in one transaction.
pub(super) const PAGE: usize = 500;
/// How long the source may wait for news.
const WAIT: Duration = Duration::from_secs(20);
/// The least time between two questions that bring nothing.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after failures.
const SLOWEST: Duration = Duration::from_secs(10);
/// How often a hole is asked for before the consumer stops.
const ATTEMPTS: u32 = 8;

/// How long to wait after so many failures in a row.
pub(super) fn pause(failures: u32) -> Duration {
    backoff(PAUSE, failures, SLOWEST)
}

/// The task that reads.
pub(super) struct Reader<E, S> {
    source: S,
    id: InboxId,
    open: Open<E>,
    ahead: Arc<Ahead<E>>,
    detector: Detector,
    told: Told,
    stop: Stop,
    /// Failures in a row: they make the pauses longer.
    failures: u32,
    /// Questions in a row that brought a hole and nothing else.
    holes: u32,
}

/// How envelopes are opened, and what their keys are.
#[derive(Debug)]
pub(super) struct Open<E> {
    key: fn(&Received<E>) -> String,
    skip_unknown: bool,
}

impl<E> Clone for Open<E> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<E: IntegrationEvent> Open<E> {
    pub(super) fn new<H: Handler<E>>(skip_unknown: bool) -> Self {
        Self {
            key: H::key,
            skip_unknown,
        }
    }

    pub(super) fn open(&self, event: &CloudEvent, id: &InboxId) -> Opened<E> {
        match Received::open(event) {
            Ok(Some(received)) => Opened::Event(received),
            Ok(None) if self.skip_unknown => Opened::Passed,
            Ok(None) => {
                let unknown = Error::new(Kind::UnknownIntegrationEvent {
                    stream: id.stream.to_string(),
                    position: event.position().unwrap_or_default(),
                    event_type: event.event_type.clone(),
                });
                Opened::Unreadable(unknown.to_string())
            }
            Err(error) => Opened::Unreadable(error.to_string()),
        }
    }

    fn read(&self, event: CloudEvent, cursor: StreamCursor, id: &InboxId) -> Read<E> {
        let opened = self.open(&event, id);
        let key = match &opened {
            Opened::Event(received) => (self.key)(received),
            // Nobody can say more.
            Opened::Passed | Opened::Unreadable(_) => event.subject.clone(),
        };
        Read {
            slice: slice_of(&key),
            event,
            opened,
            key,
            cursor,
        }
    }
}

impl<E: IntegrationEvent, S: Source> Reader<E, S> {
    pub(super) fn new(
        source: S,
        id: InboxId,
        open: Open<E>,
        ahead: Arc<Ahead<E>>,
        told: Told,
        stop: Stop,
    ) -> Self {
        let detector = Detector::new(id.stream.clone(), StreamCursor::default());
        Self {
            source,
            id,
            open,
            ahead,
            detector,
            told,
            stop,
            failures: 0,
            holes: 0,
        }
    }

    /// Reads until it is asked to stop.
    ///
    /// # Errors
    /// Why it cannot go on: what came before is in the ahead.
    pub(super) async fn run(mut self) -> Result<()> {
        let ahead = self.ahead.clone();
        let mut stop = self.stop.clone();
        loop {
            let (turn, from) = tokio::select! {
                room = ahead.room() => room,
                () = stop.asked() => return Ok(()),
            };
            if self.detector.cursor() != from {
                self.detector.rewind(from);
                self.holes = 0;
            }
            let asked = Instant::now();
            let read = tokio::select! {
                read = self.next() => read,
                () = ahead.turned(turn) => continue,
                () = stop.asked() => return Ok(()),
            };
            match read {
                Ok(events) if events.is_empty() => {
                    self.failures = 0;
                    self.told.source(None);
                    if asked.elapsed() < PAUSE {
                        self.sleep(PAUSE).await;
                    }
                }
                Ok(events) => {
                    self.failures = 0;
                    self.told.source(None);
                    ahead.push(turn, events);
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(inbox = %self.id, %error, "trying again");
                    self.failures = self.failures.saturating_add(1);
                    self.told.source(Some(error.to_string()));
                    self.sleep(pause(self.failures)).await;
                }
                Err(error) => {
                    // What came before is handled first.
                    self.told.source(Some(error.to_string()));
                    tokio::select! {
                        () = ahead.drained() => return Err(error),
                        () = ahead.turned(turn) => {}
                        () = stop.asked() => return Err(error),
                    }
                }
            }
        }
    }

    /// The next events of the stream, judged: in order, without doubles, nothing missing.
    async fn next(&mut self) -> Result<Vec<Read<E>>> {
        let after = self.detector.cursor();
        let read = self.source.read(&self.id.stream, after, PAGE, WAIT);
        let mut page = read.await?;
        page.events.sort_by_key(CloudEvent::position);
        let stream = || self.id.stream.to_string();
        let answered = !page.events.is_empty();
        let mut events = Vec::with_capacity(page.events.len());
        for event in page.events {
            match self.detector.offer(&event) {
                Verdict::Next => {
                    events.push(self.open.read(event, self.detector.cursor(), &self.id));
                }
                Verdict::Duplicate => {}
                // What came before is good; what is wrong shows again, alone, next time.
                _ if !events.is_empty() => break,
                Verdict::Hole { wanted } if self.holes < ATTEMPTS => {
                    self.holes += 1;
                    let why = format!("position {wanted} is missing; asking again");
                    return Err(Error::new(Kind::Feed { url: stream(), why }));
                }
                Verdict::Hole { wanted } => {
                    let found = event.position().unwrap_or_default();
                    return Err(Error::new(Kind::UnfilledHole {
                        stream: stream(),
                        wanted,
                        found,
                    }));
                }
                Verdict::Forked => {
                    let position = event.position().unwrap_or_default();
                    return Err(Error::new(Kind::Forked {
                        stream: stream(),
                        position,
                    }));
                }
                Verdict::Foreign { why } => {
                    return Err(Error::new(Kind::BadEnvelope {
                        stream: stream(),
                        why,
                    }));
                }
            }
        }
        self.holes = 0;
        if answered && events.is_empty() {
            let why = "it answers with nothing but events that were handled before".to_owned();
            return Err(Error::new(Kind::Feed { url: stream(), why }));
        }
        Ok(events)
    }

    async fn sleep(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.asked() => {}
        }
    }
}
