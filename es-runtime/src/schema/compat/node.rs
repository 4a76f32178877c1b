//! Schemas as a graph of small statements, each said once: equal ones have equal numbers, whatever
//! document they stand in.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::number::Exact;
use super::regex::{Language, Languages};

/// A statement about an instance.
pub(super) type Id = u32;

/// What an instance can be. Every kind is decided on its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Fraction,
    String,
    Array,
    Object,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Kinds(u8);

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::Object,
        Self::Array,
        Self::String,
        Self::Integer,
        Self::Fraction,
        Self::Boolean,
        Self::Null,
    ];

    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) => match Exact::of(number) {
                Some(exact) if exact.is_whole() => Self::Integer,
                Some(_) => Self::Fraction,
                // Out of reach: a float has no fraction where it is that large.
                None if number.as_f64().is_some_and(|float| float.abs() >= 1.0) => Self::Integer,
                None => Self::Fraction,
            },
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

impl Kinds {
    pub(super) const NONE: Self = Self(0);
    pub(super) const EVERY: Self = Self(0x7F);
    pub(super) const NUMBER: Self = Self(1 << Kind::Integer as u8 | 1 << Kind::Fraction as u8);

    pub(super) fn one(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// What `type` calls it.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::one(Kind::Null),
            "boolean" => Self::one(Kind::Boolean),
            "integer" => Self::one(Kind::Integer),
            "number" => Self::NUMBER,
            "string" => Self::one(Kind::String),
            "array" => Self::one(Kind::Array),
            "object" => Self::one(Kind::Object),
            _ => return None,
        })
    }
}

/// What is true of no instance as such, and yet must stay.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Claim {
    /// `format`, by its name: typed consumers rely on it.
    Format(String),
    /// `contentEncoding` and its like, with the value.
    Content(&'static str, String),
    /// A pattern that says nothing, as it stands in the schema.
    Vacuous(String),
    /// What this checker does not understand: the reason, and the schema's text.
    Unknown(String, String),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Leaf {
    Kinds(Kinds),
    /// One of these: none of them an array or object.
    Among(Vec<Value>),
    /// At least this; more than it, if `true`.
    Least(Exact, bool),
    Most(Exact, bool),
    MultipleOf(Exact),
    MinLength(u64),
    MaxLength(u64),
    Pattern(PatternId),
    Claim(Kinds, Claim),
    MinItems(u64),
    MaxItems(u64),
    /// The first ones, and all others.
    Items(Vec<Id>, Id),
    /// At least so many items are like this.
    AtLeast(u64, Id),
    AtMost(u64, Id),
    Unique,
    MinProperties(u64),
    MaxProperties(u64),
    Required(String),
    Absent(String),
    Properties(Properties),
    Names(Id),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Properties {
    pub(super) named: BTreeMap<String, Id>,
    pub(super) patterns: Vec<(PatternId, Id)>,
    pub(super) rest: Id,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct PatternId(u32);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Node {
    Any,
    Never,
    /// The keywords of a schema.
    Schema(Vec<Id>),
    AllOf(Vec<Id>),
    AnyOf(Vec<Id>),
    OneOf(Vec<Id>),
    Not(Id),
    If(Id, Id, Id),
    /// Where a schema refers back to one that it is part of.
    Back(usize),
    Leaf(Leaf),
}

pub(super) const ANY: Id = 0;
pub(super) const NEVER: Id = 1;

/// All statements.
pub(super) struct Nodes {
    nodes: Vec<Node>,
    known: HashMap<Node, Id>,
    backs: Vec<Id>,
    patterns: Vec<(String, Language)>,
    pub(super) languages: Languages,
}

impl Nodes {
    pub(super) fn new() -> Self {
        let mut new = Self {
            nodes: Vec::new(),
            known: HashMap::new(),
            backs: Vec::new(),
            patterns: Vec::new(),
            languages: Languages::new(),
        };
        new.add(Node::Any);
        new.add(Node::Never);
        new
    }

    pub(super) fn add(&mut self, node: Node) -> Id {
        match &node {
            Node::Schema(parts) | Node::AllOf(parts) if parts.is_empty() => return ANY,
            Node::Schema(parts) if parts.len() == 1 => return parts[0],
            Node::AnyOf(parts) | Node::OneOf(parts) if parts.is_empty() => return NEVER,
            Node::Not(ANY) => return NEVER,
            Node::Not(NEVER) => return ANY,
            Node::Leaf(Leaf::Kinds(Kinds::EVERY)) => return ANY,
            Node::Leaf(Leaf::Kinds(Kinds::NONE)) => return NEVER,
            Node::Leaf(Leaf::Among(values)) if values.is_empty() => return NEVER,
            _ => {}
        }
        if let Some(&known) = self.known.get(&node) {
            return known;
        }
        #[allow(clippy::cast_possible_truncation, reason = "bounded by the budgets")]
        let new = self.nodes.len() as Id;
        self.nodes.push(node.clone());
        self.known.insert(node, new);
        new
    }

    pub(super) fn leaf(&mut self, leaf: Leaf) -> Id {
        self.add(Node::Leaf(leaf))
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[self.followed(id) as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A place for a schema that is still being read.
    pub(super) fn back(&mut self) -> (usize, Id) {
        let number = self.backs.len();
        self.backs.push(NEVER);
        (number, self.add(Node::Back(number)))
    }

    pub(super) fn lead_back(&mut self, number: usize, target: Id) {
        self.backs[number] = target;
    }

    /// The statement itself, where this one only leads to it. One that leads to itself says nothing.
    pub(super) fn followed(&self, mut id: Id) -> Id {
        for _ in 0..=self.backs.len() {
            match self.nodes[id as usize] {
                Node::Back(number) => id = self.backs[number],
                _ => return id,
            }
        }
        ANY
    }

    pub(super) fn pattern(&mut self, text: &str) -> Result<PatternId, &'static str> {
        let at = match self.patterns.iter().position(|(known, _)| known == text) {
            Some(at) => at,
            None => {
                let language = self.languages.pattern(text)?;
                self.patterns.push((text.to_owned(), language));
                self.patterns.len() - 1
            }
        };
        #[allow(
            clippy::cast_possible_truncation,
            reason = "one per pattern of the schemas"
        )]
        Ok(PatternId(at as u32))
    }

    pub(super) fn pattern_text(&self, pattern: PatternId) -> &str {
        &self.patterns[pattern.0 as usize].0
    }

    pub(super) fn language(&self, pattern: PatternId) -> Language {
        self.patterns[pattern.0 as usize].1
    }

    pub(super) fn matches(&mut self, pattern: PatternId, text: &str) -> bool {
        let language = self.language(pattern);
        self.languages.contains(language, text)
    }

    /// Exactly this instance.
    pub(super) fn exactly(&mut self, value: &Value) -> Id {
        let parts = match value {
            Value::Array(items) => {
                let length = items.len() as u64;
                let items: Vec<Id> = items.iter().map(|item| self.exactly(item)).collect();
                vec![
                    Leaf::Kinds(Kinds::one(Kind::Array)),
                    Leaf::MinItems(length),
                    Leaf::Items(items, NEVER),
                ]
            }
            Value::Object(members) => {
                let named: BTreeMap<String, Id> = members
                    .iter()
                    .map(|(name, value)| (name.clone(), self.exactly(value)))
                    .collect();
                let mut parts = vec![Leaf::Kinds(Kinds::one(Kind::Object))];
                parts.extend(named.keys().cloned().map(Leaf::Required));
                parts.push(Leaf::Properties(Properties {
                    named,
                    patterns: Vec::new(),
                    rest: NEVER,
                }));
                parts
            }
            scalar => return self.leaf(Leaf::Among(vec![scalar.clone()])),
        };
        let parts = parts.into_iter().map(|leaf| self.leaf(leaf)).collect();
        self.add(Node::Schema(parts))
    }
}

impl Leaf {
    /// The kinds of instances that this can rule out.
    pub(super) fn kinds(&self) -> Kinds {
        match self {
            Self::Kinds(_) | Self::Among(_) => Kinds::EVERY,
            Self::Claim(kinds, _) => *kinds,
            Self::Least(..) | Self::Most(..) | Self::MultipleOf(_) => Kinds::NUMBER,
            Self::MinLength(_) | Self::MaxLength(_) | Self::Pattern(_) => Kinds::one(Kind::String),
            Self::MinItems(_)
            | Self::MaxItems(_)
            | Self::Items(..)
            | Self::AtLeast(..)
            | Self::AtMost(..)
            | Self::Unique => Kinds::one(Kind::Array),
            Self::MinProperties(_)
            | Self::MaxProperties(_)
            | Self::Required(_)
            | Self::Absent(_)
            | Self::Properties(_)
            | Self::Names(_) => Kinds::one(Kind::Object),
        }
    }
}

impl Claim {
    /// Is what claims this all that claims the other, too?
    pub(super) fn implies(&self, other: &Self) -> bool {
        self == other
            || match (self, other) {
                (Self::Format(narrow), Self::Format(wide)) => match (range(narrow), range(wide)) {
                    (Some(narrow), Some(wide)) => wide.0 <= narrow.0 && narrow.1 <= wide.1,
                    _ => narrow == "float" && wide == "double",
                },
                _ => false,
            }
    }
}

/// The bits below and above zero of the formats that are whole numbers.
fn range(format: &str) -> Option<(i32, i32)> {
    let (bits, signed) = match format.strip_prefix("uint") {
        Some(bits) => (bits, false),
        None => (format.strip_prefix("int")?, true),
    };
    let bits = match bits {
        "" => 64,
        bits => bits
            .parse()
            .ok()
            .filter(|bits| [8, 16, 32, 64, 128].contains(bits))?,
    };
    Some(if signed {
        (1 - bits, bits - 1)
    } else {
        (0, bits)
    })
}
