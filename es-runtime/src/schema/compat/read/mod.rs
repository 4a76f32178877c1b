//! JSON Schema documents into statements: drafts 4 to 7, and what later drafts add where it says
//! the same in other words.

mod close;
mod evaluated;
mod keywords;
mod parts;

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::node::{ANY, Claim, Id, Kinds, Leaf, NEVER, Node, Nodes, Properties};
use super::refs::{Place, Refs};
use close::{Declared, survey};

/// Schemas inside of schemas; deeper ones are not looked into.
const DEEPEST: usize = 100;
/// Statements of one document; further ones are not looked into.
const MOST: usize = 100_000;
/// Schemas that are read, however often the same one is.
const STEPS: usize = 100_000;

/// How a document is meant.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum As {
    /// As it is written.
    Written,
    /// As written, but exclusive bounds that are booleans are unclear: it does not say that it is of
    /// draft 4.
    Undated,
    /// By a writer: it writes nothing that is not declared.
    Writer,
    /// By a reader: it fills in defaults, and takes new values where the schema says so.
    Reader,
}

/// Reads a document. What it does not understand becomes a claim that nothing is known of.
pub(super) fn read(nodes: &mut Nodes, document: &Value, meant: As) -> Id {
    let modern = match document.get("$schema").and_then(Value::as_str) {
        Some(schema) => schema.contains("2019-09") || schema.contains("2020-12"),
        None => is_modern(document),
    };
    let mut reader = Reader {
        nodes,
        refs: Refs::new(document),
        modern,
        meant,
        inherited: (meant == As::Writer).then(Rc::default),
        closes: meant == As::Writer,
        referred: HashMap::new(),
        depth: 0,
        steps: 0,
        followed: 0,
    };
    reader.referred(&Place::root())
}

struct Reader<'a> {
    nodes: &'a mut Nodes,
    refs: Refs<'a>,
    /// Since 2019-09, what stands beside a `$ref` counts.
    modern: bool,
    meant: As,
    /// Schemas are closed, unless they are under a `not`.
    closes: bool,
    /// The next schema closes itself, beside these names that are declared around it.
    inherited: Option<Rc<Declared>>,
    referred: HashMap<Key, Referred>,
    depth: usize,
    /// Schemas that were read.
    steps: usize,
    /// Schemas that were followed for what they have looked at.
    followed: usize,
}

/// A place, and how it is read there.
type Key = (Place, Option<Rc<Declared>>, bool);

enum Referred {
    Reading(Option<(usize, Id)>),
    Read(Id),
}

impl Reader<'_> {
    /// A schema that is referred to, which may refer to itself.
    fn referred(&mut self, place: &Place) -> Id {
        let key = (place.clone(), self.inherited.clone(), self.closes);
        match self.referred.get_mut(&key) {
            Some(Referred::Read(id)) => return *id,
            Some(Referred::Reading(Some((_, id)))) => return *id,
            Some(Referred::Reading(back)) => {
                let new = self.nodes.back();
                *back = Some(new);
                return new.1;
            }
            None => {}
        }
        let Some(schema) = self.refs.at(place) else {
            return self.unknown("a `$ref` leads nowhere", &Value::Null);
        };
        self.referred.insert(key.clone(), Referred::Reading(None));
        let id = self.schema(schema, place);
        if let Some(Referred::Reading(Some((number, _)))) =
            self.referred.insert(key, Referred::Read(id))
        {
            self.nodes.lead_back(number, id);
        }
        id
    }

    /// A schema for a part of the instance.
    fn inner(&mut self, schema: &Value, place: &Place) -> Id {
        self.inherited = self.closes.then(Rc::default);
        self.schema(schema, place)
    }

    /// A schema for a part, or for the same instance, that has to be met as it is written.
    fn bare(&mut self, schema: &Value, place: &Place) -> Id {
        let closes = std::mem::replace(&mut self.closes, false);
        self.inherited = None;
        let id = self.schema(schema, place);
        self.closes = closes;
        id
    }

    /// A further schema for the same instance; it closes itself if the union is in it.
    fn beside(&mut self, schema: &Value, place: &Place, passed: &Option<Rc<Declared>>) -> Id {
        self.inherited = None;
        if passed.is_some() && survey(&self.refs, self.modern, schema, place).unions > 0 {
            self.inherited.clone_from(passed);
        }
        self.schema(schema, place)
    }

    /// Reads a schema for the same instance, or a part, as `inherited` says.
    fn schema(&mut self, schema: &Value, place: &Place) -> Id {
        let inherited = self.inherited.take();
        if self.depth >= DEEPEST {
            return self.unknown("it is nested too deeply", &Value::Null);
        }
        self.steps += 1;
        if self.nodes.len() > MOST || self.steps > STEPS {
            return self.unknown("the schema is too large", &Value::Null);
        }
        self.depth += 1;
        let id = match schema {
            Value::Bool(true) => ANY,
            Value::Bool(false) => NEVER,
            Value::Object(members) => match inherited {
                None => self.keywords(members, place, &None),
                Some(inherited) => {
                    let found = survey(&self.refs, self.modern, schema, place);
                    let closes = self.closes;
                    // A part that several schemas speak of is not closed by each of them alone.
                    self.closes &= !found.is_shared();
                    let (closing, passed) = found.closed(&inherited);
                    let id = self.keywords(members, place, &passed);
                    self.closes = closes;
                    match closing {
                        None => id,
                        Some(declared) => {
                            let closed = self.only(&declared);
                            self.nodes.add(Node::Schema(vec![id, closed]))
                        }
                    }
                }
            },
            other => self.unknown("this is no schema", other),
        };
        self.depth -= 1;
        id
    }

    /// No properties but these.
    fn only(&mut self, declared: &Declared) -> Id {
        let mut patterns = Vec::new();
        for pattern in &declared.patterns {
            match self.nodes.pattern(pattern) {
                Ok(pattern) => patterns.push((pattern, ANY)),
                // What it allows is not known, so nothing is ruled out.
                Err(_) => return ANY,
            }
        }
        let names = declared.names.iter();
        self.nodes.leaf(Leaf::Properties(Properties {
            named: names.map(|name| (name.clone(), ANY)).collect(),
            patterns,
            rest: NEVER,
        }))
    }

    fn keywords(
        &mut self,
        schema: &Map<String, Value>,
        place: &Place,
        passed: &Option<Rc<Declared>>,
    ) -> Id {
        let mut parts = Vec::new();
        for word in ["$ref", "$recursiveRef", "$dynamicRef"] {
            if word != "$ref" && schema.contains_key(word) && self.refs.is_dynamic() {
                parts.push(self.unknown("a dynamic reference is not followed", &schema[word]));
                continue;
            }
            if let Some(target) = schema.get(word).and_then(Value::as_str) {
                let target = self.refs.resolve(place, target);
                parts.push(match target {
                    Some(target) => {
                        self.inherited = None;
                        let inside = self.refs.at(&target).unwrap_or(&Value::Null);
                        if passed.is_some()
                            && survey(&self.refs, self.modern, inside, &target).unions > 0
                        {
                            self.inherited.clone_from(passed);
                        }
                        self.referred(&target)
                    }
                    None => self.unknown("a `$ref` leads out of the document", &schema[word]),
                });
                if !self.modern {
                    return parts[0];
                }
            }
        }
        for (word, value) in schema {
            if let Err(why) = self.keyword(schema, (place, passed), word, value, &mut parts) {
                // With all that stands around it, which may give it its meaning.
                let whole = Value::Object(schema.clone());
                parts.push(self.unknown(&format!("`{word}` {why}"), &whole));
            }
        }
        self.items(schema, place, &mut parts);
        self.properties(schema, place, &mut parts);
        self.nodes.add(Node::Schema(parts))
    }

    /// Something that is not understood, and equals nothing but the same text in the same document.
    fn unknown(&mut self, why: &str, text: &Value) -> Id {
        let mut text = text.to_string();
        if text.contains("Ref\"") || text.contains("$ref") || text == "null" {
            text = format!("{text} in {}", self.refs.document());
        }
        let claim = Claim::Unknown(why.to_owned(), text);
        self.nodes.leaf(Leaf::Claim(Kinds::EVERY, claim))
    }
}

/// Does it use what there was not before 2019-09?
fn is_modern(document: &Value) -> bool {
    const SINCE: [&str; 9] = [
        "$anchor",
        "$defs",
        "$dynamicRef",
        "$recursiveRef",
        "dependentRequired",
        "dependentSchemas",
        "prefixItems",
        "unevaluatedItems",
        "unevaluatedProperties",
    ];
    match document {
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| SINCE.contains(&name.as_str()) || is_modern(member)),
        Value::Array(items) => items.iter().any(is_modern),
        _ => false,
    }
}

/// Are there schemas beside these keywords that evaluate properties or items, too?
fn looks_around(schema: &Map<String, Value>) -> bool {
    const AROUND: [&str; 10] = [
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "dependentSchemas",
        "dependencies",
    ];
    AROUND.iter().any(|word| schema.contains_key(*word))
}
