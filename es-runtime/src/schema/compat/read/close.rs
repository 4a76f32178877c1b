//! What a schema declares of one object, so that a writer that writes nothing else can be held to it.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::super::refs::{Place, Refs};

/// The properties that are declared.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Declared {
    pub(super) names: BTreeSet<String>,
    pub(super) patterns: BTreeSet<String>,
}

/// What all schemas for one instance say together.
#[derive(Default)]
pub(super) struct Survey {
    /// By all of them.
    common: Declared,
    /// Also by branches that may not apply.
    all: Declared,
    /// Choices between branches that declare different things.
    pub(super) unions: u32,
    /// Something is said of other properties already.
    open: bool,
    /// In a branch, it is.
    open_branch: bool,
    is_object: bool,
    /// Properties that may be objects, as often as they are declared by all.
    objects: Vec<String>,
    /// Such properties of branches.
    branch_objects: BTreeSet<String>,
}

/// Looks at a schema and at all that speak of the same instance.
pub(super) fn survey(refs: &Refs<'_>, modern: bool, schema: &Value, place: &Place) -> Survey {
    let mut work = Work {
        refs,
        modern,
        seen: HashSet::new(),
        found: Survey::default(),
    };
    work.look(schema, place, false);
    work.found
}

impl Survey {
    /// Does more than one schema say what is in the same property?
    pub(super) fn is_shared(&self) -> bool {
        let mut seen = HashSet::new();
        let any = !self.objects.is_empty() || !self.branch_objects.is_empty();
        let twice = |name| self.branch_objects.contains(name) || !seen.insert(name);
        (any && !self.all.patterns.is_empty()) || self.objects.iter().any(twice)
    }

    /// What closes the schema, or what its branches close themselves with.
    pub(super) fn closed(self, inherited: &Declared) -> (Option<Declared>, Option<Rc<Declared>>) {
        let with = |mut declared: Declared| {
            declared.names.extend(inherited.names.iter().cloned());
            declared.patterns.extend(inherited.patterns.iter().cloned());
            declared
        };
        let speaks = self.is_object || *inherited != Declared::default();
        match self.unions {
            _ if self.open => (None, None),
            0 if speaks => (Some(with(self.common)), None),
            0 => (None, None),
            1 => (None, Some(Rc::new(with(self.common)))),
            _ if self.open_branch => (None, None),
            _ => (Some(with(self.all)), None),
        }
    }
}

struct Work<'a> {
    refs: &'a Refs<'a>,
    modern: bool,
    seen: HashSet<(Place, bool)>,
    found: Survey,
}

impl Work<'_> {
    fn look(&mut self, schema: &Value, place: &Place, in_branch: bool) {
        let Value::Object(schema) = schema else {
            return;
        };
        if !self.seen.insert((place.clone(), in_branch)) {
            return;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            if let Some(target) = self.refs.resolve(place, target)
                && let Some(schema) = self.refs.at(&target)
            {
                self.look(schema, &target, in_branch);
            }
            if !self.modern {
                return;
            }
        }
        self.declare(schema, in_branch);
        let branches = |word: &str| {
            schema
                .get(word)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        for (word, in_branch) in [("allOf", in_branch), ("anyOf", true), ("oneOf", true)] {
            for (number, branch) in branches(word).enumerate() {
                self.look(
                    branch,
                    &place.below(word).below(&number.to_string()),
                    in_branch,
                );
            }
        }
        if !in_branch {
            let unions = ["anyOf", "oneOf"]
                .into_iter()
                .filter(|word| schema.contains_key(*word));
            self.found.unions += u32::try_from(unions.count()).unwrap_or(u32::MAX);
        }
        for word in ["then", "else"] {
            if let Some(branch) = schema.get(word) {
                self.found.unions += 2;
                self.look(branch, &place.below(word), true);
            }
        }
        for word in ["dependencies", "dependentSchemas"] {
            for (name, branch) in schema
                .get(word)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                if branch.is_object() {
                    self.found.unions += 2;
                    self.look(branch, &place.below(word).below(name), true);
                }
            }
        }
    }

    fn declare(&mut self, schema: &Map<String, Value>, in_branch: bool) {
        if schema.contains_key("additionalProperties")
            || schema.contains_key("unevaluatedProperties")
        {
            self.found.open_branch = true;
            self.found.open |= !in_branch;
        }
        let is_object = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.contains(&"object".into()),
            Some(kind) => kind == "object",
            None => false,
        };
        self.found.is_object |= !in_branch && (is_object || schema.contains_key("properties"));
        let keys = |word: &str| {
            let members = schema.get(word).and_then(Value::as_object);
            members
                .into_iter()
                .flat_map(|members| members.keys().cloned())
        };
        for (name, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            match (may_be_object(property), in_branch) {
                (false, _) => {}
                (true, false) => self.found.objects.push(name.clone()),
                (true, true) => drop(self.found.branch_objects.insert(name.clone())),
            }
        }
        let mut kept = vec![&mut self.found.all];
        if !in_branch {
            kept.push(&mut self.found.common);
        }
        for declared in kept {
            declared.names.extend(keys("properties"));
            declared.patterns.extend(keys("patternProperties"));
        }
    }
}

/// Unless it says at once that it is something else. Lists may be of objects.
fn may_be_object(schema: &Value) -> bool {
    let plain = |kind: &Value| !matches!(kind.as_str(), Some("object" | "array") | None);
    let Value::Object(schema) = schema else {
        return false;
    };
    let listed = schema.contains_key("const") || schema.contains_key("enum");
    match schema.get("type") {
        _ if listed => false,
        Some(Value::Array(kinds)) => !kinds.iter().all(plain),
        Some(kind) => !plain(kind),
        None => true,
    }
}
