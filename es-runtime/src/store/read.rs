//! What is asked of the log and of its streams, and what comes back.

use std::ops::Range;

use crate::event::{Position, SLICES, StoredEvent, StoredEvents};

/// Events that are read at once unless somebody says otherwise.
const PAGE: usize = 1000;

/// Events of a page that is short: a store may read those of several callers at once.
pub(crate) const SHORT: usize = 128;

/// Which part of a stream is read, and in which direction.
///
/// ```
/// use es_runtime::store::StreamQuery;
/// let rest = StreamQuery::after(17);              // versions 18, 19, …
/// let newest = StreamQuery::newest().limit(1);    // the last event alone
/// # let _ = (rest, newest);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamQuery {
    pub(crate) from: Start,
    pub(crate) limit: usize,
    pub(crate) bare: bool,
}

/// Where a read of a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Behind this version, towards newer ones.
    After(u64),
    /// Before this version, towards older ones.
    Before(u64),
}

impl StreamQuery {
    /// The events after the version `version`, oldest first.
    pub fn after(version: u64) -> Self {
        Self {
            from: Start::After(version),
            limit: PAGE,
            bare: false,
        }
    }

    /// The events before the version `version`, newest first.
    pub fn before(version: u64) -> Self {
        Self {
            from: Start::Before(version),
            limit: PAGE,
            bare: false,
        }
    }

    /// The whole stream, newest first.
    pub fn newest() -> Self {
        Self::before(u64::MAX)
    }

    /// At most so many events; 1,000 unless something is said.
    #[must_use]
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events;
        self
    }

    /// Leaves out who, why and when, for those who only fold: the store may answer without
    /// metadata, and with the epoch for the time.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }
}

/// Events of a stream, or of what belongs together.
#[derive(Clone, Debug, Default)]
pub struct StreamPage {
    /// The events, in the order that was asked for.
    pub events: StoredEvents,
    /// Whether there may be more in that direction: a page ends at its limit, and at several
    /// megabytes.
    pub more: bool,
}

impl StreamPage {
    /// What the query picks of a stream's events, which come oldest first: for stores that hold
    /// them in memory.
    pub fn pick<'a, I>(query: StreamQuery, stream: I) -> Self
    where
        I: IntoIterator<Item = &'a StoredEvent>,
        I::IntoIter: DoubleEndedIterator,
    {
        let stream = stream.into_iter();
        let (events, left): (StoredEvents, _) = match query.from {
            Start::After(version) => {
                let mut rest = stream.skip_while(|event| event.version <= version);
                (rest.by_ref().take(query.limit).collect(), rest.next())
            }
            Start::Before(version) => {
                let mut rest = stream.rev().skip_while(|event| event.version >= version);
                (rest.by_ref().take(query.limit).collect(), rest.next())
            }
        };
        let more = left.is_some();
        Self { events, more }
    }

    /// The page of those that were read, one more than the limit to see whether there are more,
    /// or fewer because they were too large for one page.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn cut(mut events: StoredEvents, limit: usize, full: bool) -> Self {
        let more = full || events.len() > limit;
        events.truncate(limit);
        Self { events, more }
    }
}

/// Which events of the log are read.
///
/// ```
/// use es_runtime::event::Position;
/// use es_runtime::store::LogQuery;
/// let all = LogQuery::after(Position::new(41));
/// let some = LogQuery::after(Position::START).types(["account.opened"]).slices(0..512);
/// # let _ = (all, some);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    pub(crate) after: Position,
    pub(crate) limit: usize,
    pub(crate) filter: Filter,
}

/// Which events a reader wants. What it leaves out is not sent by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) aggregates: Option<Vec<String>>,
    pub(crate) types: Option<Vec<String>>,
    pub(crate) slices: Range<u16>,
}

impl Filter {
    /// Every event.
    const ALL: Self = Self {
        aggregates: None,
        types: None,
        slices: 0..SLICES,
    };

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// The aggregate whose every event is wanted, and nothing else: what replays ask for.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn only_aggregate(&self) -> Option<&str> {
        match (self.aggregates.as_deref(), &self.types, &self.slices) {
            (Some([one]), None, slices) if *slices == Self::ALL.slices => Some(one),
            _ => None,
        }
    }

    /// Whether the event is one of them.
    pub(crate) fn wants(&self, event: &StoredEvent) -> bool {
        let named = |names: &Option<Vec<String>>, name: &str| {
            names
                .as_ref()
                .is_none_or(|names| names.iter().any(|n| n == name))
        };
        named(&self.aggregates, event.stream.aggregate())
            && named(&self.types, &event.event_type)
            && self.slices.contains(&event.stream.slice())
    }
}

impl LogQuery {
    /// The events after the position `position`, in order.
    pub fn after(position: Position) -> Self {
        Self {
            after: position,
            limit: PAGE,
            filter: Filter::ALL,
        }
    }

    /// At most so many events; 1,000 unless something is said.
    #[must_use]
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events;
        self
    }

    /// The streams of these aggregates alone.
    #[must_use]
    pub fn aggregates<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.filter.aggregates = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The events of these stored names alone.
    ///
    /// A name that this binary does not know is left out too, silently: to read all that happened
    /// to an aggregate, ask by [`aggregates`](Self::aggregates).
    #[must_use]
    pub fn types<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.filter.types = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The streams of these of the 1,024 slices alone: a part of the log that stays together.
    #[must_use]
    pub fn slices(mut self, slices: Range<u16>) -> Self {
        self.filter.slices = slices;
        self
    }

    /// The same question about one aggregate, unless it names some.
    #[cfg(feature = "runtime")]
    pub(crate) fn of(self, aggregate: &str) -> Self {
        if self.filter.aggregates.is_some() {
            return self;
        }
        self.aggregates([aggregate])
    }

    /// Where it begins to read.
    pub fn position(&self) -> Position {
        self.after
    }

    /// The same question, asked from `position` on.
    #[must_use]
    pub fn from(&self, position: Position) -> Self {
        Self {
            after: position,
            ..self.clone()
        }
    }
}

/// Events of the log, and how far the log was looked through for them.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The events, in order. There may be fewer than were asked for: a page ends at several
    /// megabytes, too.
    pub events: StoredEvents,
    /// There are no other events that were asked for up to here: where to read on. Equal to the
    /// question's position when there is nothing more.
    pub seen: Position,
}

impl LogPage {
    /// What the query picks of the log's events, which come in order, the first of them behind the
    /// query's position, the last at `head`: for stores that hold them in memory.
    pub fn pick<'a>(
        query: &LogQuery,
        rest: impl IntoIterator<Item = &'a StoredEvent>,
        head: Position,
    ) -> Self {
        let wanted = rest.into_iter().filter(|event| query.filter.wants(event));
        let page = Self::dense(query, wanted.take(query.limit).collect());
        if page.events.len() == query.limit {
            return page;
        }
        let seen = head.max(query.after);
        Self { seen, ..page }
    }

    /// The page that ends with its last event.
    pub(crate) fn dense(query: &LogQuery, events: StoredEvents) -> Self {
        let seen = events.last().map_or(query.after, |event| event.position);
        Self { events, seen }
    }
}

/// Texts on a page, in bytes: the event that reaches it is the page's last.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) const PAGE_BYTES: usize = 8 << 20;
/// Positions that a filtered read looks through at once, so that its time is bounded.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) const WINDOW: u64 = 100_000;
