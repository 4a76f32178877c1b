//! Is an instance valid, and if it is not, why? What no solver believes without asking here.

use std::collections::HashSet;

use serde_json::Value;

use super::node::{Claim, Id, Kind, Kinds, Leaf, Node, Nodes, Properties};
use super::number::Exact;
use super::refs::pointer;

/// The same instance is looked at so often at most.
const MOST: u32 = 200_000;
const DEEPEST: u32 = 200;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

use Truth::{No, Unknown, Yes};

impl Truth {
    fn not(self) -> Self {
        match self {
            Yes => No,
            No => Yes,
            Unknown => Unknown,
        }
    }

    fn is(truth: bool) -> Self {
        if truth { Yes } else { No }
    }
}

/// Why an instance is not valid.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// In the schema, references followed.
    pub(super) path: String,
    pub(super) why: String,
}

/// Judges normal instances (`number::normal`).
pub(super) struct Judge<'a> {
    nodes: &'a mut Nodes,
    steps: u32,
    depth: u32,
}

impl<'a> Judge<'a> {
    pub(super) fn new(nodes: &'a mut Nodes) -> Self {
        Self {
            nodes,
            steps: 0,
            depth: 0,
        }
    }

    pub(super) fn judge(&mut self, id: Id, value: &Value) -> Truth {
        self.steps += 1;
        if self.steps > MOST || self.depth > DEEPEST {
            return Unknown;
        }
        self.depth += 1;
        let truth = match self.nodes.node(id).clone() {
            Node::Any => Yes,
            Node::Never => No,
            Node::Back(_) => Yes,
            Node::Schema(parts) | Node::AllOf(parts) => self.all(&parts, value),
            Node::AnyOf(parts) => self.count(&parts, value, 1, None),
            Node::OneOf(parts) => self.count(&parts, value, 1, Some(1)),
            Node::Not(inner) => self.judge(inner, value).not(),
            Node::If(condition, then, otherwise) => match self.judge(condition, value) {
                Yes => self.judge(then, value),
                No => self.judge(otherwise, value),
                Unknown => Unknown,
            },
            Node::Leaf(leaf) => self.leaf(&leaf, value),
        };
        self.depth -= 1;
        truth
    }

    fn all(&mut self, parts: &[Id], value: &Value) -> Truth {
        let mut all = Yes;
        for &part in parts {
            match self.judge(part, value) {
                No => return No,
                Unknown => all = Unknown,
                Yes => {}
            }
        }
        all
    }

    fn count(&mut self, parts: &[Id], value: &Value, least: u64, most: Option<u64>) -> Truth {
        self.tally(parts.iter().map(|&part| (part, value)), least, most)
    }

    fn tally<'v>(
        &mut self,
        asked: impl Iterator<Item = (Id, &'v Value)>,
        least: u64,
        most: Option<u64>,
    ) -> Truth {
        let (mut yes, mut unknown) = (0, 0);
        for (part, value) in asked {
            match self.judge(part, value) {
                Yes => yes += 1,
                Unknown => unknown += 1,
                No => {}
            }
            if most.is_none() && yes >= least {
                return Yes;
            }
        }
        let fits = |count| count >= least && most.is_none_or(|most| count <= most);
        match (yes..=yes + unknown)
            .map(fits)
            .reduce(|left, right| left == right && left)
        {
            _ if unknown == 0 => Truth::is(fits(yes)),
            Some(true) => Yes,
            _ if (yes..=yes + unknown).any(fits) => Unknown,
            _ => No,
        }
    }

    fn leaf(&mut self, leaf: &Leaf, value: &Value) -> Truth {
        let kind = Kind::of(value);
        if !leaf.kinds().has(kind) {
            return Yes;
        }
        match (leaf, value) {
            (Leaf::Kinds(kinds), _) => Truth::is(kinds.has(kind)),
            (Leaf::Among(values), _) => Truth::is(values.contains(value)),
            (Leaf::Claim(_, Claim::Unknown(..)), _) => Unknown,
            // What a format means is not what makes an instance valid.
            (Leaf::Claim(..), _) => Yes,
            (_, Value::Number(number)) => match Exact::of(number) {
                Some(number) => reckoned(leaf, number),
                None => Unknown,
            },
            (Leaf::MinLength(least), Value::String(text)) => {
                Truth::is(text.chars().count() as u64 >= *least)
            }
            (Leaf::MaxLength(most), Value::String(text)) => {
                Truth::is(text.chars().count() as u64 <= *most)
            }
            (Leaf::Pattern(pattern), Value::String(text)) => {
                Truth::is(self.nodes.matches(*pattern, text))
            }
            (_, Value::Array(items)) => self.array(leaf, items),
            (Leaf::Properties(properties), Value::Object(members)) => {
                let mut all = Yes;
                for (name, member) in members {
                    let schemas = self.schemas(properties, name);
                    match self.all(&schemas, member) {
                        No => return No,
                        Unknown => all = Unknown,
                        Yes => {}
                    }
                }
                all
            }
            (Leaf::MinProperties(least), Value::Object(members)) => {
                Truth::is(members.len() as u64 >= *least)
            }
            (Leaf::MaxProperties(most), Value::Object(members)) => {
                Truth::is(members.len() as u64 <= *most)
            }
            (Leaf::Required(name), Value::Object(members)) => Truth::is(members.contains_key(name)),
            (Leaf::Absent(name), Value::Object(members)) => Truth::is(!members.contains_key(name)),
            (Leaf::Names(schema), Value::Object(members)) => {
                let names: Vec<Value> = members.keys().cloned().map(Value::String).collect();
                let count = names.len() as u64;
                self.tally(names.iter().map(|name| (*schema, name)), count, Some(count))
            }
            _ => Yes,
        }
    }

    fn array(&mut self, leaf: &Leaf, items: &[Value]) -> Truth {
        let length = items.len() as u64;
        match leaf {
            Leaf::MinItems(least) => Truth::is(length >= *least),
            Leaf::MaxItems(most) => Truth::is(length <= *most),
            Leaf::Unique => {
                let mut seen = HashSet::new();
                Truth::is(items.iter().all(|item| seen.insert(item)))
            }
            Leaf::Items(first, rest) => {
                let like = |number: usize| first.get(number).copied().unwrap_or(*rest);
                let asked = items.iter().enumerate();
                self.tally(
                    asked.map(|(number, item)| (like(number), item)),
                    length,
                    Some(length),
                )
            }
            Leaf::AtLeast(least, like) => {
                self.tally(items.iter().map(|item| (*like, item)), *least, None)
            }
            Leaf::AtMost(most, like) => {
                self.tally(items.iter().map(|item| (*like, item)), 0, Some(*most))
            }
            _ => Yes,
        }
    }

    /// What a property of this name has to be.
    fn schemas(&mut self, properties: &Properties, name: &str) -> Vec<Id> {
        let mut schemas: Vec<Id> = properties.named.get(name).copied().into_iter().collect();
        for &(pattern, schema) in &properties.patterns {
            if self.nodes.matches(pattern, name) {
                schemas.push(schema);
            }
        }
        // A property that is named there without a word is no other one.
        if schemas.is_empty() {
            schemas.push(properties.rest);
        }
        schemas
    }

    /// The first thing that is wrong with the instance, as deep inside as it can be told.
    pub(super) fn failure(&mut self, id: Id, value: &Value, path: &str) -> Option<Failure> {
        if self.judge(id, value) != No {
            return None;
        }
        let fails = |why: String| {
            Some(Failure {
                path: path.to_owned(),
                why,
            })
        };
        match self.nodes.node(id).clone() {
            Node::Schema(parts) => parts
                .iter()
                .find_map(|&part| self.failure(part, value, path)),
            Node::AllOf(parts) => parts.iter().enumerate().find_map(|(number, &part)| {
                self.failure(part, value, &format!("{path}/allOf/{number}"))
            }),
            Node::If(condition, then, otherwise) => match self.judge(condition, value) {
                Yes => self.failure(then, value, &format!("{path}/then")),
                _ => self.failure(otherwise, value, &format!("{path}/else")),
            },
            Node::AnyOf(parts) => {
                let kind = Kind::of(value);
                let mut fitting = Vec::new();
                for (number, &part) in parts.iter().enumerate() {
                    if self.allows(part, kind) {
                        fitting.push((number, part));
                    }
                }
                match fitting.as_slice() {
                    &[(number, part)] => {
                        self.failure(part, value, &format!("{path}/anyOf/{number}"))
                    }
                    _ => Some(Failure {
                        path: format!("{path}/anyOf"),
                        why: format!("{} fits none of the {} branches", shown(value), parts.len()),
                    }),
                }
            }
            Node::OneOf(parts) => {
                let fits = parts
                    .iter()
                    .filter(|&&part| self.judge(part, value) == Yes)
                    .count();
                Some(Failure {
                    path: format!("{path}/oneOf"),
                    why: format!(
                        "{} fits {fits} of the {} branches, and must fit one",
                        shown(value),
                        parts.len()
                    ),
                })
            }
            Node::Not(_) => Some(Failure {
                path: format!("{path}/not"),
                why: format!("{} is what is excluded", shown(value)),
            }),
            Node::Any | Node::Back(_) => None,
            Node::Never => fails(format!(
                "nothing is allowed here, and there is {}",
                shown(value)
            )),
            Node::Leaf(leaf) => self.leaf_failure(&leaf, value, path),
        }
    }

    /// Is this kind of instance what the schema is about, as far as it says at once?
    fn allows(&self, id: Id, kind: Kind) -> bool {
        match self.nodes.node(id) {
            Node::Never => false,
            Node::Schema(parts) => parts.iter().all(|&part| match self.nodes.node(part) {
                Node::Leaf(Leaf::Kinds(kinds)) => kinds.has(kind),
                Node::Leaf(Leaf::Among(values)) => {
                    values.iter().any(|value| Kind::of(value) == kind)
                }
                _ => true,
            }),
            Node::Leaf(Leaf::Kinds(kinds)) => kinds.has(kind),
            Node::Leaf(Leaf::Among(values)) => values.iter().any(|value| Kind::of(value) == kind),
            _ => true,
        }
    }

    fn leaf_failure(&mut self, leaf: &Leaf, value: &Value, path: &str) -> Option<Failure> {
        let text = shown(value);
        let number = |exact: &Exact| match exact.number() {
            Some(number) => number.to_string(),
            None => format!("{exact:?}"),
        };
        let (word, why) = match (leaf, value) {
            (Leaf::Kinds(kinds), _) => ("type", format!("{text} is not {}", typed(*kinds))),
            (Leaf::Among(values), _) => match values.as_slice() {
                [only] => ("const", format!("{text} is not {}", shown(only))),
                _ => (
                    "enum",
                    format!("{text} is none of the {} values", values.len()),
                ),
            },
            (Leaf::Least(least, open), _) => {
                let (word, than) = if *open {
                    ("exclusiveMinimum", "more than")
                } else {
                    ("minimum", "at least")
                };
                (word, format!("{text} is not {than} {}", number(least)))
            }
            (Leaf::Most(most, open), _) => {
                let (word, than) = if *open {
                    ("exclusiveMaximum", "less than")
                } else {
                    ("maximum", "at most")
                };
                (word, format!("{text} is not {than} {}", number(most)))
            }
            (Leaf::MultipleOf(factor), _) => (
                "multipleOf",
                format!("{text} is no multiple of {}", number(factor)),
            ),
            (Leaf::MinLength(least), _) => (
                "minLength",
                format!("{text} has fewer than {least} characters"),
            ),
            (Leaf::MaxLength(most), _) => (
                "maxLength",
                format!("{text} has more than {most} characters"),
            ),
            (Leaf::Pattern(pattern), _) => (
                "pattern",
                format!(
                    "{text} does not match `{}`",
                    self.nodes.pattern_text(*pattern)
                ),
            ),
            (Leaf::MinItems(least), _) => {
                ("minItems", format!("{text} has fewer than {least} items"))
            }
            (Leaf::MaxItems(most), _) => ("maxItems", format!("{text} has more than {most} items")),
            (Leaf::Unique, _) => ("uniqueItems", format!("{text} has an item twice")),
            (Leaf::AtLeast(least, _), _) => (
                "contains",
                format!("{text} has fewer than {least} items of the kind it must contain"),
            ),
            (Leaf::AtMost(most, _), _) => (
                "maxContains",
                format!("{text} has more than {most} items of the kind that is counted"),
            ),
            (Leaf::Items(first, rest), Value::Array(items)) => {
                return items.iter().enumerate().find_map(|(number, item)| {
                    match first.get(number) {
                        Some(&schema) => {
                            self.failure(schema, item, &format!("{path}/items/{number}"))
                        }
                        None => {
                            let word = if first.is_empty() {
                                "items"
                            } else {
                                "additionalItems"
                            };
                            self.failure(*rest, item, &format!("{path}/{word}"))
                        }
                    }
                });
            }
            (Leaf::MinProperties(least), _) => (
                "minProperties",
                format!("{text} has fewer than {least} properties"),
            ),
            (Leaf::MaxProperties(most), _) => (
                "maxProperties",
                format!("{text} has more than {most} properties"),
            ),
            (Leaf::Required(name), _) => ("required", format!("`{name}` is missing")),
            (Leaf::Absent(name), _) => (
                "dependencies",
                format!("`{name}` is there without what it needs"),
            ),
            (Leaf::Properties(properties), Value::Object(members)) => {
                return members.iter().find_map(|(name, member)| {
                    self.property_failure(properties, name, member, path)
                });
            }
            (Leaf::Names(schema), Value::Object(members)) => {
                return members.keys().find_map(|name| {
                    self.failure(
                        *schema,
                        &Value::String(name.clone()),
                        &format!("{path}/propertyNames"),
                    )
                });
            }
            _ => return None,
        };
        Some(Failure {
            path: format!("{path}/{word}"),
            why,
        })
    }

    fn property_failure(
        &mut self,
        properties: &Properties,
        name: &str,
        member: &Value,
        path: &str,
    ) -> Option<Failure> {
        let step = pointer(name);
        if let Some(&schema) = properties.named.get(name) {
            let failure = self.failure(schema, member, &format!("{path}/properties/{step}"));
            if failure.is_some() {
                return failure;
            }
        }
        let mut matched = properties.named.contains_key(name);
        for &(pattern, schema) in &properties.patterns {
            if self.nodes.matches(pattern, name) {
                matched = true;
                let text = pointer(self.nodes.pattern_text(pattern));
                let failure =
                    self.failure(schema, member, &format!("{path}/patternProperties/{text}"));
                if failure.is_some() {
                    return failure;
                }
            }
        }
        if matched {
            return None;
        }
        let path = format!("{path}/additionalProperties");
        match self.nodes.node(properties.rest) {
            Node::Never => Some(Failure {
                path,
                why: format!("the property `{name}` is not declared, and no others are allowed"),
            }),
            _ => self.failure(properties.rest, member, &path),
        }
    }
}

/// An instance in a sentence.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", &text[..end]),
    }
}

fn typed(kinds: Kinds) -> String {
    const NAMES: [&str; 7] = [
        "null", "boolean", "number", "integer", "string", "array", "object",
    ];
    let within = |name: &str| Kinds::named(name).is_some_and(|named| named.and(kinds) == kinds);
    let whole = kinds.has(Kind::Fraction);
    let names: Vec<&str> = NAMES
        .into_iter()
        .filter(|&name| within(name) && !(name == "integer" && whole))
        .collect();
    names.join(" or ")
}

fn reckoned(leaf: &Leaf, number: Exact) -> Truth {
    match leaf {
        Leaf::Least(least, false) => Truth::is(number >= *least),
        Leaf::Least(least, true) => Truth::is(number > *least),
        Leaf::Most(most, false) => Truth::is(number <= *most),
        Leaf::Most(most, true) => Truth::is(number < *most),
        Leaf::MultipleOf(factor) => number.is_multiple_of(*factor).map_or(Unknown, Truth::is),
        _ => Yes,
    }
}
