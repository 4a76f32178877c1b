//! Whether what an inbox consumed is what its source has: the places that it passed, and the chain of
//! hashes between them, made again.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use tokio::time::sleep;

use super::detector::{Detector, Verdict};
use super::reader::{PAGE, PAUSE, pause};
use super::source::{Page, Source};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::{CloudEvent, StreamHash};
use crate::runtime::without;
use crate::store::{InboxId, InboxState, StreamCursor, StreamVersion};

/// How often a source is asked that answers nothing of what should be there, or is away.
pub(super) const ATTEMPTS: u32 = 8;
/// The guard that a difference is seen.
const COMPARED: &str = "what was consumed is compared with what is there";

/// Whether a consumer has consumed what its source has.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verified {
    /// Every event behind `after` and up to `until` is, by its hash, the one that was consumed.
    #[non_exhaustive]
    Agrees {
        /// Where the comparison began: the last place that is known before what was asked for.
        after: Position,
        /// How far it came.
        until: Position,
        /// The stream's hash there: with it, the publisher can compare the same in one look.
        hash: StreamHash,
        /// How many of all consumed events wait for their keys, so that their effects are still to
        /// come.
        waiting: u64,
        /// How many of those that were compared somebody gave up, so that they have no effects.
        given_up: u64,
    },
    /// Something that was consumed behind `after`, and at the latest at `until`, is not what the
    /// source has.
    #[non_exhaustive]
    Differs {
        /// The last place that is known to agree.
        after: Position,
        /// Where it is seen to differ.
        until: Position,
        /// What is different, for people.
        why: String,
    },
}

impl Verified {
    /// Whether nothing differs.
    pub fn agrees(&self) -> bool {
        matches!(self, Self::Agrees { .. })
    }
}

/// The positions behind the first and up to the second.
pub(super) fn bounds(range: &impl RangeBounds<Position>) -> (Position, Position) {
    let before = |position: &Position| Position::new(position.get().saturating_sub(1));
    let after = match range.start_bound() {
        Bound::Included(first) => before(first),
        Bound::Excluded(last) => *last,
        Bound::Unbounded => Position::START,
    };
    let until = match range.end_bound() {
        Bound::Included(last) => *last,
        Bound::Excluded(first) => before(first),
        Bound::Unbounded => Position::new(u64::MAX),
    };
    (after, until)
}

/// What is different.
pub(super) struct Difference {
    pub(super) after: Position,
    pub(super) until: Position,
    pub(super) why: String,
}

/// The part of a stream that agrees.
pub(super) struct Agreed {
    pub(super) from: StreamCursor,
    pub(super) end: StreamCursor,
}

/// Compares an inbox with its source.
pub(super) struct Comparison<'a, S> {
    stream: &'a StreamVersion,
    source: &'a mut S,
    /// What is known of what was consumed.
    places: BTreeMap<Position, [u8; 32]>,
    /// Where its parts stand.
    cursors: Vec<StreamCursor>,
}

impl<'a, S: Source> Comparison<'a, S> {
    /// # Errors
    /// When nobody ever claimed the inbox.
    pub(super) fn new(id: &'a InboxId, state: &InboxState, source: &'a mut S) -> Result<Self> {
        let cursors: Vec<_> = state.parts.iter().map(|part| part.cursor).collect();
        if cursors.is_empty() {
            let inbox = id.to_string();
            return Err(Error::new(Kind::NoInbox { inbox }));
        }
        let places = state.marks.iter().chain(&cursors);
        Ok(Self {
            stream: &id.stream,
            source,
            places: places.map(|place| (place.position, place.hash)).collect(),
            cursors,
        })
    }

    /// Compares what lies behind `after` and up to `until`, from the last place that is known before it
    /// to the first one behind it.
    pub(super) async fn compare(
        &mut self,
        after: Position,
        until: Position,
    ) -> Result<Result<Agreed, Difference>> {
        let mut cursors = self.cursors.clone();
        cursors.sort_by_key(|cursor| cursor.position);
        cursors.dedup();
        // Two numbers prove all that came before, if the stream's own chain is right.
        for cursor in cursors {
            if let Err(difference) = self.stands(cursor).await? {
                return Ok(Err(difference));
            }
        }
        let place = |(position, hash): (&Position, &[u8; 32])| StreamCursor {
            position: *position,
            hash: *hash,
        };
        let mut before = self.places.range(..=after);
        let from = before.next_back().or_else(|| self.places.iter().next());
        let goal = self.places.range(until.max(after)..).next();
        let goal = goal.or_else(|| self.places.iter().next_back());
        let (Some(from), Some(goal)) = (from.map(place), goal.map(place)) else {
            let (from, end) = (StreamCursor::default(), StreamCursor::default());
            return Ok(Ok(Agreed { from, end }));
        };
        self.chain(from, goal).await
    }

    /// Whether the source stands at this place as the inbox did.
    async fn stands(&mut self, place: StreamCursor) -> Result<Result<(), Difference>> {
        let Some(why) = self.differs(place).await? else {
            return Ok(Ok(()));
        };
        // What agrees at one place agrees before it, too: it is found by halves.
        let places: Vec<_> = self.places.iter().map(|(at, hash)| (*at, *hash)).collect();
        let (mut good, mut bad) = (None, places.partition_point(|(at, _)| *at < place.position));
        let mut first = 0;
        let (mut until, mut why) = (place.position, why);
        while first < bad {
            let middle = first.midpoint(bad);
            let (position, hash) = places[middle];
            match self.differs(StreamCursor { position, hash }).await? {
                None => (good, first) = (Some(position), middle + 1),
                Some(other) => (bad, until, why) = (middle, position, other),
            }
        }
        let after = good.unwrap_or_default();
        Ok(Err(Difference { after, until, why }))
    }

    /// What is different at a place, if something is.
    async fn differs(&mut self, place: StreamCursor) -> Result<Option<String>> {
        let StreamCursor { position, hash } = place;
        let Some(before) = position.get().checked_sub(1) else {
            return Ok(None);
        };
        let before = StreamCursor {
            position: Position::new(before),
            ..StreamCursor::default()
        };
        let consumed = StreamHash::from_bytes(hash);
        let Some(event) = self.next(before, 1).await?.into_iter().next() else {
            let why =
                format!("an event at position {position} was consumed, and the source has none");
            return Ok(Some(why));
        };
        let same = event.streamhash.parse() == Ok(consumed) || without(COMPARED);
        let why = || {
            let found = &event.streamhash;
            format!("at position {position} the hash was {consumed}, and the source has {found}")
        };
        Ok((!same).then(why))
    }

    /// The events that come next, in order, without doubles; none if the source has none.
    async fn next(&mut self, after: StreamCursor, limit: usize) -> Result<Vec<CloudEvent>> {
        let mut failures = 0;
        loop {
            let read = self.source.read(self.stream, after, limit, Duration::ZERO);
            let mut patience = PAUSE;
            let events = match read.await {
                Ok(Page { mut events }) => {
                    let first = after.position.next();
                    events.sort_by_key(CloudEvent::position);
                    events.dedup_by_key(|event| event.position());
                    let next = |event: &CloudEvent| event.position() >= Some(first);
                    events.retain(next);
                    events
                }
                // It was restored from a backup.
                Err(error) if matches!(error.kind(), Kind::CursorAhead { .. }) => {
                    return Ok(Vec::new());
                }
                Err(error) if error.is_transient() && failures + 1 < ATTEMPTS => {
                    patience = pause(failures);
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            let next = Some(after.position.next());
            let follow = events.first().is_some_and(|event| event.position() == next);
            failures += 1;
            if follow {
                return Ok(events);
            }
            if failures >= ATTEMPTS {
                return Ok(Vec::new());
            }
            sleep(patience).await;
        }
    }

    /// Makes the chain again between two places, and compares it with all that lie between.
    async fn chain(
        &mut self,
        from: StreamCursor,
        goal: StreamCursor,
    ) -> Result<Result<Agreed, Difference>> {
        let mut detector = Detector::new(self.stream.clone(), from);
        let mut agrees = from.position;
        let differs = |after: Position, until: Position, why: String| {
            Ok(Err(Difference { after, until, why }))
        };
        while detector.cursor().position < goal.position {
            let wanted = detector.cursor().position.next();
            let events = self.next(detector.cursor(), PAGE).await?;
            if events.is_empty() {
                let why =
                    format!("an event at position {wanted} was consumed, and the source has none");
                return differs(agrees, wanted, why);
            }
            for event in events {
                match detector.offer(&event) {
                    Verdict::Next => {}
                    Verdict::Duplicate => continue,
                    Verdict::Hole { .. } => break,
                    Verdict::Forked if without(COMPARED) => {
                        let hash = event.streamhash.parse().unwrap_or(StreamHash::START);
                        detector.rewind(StreamCursor {
                            position: event.position().unwrap_or_default(),
                            hash: *hash.as_bytes(),
                        });
                    }
                    Verdict::Forked => {
                        let at = event.position().unwrap_or_default();
                        let why = format!(
                            "the event at position {at} does not make the hash that it carries"
                        );
                        return differs(agrees, at, why);
                    }
                    Verdict::Foreign { why } => return differs(agrees, wanted, why),
                }
                let StreamCursor { position, hash } = detector.cursor();
                if let Some(known) = self.places.get(&position) {
                    if *known != hash && !without(COMPARED) {
                        let [known, found] = [*known, hash].map(StreamHash::from_bytes);
                        let why = format!(
                            "at position {position} the hash was {known}, and the source makes {found}"
                        );
                        return differs(agrees, position, why);
                    }
                    agrees = position;
                }
                if position == goal.position {
                    break;
                }
            }
        }
        Ok(Ok(Agreed { from, end: goal }))
    }
}
