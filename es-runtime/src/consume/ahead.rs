//! The part of a stream that is in memory: read once, and taken by each part of the inbox from where
//! it stands.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::{CloudEvent, Received};
use crate::store::{StreamCursor, StreamVersion};

/// How many events are read ahead of who is behind the others.
const MOST: usize = 2000;

/// An event of the stream that was judged to be the next one.
pub(super) struct Read<E> {
    pub(super) event: CloudEvent,
    pub(super) opened: Opened<E>,
    pub(super) key: String,
    /// The slice of the key.
    pub(super) slice: u16,
    /// Where the stream stands after it.
    pub(super) cursor: StreamCursor,
}

/// What an envelope holds.
pub(super) enum Opened<E> {
    Event(Received<E>),
    /// Nothing that the consumer wants to know of.
    Passed,
    /// Why it cannot be read.
    Unreadable(String),
}

/// How many of the last of these events were made of the same as `next`; none if all were. What was one
/// event at the publisher is handled in one transaction, as far as it fits: between its parts there is no
/// way to another version of the stream.
pub(super) fn same<'e>(
    events: impl DoubleEndedIterator<Item = &'e CloudEvent> + ExactSizeIterator,
    next: &CloudEvent,
) -> usize {
    let many = events.len();
    let of_next =
        |event: &&CloudEvent| event.causationid.is_some() && event.causationid == next.causationid;
    let rest = events.rev().take_while(of_next).count();
    if rest == many { 0 } else { rest }
}

/// What the reader and the workers of a consumer share.
pub(super) struct Ahead<E> {
    stream: StreamVersion,
    pages: Mutex<Pages<E>>,
    changed: watch::Sender<()>,
}

struct Pages<E> {
    /// Where the stream stands before the first of the events.
    start: StreamCursor,
    events: VecDeque<Arc<Read<E>>>,
    /// How far each part has come.
    parts: BTreeMap<u16, Position>,
    /// Raised when the reader is to begin elsewhere.
    turn: u64,
}

impl<E> Pages<E> {
    fn end(&self) -> StreamCursor {
        self.events.back().map_or(self.start, |last| last.cursor)
    }

    fn restart(&mut self, cursor: StreamCursor) {
        self.start = cursor;
        self.events.clear();
        self.turn += 1;
    }

    /// Forgets what all parts have behind them.
    fn trim(&mut self) {
        let Some(least) = self.parts.values().min().copied() else {
            return;
        };
        while let Some(first) = self.events.pop_front_if(|e| e.cursor.position <= least) {
            self.start = first.cursor;
        }
    }

    /// Where the stream stood at a position that is in memory.
    fn at(&self, index: usize) -> Option<StreamCursor> {
        match index {
            0 => Some(self.start),
            index => self.events.get(index - 1).map(|event| event.cursor),
        }
    }
}

impl<E> Ahead<E> {
    pub(super) fn new(stream: StreamVersion) -> Self {
        let pages = Pages {
            start: StreamCursor::default(),
            events: VecDeque::new(),
            parts: BTreeMap::new(),
            turn: 0,
        };
        Self {
            stream,
            pages: Mutex::new(pages),
            changed: watch::Sender::new(()),
        }
    }

    /// Nothing panics while it holds the lock.
    fn pages(&self) -> MutexGuard<'_, Pages<E>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parts begin to take events, each after a cursor: together, so that none misses what another has
    /// taken and all have behind them then.
    pub(super) fn enter(&self, parts: impl IntoIterator<Item = (u16, StreamCursor)>) {
        let mut pages = self.pages();
        for (part, cursor) in parts {
            let alone = pages.parts.is_empty();
            pages.parts.insert(part, cursor.position);
            let position = cursor.position;
            if position < pages.start.position || alone && position > pages.end().position {
                pages.restart(cursor);
            }
        }
        drop(pages);
        self.changed.send_replace(());
    }

    pub(super) fn leave(&self, part: u16) {
        self.pages().parts.remove(&part);
        self.changed.send_replace(());
    }

    /// The next events of the stream after a cursor, at most so many; waits until there are some.
    ///
    /// # Errors
    /// When the stream is another one than that which the cursor was moved in.
    pub(super) async fn take(
        &self,
        part: u16,
        cursor: StreamCursor,
        limit: usize,
    ) -> Result<Vec<Arc<Read<E>>>> {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(events) = self.try_take(part, cursor, limit)? {
                return Ok(events);
            }
            // The sender is here.
            changed.changed().await.ok();
        }
    }

    fn try_take(
        &self,
        part: u16,
        cursor: StreamCursor,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Read<E>>>>> {
        let mut pages = self.pages();
        // Whoever waits for room, or for all to be taken, hears of it.
        if pages.parts.insert(part, cursor.position) != Some(cursor.position) {
            pages.trim();
            self.changed.send_replace(());
        }
        let before = pages.start.position.get();
        let Some(index) = cursor.position.get().checked_sub(before) else {
            pages.restart(cursor);
            self.changed.send_replace(());
            return Ok(None);
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(found) = pages.at(index) else {
            return Ok(None);
        };
        if found != cursor {
            // The first event that does not follow.
            return Err(Error::new(Kind::Forked {
                stream: self.stream.to_string(),
                position: cursor.position.next(),
            }));
        }
        let mut events: Vec<_> = pages
            .events
            .iter()
            .skip(index)
            .take(limit)
            .cloned()
            .collect();
        if let Some(next) = pages.events.get(index + events.len()) {
            let rest = same(events.iter().map(|read| &read.event), &next.event);
            events.truncate(events.len() - rest);
        }
        Ok((!events.is_empty()).then_some(events))
    }

    /// Waits until there is room for more events and somebody who takes them: answers behind which
    /// place, and in which turn.
    pub(super) async fn room(&self) -> (u64, StreamCursor) {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let pages = self.pages();
                if !pages.parts.is_empty() && pages.events.len() < MOST {
                    return (pages.turn, pages.end());
                }
            }
            changed.changed().await.ok();
        }
    }

    /// Waits until all parts have come to the end of what was read.
    pub(super) async fn drained(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let (pages, mut parts) = (self.pages(), 0);
                let end = pages.end().position;
                let mut all = pages.parts.values().inspect(|_| parts += 1);
                if all.all(|part| *part >= end) && parts > 0 {
                    return;
                }
            }
            changed.changed().await.ok();
        }
    }

    /// Waits until the reader is to begin elsewhere.
    pub(super) async fn turned(&self, turn: u64) {
        let mut changed = self.changed.subscribe();
        while self.pages().turn == turn {
            changed.changed().await.ok();
        }
    }

    /// Adds what was read, unless the reader is to begin elsewhere by now.
    pub(super) fn push(&self, turn: u64, events: impl IntoIterator<Item = Read<E>>) {
        let mut pages = self.pages();
        if pages.turn == turn {
            pages.events.extend(events.into_iter().map(Arc::new));
        }
        drop(pages);
        self.changed.send_replace(());
    }
}
