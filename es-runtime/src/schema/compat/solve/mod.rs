//! Is there an instance that is all of this and none of that? The question behind every answer: one
//! schema is part of another when nothing is valid under the first and not under the second.
//!
//! A *goal* is a list of statements, each true or false. Goals about the parts of an instance are
//! goals again, so a recursive schema asks a goal while it is being answered. The smallest instance
//! never needs itself inside of itself, so the inner question is answered with no.

mod array;
mod branch;
mod number;
mod object;
mod text;

use std::collections::HashMap;

use serde_json::Value;

use super::node::{ANY, Id, Kind, NEVER, Nodes};
use branch::Branch;

/// Branches and parts of all goals.
const STEPS: u32 = 40_000;
/// Goals within goals and decisions within decisions.
const DEEPEST: u32 = 400;

/// What is known of the instances that a goal has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Nothing,
    Instance(Value),
    Perhaps(Doubt),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Doubt {
    /// A claim differs that no instance can show, such as a format; else, nobody knows.
    pub(super) claimed: bool,
    pub(super) path: String,
    pub(super) why: String,
}

impl Doubt {
    fn unsure(why: impl Into<String>) -> Self {
        Self {
            claimed: false,
            path: String::new(),
            why: why.into(),
        }
    }

    fn below(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

impl Found {
    fn unsure(why: impl Into<String>) -> Self {
        Self::Perhaps(Doubt::unsure(why))
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// The better of two answers to one question.
    fn or(self, other: Self) -> Self {
        let rank = |found: &Self| match found {
            Self::Nothing => 0,
            Self::Perhaps(doubt) if !doubt.claimed => 1,
            Self::Perhaps(_) => 2,
            Self::Instance(_) => 3,
        };
        if rank(&other) > rank(&self) {
            other
        } else {
            self
        }
    }
}

/// Statements, each with whether it holds.
pub(super) type Goal = Vec<(Id, bool)>;

pub(super) struct Solver<'a> {
    pub(super) nodes: &'a mut Nodes,
    /// What is known for good.
    known: HashMap<Goal, Found>,
    /// Goals without instances as long as an open goal has none, with that goal's place.
    presumed: HashMap<Goal, usize>,
    open: Vec<Goal>,
    /// The outermost open goal that the answer at hand leans on.
    leans: usize,
    steps: u32,
    depth: u32,
}

impl<'a> Solver<'a> {
    pub(super) fn new(nodes: &'a mut Nodes) -> Self {
        Self {
            nodes,
            known: HashMap::new(),
            presumed: HashMap::new(),
            open: Vec::new(),
            leans: usize::MAX,
            steps: 0,
            depth: 0,
        }
    }

    /// An instance for which all of the goal is as it says.
    pub(super) fn find(&mut self, goal: Goal) -> Found {
        let Some(goal) = self.normal(goal) else {
            return Found::Nothing;
        };
        if let Some(known) = self.known.get(&goal) {
            return known.clone();
        }
        if let Some(&leans) = self.presumed.get(&goal) {
            self.leans = self.leans.min(leans);
            return Found::Nothing;
        }
        if let Some(place) = self.open.iter().position(|open| *open == goal) {
            self.leans = self.leans.min(place);
            return Found::Nothing;
        }
        let Some(_) = self.enter() else {
            return too_much();
        };
        let place = self.open.len();
        self.open.push(goal.clone());
        let outer = std::mem::replace(&mut self.leans, usize::MAX);
        let mut found = Found::Nothing;
        for kind in Kind::ALL {
            let branch = Branch::new(kind, &goal);
            found = found.or(self.solve(branch));
            if matches!(found, Found::Instance(_)) {
                break;
            }
        }
        self.open.pop();
        self.depth -= 1;
        let leans = std::mem::replace(&mut self.leans, outer);
        if leans < place {
            // Whether it has none depends on a goal that is still open.
            self.leans = self.leans.min(leans);
            match found {
                Found::Nothing => drop(self.presumed.insert(goal, leans)),
                Found::Instance(_) => drop(self.known.insert(goal, found.clone())),
                Found::Perhaps(_) => {}
            }
            return found;
        }
        // With this goal closed, what leant on it is known, or was presumed wrongly.
        let settled = found.is_nothing();
        let presumed = std::mem::take(&mut self.presumed);
        for (inner, leans) in presumed {
            if leans < place {
                self.presumed.insert(inner, leans);
            } else if settled {
                self.known.insert(inner, Found::Nothing);
            }
        }
        self.known.insert(goal, found.clone());
        found
    }

    /// In order, followed, without what says nothing; `None` if it contradicts itself.
    fn normal(&self, goal: Goal) -> Option<Goal> {
        let mut normal = Vec::with_capacity(goal.len());
        for (id, holds) in goal {
            match (self.nodes.followed(id), holds) {
                (ANY, true) | (NEVER, false) => {}
                (ANY, false) | (NEVER, true) => return None,
                (id, holds) => normal.push((id, holds)),
            }
        }
        normal.sort_unstable();
        normal.dedup();
        let contradicts = normal.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!contradicts).then_some(normal)
    }

    /// One step deeper, if there is room.
    fn enter(&mut self) -> Option<()> {
        if self.steps >= STEPS || self.depth >= DEEPEST {
            return None;
        }
        self.steps += 1;
        self.depth += 1;
        Some(())
    }
}

fn too_much() -> Found {
    Found::unsure("it takes too many steps to decide")
}
