//! Aggregates' states kept in memory, as many as were asked for.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::load::Known;
use crate::event::StreamId;
use crate::runtime::without;

/// The states of one aggregate, by stream. What is kept may be behind the store, and is never mixed
/// of two states: an entry is replaced as a whole, and by a later version alone.
///
/// Two generations instead of a list in order of use: what is used moves to the young one; when
/// that is full, the old one is dropped. So the states that were used last are there, and costs are
/// those of a look-up.
pub(super) struct Cache<A> {
    entries: usize,
    generations: Mutex<Generations<A>>,
}

struct Generations<A> {
    young: HashMap<StreamId, Known<A>>,
    old: HashMap<StreamId, Known<A>>,
}

impl<A> Cache<A> {
    /// Keeps the last `entries` states that were used, one at least, and at most twice as many.
    pub(super) fn new(entries: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self {
            entries: entries.max(1),
            generations: Mutex::new(Generations { young, old }),
        }
    }

    /// Nothing here can panic half-way, so a poisoned lock guards good states.
    fn generations(&self) -> MutexGuard<'_, Generations<A>> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, stream: &StreamId) -> Option<Known<A>> {
        let mut generations = self.generations();
        if let Some(known) = generations.young.get(stream) {
            return Some(known.clone());
        }
        let (stream, known) = generations.old.remove_entry(stream)?;
        let dropped = generations.insert(stream, known.clone(), self.entries);
        drop(generations);
        drop(dropped);
        Some(known)
    }

    /// Keeps what is known, unless something later is.
    pub(super) fn put(&self, stream: &StreamId, known: &Known<A>) {
        let mut generations = self.generations();
        let kept = generations.kept(stream);
        let is_behind = kept.is_some_and(|kept| kept.version() > known.version());
        if is_behind && !without("the cache never goes back") {
            return;
        }
        let replaced = generations.old.remove(stream);
        let dropped = generations.insert(stream.clone(), known.clone(), self.entries);
        drop(generations);
        drop((replaced, dropped));
    }

    /// Forgets what was found not to be the stream's history.
    pub(super) fn forget(&self, stream: &StreamId, known: &Known<A>) {
        let mut generations = self.generations();
        if generations
            .kept(stream)
            .is_some_and(|kept| kept.last() == known.last())
        {
            generations.young.remove(stream);
            generations.old.remove(stream);
        }
    }
}

impl<A> Generations<A> {
    fn kept(&self, stream: &StreamId) -> Option<&Known<A>> {
        self.young.get(stream).or_else(|| self.old.get(stream))
    }

    /// Answers the generation that is too old now, so that it is dropped without the lock.
    fn insert(
        &mut self,
        stream: StreamId,
        known: Known<A>,
        entries: usize,
    ) -> HashMap<StreamId, Known<A>> {
        let mut dropped = HashMap::new();
        if self.young.len() >= entries && !self.young.contains_key(&stream) {
            dropped = mem::replace(&mut self.old, mem::take(&mut self.young));
        }
        self.young.insert(stream, known);
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CommandId, Position};
    use crate::store::Last;

    fn stream(n: u64) -> StreamId {
        StreamId::new("account", n).unwrap()
    }

    /// What is known of any aggregate without a type: version and last event.
    fn known(version: u64, command: &str) -> Known<()> {
        Known::example(Last {
            version,
            position: Position::new(version),
            command: Some(CommandId::of(command)),
        })
    }

    fn len(cache: &Cache<()>) -> usize {
        let generations = cache.generations();
        let both = |stream: &&StreamId| generations.old.contains_key(*stream);
        assert_eq!(generations.young.keys().filter(both).count(), 0);
        generations.young.len() + generations.old.len()
    }

    #[test]
    fn it_never_goes_back() {
        let (cache, s) = (Cache::new(10), stream(1));
        cache.put(&s, &known(5, "a"));
        cache.put(&s, &known(4, "a"));
        assert_eq!(cache.get(&s).unwrap().version(), 5);
        cache.put(&s, &known(6, "a"));
        assert_eq!(cache.get(&s).unwrap().version(), 6);
        // Another one's finding does not take a state away, one's own does.
        cache.forget(&s, &known(6, "b"));
        assert_eq!(cache.get(&s).unwrap().version(), 6);
        cache.forget(&s, &known(6, "a"));
        assert!(cache.get(&s).is_none());
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for entries in [0, 1, 2, 3, 10, 101] {
            let cache = Cache::new(entries);
            let mut used = std::collections::VecDeque::new();
            for n in 1..1000 {
                let one = random.u64(1..500);
                cache.put(&stream(one), &known(n, "x"));
                used.retain(|other| *other != one);
                used.push_front(one);
                used.truncate(entries);
                assert!(len(&cache) <= 2 * entries.max(1));
                if random.u8(..8) == 0 && !used.is_empty() {
                    let again = used.remove(random.usize(..used.len())).unwrap();
                    assert!(
                        cache.get(&stream(again)).is_some(),
                        "{again} of the last used"
                    );
                    used.push_front(again);
                }
            }
        }
    }
}
