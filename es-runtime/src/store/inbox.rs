//! The inboxes of consumers: how far each has come, in how many parts, and which keys it has set
//! aside. The rules of parts are pure.

mod moving;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

pub use self::moving::{CarriedKey, InboxTakeover, InboxVersion, InboxVersions, Whereabouts};
use super::StreamVersion;
#[cfg(feature = "runtime")]
use super::life::divided;
#[cfg(feature = "runtime")]
use super::share::Shares;
use crate::event::{Position, Timestamp};
#[cfg(feature = "runtime")]
use crate::runtime::without;

/// Names the inbox of one consumer of one upstream stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxId {
    /// The consumer's name.
    pub consumer: String,
    /// The stream that it reads.
    pub stream: StreamVersion,
}

/// `notifications of accounts@1`.
impl fmt::Display for InboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.consumer, self.stream)
    }
}

/// A place in an integration stream, with the proof of all that came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCursor {
    /// The position.
    pub position: Position,
    /// The running hash at that position.
    pub hash: [u8; 32],
}

/// A part of an inbox: some of the keys, with a cursor of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxPart {
    /// Its slices of keys.
    pub slices: Range<u16>,
    /// How far it has come.
    pub cursor: StreamCursor,
    /// What the publisher said of the place to which it [moved](InboxTakeover) last.
    pub origin: Position,
    /// Raised by what its worker must know before it goes on.
    pub epoch: u64,
    /// Who works on it.
    pub owner: Option<String>,
}

/// Somebody wants to work on an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxClaim {
    /// Which one.
    pub inbox: InboxId,
    /// Who.
    pub owner: String,
    /// For how long, unless it is claimed again.
    pub lease: Duration,
    /// In how many parts it is to be divided, from now on; nothing leaves it as it is.
    pub parts: Option<u16>,
    /// Where it begins, if nobody has claimed it before.
    pub begin: StreamCursor,
    /// The oldest version of the stream from which the claimer's takes over, if there is one.
    pub continues: Option<u32>,
}

/// What a worker must know before it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxClaimed {
    /// All parts, by their slices.
    pub parts: Vec<InboxPart>,
    /// No part goes beyond it: once all stand there, they are divided anew.
    pub level: Option<Position>,
    /// The keys that are set aside.
    pub keys: Vec<InboxKey>,
    /// The entities that were asked for ahead of the others.
    pub entities: Vec<InboxEntity>,
    /// The ranges whose events are to be handled again.
    pub repairs: Vec<InboxRepair>,
    /// Where the inbox is: nobody works on it elsewhere than [here](Whereabouts::Here).
    pub whereabouts: Whereabouts,
}

/// What somebody asks of whoever works on an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboxQuestion {
    /// To handle the events of one subject ahead of the others.
    Ahead {
        /// Whose.
        subject: String,
    },
    /// To believe that the effects of an entity are right, and not to compare what was handled ahead.
    Mended {
        /// Whose.
        subject: String,
    },
    /// To handle events again, in every part.
    Again {
        /// A place at or before the range, from which the stream is proven.
        from: StreamCursor,
        /// The events behind this position,
        after: Position,
        /// and up to this one.
        until: Position,
    },
}

/// A range whose events somebody wants to be handled again, in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRepair {
    /// Which question it is.
    pub number: u64,
    /// The slices of the part.
    pub slices: Range<u16>,
    /// A place at or before the range, from which the stream is proven.
    pub from: StreamCursor,
    /// The events behind this position,
    pub after: Position,
    /// and up to this one.
    pub until: Position,
    /// Whether it is done.
    pub done: bool,
    /// Why it was given up, if it was.
    pub failure: Option<String>,
}

/// An entity whose events are handled, or were, before those of others that come before them in the
/// stream. It is forgotten once the cursor has passed what was handled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxEntity {
    /// Its subject, which is its key, too.
    pub subject: String,
    /// Up to where its events were handled.
    pub until: Position,
    /// The chain of those that were handled before the cursor came to them.
    pub handled: [u8; 32],
    /// The chain of those that the cursor has come to since: in the end, the same.
    pub passed: [u8; 32],
    /// How often it was asked for.
    pub asked: u64,
    /// How many of these questions were answered.
    pub answered: u64,
    /// Why the last one was refused, if it was.
    pub failure: Option<String>,
    /// Whether somebody has mended its effects, so that nothing is compared.
    pub mended: bool,
    /// How long ago it was answered.
    pub since: Duration,
}

impl InboxEntity {
    /// Whether what was handled ahead is what the cursor has come to.
    #[cfg(feature = "runtime")]
    pub(crate) fn is_as_handled(&self) -> bool {
        self.mended || self.passed == self.handled
    }

    /// Whether somebody waits for it.
    pub fn is_asked(&self) -> bool {
        self.asked > self.answered
    }
}

/// A key that is set aside: an event failed, and later ones wait behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxKey {
    /// The key.
    pub key: String,
    /// The event that failed, the first that waits.
    pub position: Position,
    /// Why it failed last.
    pub reason: String,
    /// How often it failed.
    pub attempts: u32,
    /// When the key was set aside, by the database's clock.
    pub since: Timestamp,
    /// When it failed last, by the database's clock.
    pub failed_at: Timestamp,
    /// In how long it is tried again.
    pub again: Duration,
    /// How many events wait, the one that failed included.
    pub waiting: u64,
}

/// An event that waits, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldEvent {
    /// Its place in the stream version.
    pub position: Position,
    /// The whole envelope, as JSON.
    pub event: String,
}

/// An event that somebody gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its key.
    pub key: String,
    /// Its place in the stream version.
    pub position: Position,
    /// The whole envelope, as JSON.
    pub event: String,
    /// Why its key was set aside.
    pub failure: String,
    /// Why it was given up.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// When, by the database's clock.
    pub at: Timestamp,
}

/// A move of a part's cursor, with what it changes of the keys that are set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMove {
    /// Whose.
    pub inbox: InboxId,
    /// Of which part: its first slice.
    pub slice: u16,
    /// What the mover knew of the part.
    pub epoch: u64,
    /// Where it must stand now.
    pub from: StreamCursor,
    /// Where it goes.
    pub to: StreamCursor,
    /// Keys that are set aside, or go on.
    pub changes: Vec<InboxChange>,
}

impl InboxMove {
    /// The guard that no effect is committed twice.
    #[cfg(feature = "runtime")]
    pub(crate) const FENCE: &str = "an inbox's cursor moves from where it stands";

    /// A move of an inbox that was never divided.
    pub fn new(inbox: &InboxId, from: StreamCursor, to: StreamCursor) -> Self {
        let inbox = inbox.clone();
        Self {
            inbox,
            slice: 0,
            epoch: 0,
            from,
            to,
            changes: Vec::new(),
        }
    }

    /// The guard that nobody handles again what was handled ahead.
    #[cfg(feature = "runtime")]
    const AHEAD: &str = "who goes on knows what was handled ahead";

    /// Whether whoever works on the part must know of it before they go on: of an entity's events
    /// that were handled ahead.
    #[cfg(feature = "runtime")]
    pub(crate) fn raises(&self) -> bool {
        let ahead = |change: &InboxChange| match change {
            InboxChange::Entity {
                was,
                now: Some(now),
            } => now.until > was.until,
            _ => false,
        };
        self.changes.iter().any(ahead) && !without(Self::AHEAD)
    }

    /// Whether it may be the first move of an inbox that nobody has claimed.
    #[cfg(feature = "runtime")]
    pub(crate) fn begins(&self) -> bool {
        self.from == StreamCursor::default() && self.slice == 0 && self.epoch == 0
    }
}

/// What a move changes of the keys that are set aside.
///
/// The law: what the mover believes of a key is compared, as the cursor is. If another instance was
/// faster, the move is [`Fenced`](super::Advanced::Fenced).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
// There are few at once.
#[allow(clippy::large_enum_variant)]
pub enum InboxChange {
    /// A key that was not is set aside, from the first of these events on.
    Park {
        /// The key.
        key: String,
        /// The event that failed, and those behind it, in order.
        events: Vec<HeldEvent>,
        /// Why it failed.
        reason: String,
        /// In how long it is tried again.
        again: Duration,
    },
    /// Events wait behind those of a key that is set aside.
    Wait {
        /// The key.
        key: String,
        /// The events, in order.
        events: Vec<HeldEvent>,
    },
    /// A key was tried again from its first event on.
    Retried {
        /// The key.
        key: String,
        /// The event that waited first.
        from: Position,
        /// What still waits; nothing if the key goes on with the others.
        left: Option<StillHeld>,
    },
    /// An entity's events were handled ahead of the others, or the cursor has passed some of them.
    ///
    /// Whoever works on the part hears of what was handled ahead before they go on: the move raises
    /// the part's epoch.
    Entity {
        /// As the mover knows it.
        was: InboxEntity,
        /// As it is now; nothing once the cursor has passed all of it.
        now: Option<InboxEntity>,
    },
    /// A range was handled again in this part.
    Repaired {
        /// Which question it was.
        number: u64,
        /// Of which part: its first slice.
        slice: u16,
        /// Why it was given up; nothing if it is done.
        failure: Option<String>,
    },
}

/// Where a try stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillHeld {
    /// The event that waits first now.
    pub position: Position,
    /// Why it failed, and in how long it is tried again; nothing if it was not tried yet.
    pub failed: Option<(String, Duration)>,
}

/// An inbox as a store has it while nobody else claims it.
#[cfg(feature = "runtime")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Division {
    pub(crate) parts: Vec<InboxPart>,
    /// How many parts there are to be.
    pub(crate) wanted: Option<u16>,
    /// The version as which it goes on, if it is closed.
    pub(crate) moved_to: Option<u32>,
}

/// The guard that no event falls between two parts.
#[cfg(feature = "runtime")]
const LEVEL: &str = "parts are divided anew where all stand";

#[cfg(feature = "runtime")]
impl Division {
    /// What a claim makes of it; `workers` are all who would work on it, the claimer among them.
    pub(crate) fn claim(&mut self, claim: &InboxClaim, workers: &[String]) {
        if self.parts.is_empty() {
            let parts = claim.parts.unwrap_or(1);
            self.parts = fresh(parts, claim.begin, Position::START, 0);
        }
        if let Some(parts) = claim.parts {
            let parts = parts.clamp(1, crate::event::SLICES);
            self.wanted = (self.parts.len() != usize::from(parts)).then_some(parts);
        }
        let InboxPart { cursor, origin, .. } = self.parts[0];
        let stands = |part: &InboxPart| (part.cursor, part.origin) == (cursor, origin);
        if let Some(parts) = self.wanted
            && (self.parts.iter().all(stands) || without(LEVEL))
        {
            let epoch = self.parts.iter().map(|part| part.epoch).max();
            self.parts = fresh(parts, cursor, origin, epoch.unwrap_or_default() + 1);
            self.wanted = None;
        }
        self.share(&claim.owner, workers);
    }

    /// Parts that nobody wants to be divided anew.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn of(parts: Vec<InboxPart>) -> Self {
        Self {
            parts,
            ..Self::default()
        }
    }

    /// The inbox of an older version that never was one: who rolls back finds where it is.
    pub(crate) fn never(version: u32) -> Self {
        Self {
            parts: fresh(1, StreamCursor::default(), Position::START, 0),
            wanted: None,
            moved_to: Some(version),
        }
    }

    /// It goes on as another version's, and its workers are fenced.
    pub(crate) fn close(&mut self, version: u32) {
        for part in &mut self.parts {
            part.epoch += InboxTakeover::closes();
            part.owner = None;
        }
        (self.wanted, self.moved_to) = (None, Some(version));
    }

    /// What is known of it beside other versions' inboxes.
    pub(crate) fn version(&self) -> InboxVersion {
        InboxVersion {
            parts: self.parts.clone(),
            moved_to: self.moved_to,
        }
    }

    /// The furthest part's position, while the others are to come up with it.
    pub(crate) fn level(&self) -> Option<Position> {
        let positions = || self.parts.iter().map(|part| part.cursor.position);
        let furthest = positions().max();
        // At one position, with origins apart, they go on: then no origin is left.
        self.wanted
            .and(furthest)
            .filter(|_| furthest != positions().min())
    }

    /// Where the part stands that is behind the others.
    pub(crate) fn cursor(&self) -> StreamCursor {
        let cursors = self.parts.iter().map(|part| part.cursor);
        cursors
            .min_by_key(|cursor| cursor.position)
            .unwrap_or_default()
    }

    /// Whether these are the same parts, whoever works on them.
    pub(crate) fn is_divided_as(&self, other: &Self) -> bool {
        let place = |part: &InboxPart| (part.slices.clone(), part.epoch);
        let places = |division: &Self| division.parts.iter().map(place).collect::<Vec<_>>();
        places(self) == places(other)
    }

    /// The parts whose owner is to be written, by their first slices, and whether they are the
    /// worker's now: those are its for another while.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn changed(&self, before: &Self, worker: &str) -> Vec<(u16, bool)> {
        let is_worker = |part: &InboxPart| part.owner.as_deref() == Some(worker);
        let mine = |part: &InboxPart| (part.slices.start, is_worker(part));
        let was_mine = |slice| {
            let of = |part: &InboxPart| part.slices.start == slice && is_worker(part);
            before.parts.iter().any(of)
        };
        let parts = self.parts.iter().map(mine);
        parts
            .filter(|(slice, mine)| *mine || was_mine(*slice))
            .collect()
    }

    /// Takes what is the worker's share, and gives up what is not.
    fn share(&mut self, worker: &str, workers: &[String]) {
        for n in 0..self.parts.len() {
            let shares = self.shares(workers);
            let owner = &mut self.parts[n].owner;
            match owner {
                None if shares.may_take(worker) => *owner = Some(worker.to_owned()),
                Some(who) if who == worker && shares.gives_up(worker) => *owner = None,
                _ => {}
            }
        }
    }

    fn shares(&self, workers: &[String]) -> Shares {
        let owned = |worker: &str| {
            let of = |part: &&InboxPart| part.owner.as_deref() == Some(worker);
            self.parts.iter().filter(of).count() as u64
        };
        let of = |worker: &String| (worker.clone(), owned(worker));
        let free = self.parts.iter().filter(|part| part.owner.is_none());
        Shares {
            parts: workers.iter().map(of).collect(),
            free: free.count() as u64,
        }
    }
}

/// Parts that stand at one place, and are nobody's.
#[cfg(feature = "runtime")]
fn fresh(parts: u16, cursor: StreamCursor, origin: Position, epoch: u64) -> Vec<InboxPart> {
    let part = |slices| InboxPart {
        slices,
        cursor,
        origin,
        epoch,
        owner: None,
    };
    divided(parts).map(part).collect()
}

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use super::*;

    fn at(position: u64) -> StreamCursor {
        StreamCursor {
            position: Position::new(position),
            hash: [9; 32],
        }
    }

    fn claim(owner: &str, parts: Option<u16>) -> InboxClaim {
        let stream = "accounts".to_owned();
        InboxClaim {
            inbox: InboxId {
                consumer: "letters".to_owned(),
                stream: StreamVersion { stream, version: 1 },
            },
            owner: owner.to_owned(),
            lease: Duration::from_secs(10),
            parts,
            begin: at(7),
            continues: None,
        }
    }

    #[test]
    fn parts_come_to_one_position_before_they_are_divided_anew() {
        let (mut inbox, one) = (Division::default(), ["one".to_owned()]);
        inbox.claim(&claim("one", Some(4)), &one);
        let edges: Vec<_> = inbox.parts.iter().map(|part| part.slices.start).collect();
        assert_eq!(edges, [0, 256, 512, 768]);
        assert!(inbox.parts.iter().all(|part| part.cursor == at(7)));
        inbox.parts[2].cursor = at(9);
        inbox.claim(&claim("one", Some(2)), &one);
        assert_eq!(
            (inbox.parts.len(), inbox.level()),
            (4, Some(at(9).position))
        );
        for part in &mut inbox.parts {
            part.cursor = at(9);
        }
        inbox.claim(&claim("one", None), &one);
        assert_eq!((inbox.parts.len(), inbox.level()), (2, None));
        let fenced = |part: &InboxPart| part.cursor == at(9) && part.epoch == 1;
        assert!(inbox.parts.iter().all(fenced), "{inbox:?}");
        // Whoever wants no other number changes nothing.
        let before = inbox.clone();
        inbox.claim(&claim("one", Some(2)), &one);
        assert_eq!(inbox, before);
    }

    #[test]
    fn a_wish_that_is_taken_back_holds_nobody_up() {
        let (mut inbox, one) = (Division::default(), ["one".to_owned()]);
        inbox.claim(&claim("one", Some(2)), &one);
        inbox.parts[0].cursor = at(8);
        inbox.claim(&claim("one", Some(8)), &one);
        inbox.claim(&claim("one", Some(2)), &one);
        assert_eq!((inbox.parts.len(), inbox.level()), (2, None));
    }

    #[test]
    fn who_comes_later_is_given_a_share() {
        let (mut inbox, both) = (Division::default(), ["one".to_owned(), "two".to_owned()]);
        inbox.claim(&claim("one", Some(5)), &both[..1]);
        for _ in 0..2 {
            inbox.claim(&claim("two", None), &both);
            inbox.claim(&claim("one", None), &both);
        }
        let owned = |who| {
            inbox
                .parts
                .iter()
                .filter(|p| p.owner.as_deref() == Some(who))
                .count()
        };
        assert_eq!((owned("one"), owned("two")), (3, 2));
    }
}
