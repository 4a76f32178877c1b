//! Arrays: what every item is, what some item is, how many there are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::node::{Id, Leaf, NEVER};
use super::branch::{Branch, Say};
use super::{Doubt, Found, Goal, Solver, too_much};

/// Longer examples are not made.
const LONGEST: u64 = 2000;
/// More items are not sought.
const MOST_WANTED: u64 = 40;

struct Array {
    tuples: Vec<(Vec<Id>, Id)>,
    /// All items are, or are not, like this.
    every: Goal,
    least: u64,
    most: Option<u64>,
    /// At most so many items are like this.
    at_most: Vec<(u64, Id)>,
    wanted: Vec<Wanted>,
    unique: bool,
    twice: bool,
}

/// An item that has to be somewhere.
struct Wanted {
    is: (Id, bool),
    from: usize,
    to: Option<usize>,
    /// Those of one group are different items.
    group: usize,
}

/// What the items at their places are, beyond what all are.
type Placed = BTreeMap<usize, Goal>;

impl Solver<'_> {
    pub(super) fn array(&mut self, branch: &Branch) -> Found {
        let array = match self.read_array(branch) {
            Ok(array) => array,
            Err(found) => return found,
        };
        if array.most.is_some_and(|most| most < array.least) || (array.unique && array.twice) {
            return Found::Nothing;
        }
        self.place(&array, 0, &mut Placed::new(), &mut Vec::new())
    }

    fn read_array(&self, branch: &Branch) -> Result<Array, Found> {
        let mut array = Array {
            tuples: Vec::new(),
            every: Goal::new(),
            least: 0,
            most: None,
            at_most: Vec::new(),
            wanted: Vec::new(),
            unique: false,
            twice: false,
        };
        for (group, &say) in branch.said.iter().enumerate() {
            if let Say::Breaks(id, part) = say
                && let Some((Leaf::Items(first, rest), _)) = self.leaf(Say::Is(id))
            {
                array.wanted.push(Wanted {
                    is: (first.get(part).copied().unwrap_or(*rest), false),
                    from: part,
                    to: first.get(part).map(|_| part + 1),
                    group,
                });
            }
            let Some((leaf, holds)) = self.leaf(say) else {
                continue;
            };
            match (leaf, holds) {
                (&Leaf::MinItems(count), true) => array.at_least(count),
                (Leaf::MinItems(0), false) => return Err(Found::Nothing),
                (&Leaf::MinItems(count), false) => array.no_more_than(count - 1),
                (&Leaf::MaxItems(count), true) => array.no_more_than(count),
                (&Leaf::MaxItems(count), false) => array.at_least(count.saturating_add(1)),
                (Leaf::Items(first, rest), true) => array.tuples.push((first.clone(), *rest)),
                (&Leaf::AtLeast(count, like), true) => array.want(count, like, group)?,
                (Leaf::AtLeast(0, _), false) => return Err(Found::Nothing),
                (&Leaf::AtLeast(count, like), false) => array.limit(count - 1, like),
                (&Leaf::AtMost(count, like), true) => array.limit(count, like),
                (&Leaf::AtMost(count, like), false) => {
                    array.want(count.saturating_add(1), like, group)?
                }
                (Leaf::Unique, true) => array.unique = true,
                (Leaf::Unique, false) => array.twice = true,
                _ => {}
            }
        }
        Ok(array)
    }

    /// Finds places for the wanted items, one after the other.
    fn place(
        &mut self,
        array: &Array,
        next: usize,
        placed: &mut Placed,
        taken: &mut Vec<(usize, usize)>,
    ) -> Found {
        let Some(wanted) = array.wanted.get(next) else {
            return self.fill(array, placed);
        };
        if self.enter().is_none() {
            return too_much();
        }
        let mut found = Found::Nothing;
        for at in array.places(wanted, placed) {
            if taken.contains(&(wanted.group, at)) {
                continue;
            }
            let before = placed.get(&at).cloned();
            placed.entry(at).or_default().push(wanted.is);
            if !self.find(array.item(at, placed)).is_nothing() {
                taken.push((wanted.group, at));
                found = found.or(self.place(array, next + 1, placed, taken));
                taken.pop();
            }
            match before {
                Some(before) => placed.insert(at, before),
                None => placed.remove(&at),
            };
            if matches!(found, Found::Instance(_)) {
                break;
            }
        }
        self.depth -= 1;
        found
    }

    /// All wanted items have their places: is there something for all others?
    fn fill(&mut self, array: &Array, placed: &Placed) -> Found {
        let length = placed.keys().next_back().map_or(0, |last| *last as u64 + 1);
        let length = length.max(array.least);
        if array.most.is_some_and(|most| most < length) {
            return Found::Nothing;
        }
        if !array.twice {
            return self.items(array, placed, length, None);
        }
        let mut found = Found::Nothing;
        let last = array
            .shape()
            .max(usize::try_from(length.min(LONGEST)).unwrap_or(0))
            + 1;
        for second in 1..=last {
            let length = length.max(second as u64 + 1);
            if array.most.is_some_and(|most| most < length) {
                break;
            }
            for first in 0..second {
                found = found.or(self.items(array, placed, length, Some((first, second))));
                if matches!(found, Found::Instance(_)) {
                    return found;
                }
            }
        }
        found
    }

    fn items(
        &mut self,
        array: &Array,
        placed: &Placed,
        length: u64,
        twice: Option<(usize, usize)>,
    ) -> Found {
        let mut items: Vec<Value> = Vec::new();
        let mut doubt: Option<Doubt> = None;
        let mut left: Vec<u64> = array.at_most.iter().map(|&(count, _)| count).collect();
        let shown = usize::try_from(length.min(LONGEST)).unwrap_or(0);
        let alike = array.unique && array.is_plain() && placed.is_empty();
        for at in 0..shown {
            let mut goal = array.item(at, placed);
            if let Some((first, second)) = twice {
                if at == second && first < items.len() {
                    items.push(items[first].clone());
                    continue;
                }
                if at == first {
                    goal.extend(array.item(second, placed));
                }
            }
            if array.unique {
                for item in &items {
                    let item = self.nodes.exactly(item);
                    goal.push((item, false));
                }
            }
            let mut found = self.find(goal.clone());
            for (number, &(_, like)) in array.at_most.iter().enumerate() {
                let mut less = goal.clone();
                less.push((like, false));
                let without = self.find(less.clone());
                if !without.is_nothing() {
                    (goal, found) = (less, without);
                } else if left[number] == 0 {
                    // With one limit, each item was spared where it could be.
                    let exact = array.at_most.len() == 1 && twice.is_none() && !array.unique;
                    return if exact || found.is_nothing() {
                        Found::Nothing
                    } else {
                        Found::unsure("how many items of two kinds there can be is not followed")
                    };
                } else {
                    left[number] -= 1;
                }
            }
            match found {
                Found::Nothing if array.unique && !items.is_empty() && !alike => {
                    return self.clash(array, placed, &items);
                }
                Found::Nothing => return Found::Nothing,
                Found::Instance(item) => items.push(item),
                Found::Perhaps(inner) => {
                    let inner = inner.below(&format!("/items/{at}"));
                    if doubt.as_ref().is_none_or(|doubt| doubt.claimed) {
                        doubt = Some(inner);
                    }
                    items.push(Value::Null);
                    if array.unique {
                        return Found::unsure(
                            "whether these items can differ from each other is not followed",
                        );
                    }
                }
            }
        }
        match doubt {
            Some(doubt) => Found::Perhaps(doubt),
            None if length > LONGEST => Found::unsure("its arrays are too long to make one"),
            None => Found::Instance(Value::Array(items)),
        }
    }

    /// No item is left that differs from these. That is certain if one of them could not be other
    /// than it is, either.
    fn clash(&mut self, array: &Array, placed: &Placed, items: &[Value]) -> Found {
        let last = array.item(items.len(), placed);
        if self.find(last.clone()).is_nothing() {
            return Found::Nothing;
        }
        for (at, item) in items.iter().enumerate() {
            let other = (self.nodes.exactly(item), false);
            let mut forced = [last.clone(), array.item(at, placed)].into_iter();
            if forced.all(|mut goal| {
                goal.push(other);
                self.find(goal).is_nothing()
            }) {
                return Found::Nothing;
            }
        }
        Found::unsure("whether these items can differ from each other is not followed")
    }
}

impl Array {
    fn at_least(&mut self, count: u64) {
        self.least = self.least.max(count);
    }

    fn no_more_than(&mut self, count: u64) {
        self.most = Some(self.most.map_or(count, |most| most.min(count)));
    }

    fn limit(&mut self, count: u64, like: Id) {
        match count {
            0 => self.every.push((like, false)),
            _ => self.at_most.push((count, like)),
        }
    }

    fn want(&mut self, count: u64, like: Id, group: usize) -> Result<(), Found> {
        if like == NEVER && count > 0 {
            return Err(Found::Nothing);
        }
        if count > MOST_WANTED {
            return Err(Found::unsure("it asks for too many items of a kind"));
        }
        for _ in 0..count {
            self.wanted.push(Wanted {
                is: (like, true),
                from: 0,
                to: None,
                group,
            });
        }
        Ok(())
    }

    /// From here on all items are alike.
    fn shape(&self) -> usize {
        let tuples = self.tuples.iter().map(|(first, _)| first.len());
        let wanted = self.wanted.iter().map(|wanted| wanted.from);
        tuples.chain(wanted).max().unwrap_or(0)
    }

    fn is_plain(&self) -> bool {
        self.shape() == 0 && self.at_most.is_empty()
    }

    fn item(&self, at: usize, placed: &Placed) -> Goal {
        let each = self.tuples.iter();
        let mut goal: Goal = each
            .map(|(first, rest)| (first.get(at).copied().unwrap_or(*rest), true))
            .collect();
        goal.extend(&self.every);
        goal.extend(placed.get(&at).into_iter().flatten());
        goal
    }

    /// Where a wanted item can be. Behind the tuples, all empty places are the same.
    fn places(&self, wanted: &Wanted, placed: &Placed) -> Vec<usize> {
        let shape = self.shape();
        let last = shape + self.wanted.len();
        let mut places = Vec::new();
        let mut seen_empty = false;
        for at in wanted.from..wanted.to.unwrap_or(last + 1).min(last + 1) {
            if self.most.is_some_and(|most| at as u64 >= most) {
                break;
            }
            let empty = at >= shape && !placed.contains_key(&at);
            if !(empty && std::mem::replace(&mut seen_empty, true)) {
                places.push(at);
            }
        }
        places
    }
}
