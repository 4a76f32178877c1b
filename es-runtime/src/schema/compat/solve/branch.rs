//! The logic of a goal, for one kind of instance: what is said at once, what leaves a choice.

use std::collections::HashSet;

use serde_json::Value;

use super::super::node::{Claim, Id, Kind, Leaf, Node};
use super::{Doubt, Found, Goal, Solver, too_much};

/// Something that is said of the instance.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Say {
    Is(Id),
    Not(Id),
    /// One part of the leaf's properties or items is not as that part says.
    Breaks(Id, usize),
}

#[derive(Clone)]
pub(super) struct Branch {
    pub(super) kind: Kind,
    /// Leaves that speak of this kind, and what breaks one.
    pub(super) said: Vec<Say>,
    todo: Vec<Say>,
    seen: HashSet<Say>,
    choices: Vec<Vec<Vec<Say>>>,
    /// Schemas of which something must not hold: many choices, so they come last.
    denied: Vec<Id>,
}

impl Branch {
    pub(super) fn new(kind: Kind, goal: &Goal) -> Self {
        let todo = goal.iter().map(|&(id, holds)| match holds {
            true => Say::Is(id),
            false => Say::Not(id),
        });
        Self {
            kind,
            said: Vec::new(),
            todo: todo.collect(),
            seen: HashSet::new(),
            choices: Vec::new(),
            denied: Vec::new(),
        }
    }

    fn with(&self, says: &[Say]) -> Self {
        let mut branch = self.clone();
        branch.todo.extend(says);
        branch
    }
}

impl Solver<'_> {
    pub(super) fn solve(&mut self, branch: Branch) -> Found {
        if self.enter().is_none() {
            return too_much();
        }
        let found = self.decide(branch);
        self.depth -= 1;
        found
    }

    fn decide(&mut self, mut branch: Branch) -> Found {
        if !self.say(&mut branch) {
            return Found::Nothing;
        }
        if branch.choices.is_empty() && branch.denied.is_empty() {
            return self.leaves(&branch);
        }
        if branch.choices.len() + branch.denied.len() > 1 && self.leaves(&branch).is_nothing() {
            return Found::Nothing;
        }
        let fewest = (0..branch.choices.len()).min_by_key(|&at| branch.choices[at].len());
        if let Some(fewest) = fewest {
            let choice = branch.choices.swap_remove(fewest);
            return self.any(choice.iter().map(|says| branch.with(says)));
        }
        self.deny(branch)
    }

    fn any(&mut self, branches: impl Iterator<Item = Branch>) -> Found {
        let mut found = Found::Nothing;
        for branch in branches {
            found = found.or(self.solve(branch));
            if matches!(found, Found::Instance(_)) {
                break;
            }
        }
        found
    }

    /// Several schemas must not hold. Most of them cannot hold anyway, or one of them must: seeing
    /// that first keeps unions from multiplying.
    fn deny(&mut self, mut branch: Branch) -> Found {
        let denied = std::mem::take(&mut branch.denied);
        let mut left = Vec::new();
        if denied.len() > 1 {
            for id in denied {
                let mut holds = branch.with(&[Say::Is(id)]);
                holds.seen.remove(&Say::Not(id));
                if !self.solve(holds).is_nothing() {
                    left.push(id);
                }
            }
            for &id in &left {
                let broken = self.broken(id);
                let broken = broken.iter().map(|&say| branch.with(&[say]));
                if left.len() > 1 && self.any(broken).is_nothing() {
                    return Found::Nothing;
                }
            }
        } else {
            left = denied;
        }
        let Some(first) = left.pop() else {
            return self.leaves(&branch);
        };
        branch.denied = left;
        let broken = self.broken(first);
        self.any(broken.iter().map(|&say| branch.with(&[say])))
    }

    /// The ways in which a schema does not hold.
    fn broken(&self, id: Id) -> Vec<Say> {
        match self.nodes.node(id) {
            Node::Schema(parts) | Node::AllOf(parts) => {
                parts.iter().map(|&part| Say::Not(part)).collect()
            }
            _ => vec![Say::Not(id)],
        }
    }

    /// Takes apart what is said. False if it contradicts itself.
    fn say(&self, branch: &mut Branch) -> bool {
        loop {
            while let Some(say) = branch.todo.pop() {
                if !self.say_one(branch, say) {
                    return false;
                }
            }
            if !settle(branch) {
                return false;
            }
            if branch.todo.is_empty() {
                return true;
            }
        }
    }

    fn say_one(&self, branch: &mut Branch, say: Say) -> bool {
        let (id, holds) = match say {
            Say::Breaks(..) => {
                if branch.seen.insert(say) {
                    branch.said.push(say);
                }
                return true;
            }
            Say::Is(id) => (self.nodes.followed(id), true),
            Say::Not(id) => (self.nodes.followed(id), false),
        };
        let (this, opposite) = match holds {
            true => (Say::Is(id), Say::Not(id)),
            false => (Say::Not(id), Say::Is(id)),
        };
        if branch.seen.contains(&opposite) {
            return false;
        }
        if !branch.seen.insert(this) {
            return true;
        }
        match (self.nodes.node(id), holds) {
            (Node::Any, holds) => return holds,
            (Node::Never, holds) => return !holds,
            (Node::Back(_), _) => {}
            (Node::Schema(parts) | Node::AllOf(parts), true) => {
                branch.todo.extend(parts.iter().map(|&part| Say::Is(part)));
            }
            (Node::Schema(_) | Node::AllOf(_), false) => branch.denied.push(id),
            (Node::AnyOf(parts), true) => {
                let choice = parts.iter().map(|&part| vec![Say::Is(part)]).collect();
                branch.choices.push(choice);
            }
            (Node::AnyOf(parts), false) => {
                branch.todo.extend(parts.iter().map(|&part| Say::Not(part)));
            }
            (Node::OneOf(parts), holds) => branch.choices.push(one_of(parts, holds)),
            (&Node::Not(inner), true) => branch.todo.push(Say::Not(inner)),
            (&Node::Not(inner), false) => branch.todo.push(Say::Is(inner)),
            (&Node::If(condition, then, otherwise), holds) => {
                let says = |id| if holds { Say::Is(id) } else { Say::Not(id) };
                branch.choices.push(vec![
                    vec![Say::Is(condition), says(then)],
                    vec![Say::Not(condition), says(otherwise)],
                ]);
            }
            (Node::Leaf(leaf), holds) => return say_leaf(branch, id, leaf, holds),
        }
        true
    }

    /// What is said of the instance itself, and no choice is left.
    fn leaves(&mut self, branch: &Branch) -> Found {
        let doubt = match self.claims(branch) {
            Err(Contradiction) => return Found::Nothing,
            Ok(doubt) => doubt,
        };
        let found = match branch.kind {
            Kind::Null => self.one_of(branch, &[Value::Null]),
            Kind::Boolean => self.one_of(branch, &[false.into(), true.into()]),
            Kind::Integer => self.number(branch, true),
            Kind::Fraction => self.number(branch, false),
            Kind::String => self.text(branch),
            Kind::Array => self.array(branch),
            Kind::Object => self.object(branch),
        };
        match (found, doubt) {
            (Found::Nothing, _) => Found::Nothing,
            (found, None) => found,
            (Found::Perhaps(inner), Some(doubt)) if !inner.claimed || doubt.claimed => {
                Found::Perhaps(inner)
            }
            (_, Some(doubt)) => Found::Perhaps(doubt),
        }
    }

    fn one_of(&self, branch: &Branch, values: &[Value]) -> Found {
        let fits = |value: &&Value| {
            branch.said.iter().all(|say| match self.leaf(*say) {
                Some((Leaf::Among(values), holds)) => values.contains(value) == holds,
                _ => true,
            })
        };
        match values.iter().find(fits) {
            Some(value) => Found::Instance(value.clone()),
            None => Found::Nothing,
        }
    }

    /// The leaf that is said to hold or not.
    pub(super) fn leaf(&self, say: Say) -> Option<(&Leaf, bool)> {
        let (id, holds) = match say {
            Say::Is(id) => (id, true),
            Say::Not(id) => (id, false),
            Say::Breaks(..) => return None,
        };
        match self.nodes.node(id) {
            Node::Leaf(leaf) => Some((leaf, holds)),
            _ => None,
        }
    }

    /// Claims that are made and denied at once contradict each other; others leave a doubt.
    fn claims(&self, branch: &Branch) -> Result<Option<Doubt>, Contradiction> {
        let (mut made, mut denied) = (Vec::new(), Vec::new());
        for &say in &branch.said {
            if let Some((Leaf::Claim(_, claim), holds)) = self.leaf(say) {
                if holds { &mut made } else { &mut denied }.push(claim);
            }
        }
        let implied = |claim: &&&Claim| made.iter().any(|made| made.implies(claim));
        if denied.iter().any(|claim| implied(&claim)) {
            return Err(Contradiction);
        }
        let unknown = made.iter().chain(&denied).find_map(|claim| match claim {
            Claim::Unknown(why, _) => Some(Doubt::unsure(why)),
            _ => None,
        });
        Ok(unknown.or_else(|| {
            let (step, why) = match denied.first()? {
                Claim::Format(format) => {
                    let other = made.iter().find_map(|claim| match claim {
                        Claim::Format(format) => Some(format),
                        _ => None,
                    });
                    ("/format", match other {
                        Some(other) => format!("the format is `{other}` here and `{format}` there, and typed readers rely on it"),
                        None => format!("the format `{format}` is asked for, and typed readers rely on it"),
                    })
                }
                Claim::Content(word, value) => return Some(Doubt {
                    claimed: true,
                    path: format!("/{word}"),
                    why: format!("`{word}` is asked to be `{value}`, and typed readers rely on it"),
                }),
                Claim::Vacuous(pattern) => ("/pattern", format!("the pattern `{pattern}` matches every text unless it is anchored, as it may be meant")),
                Claim::Unknown(why, _) => ("", why.clone()),
            };
            Some(Doubt { claimed: true, path: step.to_owned(), why })
        }))
    }
}

struct Contradiction;

fn one_of(parts: &[Id], holds: bool) -> Vec<Vec<Say>> {
    let all = || parts.iter().copied().enumerate();
    if holds {
        let only = |kept| {
            all().map(move |(at, part)| {
                if at == kept {
                    Say::Is(part)
                } else {
                    Say::Not(part)
                }
            })
        };
        return (0..parts.len()).map(|kept| only(kept).collect()).collect();
    }
    let mut ways = vec![parts.iter().map(|&part| Say::Not(part)).collect()];
    for (at, first) in all() {
        ways.extend(
            parts[at + 1..]
                .iter()
                .map(|&second| vec![Say::Is(first), Say::Is(second)]),
        );
    }
    ways
}

fn say_leaf(branch: &mut Branch, id: Id, leaf: &Leaf, holds: bool) -> bool {
    if !leaf.kinds().has(branch.kind) {
        return holds;
    }
    let this = if holds { Say::Is(id) } else { Say::Not(id) };
    match leaf {
        Leaf::Kinds(kinds) => return kinds.has(branch.kind) == holds,
        Leaf::Among(values) => {
            if values.iter().any(|value| Kind::of(value) == branch.kind) {
                branch.said.push(this);
            } else {
                return !holds;
            }
        }
        Leaf::Properties(properties) if !holds => {
            let parts = properties.named.len() + properties.patterns.len() + 1;
            branch
                .choices
                .push((0..parts).map(|part| vec![Say::Breaks(id, part)]).collect());
        }
        Leaf::Items(first, _) if !holds => {
            let parts = first.len() + 1;
            branch
                .choices
                .push((0..parts).map(|part| vec![Say::Breaks(id, part)]).collect());
        }
        _ => branch.said.push(this),
    }
    true
}

/// Strikes what cannot be chosen, and takes what must be. False if a choice has nothing left.
fn settle(branch: &mut Branch) -> bool {
    let choices = std::mem::take(&mut branch.choices);
    for mut choice in choices {
        let opposite = |say: &Say| match *say {
            Say::Is(id) => branch.seen.contains(&Say::Not(id)),
            Say::Not(id) => branch.seen.contains(&Say::Is(id)),
            Say::Breaks(..) => false,
        };
        choice.retain(|says| !says.iter().any(opposite));
        if choice
            .iter()
            .any(|says| says.iter().all(|say| branch.seen.contains(say)))
        {
            continue;
        }
        match choice.len() {
            0 => return false,
            1 => branch.todo.extend(choice.swap_remove(0)),
            _ => branch.choices.push(choice),
        }
    }
    true
}
