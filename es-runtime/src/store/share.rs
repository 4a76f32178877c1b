//! How the parts of a version are shared among the instances that work on it: pure.

use std::collections::BTreeMap;

/// Who would work on one part, and how much each of them has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    /// By instance, the parts of the version that are theirs.
    pub(crate) parts: BTreeMap<String, u64>,
    /// Parts of the version that are nobody's.
    pub(crate) free: u64,
}

impl Shares {
    /// Whether `instance` may take the part, if it is nobody's: nobody else who would has less.
    pub(crate) fn may_take(&self, instance: &str) -> bool {
        let own = self.of(instance);
        self.others(instance).all(|other| own <= other)
    }

    /// Whether `instance` gives the part to somebody who has less: so that both have the same
    /// afterwards, or differ by one, and nobody gives it back. What is nobody's goes first.
    pub(crate) fn gives_up(&self, instance: &str) -> bool {
        let own = self.of(instance);
        self.others(instance)
            .any(|other| own >= other + self.free + 2)
    }

    fn of(&self, instance: &str) -> u64 {
        self.parts.get(instance).copied().unwrap_or_default()
    }

    fn others(&self, instance: &str) -> impl Iterator<Item = u64> {
        let others = self.parts.iter().filter(move |(name, _)| *name != instance);
        others.map(|(_, parts)| *parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who has each part.
    type Parts = Vec<Option<usize>>;

    fn shares(parts: &Parts, alive: &[usize]) -> Shares {
        let of = |who: &usize| parts.iter().filter(|part| **part == Some(*who)).count() as u64;
        let named = |who: &usize| (who.to_string(), of(who));
        Shares {
            parts: alive.iter().map(named).collect(),
            free: parts.iter().filter(|part| part.is_none()).count() as u64,
        }
    }

    /// An instance asks for a part, as it does again and again.
    fn asks(parts: &mut Parts, part: usize, who: usize, alive: &[usize]) {
        let (shares, name) = (shares(parts, alive), who.to_string());
        match parts[part] {
            None if shares.may_take(&name) => parts[part] = Some(who),
            Some(owner) if owner == who && shares.gives_up(&name) => parts[part] = None,
            _ => {}
        }
    }

    #[test]
    fn parts_are_shared_as_instances_come_and_go() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let mut parts: Parts = vec![None; random.usize(1..12)];
            let mut alive = vec![0];
            for newcomer in 1..6 {
                match random.bool() || alive.len() == 1 {
                    true => alive.push(newcomer),
                    false => {
                        let gone = alive.swap_remove(random.usize(..alive.len()));
                        let lost = parts.iter_mut().filter(|part| **part == Some(gone));
                        lost.for_each(|part| *part = None);
                    }
                }
                for _ in 0..alive.len() * parts.len() * 40 {
                    let who = alive[random.usize(..alive.len())];
                    let part = random.usize(..parts.len());
                    asks(&mut parts, part, who, &alive);
                }
                let shares = shares(&parts, &alive);
                let most = shares.parts.values().max().unwrap();
                let least = shares.parts.values().min().unwrap();
                assert!(shares.free == 0 && most - least <= 1, "{shares:?}");
                // And nothing moves any more.
                let settled = parts.clone();
                for who in &alive {
                    (0..parts.len()).for_each(|part| asks(&mut parts, part, *who, &alive));
                }
                assert_eq!(parts, settled);
            }
        }
    }

    #[test]
    fn who_cannot_work_on_a_part_holds_nobody_up() {
        let mut shares = Shares::default();
        shares.parts.insert("busy".to_owned(), 7);
        shares.free = 1;
        assert!(shares.may_take("busy"));
        shares.parts.insert("idle".to_owned(), 0);
        assert!(!shares.may_take("busy") && shares.may_take("idle"));
        assert!(shares.gives_up("busy"));
        shares.free = 6;
        assert!(!shares.gives_up("busy"));
    }
}
