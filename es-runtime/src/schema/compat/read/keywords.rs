//! Keyword by keyword.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::super::node::{ANY, Claim, Id, Kind, Kinds, Leaf, Node};
use super::super::number::{Exact, normal};
use super::super::refs::Place;
use super::close::Declared;
use super::evaluated::Parts;
use super::{As, Reader, looks_around};

/// Formats that are plain texts to typed readers, too: no generator gives them a type of their own.
const PLAIN: [&str; 8] = [
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "json-pointer",
    "password",
    "relative-json-pointer",
    "uri-template",
];

impl Reader<'_> {
    pub(super) fn keyword(
        &mut self,
        schema: &Map<String, Value>,
        (place, passed): (&Place, &Option<Rc<Declared>>),
        word: &str,
        value: &Value,
        parts: &mut Vec<Id>,
    ) -> Result<(), &'static str> {
        const NUMBER: &str = "is no number that can be reckoned with";
        let exact = || match value {
            Value::Number(number) => Exact::of(number).ok_or(NUMBER),
            _ => Err(NUMBER),
        };
        let below = place.below(word);
        let leaf = match word {
            "type" => Leaf::Kinds(kinds(value)?),
            "const" | "enum" if self.takes_more(schema) => return Ok(()),
            "const" => {
                parts.push(self.nodes.exactly(&normal(value)));
                return Ok(());
            }
            "enum" => {
                let values = value.as_array().ok_or("is no list")?;
                parts.push(self.among(values));
                return Ok(());
            }
            "minimum" => Leaf::Least(
                exact()?,
                schema.get("exclusiveMinimum") == Some(&Value::Bool(true)),
            ),
            "maximum" => Leaf::Most(
                exact()?,
                schema.get("exclusiveMaximum") == Some(&Value::Bool(true)),
            ),
            // Draft 4 says with a boolean how the other one is meant.
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => {
                return match self.meant == As::Undated && value == &Value::Bool(true) {
                    true => Err("is a boolean, and the schema does not say that it is of draft 4"),
                    false => Ok(()),
                };
            }
            "exclusiveMinimum" => Leaf::Least(exact()?, true),
            "exclusiveMaximum" => Leaf::Most(exact()?, true),
            "multipleOf" | "divisibleBy" => match exact()? {
                factor if factor > Exact::whole(0) => Leaf::MultipleOf(factor),
                _ => return Err("is not above zero"),
            },
            "minLength" => Leaf::MinLength(count(value)?),
            "maxLength" => Leaf::MaxLength(count(value)?),
            "pattern" => self.pattern(value.as_str().ok_or("is no text")?),
            "format" => {
                let format = value.as_str().ok_or("is no text")?.to_owned();
                if PLAIN.contains(&format.as_str()) {
                    return Ok(());
                }
                Leaf::Claim(formatted(&format), Claim::Format(format))
            }
            "contentEncoding" => content("contentEncoding", value),
            "contentMediaType" => content("contentMediaType", value),
            "contentSchema" => content("contentSchema", value),
            "minItems" => Leaf::MinItems(count(value)?),
            "maxItems" => Leaf::MaxItems(count(value)?),
            "uniqueItems" => match value {
                Value::Bool(true) => Leaf::Unique,
                Value::Bool(false) => return Ok(()),
                _ => return Err("is neither true nor false"),
            },
            "contains" => {
                let like = self.bare(value, &below);
                let bound = |word: &str| schema.get(word).map(count).transpose();
                let least = bound("minContains")?.unwrap_or(1);
                if least > 0 {
                    parts.push(self.nodes.leaf(Leaf::AtLeast(least, like)));
                }
                match bound("maxContains")? {
                    Some(most) => Leaf::AtMost(most, like),
                    None => return Ok(()),
                }
            }
            "minProperties" => Leaf::MinProperties(count(value)?),
            "maxProperties" => Leaf::MaxProperties(count(value)?),
            // Draft 3 said it on the property.
            "required" if value.is_boolean() => return Ok(()),
            "required" => {
                let names = value.as_array().ok_or("is no list")?;
                for name in names {
                    let name = name.as_str().ok_or("is no list of names")?;
                    let filled_in = self.meant == As::Reader
                        && schema
                            .get("properties")
                            .and_then(|properties| properties.get(name)?.get("default"))
                            .is_some();
                    if !filled_in {
                        parts.push(self.nodes.leaf(Leaf::Required(name.to_owned())));
                    }
                }
                return Ok(());
            }
            "propertyNames" => Leaf::Names(self.bare(value, &below)),
            "dependencies" | "dependentRequired" | "dependentSchemas" => {
                for (name, needs) in value.as_object().ok_or("is no object")? {
                    parts.push(self.dependency(name, needs, &below.below(name))?);
                }
                return Ok(());
            }
            "allOf" | "anyOf" | "oneOf" => {
                if self.takes_more(schema) {
                    return Ok(());
                }
                let branches = self.branches(word, value, &below, passed)?;
                parts.push(self.nodes.add(match word {
                    "allOf" => Node::AllOf(branches),
                    "anyOf" => Node::AnyOf(branches),
                    _ => Node::OneOf(branches),
                }));
                return Ok(());
            }
            "not" => {
                let inner = self.bare(value, &below);
                parts.push(self.nodes.add(Node::Not(inner)));
                return Ok(());
            }
            "if" => {
                let condition = self.bare(value, &below);
                let mut branch = |word: &str| match schema.get(word) {
                    Some(branch) => self.beside(branch, &place.below(word), &None),
                    None => ANY,
                };
                let (then, otherwise) = (branch("then"), branch("else"));
                if (then, otherwise) != (ANY, ANY) {
                    parts.push(self.nodes.add(Node::If(condition, then, otherwise)));
                }
                return Ok(());
            }
            "unevaluatedProperties" | "unevaluatedItems" => {
                if value != &Value::Bool(true) && looks_around(schema) {
                    let parts_of = match word {
                        "unevaluatedItems" => Parts::Items,
                        _ => Parts::Properties,
                    };
                    let rest = self.inner(value, &below);
                    parts.push(self.unevaluated(schema, place, parts_of, rest)?);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        parts.push(self.nodes.leaf(leaf));
        Ok(())
    }

    fn among(&mut self, values: &[Value]) -> Id {
        let (compound, mut scalars): (Vec<Value>, Vec<Value>) = values
            .iter()
            .map(normal)
            .partition(|value| value.is_array() || value.is_object());
        scalars.sort_by_cached_key(Value::to_string);
        scalars.dedup();
        let mut branches: Vec<Id> = Vec::new();
        if !scalars.is_empty() {
            branches.push(self.nodes.leaf(Leaf::Among(scalars)));
        }
        branches.extend(compound.iter().map(|value| self.nodes.exactly(value)));
        branches.sort_unstable();
        branches.dedup();
        match branches.len() {
            1 => branches[0],
            _ => self.nodes.add(Node::AnyOf(branches)),
        }
    }

    /// A pattern that matches everything because nobody anchored it says something all the same: to
    /// its author, and to tools that anchor it.
    fn pattern(&mut self, text: &str) -> Leaf {
        let string = Kinds::one(Kind::String);
        let unknown = |why: &str| {
            Claim::Unknown(
                format!("the pattern `{text}` is not followed: {why}"),
                text.to_owned(),
            )
        };
        let pattern = match self.nodes.pattern(text) {
            Ok(pattern) => pattern,
            Err(why) => return Leaf::Claim(string, unknown(why)),
        };
        let whole = self.nodes.languages.whole(text).ok();
        let language = self.nodes.language(pattern);
        let mut is_all = |language| {
            let others = self.nodes.languages.not(language);
            let found = self
                .nodes
                .languages
                .find(others, 0, None, &Default::default());
            found.ok().map(|text| text.is_none())
        };
        let claim = match is_all(language) {
            None => unknown("it has too many states"),
            Some(true) if whole.and_then(is_all) == Some(false) => Claim::Vacuous(text.to_owned()),
            Some(_) => return Leaf::Pattern(pattern),
        };
        Leaf::Claim(string, claim)
    }

    /// Does the schema declare that readers take further values?
    fn takes_more(&self, schema: &Map<String, Value>) -> bool {
        self.meant == As::Reader && schema.get("x-extensible") == Some(&Value::Bool(true))
    }

    fn branches(
        &mut self,
        word: &str,
        value: &Value,
        place: &Place,
        passed: &Option<Rc<Declared>>,
    ) -> Result<Vec<Id>, &'static str> {
        let mut branches = Vec::new();
        for (number, branch) in value.as_array().ok_or("is no list")?.iter().enumerate() {
            let place = place.below(&number.to_string());
            branches.push(match word {
                "allOf" => self.beside(branch, &place, passed),
                _ => {
                    self.inherited.clone_from(passed);
                    self.schema(branch, &place)
                }
            });
        }
        Ok(branches)
    }

    fn dependency(&mut self, name: &str, needs: &Value, place: &Place) -> Result<Id, &'static str> {
        let needed = match needs {
            Value::Array(names) => {
                let mut parts = Vec::new();
                for name in names {
                    let name = name.as_str().ok_or("is no list of names")?;
                    parts.push(self.nodes.leaf(Leaf::Required(name.to_owned())));
                }
                self.nodes.add(Node::Schema(parts))
            }
            Value::String(name) => self.nodes.leaf(Leaf::Required(name.clone())),
            schema => self.beside(schema, place, &None),
        };
        let absent = self.nodes.leaf(Leaf::Absent(name.to_owned()));
        Ok(self.nodes.add(Node::AnyOf(vec![absent, needed])))
    }
}

fn kinds(value: &Value) -> Result<Kinds, &'static str> {
    const UNKNOWN: &str = "names an unknown type";
    let kind = |value: &Value| value.as_str().and_then(Kinds::named).ok_or(UNKNOWN);
    match value {
        Value::Array(names) => names
            .iter()
            .try_fold(Kinds::NONE, |kinds, name| Ok(kinds.and(kind(name)?))),
        name => kind(name),
    }
}

fn count(value: &Value) -> Result<u64, &'static str> {
    const WRONG: &str = "is no count";
    let Value::Number(number) = value else {
        return Err(WRONG);
    };
    let exact = Exact::of(number)
        .filter(|exact| exact.is_whole())
        .ok_or(WRONG)?;
    u64::try_from(exact.floor()).map_err(|_| WRONG)
}

fn content(word: &'static str, value: &Value) -> Leaf {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    Leaf::Claim(Kinds::one(Kind::String), Claim::Content(word, text))
}

/// What kinds of instances a format speaks of.
fn formatted(format: &str) -> Kinds {
    const NUMBERS: [&str; 4] = ["float", "double", "decimal", "number"];
    match format {
        _ if NUMBERS.contains(&format)
            || format.starts_with("int")
            || format.starts_with("uint") =>
        {
            Kinds::NUMBER
        }
        _ => Kinds::one(Kind::String),
    }
}
