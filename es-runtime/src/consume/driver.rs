//! Drives a consumer: reads from the source, judges, handles, and moves the inbox with the effects.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::consumer::{Consumer, Progress};
use super::detector::{Detector, Verdict};
use super::handler::{Handler, HandlerError};
use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::{CloudEvent, IntegrationEvent, Received};
use crate::runtime::Stop;
use crate::store::{Advanced, EventStore, InboxId, StreamCursor};

/// Events in one page, and so at most in one transaction.
const PAGE: usize = 500;
/// How long the source may wait for news.
const WAIT: Duration = Duration::from_secs(20);
/// The least time between two questions that bring nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after failures.
const SLOWEST: Duration = Duration::from_secs(10);
/// How often a failing event is handled, and a hole asked for, before the consumer stops.
const ATTEMPTS: u32 = 8;

/// A consumer's task.
pub(super) struct Work<E, S, H> {
    consumer: Consumer<E, S, H>,
    id: InboxId,
    detector: Detector,
    progress: watch::Sender<Progress>,
    stop: Stop,
    /// Failures in a row, of whatever kind: they make the pauses longer.
    failures: u32,
    /// How often the handler failed at the next event.
    refusals: u32,
    /// Questions in a row that brought a hole and nothing else.
    holes: u32,
}

/// Why a page could not be handled.
enum Failure {
    /// The event at this place of the page could not.
    Event { index: usize, why: Refusal },
    /// Another instance of this consumer has handled it.
    Fenced,
    /// The inbox's database failed.
    Inbox(Error),
}

/// Why one event could not be handled.
enum Refusal {
    Unreadable(Error),
    Handler(HandlerError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Inbox(error)
    }
}

impl<E: IntegrationEvent, S: Source, H: Handler<E>> Work<E, S, H> {
    pub(super) fn new(
        consumer: Consumer<E, S, H>,
        id: InboxId,
        cursor: StreamCursor,
        progress: watch::Sender<Progress>,
        stop: Stop,
    ) -> Self {
        let detector = Detector::new(id.stream.clone(), cursor);
        Self {
            consumer,
            id,
            detector,
            progress,
            stop,
            failures: 0,
            refusals: 0,
            holes: 0,
        }
    }

    /// Consumes until it is asked to stop.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub(super) async fn run(mut self) -> Result<()> {
        // Smaller after a failure, so that the events before the failing one are committed.
        let mut limit = PAGE;
        while !self.stop.is_asked() {
            let asked = Instant::now();
            let from = self.detector.cursor();
            let events = match self.next(limit).await {
                Ok(Some(events)) => events,
                Ok(None) => break,
                Err(error) => {
                    self.trouble(error)?;
                    self.pause().await;
                    continue;
                }
            };
            if events.is_empty() {
                self.failures = 0;
                if asked.elapsed() < PAUSE {
                    self.sleep(PAUSE).await;
                }
                continue;
            }
            match self.deliver(from, &events).await {
                Ok(()) => {
                    (self.failures, self.refusals) = (0, 0);
                    limit = PAGE;
                    let position = self.detector.cursor().position;
                    self.progress.send_replace(Progress {
                        position,
                        trouble: None,
                    });
                }
                // What comes before it is committed first.
                Err(Failure::Event { index, .. }) if index > 0 => {
                    self.detector.rewind(from);
                    limit = index;
                }
                Err(Failure::Event { why, .. }) => {
                    self.detector.rewind(from);
                    limit = 1;
                    self.refused(from.position.next(), why)?;
                    self.pause().await;
                }
                Err(Failure::Fenced) => {
                    tracing::debug!(consumer = self.id.consumer, "another instance is at work");
                    self.sleep(PAUSE).await;
                    self.reload(from).await;
                    self.refusals = 0;
                }
                Err(Failure::Inbox(error)) => {
                    self.trouble(error)?;
                    // The commit may have succeeded before the answer was lost.
                    self.pause().await;
                    self.reload(from).await;
                }
            }
        }
        Ok(())
    }

    /// The next events of the stream, judged: in order, without doubles, nothing missing. `None`
    /// when it is time to stop.
    async fn next(&mut self, limit: usize) -> Result<Option<Vec<CloudEvent>>> {
        let after = self.detector.cursor();
        let mut stop = self.stop.clone();
        let mut page = tokio::select! {
            page = self.consumer.source.read(&self.id.stream, after, limit, WAIT) => page?,
            () = stop.asked() => return Ok(None),
        };
        page.events.sort_by_key(CloudEvent::position);
        let stream = || self.id.stream.to_string();
        let answered = !page.events.is_empty();
        let mut events = Vec::with_capacity(page.events.len());
        for event in page.events {
            // A source may answer more than it was asked for.
            if events.len() == limit {
                break;
            }
            match self.detector.offer(&event) {
                Verdict::Next => events.push(event),
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
        Ok(Some(events))
    }

    /// Handles the events and moves the inbox, in one transaction.
    async fn deliver(&mut self, from: StreamCursor, events: &[CloudEvent]) -> Result<(), Failure> {
        let inbox = self.consumer.inbox.clone();
        let mut opened = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            let unreadable = |error| Failure::Event {
                index,
                why: Refusal::Unreadable(error),
            };
            opened.push(self.open(event).map_err(unreadable)?);
        }
        let mut tx = inbox.begin().await?;
        // Looked at before the effects, too: what another instance has handled may well fail in the
        // handler, and that is no fault of the event.
        if inbox.inbox(&self.id).await? != from {
            return Err(Failure::Fenced);
        }
        for (index, event) in opened.iter().enumerate() {
            let Some(event) = event else { continue };
            let handled = self.consumer.handler.handle(event, &mut tx).await;
            let refused = |error| Failure::Event {
                index,
                why: Refusal::Handler(error),
            };
            handled.map_err(refused)?;
        }
        let to = self.detector.cursor();
        match inbox.commit_inbox(tx, &self.id, from, to).await? {
            Advanced::Moved => Ok(()),
            Advanced::Fenced => Err(Failure::Fenced),
        }
    }

    fn open(&self, event: &CloudEvent) -> Result<Option<Received<E>>> {
        let received = Received::open(event)?;
        if received.is_none() && !self.consumer.skip_unknown {
            let (stream, event_type) = (self.id.stream.to_string(), event.event_type.clone());
            let position = event.position().unwrap_or_default();
            return Err(Error::new(Kind::UnknownIntegrationEvent {
                stream,
                position,
                event_type,
            }));
        }
        Ok(received)
    }

    /// Notes what failed.
    ///
    /// # Errors
    /// The same error if trying again cannot help.
    fn trouble(&mut self, error: Error) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        tracing::warn!(consumer = self.id.consumer, %error, "trying again");
        self.failures = self.failures.saturating_add(1);
        self.progress
            .send_modify(|progress| progress.trouble = Some(error.to_string()));
        Ok(())
    }

    /// Notes that the event at a position could not be handled.
    ///
    /// # Errors
    /// When it cannot be read, or the handler failed too many times.
    fn refused(&mut self, position: Position, why: Refusal) -> Result<()> {
        let error = match why {
            Refusal::Unreadable(error) => return Err(error),
            Refusal::Handler(error) => error,
        };
        self.failures = self.failures.saturating_add(1);
        self.refusals += 1;
        tracing::warn!(consumer = self.id.consumer, %position, %error, "the handler failed");
        self.progress
            .send_modify(|progress| progress.trouble = Some(error.to_string()));
        if self.refusals < ATTEMPTS {
            return Ok(());
        }
        let (consumer, attempts) = (self.id.consumer.clone(), self.refusals);
        Err(Error::caused_by(
            Kind::Handler {
                consumer,
                position,
                attempts,
            },
            error,
        ))
    }

    /// Asks the inbox where it stands; if it cannot be read, goes back to `from`, and the fence
    /// tells.
    async fn reload(&mut self, from: StreamCursor) {
        let cursor = self.consumer.inbox.inbox(&self.id).await.unwrap_or(from);
        self.detector.rewind(cursor);
        self.progress
            .send_modify(|progress| progress.position = cursor.position);
    }

    async fn pause(&mut self) {
        let slower = PAUSE.saturating_mul(1 << self.failures.min(10));
        self.sleep(slower.min(SLOWEST)).await;
    }

    async fn sleep(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.asked() => {}
        }
    }
}
