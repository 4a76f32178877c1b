//! Reads the stream from its source, judges what it answers, and opens the envelopes: once for all
//! parts of the inbox in this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::ahead::{Ahead, Opened, Read, same};
use super::beside::{Question, Questions};
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
/// How long it may wait when somebody else asks, too: no source takes it for a question what there is.
const LOOK: Duration = Duration::from_millis(1);
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

/// Whether the stream is not there, as far as anybody knows, or not yet.
pub(super) fn is_not_served(error: &Error) -> bool {
    matches!(error.kind(), Kind::NotServed { .. })
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
    /// Whether others go on where the stream is not served.
    gives_way: bool,
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

    /// The key of an event.
    pub(super) fn key(&self, event: &CloudEvent, id: &InboxId) -> String {
        self.key_of(event, &self.open(event, id))
    }

    fn key_of(&self, event: &CloudEvent, opened: &Opened<E>) -> String {
        match opened {
            Opened::Event(received) => (self.key)(received),
            // Nobody can say more.
            Opened::Passed | Opened::Unreadable(_) => event.subject.clone(),
        }
    }

    pub(super) fn read(&self, event: CloudEvent, cursor: StreamCursor, id: &InboxId) -> Read<E> {
        let opened = self.open(&event, id);
        let key = self.key_of(&event, &opened);
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
        gives_way: bool,
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
            gives_way,
            failures: 0,
            holes: 0,
        }
    }

    /// Reads until it is asked to stop, asks what others want to know of the source, and gives it back.
    ///
    /// # Errors
    /// Why it cannot go on: what came before is in the ahead.
    pub(super) async fn run(mut self, questions: Questions) -> (S, Result<()>) {
        let read = self.read(&mut *questions.lock().await).await;
        (self.source, read)
    }

    async fn read(&mut self, questions: &mut mpsc::Receiver<Question>) -> Result<()> {
        let ahead = self.ahead.clone();
        let mut stop = self.stop.clone();
        // After a question it is the stream's turn, which hardly waits for news then.
        let mut asked_for_others = false;
        loop {
            let (turn, from) = tokio::select! {
                room = ahead.room() => room,
                Some(question) = questions.recv() => {
                    self.answer(question).await;
                    continue;
                }
                () = stop.asked() => return Ok(()),
            };
            if self.detector.cursor() != from {
                self.detector.rewind(from);
                self.holes = 0;
            }
            let asked = Instant::now();
            let at_once = std::mem::take(&mut asked_for_others);
            let wait = if at_once { LOOK } else { WAIT };
            let question = tokio::select! {
                read = self.next(wait) => Err(read),
                Some(question) = questions.recv(), if !at_once => Ok(question),
                () = ahead.turned(turn) => continue,
                () = stop.asked() => return Ok(()),
            };
            let read = match question {
                Ok(question) => {
                    self.answer(question).await;
                    asked_for_others = true;
                    continue;
                }
                Err(read) => read,
            };
            match read {
                Ok(events) if events.is_empty() => {
                    self.failures = 0;
                    self.told.source(None);
                    if asked.elapsed() < PAUSE && !at_once {
                        self.sleep(PAUSE, questions).await;
                    }
                }
                Ok(events) => {
                    self.failures = 0;
                    self.told.source(None);
                    ahead.push(turn, events);
                }
                Err(error)
                    if error.is_transient() && !(self.gives_way && is_not_served(&error)) =>
                {
                    tracing::warn!(inbox = %self.id, %error, "trying again");
                    self.failures = self.failures.saturating_add(1);
                    self.told.source(Some(error.to_string()));
                    self.sleep(pause(self.failures), questions).await;
                }
                Err(error) => {
                    // What came before is handled first.
                    self.told.source(Some(error.to_string()));
                    loop {
                        tokio::select! {
                            () = ahead.drained() => return Err(error),
                            Some(question) = questions.recv() => self.answer(question).await,
                            () = ahead.turned(turn) => break,
                            () = stop.asked() => return Err(error),
                        }
                    }
                }
            }
        }
    }

    /// The next events of the stream, judged: in order, without doubles, nothing missing.
    async fn next(&mut self, wait: Duration) -> Result<Vec<Read<E>>> {
        let after = self.detector.cursor();
        let read = self.source.read(&self.id.stream, after, PAGE, wait);
        let mut page = read.await?;
        page.events.sort_by_key(CloudEvent::position);
        let stream = || self.id.stream.to_string();
        let answered = !page.events.is_empty();
        let is_full = page.events.len() >= PAGE;
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
        if let (true, Some(last)) = (is_full, events.last()) {
            // What follows it, nobody knows.
            let rest = same(events.iter().map(|read| &read.event), &last.event);
            events.truncate(events.len() - rest);
            let cursor = events.last().map(|last| last.cursor);
            self.detector.rewind(cursor.unwrap_or(after));
        }
        if answered && events.is_empty() {
            let why = "it answers with nothing but events that were handled before".to_owned();
            return Err(Error::new(Kind::Feed { url: stream(), why }));
        }
        Ok(events)
    }

    /// Asks the source what somebody else wants to know.
    async fn answer(&mut self, question: Question) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = question.ask(&mut self.source, &self.id.stream) => {}
            () = stop.asked() => {}
        }
    }

    /// Rests, but for what others want to know.
    async fn sleep(&mut self, pause: Duration, questions: &mut mpsc::Receiver<Question>) {
        let (until, mut stop) = (Instant::now() + pause, self.stop.clone());
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                Some(question) = questions.recv() => self.answer(question).await,
                () = stop.asked() => return,
            }
        }
    }
}
