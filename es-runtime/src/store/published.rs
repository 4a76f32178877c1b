//! Integration events as every store keeps them.

use std::fmt;

use super::{Phase, ProjectionState};
use crate::event::{Position, Timestamp};

/// Positions that a filtered read looks through at once, so that its time is bounded.
pub(crate) const PUBLISHED_WINDOW: u64 = 10_000;
/// Payloads on a page, in bytes: the event that reaches it is the page's last.
pub(crate) const PUBLISHED_BYTES: usize = 1 << 20;

/// One version of a public stream: `accounts@2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamVersion {
    /// The stream's name.
    pub stream: String,
    /// The version of its contract.
    pub version: u32,
}

impl StreamVersion {
    /// `accounts.v2`: what the ids of its events begin with, and their addresses at a broker.
    pub fn address(&self) -> String {
        format!("{}.v{}", self.stream, self.version)
    }
}

impl fmt::Display for StreamVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.stream, self.version)
    }
}

/// One integration event: a row that never changes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its place in its stream version, dense from 1.
    pub position: Position,
    /// The place of the internal event that it was made from.
    pub source: Position,
    /// The public type, `bank.account-opened.v2`.
    pub event_type: String,
    /// The aggregate's id.
    pub subject: String,
    /// The variant's fields as JSON.
    pub payload: String,
    /// Who and why, as JSON, of what may be told outside.
    pub metadata: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// When it was projected.
    pub recorded: Timestamp,
    /// What keeps a redacted payload from being guessed.
    pub salt: [u8; 16],
    /// The running hash of the stream at this place.
    pub hash: [u8; 32],
}

impl PublishedEvent {
    /// What it takes of a page.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len()
    }
}

/// Which events of an integration stream are read.
///
/// ```
/// use es_runtime::event::Position;
/// use es_runtime::store::{PublishedQuery, StreamVersion};
/// let accounts = StreamVersion { stream: "accounts".into(), version: 2 };
/// let alice = PublishedQuery::after(&accounts, Position::new(41)).subject("alice");
/// # let _ = alice;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedQuery {
    /// The stream.
    pub stream: StreamVersion,
    /// Behind which position it begins.
    pub after: Position,
    /// The most events.
    pub limit: usize,
    /// The public types, unless all are wanted.
    pub types: Option<Vec<String>>,
    /// The aggregate's id, unless all are wanted.
    pub subject: Option<String>,
}

impl PublishedQuery {
    /// The events of `stream` after a position, in order.
    pub fn after(stream: &StreamVersion, position: Position) -> Self {
        Self {
            stream: stream.clone(),
            after: position,
            limit: 1000,
            types: None,
            subject: None,
        }
    }

    /// At most so many events; 1,000 unless something is said. None at all still tells the head.
    #[must_use]
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events;
        self
    }

    /// The events of these public types alone.
    #[must_use]
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// The events of one aggregate alone.
    #[must_use]
    pub fn subject(mut self, id: impl Into<String>) -> Self {
        self.subject = Some(id.into());
        self
    }

    /// The same question, asked from `position` on.
    #[must_use]
    pub fn from(mut self, position: Position) -> Self {
        self.after = position;
        self
    }

    /// Whether it leaves events out.
    pub fn is_filtered(&self) -> bool {
        self.types.is_some() || self.subject.is_some()
    }

    /// The last position that an answer can tell of. Positions are dense, so that a page without a
    /// filter is a range: its cost does not depend on the planner's idea of the table.
    pub(crate) fn last(&self) -> Position {
        let most = match self.is_filtered() {
            true => PUBLISHED_WINDOW,
            false => self.limit as u64,
        };
        Position::new(self.after.get().saturating_add(most))
    }

    /// Whether the event is one of them.
    pub(crate) fn wants(&self, event: &PublishedEvent) -> bool {
        let types = self.types.as_ref();
        types.is_none_or(|types| types.contains(&event.event_type))
            && self.subject.as_ref().is_none_or(|id| *id == event.subject)
    }
}

/// Events of an integration stream, with what was known of it at the same moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PublishedPage {
    /// The events, in order.
    pub events: Vec<PublishedEvent>,
    /// There are no other events that were asked for up to here: where to read on.
    pub seen: Position,
    /// Whether the page is as long as it may be, in events or in bytes: then it never changes.
    pub full: bool,
    /// The stream's last position.
    pub head: Position,
    /// Where the stream stands in its life; nothing if nobody ever prepared it.
    pub life: Option<StreamLife>,
}

/// What readers must know of a stream's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLife {
    /// Where it stands.
    pub phase: Phase,
    /// Since when, by the database's clock.
    pub since: Timestamp,
    /// From when on it may be gone, if it is deprecated and somebody said.
    pub sunset: Option<Timestamp>,
}

impl From<&ProjectionState> for StreamLife {
    fn from(state: &ProjectionState) -> Self {
        Self {
            phase: state.phase,
            since: state.since,
            sunset: state.sunset,
        }
    }
}

impl PublishedPage {
    /// The answer to a query: its events, whether they ended because they were too many bytes, and
    /// the head as it was when they were read.
    pub(crate) fn of(
        query: &PublishedQuery,
        events: Vec<PublishedEvent>,
        cut: bool,
        head: Position,
        life: Option<StreamLife>,
    ) -> Self {
        let full = cut || (events.len() == query.limit && query.limit > 0);
        let seen = match events.last() {
            Some(last) if full => last.position,
            _ if query.limit == 0 => query.after,
            _ => query.last().min(head).max(query.after),
        };
        Self {
            events,
            seen,
            full,
            head,
            life,
        }
    }
}

/// A schema as the feed once served it, under an address that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSchema {
    /// What it describes: the type of an event, or a whole stream version.
    pub name: String,
    /// Which text it is: a digest.
    pub revision: String,
    /// To whose events it belongs.
    pub stream: StreamVersion,
    /// The schema.
    pub text: String,
}
