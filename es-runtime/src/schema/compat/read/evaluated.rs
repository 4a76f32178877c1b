//! What the schemas for an instance have looked at, so that `unevaluated…` can speak of the rest.
//!
//! Which properties that are depends on which branches hold, so it comes as cases: in each, some
//! schemas hold and some do not, and no two are true of the same instance.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::node::{ANY, Id, Leaf, Node, Properties};
use super::super::refs::Place;
use super::Reader;

/// More cases are not followed.
const MOST: usize = 64;
const DEEPEST: u32 = 12;
/// Schemas that are followed in a document, however often the same one is: branches in branches are
/// very many.
const FOLLOWED: usize = 2_000;

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Parts {
    Properties,
    Items,
}

#[derive(Clone, Default)]
struct Case {
    /// Schemas, each with whether it holds.
    when: Vec<(Id, bool)>,
    names: BTreeSet<String>,
    patterns: BTreeSet<String>,
    /// So many items from the first one on.
    items: usize,
    all: bool,
}

impl Case {
    fn and(&self, other: &Self) -> Self {
        Self {
            when: [self.when.as_slice(), &other.when].concat(),
            names: &self.names | &other.names,
            patterns: &self.patterns | &other.patterns,
            items: self.items.max(other.items),
            all: self.all || other.all,
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty() && self.items == 0 && !self.all
    }
}

impl Reader<'_> {
    /// All that the schemas around it have not looked at is like `rest`.
    pub(super) fn unevaluated(
        &mut self,
        schema: &Map<String, Value>,
        place: &Place,
        parts: Parts,
        rest: Id,
    ) -> Result<Id, &'static str> {
        const UNKNOWN: &str = "beside these schemas is not followed";
        let cases = self.cases(schema, place, parts, 0).ok_or(UNKNOWN)?;
        let mut ways = Vec::new();
        for case in cases {
            let mut way = Vec::new();
            for &(id, holds) in &case.when {
                way.push(if holds {
                    id
                } else {
                    self.nodes.add(Node::Not(id))
                });
            }
            if !case.all {
                way.push(self.rest(&case, parts, rest)?);
            }
            ways.push(self.nodes.add(Node::AllOf(way)));
        }
        Ok(self.nodes.add(Node::AnyOf(ways)))
    }

    fn rest(&mut self, case: &Case, parts: Parts, rest: Id) -> Result<Id, &'static str> {
        if parts == Parts::Items {
            return Ok(self.nodes.leaf(Leaf::Items(vec![ANY; case.items], rest)));
        }
        let mut patterns = Vec::new();
        for pattern in &case.patterns {
            patterns.push((self.nodes.pattern(pattern)?, ANY));
        }
        let names = case.names.iter();
        Ok(self.nodes.leaf(Leaf::Properties(Properties {
            named: names.map(|name| (name.clone(), ANY)).collect(),
            patterns,
            rest,
        })))
    }

    /// What the schema has looked at if it holds, but for its own `unevaluated…` at the outside.
    fn cases(
        &mut self,
        schema: &Map<String, Value>,
        place: &Place,
        parts: Parts,
        depth: u32,
    ) -> Option<Vec<Case>> {
        self.followed += 1;
        if depth > DEEPEST
            || self.followed > FOLLOWED
            || schema.contains_key("$dynamicRef")
            || schema.contains_key("$recursiveRef")
        {
            return None;
        }
        let mut cases = vec![own(schema, parts, depth > 0)?];
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.refs.resolve(place, target)?;
            let more = self.cases_at(&target, parts, depth)?;
            cases = both(&cases, &more)?;
        }
        let branches = |word: &str| {
            schema
                .get(word)
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        };
        for number in 0..branches("allOf") {
            let more = self.cases_at(
                &place.below("allOf").below(&number.to_string()),
                parts,
                depth,
            )?;
            cases = both(&cases, &more)?;
        }
        for word in ["anyOf", "oneOf"] {
            for number in 0..branches(word) {
                let place = place.below(word).below(&number.to_string());
                let more = self.either(&place, parts, depth)?;
                cases = both(&cases, &more)?;
            }
        }
        if schema.contains_key("if") {
            let mut more = Vec::new();
            let place = |word: &str| place.below(word);
            let held = self.either(&place("if"), parts, depth)?;
            let (then, otherwise) = (
                self.cases_at(&place("then"), parts, depth)?,
                self.cases_at(&place("else"), parts, depth)?,
            );
            let condition = self.bare_at(&place("if"));
            for case in &held {
                match case.when.contains(&(condition, false)) {
                    true => more.extend(both(std::slice::from_ref(case), &otherwise)?),
                    false => more.extend(both(std::slice::from_ref(case), &then)?),
                }
            }
            // An empty condition is not told apart: then what follows must not matter.
            if !held.iter().any(|case| !case.when.is_empty()) {
                let condition = |holds| Case {
                    when: vec![(condition, holds)],
                    ..Case::default()
                };
                more = both(&[condition(true)], &then)?;
                more.extend(both(&[condition(false)], &otherwise)?);
            }
            cases = both(&cases, &more)?;
        }
        for word in ["dependentSchemas", "dependencies"] {
            let needs = schema.get(word).and_then(Value::as_object);
            for (name, _) in needs
                .into_iter()
                .flatten()
                .filter(|(_, needs)| needs.is_object())
            {
                let absent = self.nodes.leaf(Leaf::Absent(name.clone()));
                let inside = self.cases_at(&place.below(word).below(name), parts, depth)?;
                let case = |holds| Case {
                    when: vec![(absent, holds)],
                    ..Case::default()
                };
                let mut more = both(&[case(false)], &inside)?;
                more.push(case(true));
                cases = both(&cases, &more)?;
            }
        }
        Some(cases)
    }

    fn cases_at(&mut self, place: &Place, parts: Parts, depth: u32) -> Option<Vec<Case>> {
        match self.refs.at(place) {
            Some(Value::Object(schema)) => self.cases(schema, place, parts, depth + 1),
            _ => Some(vec![Case::default()]),
        }
    }

    /// A branch that holds, with what it has looked at, or does not.
    fn either(&mut self, place: &Place, parts: Parts, depth: u32) -> Option<Vec<Case>> {
        let inside = self.cases_at(place, parts, depth)?;
        if inside.iter().all(Case::is_empty) {
            return Some(vec![Case::default()]);
        }
        let id = self.bare_at(place);
        let case = |holds| Case {
            when: vec![(id, holds)],
            ..Case::default()
        };
        let mut cases = both(&[case(true)], &inside)?;
        cases.push(case(false));
        Some(cases)
    }

    fn bare_at(&mut self, place: &Place) -> Id {
        match self.refs.at(place) {
            Some(schema) => self.bare(schema, place),
            None => ANY,
        }
    }
}

/// What the schema's own keywords look at. `None` where that depends on more than which branches hold.
fn own(schema: &Map<String, Value>, parts: Parts, inside: bool) -> Option<Case> {
    let keys = |word: &str| {
        let members = schema.get(word).and_then(Value::as_object);
        members
            .into_iter()
            .flat_map(|members| members.keys().cloned())
            .collect()
    };
    let mut case = Case::default();
    match parts {
        Parts::Properties => {
            case.names = keys("properties");
            case.patterns = keys("patternProperties");
            case.all = schema.contains_key("additionalProperties")
                || (inside && schema.contains_key("unevaluatedProperties"));
        }
        Parts::Items => {
            if schema.contains_key("contains") {
                return None;
            }
            let tuple = ["prefixItems", "items"]
                .into_iter()
                .find_map(|word| schema.get(word)?.as_array());
            case.items = tuple.map_or(0, Vec::len);
            case.all = schema.get("items").is_some_and(|items| !items.is_array())
                || (tuple.is_some() && schema.contains_key("additionalItems"))
                || (inside && schema.contains_key("unevaluatedItems"));
        }
    }
    Some(case)
}

fn both(left: &[Case], right: &[Case]) -> Option<Vec<Case>> {
    let cases = left
        .iter()
        .flat_map(|left| right.iter().map(|right| left.and(right)));
    let cases: Vec<Case> = cases.take(MOST + 1).collect();
    (cases.len() <= MOST).then_some(cases)
}
