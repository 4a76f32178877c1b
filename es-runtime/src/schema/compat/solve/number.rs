//! Numbers: bounds, factors, and values that are excluded.

use std::collections::HashSet;

use serde_json::Value;

use super::super::node::{Kind, Leaf};
use super::super::number::{Exact, lcm};
use super::branch::Branch;
use super::{Found, Solver};

/// Numbers that are tried one after the other.
const TRIED: i128 = 20_000;
const TOO_LARGE: &str = "its numbers are too large to reckon with";

struct Bounds {
    least: Option<(Exact, bool)>,
    most: Option<(Exact, bool)>,
    factors: Vec<Exact>,
    /// It is no multiple of these.
    without: Vec<Exact>,
    excluded: HashSet<Exact>,
    /// Excluded ones that cannot be reckoned with.
    large: Vec<Value>,
    among: Option<Vec<Value>>,
}

impl Solver<'_> {
    pub(super) fn number(&self, branch: &Branch, whole: bool) -> Found {
        let mut bounds = Bounds {
            least: None,
            most: None,
            factors: Vec::new(),
            without: Vec::new(),
            excluded: HashSet::new(),
            large: Vec::new(),
            among: None,
        };
        match whole {
            true => bounds.factors.push(Exact::ONE),
            false => bounds.without.push(Exact::ONE),
        }
        for (leaf, holds) in branch.said.iter().filter_map(|&say| self.leaf(say)) {
            bounds.say(leaf, holds, branch.kind);
        }
        if let Some(values) = &bounds.among {
            return bounds.first(values);
        }
        match bounds.factors.is_empty() {
            true => bounds.between(),
            false => bounds.multiple(),
        }
        .unwrap_or_else(|| Found::unsure(TOO_LARGE))
    }
}

impl Bounds {
    fn say(&mut self, leaf: &Leaf, holds: bool, kind: Kind) {
        match (leaf, holds) {
            (&Leaf::Least(number, open), true) => self.at_least(number, open),
            (&Leaf::Least(number, open), false) => self.at_most(number, !open),
            (&Leaf::Most(number, open), true) => self.at_most(number, open),
            (&Leaf::Most(number, open), false) => self.at_least(number, !open),
            (&Leaf::MultipleOf(factor), true) => self.factors.push(factor),
            (&Leaf::MultipleOf(factor), false) => self.without.push(factor),
            (Leaf::Among(values), true) => {
                let fits = |value: &&Value| {
                    Kind::of(value) == kind
                        && self
                            .among
                            .as_ref()
                            .is_none_or(|among| among.contains(value))
                };
                self.among = Some(values.iter().filter(fits).cloned().collect());
            }
            (Leaf::Among(values), false) => {
                self.excluded.extend(values.iter().filter_map(exact));
                let large = |value: &&Value| value.is_number() && exact(value).is_none();
                self.large.extend(values.iter().filter(large).cloned());
            }
            _ => {}
        }
    }

    fn at_least(&mut self, number: Exact, open: bool) {
        self.least = self.least.max(Some((number, open)));
    }

    fn at_most(&mut self, number: Exact, open: bool) {
        let this = (number, open);
        // At the same number the open bound is the narrower one.
        let narrower = |held: (Exact, bool)| number < held.0 || (number == held.0 && open);
        if self.most.is_none_or(narrower) {
            self.most = Some(this);
        }
    }

    fn within(&self, number: Exact) -> bool {
        let above = |(least, open)| {
            if open {
                number > least
            } else {
                number >= least
            }
        };
        let below = |(most, open)| if open { number < most } else { number <= most };
        self.least.is_none_or(above) && self.most.is_none_or(below)
    }

    /// `None` where it cannot be reckoned.
    fn fits(&self, number: Exact) -> Option<bool> {
        for &factor in &self.factors {
            if !number.is_multiple_of(factor)? {
                return Some(false);
            }
        }
        for &factor in &self.without {
            if number.is_multiple_of(factor)? {
                return Some(false);
            }
        }
        Some(self.within(number) && !self.excluded.contains(&number))
    }

    fn first(&self, values: &[Value]) -> Found {
        let mut found = Found::Nothing;
        for value in values {
            match exact(value).and_then(|exact| self.fits(exact)) {
                Some(true) => return Found::Instance(value.clone()),
                None if !self.large.contains(value) => found = Found::unsure(TOO_LARGE),
                _ => {}
            }
        }
        found
    }

    /// A multiple of all factors.
    fn multiple(&self) -> Option<Found> {
        let mut step = *self.factors.first()?;
        for &factor in &self.factors {
            step = step.common_multiple(factor)?;
        }
        let mut from = None;
        if let Some((least, open)) = self.least {
            let least = least.over(step)?;
            from = Some(least.ceil() + i128::from(open && least.is_whole()));
        }
        let mut to = None;
        if let Some((most, open)) = self.most {
            let most = most.over(step)?;
            to = Some(most.floor() - i128::from(open && most.is_whole()));
        }
        if matches!((from, to), (Some(from), Some(to)) if from > to) {
            return Some(Found::Nothing);
        }
        // The step times `k` is a multiple of another number for every so-manieth `k`.
        let mut every = 1;
        for &factor in &self.without {
            match step.over(factor)?.under() {
                1 => return Some(Found::Nothing),
                under => every = lcm(every, under)?,
            }
        }
        let inside = |k: &i128| from.is_none_or(|from| *k >= from) && to.is_none_or(|to| *k <= to);
        let start = match (from, to) {
            (Some(from), _) if from > 0 => from,
            (_, Some(to)) if to < 0 => to,
            _ => 0,
        };
        let mut shown = true;
        for k in (0..TRIED)
            .flat_map(|offset| [start + offset, start - offset])
            .filter(inside)
        {
            let number = Exact::whole(k).times(step)?;
            if self.fits(number)? {
                match number.number() {
                    Some(number) => return Some(Found::Instance(Value::Number(number))),
                    None => shown = false,
                }
            }
        }
        let all_tried = from.is_some_and(|from| from > start - TRIED)
            && to.is_some_and(|to| to < start + TRIED);
        if all_tried && shown {
            return Some(Found::Nothing);
        }
        // Far out: one more than a multiple of everything is a multiple of nothing.
        let first = start + (1 - start).rem_euclid(every);
        let tries = i128::try_from(self.excluded.len()).ok()? + 2;
        for turn in 0..tries {
            let k = first.checked_add(every.checked_mul(turn)?)?;
            let number = Exact::whole(k).times(step)?;
            if inside(&k) && self.fits(number)? {
                return number
                    .number()
                    .map(|number| Found::Instance(Value::Number(number)));
            }
        }
        None
    }

    /// Any number between the bounds: there is always a further one.
    fn between(&self) -> Option<Found> {
        let one = Exact::ONE;
        let (from, to) = match (self.least, self.most) {
            (Some((least, _)), Some((most, _))) => (least, most),
            (Some((least, _)), None) => (least, least.plus(one)?),
            (None, Some((most, _))) => (most.plus(Exact::whole(-1))?, most),
            (None, None) => (Exact::whole(0), one),
        };
        if from >= to {
            return Some(match from == to && self.fits(from)? {
                true => match from.number() {
                    Some(number) => Found::Instance(Value::Number(number)),
                    None => return None,
                },
                false => Found::Nothing,
            });
        }
        let width = to.plus(from.times(Exact::whole(-1))?)?;
        // Finer and finer: whatever is excluded has coarser ones between.
        let shares = [2, 10, 5, 4, 100, 8, 1000]
            .into_iter()
            .chain((4..40).map(|bits| 1 << bits));
        for share in shares {
            let Some(number) = Exact::new(1, share).and_then(|part| width.times(part)?.plus(from))
            else {
                continue;
            };
            if self.fits(number) == Some(true)
                && let Some(number) = number.number()
            {
                return Some(Found::Instance(Value::Number(number)));
            }
        }
        None
    }
}

fn exact(value: &Value) -> Option<Exact> {
    match value {
        Value::Number(number) => Exact::of(number),
        _ => None,
    }
}
