//! Whose reactions count, pure: each event has exactly one version that reacts to it, whatever is
//! promoted, rolled back or begun anew.

use std::collections::BTreeSet;
use std::fmt;

use super::projection::{Handover, Lineage, Phase, ProjectionId, ProjectionState, SliceState};
use crate::error::{Error, Kind, Result};
use crate::event::Position;

impl Lineage {
    /// The version that reacts to the event at this position: exactly one, or nobody to history
    /// from before the first of them.
    pub fn reacts(&self, position: Position) -> Option<u32> {
        let before = |handover: &&Handover| handover.after < position;
        let last = self.handovers.iter().rev().find(before);
        last.map(|handover| handover.version)
    }

    /// Whether this part of a version enqueues its reactions to the event at this position.
    #[cfg(feature = "runtime")]
    pub(crate) fn takes(&self, version: u32, slice: u16, position: Position) -> bool {
        let Some(state) = self.versions.get(&version) else {
            return false;
        };
        let before = state.reacted.get(&slice).copied().unwrap_or_default();
        let turn = self.reacts(position) == Some(version) && position > before;
        turn || crate::runtime::without("reactions are handed over")
    }

    /// The reactions that a version has still to enqueue although another one reacts by now.
    pub fn owes(&self, version: u32) -> Option<Owed> {
        let state = self.versions.get(&version)?;
        if state.reacts.is_empty() || state.phase == Phase::Retired {
            return None;
        }
        let ends = self.handovers.iter().skip(1).map(|next| next.after);
        let spans = self.handovers.iter().zip(ends);
        let own: Vec<_> = spans.filter(|(from, _)| from.version == version).collect();
        let owed = |slice: &SliceState| {
            let seen = state.seen(slice);
            let open = own.iter().filter(|(_, until)| *until > seen);
            open.map(|(from, until)| (from.after.max(seen), *until))
                .collect::<Vec<_>>()
        };
        let owed: Vec<_> = state.slices.iter().flat_map(owed).collect();
        Some(Owed {
            after: owed.iter().map(|(after, _)| *after).min()?,
            until: owed.iter().map(|(_, until)| *until).max()?,
        })
    }

    /// Up to where all reactions are enqueued that come before another: those behind it wait, so
    /// that reactions of one key run in the order of the events. Nothing if none have to.
    pub(crate) fn settled(&self) -> Option<Position> {
        let owing = self
            .versions
            .keys()
            .filter_map(|v| Some((*v, self.owes(*v)?)));
        // Within the span of the one that owes, the order is its own.
        let ends = owing.filter_map(|(version, owed)| {
            let ends = self.handovers.iter().skip(1).map(|next| next.after);
            let mut spans = self.handovers.iter().zip(ends);
            let first = spans.find(|(from, until)| from.version == version && *until > owed.after);
            first.map(|(_, until)| until)
        });
        ends.min()
    }
}

/// The reactions to some events that a version has still to enqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The events behind this position.
    pub after: Position,
    /// And up to this one.
    pub until: Position,
}

/// `the reactions to the events from 41 to 50`.
impl fmt::Display for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.after.next(), self.until);
        let events = last.get().saturating_sub(self.after.get());
        write!(
            f,
            "the reactions to at most {events} events, from {first} to {last}"
        )
    }
}

impl ProjectionState {
    /// How far the part has ever come: what it has met.
    pub(crate) fn seen(&self, slice: &SliceState) -> Position {
        let before = self.reacted.get(&slice.slices.start).copied();
        slice.cursor.max(before.unwrap_or_default())
    }
}

/// From here on, this version reacts to events: behind the last one that either version has met,
/// so that none is left out and none is met twice. Up to there, the other one goes on to react.
pub(super) fn hand_over(lineage: &mut Lineage, to: u32) {
    let Some(last) = lineage.handovers.last().copied() else {
        return;
    };
    if last.version == to {
        return;
    }
    let furthest = |version: u32| {
        let state = lineage.versions.get(&version).into_iter();
        let seen = state.flat_map(|state| state.slices.iter().map(|slice| state.seen(slice)));
        seen.max().unwrap_or(Position::START)
    };
    let after = furthest(last.version).max(furthest(to)).max(last.after);
    begin_span(lineage, after, to);
    // The workers of both must hear of it before they go on.
    for version in [last.version, to] {
        if let Some(state) = lineage.versions.get_mut(&version) {
            state.epoch += 1;
        }
    }
}

/// Behind this position, `to` reacts.
pub(super) fn begin_span(lineage: &mut Lineage, after: Position, to: u32) {
    let last = lineage.handovers.last().map(|last| last.after);
    let after = after.max(last.unwrap_or(Position::START));
    // Nobody has met an event since the last handover: as if it had not been.
    lineage.handovers.retain(|handover| handover.after < after);
    let known = lineage.handovers.last().map(|last| last.version) == Some(to);
    if !known {
        lineage.handovers.push(Handover { after, version: to });
    }
}

/// A version whose turn it would be to react for ever, and that is about to end, leaves it to the
/// first of the others.
pub(super) fn pass_on(version: u32, lineage: &mut Lineage) {
    let mut others = lineage.versions.iter();
    let heir = others.find(|(other, state)| **other != version && !is_over(state));
    let heir = heir.map(|(other, _)| *other);
    if let (Some(last), Some(heir)) = (lineage.handovers.last(), heir)
        && last.version == version
    {
        hand_over(lineage, heir);
    }
}

pub(super) fn is_over(state: &ProjectionState) -> bool {
    state.phase == Phase::Retired
}

/// What a version reacts to is said before it is worked on.
pub(super) fn may_react(
    id: &ProjectionId,
    state: &ProjectionState,
    reacts: &BTreeSet<String>,
) -> Result<()> {
    let begun = |slice: &SliceState| slice.cursor > Position::START;
    if state.reacts == *reacts || !state.slices.iter().any(begun) {
        return Ok(());
    }
    Err(other_reactions(id, &state.reacts, reacts))
}

/// The code of a version reacts to other events than the version was made with.
pub(crate) fn other_reactions(
    id: &ProjectionId,
    stored: &BTreeSet<String>,
    declared: &BTreeSet<String>,
) -> Error {
    let listed = |families: &BTreeSet<String>| {
        let quoted = families.iter().map(|family| format!("`{family}`"));
        match quoted.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "nothing".to_owned(),
            some => format!("events of {some}"),
        }
    };
    let (projection, stored, declared) = (id.to_string(), listed(stored), listed(declared));
    Error::new(Kind::ChangedReactions {
        projection,
        stored,
        declared,
    })
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use fastrand::Rng;

    use super::*;
    use crate::event::{SLICES, Timestamp};
    use crate::store::life::{Occasion, change, prepare};
    use crate::store::{Advanced, Change, ProjectionKind};

    /// The database, and the workers of two instances that know it as it was when they looked last.
    struct World {
        random: Rng,
        lineage: Lineage,
        head: u64,
        declared: u64,
        /// The slice of the key that each event touches.
        keys: BTreeMap<u64, u16>,
        known: BTreeMap<(u8, u32, u16), (Position, Lineage)>,
        enqueued: BTreeMap<u64, Vec<u32>>,
        given_up: Vec<Owed>,
    }

    impl World {
        fn new(seed: u64) -> Self {
            let random = Rng::with_seed(seed);
            let mut world = Self {
                random,
                lineage: Lineage::default(),
                head: 0,
                declared: 0,
                keys: BTreeMap::new(),
                known: BTreeMap::new(),
                enqueued: BTreeMap::new(),
                given_up: Vec::new(),
            };
            world.grow();
            world.declared = world.head;
            world.deploy();
            world
        }

        fn at(&self) -> Occasion {
            Occasion::new(Timestamp::default(), Position::new(self.head))
        }

        fn grow(&mut self) {
            for _ in 0..self.random.u64(..12) {
                self.head += 1;
                self.keys.insert(self.head, self.random.u16(..SLICES));
            }
        }

        fn change(&mut self, version: u32, wanted: &Change) -> bool {
            let id = ProjectionId {
                kind: ProjectionKind::ReadModel,
                name: "balances".to_owned(),
                version,
            };
            let mut after = self.lineage.clone();
            let taken = change(&id, &mut after, wanted, &self.at()).is_ok();
            if taken {
                self.lineage = after;
            }
            taken
        }

        fn deploy(&mut self) {
            let version = self.newest() + 1;
            let parts = self.random.u16(1..4);
            let at = self.at();
            prepare(&mut self.lineage, version, parts, &at);
            // Now and then one that does not react.
            if version == 1 || self.random.u8(..4) > 0 {
                let react = Change::React(BTreeSet::from(["account".to_owned()]));
                assert!(self.change(version, &react));
            }
        }

        fn newest(&self) -> u32 {
            self.lineage
                .versions
                .keys()
                .next_back()
                .copied()
                .unwrap_or_default()
        }

        fn some_version(&mut self) -> u32 {
            let newest = self.newest();
            self.random.u32(1..=newest)
        }

        /// A worker takes a step: it looks, or it moves from where it believes to stand.
        fn work(
            &mut self,
            instance: u8,
            version: u32,
            slice: u16,
            events: u64,
        ) -> Option<Advanced> {
            let state = &self.lineage.versions[&version];
            let part = state
                .slices
                .iter()
                .find(|part| part.slices.start == slice)?;
            let worker = (instance, version, slice);
            let looked = (part.cursor, self.lineage.clone());
            let (from, known) = self.known.entry(worker).or_insert(looked).clone();
            let to = Position::new(self.head.min(from.get() + events));
            if (from, known.versions[&version].epoch) != (part.cursor, state.epoch) {
                self.known.remove(&worker);
                return Some(Advanced::Fenced);
            }
            let slices = part.slices.clone();
            for position in from.get() + 1..=to.get() {
                let mine = slices.contains(&self.keys[&position]);
                if mine
                    && !state.reacts.is_empty()
                    && known.takes(version, slice, Position::new(position))
                {
                    self.enqueued.entry(position).or_default().push(version);
                }
            }
            self.known.insert(worker, (to, known));
            let state = self.lineage.versions.get_mut(&version).unwrap();
            let part = state
                .slices
                .iter_mut()
                .find(|part| part.slices.start == slice);
            part.unwrap().cursor = to;
            state.cursor = crate::store::life::slowest(&state.slices);
            Some(Advanced::Moved)
        }

        fn parts(&self) -> Vec<(u32, u16)> {
            let versions = self.lineage.versions.iter();
            let parts = versions.flat_map(|(version, state)| {
                state
                    .slices
                    .iter()
                    .map(|part| (*version, part.slices.start))
            });
            parts.collect()
        }

        fn step(&mut self) {
            match self.random.u8(..100) {
                0..20 => self.grow(),
                20..70 => {
                    let parts = self.parts();
                    let (version, slice) = parts[self.random.usize(..parts.len())];
                    let (instance, events) = (self.random.u8(..2), self.random.u64(..9));
                    self.work(instance, version, slice, events);
                }
                70..74 if self.lineage.versions.len() < 5 => self.deploy(),
                roll => {
                    let version = self.some_version();
                    let reason = || "the test says so".to_owned();
                    let wanted = match roll {
                        74..80 => Change::Complete,
                        80..87 => Change::Promote {
                            fresh: Duration::ZERO,
                            forced: Some(reason()),
                        },
                        87..92 => Change::RollBack { reason: reason() },
                        92..95 => Change::Rebuild { reason: reason() },
                        95..97 => Change::Pause { reason: reason() },
                        97 => Change::Resume,
                        _ => return self.retire(version),
                    };
                    self.change(version, &wanted);
                }
            }
        }

        fn retire(&mut self, version: u32) {
            let others =
                |(other, state): (&u32, &ProjectionState)| *other != version && !is_over(state);
            if !self.lineage.versions.iter().any(others) {
                return;
            }
            let quiet = Duration::ZERO;
            let mut then = self.lineage.clone();
            pass_on(version, &mut then);
            let owed = then.owes(version);
            let kindly = Change::Retire {
                quiet,
                forced: None,
            };
            if self.change(version, &kindly) {
                assert_eq!(owed, None, "{version} was retired");
                return;
            }
            let forced = self.random.bool().then(|| "the test says so".to_owned());
            if self.change(version, &Change::Retire { quiet, forced }) {
                self.given_up.extend(owed);
            }
        }

        /// All have come to the end, and each event is looked at.
        fn check(&mut self) {
            for (version, slice) in self.parts() {
                while self.work(0, version, slice, u64::MAX >> 1) == Some(Advanced::Fenced) {}
            }
            for position in 1..=self.head {
                let by = self.enqueued.remove(&position).unwrap_or_default();
                let turn = self.lineage.reacts(Position::new(position));
                let reacts = turn.is_some_and(|v| !self.lineage.versions[&v].reacts.is_empty());
                let given_up = self
                    .given_up
                    .iter()
                    .any(|owed| (owed.after.get() + 1..=owed.until.get()).contains(&position));
                let expected: Vec<u32> = turn.filter(|_| reacts).into_iter().collect();
                assert!(
                    by == expected || (given_up && by.is_empty()),
                    "{by:?} reacted to the event at {position}, and not {expected:?}: {:#?}",
                    self.lineage
                );
                assert_eq!(turn.is_some(), position > self.declared);
            }
            for version in self.lineage.versions.keys() {
                assert_eq!(self.lineage.owes(*version), None);
            }
            assert_eq!(self.lineage.settled(), None);
        }
    }

    #[test]
    fn each_event_is_reacted_to_once_whatever_is_promoted() {
        let given = std::env::var("ES_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seeds = match given {
            Some(seed) => seed..seed + 1,
            None => {
                let seed = fastrand::u64(..u64::MAX / 2);
                seed..seed + 500
            }
        };
        for seed in seeds {
            let (mut world, steps) = (World::new(seed), 200);
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                (0..steps).for_each(|_| world.step());
                world.check();
            }));
            if let Err(panic) = checked {
                println!("ES_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }

    #[test]
    fn rows_behind_what_is_owed_wait() {
        let mut world = World::new(1);
        let end = |world: &World| Position::new(world.head);
        assert_eq!(world.lineage.settled(), None);
        world.deploy();
        (1..20).for_each(|_| world.grow());
        world
            .lineage
            .versions
            .get_mut(&2)
            .unwrap()
            .reacts
            .insert("account".to_owned());
        for (version, slice) in world.parts() {
            world.work(0, version, slice, if version == 1 { 3 } else { 1 << 40 });
        }
        for version in 1..=2 {
            assert!(world.change(version, &Change::Complete));
        }
        let promote = Change::Promote {
            fresh: Duration::ZERO,
            forced: Some("for the test".to_owned()),
        };
        assert!(world.change(2, &promote));
        let owed = world.lineage.owes(1).unwrap();
        assert_eq!(owed.until, end(&world));
        assert_eq!(world.lineage.settled(), Some(end(&world)));
        let refused = world.change(
            1,
            &Change::Retire {
                quiet: Duration::ZERO,
                forced: None,
            },
        );
        assert!(!refused);
        assert_eq!(world.lineage.owes(2), None);
    }
}
