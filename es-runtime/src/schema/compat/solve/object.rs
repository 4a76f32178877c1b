//! Objects: which properties there are, what they are called, and what they hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::node::{Id, Kind, Kinds, Leaf, PatternId, Properties};
use super::super::refs::pointer;
use super::branch::{Branch, Say};
use super::{Doubt, Found, Goal, Solver, too_much};

/// More properties are not made up.
const MOST: u64 = 300;
/// More kinds of names are not told apart.
const MOST_CLASSES: usize = 64;

#[derive(Default)]
struct Object {
    properties: Vec<Properties>,
    /// What all names are.
    names: Goal,
    absent: BTreeSet<String>,
    least: u64,
    most: Option<u64>,
    wanted: Vec<Wanted>,
    /// Names that some schema speaks of.
    spoken_of: BTreeSet<String>,
    /// What other names can be told apart by.
    patterns: Vec<PatternId>,
}

/// A property that has to be there under some name.
struct Wanted {
    names: Goal,
    not: BTreeSet<String>,
    is: Option<(Id, bool)>,
}

/// The properties that are there, and what they are beyond what their names ask for.
type Present = BTreeMap<String, Goal>;

impl Solver<'_> {
    pub(super) fn object(&mut self, branch: &Branch) -> Found {
        let (object, mut present) = match self.read_object(branch) {
            Some(read) => read,
            None => return Found::Nothing,
        };
        let clash = present.keys().any(|name| object.absent.contains(name));
        if clash || object.most.is_some_and(|most| most < object.least) {
            return Found::Nothing;
        }
        self.name(&object, 0, &mut present)
    }

    fn read_object(&mut self, branch: &Branch) -> Option<(Object, Present)> {
        let (mut object, mut present) = (Object::default(), Present::new());
        for &say in &branch.said {
            if let Say::Breaks(id, part) = say
                && let Some((Leaf::Properties(properties), _)) = self.leaf(Say::Is(id))
            {
                let properties = properties.clone();
                self.break_one(&mut object, &mut present, &properties, part);
            }
            let Some((leaf, holds)) = self.leaf(say) else {
                continue;
            };
            match (leaf, holds) {
                (Leaf::Required(name), true) | (Leaf::Absent(name), false) => {
                    present.entry(name.clone()).or_default();
                }
                (Leaf::Required(name), false) | (Leaf::Absent(name), true) => {
                    object.absent.insert(name.clone());
                }
                (&Leaf::MinProperties(count), true) => object.at_least(count),
                (Leaf::MinProperties(0), false) => return None,
                (&Leaf::MinProperties(count), false) => object.no_more_than(count - 1),
                (&Leaf::MaxProperties(count), true) => object.no_more_than(count),
                (&Leaf::MaxProperties(count), false) => object.at_least(count.saturating_add(1)),
                (&Leaf::Names(schema), true) => object.names.push((schema, true)),
                (&Leaf::Names(schema), false) => object.wanted.push(Wanted {
                    names: vec![(schema, false)],
                    not: BTreeSet::new(),
                    is: None,
                }),
                (Leaf::Properties(properties), true) => {
                    object.properties.push(properties.clone());
                }
                _ => {}
            }
        }
        for properties in &object.properties {
            object.spoken_of.extend(properties.named.keys().cloned());
            object
                .patterns
                .extend(properties.patterns.iter().map(|&(pattern, _)| pattern));
        }
        object.spoken_of.extend(present.keys().cloned());
        object.spoken_of.extend(object.absent.iter().cloned());
        for wanted in &object.wanted {
            object.spoken_of.extend(wanted.not.iter().cloned());
        }
        object.patterns.sort_unstable();
        object.patterns.dedup();
        Some((object, present))
    }

    /// One part of the properties does not hold: something is there that breaks it.
    fn break_one(
        &mut self,
        object: &mut Object,
        present: &mut Present,
        properties: &Properties,
        part: usize,
    ) {
        let named = properties.named.len();
        if let Some((name, &schema)) = properties.named.iter().nth(part) {
            present
                .entry(name.clone())
                .or_default()
                .push((schema, false));
            return;
        }
        let mut pattern = |solver: &mut Self, pattern, holds| {
            object.patterns.push(pattern);
            (solver.nodes.leaf(Leaf::Pattern(pattern)), holds)
        };
        let wanted = match properties.patterns.get(part - named) {
            Some(&(matching, schema)) => Wanted {
                names: vec![pattern(self, matching, true)],
                not: BTreeSet::new(),
                is: Some((schema, false)),
            },
            None => {
                let patterns = properties.patterns.iter();
                Wanted {
                    names: patterns
                        .map(|&(other, _)| pattern(self, other, false))
                        .collect(),
                    not: properties.named.keys().cloned().collect(),
                    is: Some((properties.rest, false)),
                }
            }
        };
        object.wanted.push(wanted);
    }

    /// Finds names for the wanted properties, one after the other.
    fn name(&mut self, object: &Object, next: usize, present: &mut Present) -> Found {
        let Some(wanted) = object.wanted.get(next) else {
            return self.complete(object, present);
        };
        if self.enter().is_none() {
            return too_much();
        }
        let mut found = Found::Nothing;
        let known = object.spoken_of.iter().chain(present.keys()).cloned();
        let known: BTreeSet<String> = known
            .filter(|name| !object.absent.contains(name) && !wanted.not.contains(name))
            .collect();
        let mut names = Vec::new();
        for name in known {
            match self.named(&name, &wanted.names) {
                Found::Nothing => {}
                Found::Instance(_) => names.push(name),
                Found::Perhaps(doubt) => found = found.or(Found::Perhaps(doubt)),
            }
        }
        match self.classes(object, &wanted.names, present) {
            Err(doubt) => found = found.or(Found::Perhaps(doubt)),
            Ok(fresh) => names.extend(fresh),
        }
        for name in names {
            let before = present.get(&name).cloned();
            present.entry(name.clone()).or_default().extend(wanted.is);
            if !self.member(object, &name, present).is_nothing() {
                found = found.or(self.name(object, next + 1, present));
            }
            match before {
                Some(before) => present.insert(name, before),
                None => present.remove(&name),
            };
            if matches!(found, Found::Instance(_)) {
                break;
            }
        }
        self.depth -= 1;
        found
    }

    /// All wanted properties have names: adds what else must be there, and makes the object.
    fn complete(&mut self, object: &Object, present: &Present) -> Found {
        if object.most.is_some_and(|most| most < present.len() as u64) {
            return Found::Nothing;
        }
        let (mut members, mut doubt) = (Map::new(), None);
        for name in present.keys() {
            let named = self.named(name, &object.names);
            let found = match named {
                Found::Instance(_) => self.member(object, name, present),
                other => other,
            };
            match found {
                Found::Nothing => return Found::Nothing,
                Found::Instance(member) => drop(members.insert(name.clone(), member)),
                Found::Perhaps(inner) => {
                    let inner = inner.below(&format!("/properties/{}", pointer(name)));
                    if doubt.as_ref().is_none_or(|doubt: &Doubt| doubt.claimed) {
                        doubt = Some(inner);
                    }
                    members.insert(name.clone(), Value::Null);
                }
            }
        }
        if let Err(found) = self.pad(object, &mut members) {
            return found;
        }
        match doubt {
            Some(doubt) => Found::Perhaps(doubt),
            None => Found::Instance(Value::Object(members)),
        }
    }

    /// Adds properties until there are enough.
    fn pad(&mut self, object: &Object, members: &mut Map<String, Value>) -> Result<(), Found> {
        let missing = |members: &Map<String, Value>| (members.len() as u64) < object.least;
        if !missing(members) {
            return Ok(());
        }
        let mut unsure = None;
        for name in &object.spoken_of {
            if !missing(members) {
                return Ok(());
            }
            if members.contains_key(name) || object.absent.contains(name) {
                continue;
            }
            let found = match self.named(name, &object.names) {
                Found::Instance(_) => self.member(object, name, &Present::new()),
                other => other,
            };
            match found {
                Found::Instance(member) => drop(members.insert(name.clone(), member)),
                Found::Nothing => {}
                Found::Perhaps(doubt) => unsure = Some(doubt),
            }
        }
        if object.least > MOST {
            return Err(Found::unsure(
                "its objects have too many properties to make one",
            ));
        }
        while missing(members) {
            let taken = members
                .keys()
                .map(|name| (name.clone(), Goal::new()))
                .collect();
            let fresh = self
                .classes(object, &Goal::new(), &taken)
                .map_err(Found::Perhaps)?;
            let before = members.len();
            for name in fresh {
                match self.member(object, &name, &Present::new()) {
                    Found::Instance(member) => {
                        members.insert(name, member);
                        break;
                    }
                    Found::Nothing => {}
                    Found::Perhaps(doubt) => unsure = Some(doubt),
                }
            }
            if members.len() == before {
                return Err(unsure.map_or(Found::Nothing, Found::Perhaps));
            }
        }
        Ok(())
    }

    /// A value for the property of this name.
    fn member(&mut self, object: &Object, name: &str, present: &Present) -> Found {
        let mut goal = present.get(name).cloned().unwrap_or_default();
        for properties in &object.properties {
            let mut spoken_of = false;
            if let Some(&schema) = properties.named.get(name) {
                goal.push((schema, true));
                spoken_of = true;
            }
            for &(pattern, schema) in &properties.patterns {
                if self.nodes.matches(pattern, name) {
                    goal.push((schema, true));
                    spoken_of = true;
                }
            }
            if !spoken_of {
                goal.push((properties.rest, true));
            }
        }
        self.find(goal)
    }

    /// Can a property have this name?
    fn named(&mut self, name: &str, goal: &Goal) -> Found {
        if goal.is_empty() {
            return Found::Instance(name.into());
        }
        let exactly = self.nodes.exactly(&name.into());
        let mut goal = goal.clone();
        goal.push((exactly, true));
        self.find(goal)
    }

    /// A new name of each kind that the patterns tell apart.
    fn classes(
        &mut self,
        object: &Object,
        names: &Goal,
        present: &Present,
    ) -> Result<Vec<String>, Doubt> {
        let text = self.nodes.leaf(Leaf::Kinds(Kinds::one(Kind::String)));
        let mut goal = vec![(text, true)];
        goal.extend(names);
        goal.extend(&object.names);
        let known = object.spoken_of.iter().chain(present.keys());
        let mut known: Vec<Value> = known.cloned().map(Value::String).collect();
        known.sort_unstable_by(|left, right| left.as_str().cmp(&right.as_str()));
        known.dedup();
        if !known.is_empty() {
            goal.push((self.nodes.leaf(Leaf::Among(known)), false));
        }
        let mut classes = match self.find(goal.clone()) {
            Found::Nothing => return Ok(Vec::new()),
            Found::Instance(name) => vec![(goal, name)],
            Found::Perhaps(doubt) => return Err(doubt),
        };
        for &pattern in &object.patterns {
            let pattern = self.nodes.leaf(Leaf::Pattern(pattern));
            let mut split = Vec::new();
            for (class, _) in classes {
                for holds in [false, true] {
                    let mut class: Goal = class.clone();
                    class.push((pattern, holds));
                    match self.find(class.clone()) {
                        Found::Nothing => {}
                        Found::Instance(name) => split.push((class, name)),
                        Found::Perhaps(doubt) => return Err(doubt),
                    }
                }
            }
            if split.len() > MOST_CLASSES {
                return Err(Doubt::unsure(
                    "its patterns tell too many kinds of names apart",
                ));
            }
            classes = split;
        }
        let names = classes.into_iter().map(|(_, name)| match name {
            Value::String(name) => name,
            other => other.to_string(),
        });
        Ok(names.collect())
    }
}

impl Object {
    fn at_least(&mut self, count: u64) {
        self.least = self.least.max(count);
    }

    fn no_more_than(&mut self, count: u64) {
        self.most = Some(self.most.map_or(count, |most| most.min(count)));
    }
}
