//! JSON Schema documents into statements: drafts 4 to 7, and what later drafts add where it says
//! the same in other words.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::close::{Declared, survey};
use super::node::{ANY, Claim, Id, Kind, Kinds, Leaf, NEVER, Node, Nodes, Properties};
use super::number::{Exact, normal};
use super::refs::{Place, Refs};

/// Schemas inside of schemas; deeper ones are not looked into.
const DEEPEST: usize = 100;
/// Statements of one document; further ones are not looked into.
const MOST: usize = 100_000;

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
    let modern = document
        .get("$schema")
        .and_then(Value::as_str)
        .is_some_and(|schema| schema.contains("2019-09") || schema.contains("2020-12"));
    let mut reader = Reader {
        nodes,
        refs: Refs::new(document),
        modern,
        meant,
        inherited: (meant == As::Writer).then(Rc::default),
        closes: meant == As::Writer,
        referred: HashMap::new(),
        depth: 0,
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
        if self.nodes.len() > MOST {
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
        for word in ["$ref", "$recursiveRef"] {
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

    fn keyword(
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
                if value == &Value::Bool(true) || !looks_around(schema) {
                    return Ok(());
                }
                let whole = Value::Object(schema.clone());
                parts.push(self.unknown(
                    &format!("`{word}` beside other schemas is not followed"),
                    &whole,
                ));
                return Ok(());
            }
            "$dynamicRef" => return Err("is not followed"),
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

    fn items(&mut self, schema: &Map<String, Value>, place: &Place, parts: &mut Vec<Id>) {
        let tuple = ["prefixItems", "items"]
            .into_iter()
            .find_map(|word| Some((word, schema.get(word)?.as_array()?)));
        let first: Vec<Id> = match tuple {
            None => Vec::new(),
            Some((word, items)) => {
                let place = place.below(word);
                let items = items.iter().enumerate();
                items
                    .map(|(number, item)| self.inner(item, &place.below(&number.to_string())))
                    .collect()
            }
        };
        let rest = match (tuple, schema.get("items")) {
            (Some(("prefixItems", _)) | None, Some(items)) => Some(("items", items)),
            // Without a tuple, `additionalItems` says nothing.
            (None, None) => None,
            _ => schema
                .get("additionalItems")
                .map(|rest| ("additionalItems", rest)),
        };
        let unevaluated = || {
            let rest = schema.get("unevaluatedItems")?;
            (!looks_around(schema) && !schema.contains_key("contains"))
                .then_some(("unevaluatedItems", rest))
        };
        let rest = match rest.or_else(unevaluated) {
            Some((word, rest)) => self.inner(rest, &place.below(word)),
            None => ANY,
        };
        if rest != ANY || first.iter().any(|&item| item != ANY) {
            parts.push(self.nodes.leaf(Leaf::Items(first, rest)));
        }
    }

    fn properties(&mut self, schema: &Map<String, Value>, place: &Place, parts: &mut Vec<Id>) {
        let members = |word: &str| {
            schema
                .get(word)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
        };
        let mut named = BTreeMap::new();
        for (name, property) in members("properties") {
            let place = place.below("properties").below(name);
            named.insert(name.clone(), self.inner(property, &place));
        }
        let mut patterns = Vec::new();
        for (pattern, property) in members("patternProperties") {
            let id = self.inner(property, &place.below("patternProperties").below(pattern));
            match self.nodes.pattern(pattern) {
                Ok(pattern) => patterns.push((pattern, id)),
                Err(why) => {
                    let why = format!(
                        "the pattern `{pattern}` of `patternProperties` is not followed: {why}"
                    );
                    let whole = Value::Object(schema.clone());
                    parts.push(self.unknown(&why, &whole));
                    return;
                }
            }
        }
        let unevaluated = || {
            let rest = schema.get("unevaluatedProperties")?;
            (!looks_around(schema)).then_some(("unevaluatedProperties", rest))
        };
        let rest = schema
            .get("additionalProperties")
            .map(|rest| ("additionalProperties", rest));
        let rest = match rest.or_else(unevaluated) {
            Some((word, rest)) => self.inner(rest, &place.below(word)),
            None => ANY,
        };
        // What says nothing is left out, so that equal schemas look the same.
        if rest == ANY {
            patterns.retain(|&(_, schema)| schema != ANY);
            named.retain(|_, schema| *schema != ANY);
        }
        if rest != ANY || !patterns.is_empty() || !named.is_empty() {
            patterns.sort_unstable();
            parts.push(self.nodes.leaf(Leaf::Properties(Properties {
                named,
                patterns,
                rest,
            })));
        }
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
