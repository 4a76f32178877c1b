//! Values from a schema, by a seed: the same seed and schema give the same values for ever.

use serde_json::{Map, Number, Value, json};

use super::document::definition;
use crate::error::{Error, Kind, Result};

/// Through more references than this only what must be there is made.
const DEEP: usize = 4;
/// Through more than this nothing can be made.
const DEEPEST: usize = 32;

/// Makes values that a schema of draft-07 describes.
///
/// ```
/// use es_runtime::schema::Sampler;
/// use serde_json::json;
///
/// let schema = json!({ "type": "integer", "minimum": 1, "maximum": 6 });
/// let mut dice = Sampler::new(&schema, 17);
/// let (first, second) = (dice.sample()?, dice.sample()?);
/// assert!((1..=6).contains(&first.as_i64().unwrap()));
///
/// let mut again = Sampler::new(&schema, 17);
/// assert_eq!([first, second], [again.sample()?, again.sample()?]);
/// # Ok::<(), es_runtime::Error>(())
/// ```
///
/// Numbers and texts are small and meet again, as they do in practice: sums stay far from the
/// bounds of their types, and one entity's text is another one's id. Where a schema has
/// `examples`, the values are taken from them: that is how a type is sampled whose rules no schema
/// can say. `#[schemars(example = Iban::example())]` writes one.
///
/// The law: it has no clock and no randomness but its seed.
#[derive(Clone, Debug)]
pub struct Sampler<'s> {
    document: &'s Value,
    dice: Dice,
}

impl<'s> Sampler<'s> {
    /// Samples of what `document` describes; references lead into its `definitions`.
    pub fn new(document: &'s Value, seed: u64) -> Self {
        Self {
            document,
            dice: Dice::new(seed),
        }
    }

    /// The next value.
    ///
    /// # Errors
    /// When the schema asks for what cannot be made without an example, as a `pattern`.
    pub fn sample(&mut self) -> Result<Value> {
        self.of(self.document, 0)
            .map_err(|why| Error::new(Kind::NoSample { why }))
    }

    fn of(&mut self, schema: &'s Value, depth: usize) -> Result<Value, String> {
        let Some(object) = schema.as_object() else {
            return match schema {
                Value::Bool(true) => Ok(json!({})),
                _ => Err("a part of it allows nothing".to_owned()),
            };
        };
        if depth > DEEPEST {
            return Err("it never ends".to_owned());
        }
        if let Some(examples) = list(object, "examples") {
            return Ok(self.dice.one_of(examples).clone());
        }
        if let Some(constant) = object.get("const") {
            return Ok(constant.clone());
        }
        if let Some(values) = list(object, "enum") {
            return Ok(self.dice.one_of(values).clone());
        }
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let target = definition(reference).map(|name| &self.document["definitions"][name]);
            let target = target.filter(|target| !target.is_null());
            let target = target.ok_or_else(|| format!("`{reference}` leads nowhere"))?;
            return self.of(target, depth + 1);
        }
        if let Some(branches) = list(object, "oneOf").or_else(|| list(object, "anyOf")) {
            let chosen = self.branch(branches, depth)?;
            return self.with_own_properties(object, chosen, depth);
        }
        if let Some(all) = list(object, "allOf") {
            let mut merged = Value::Object(Map::new());
            for part in all {
                merged = merge(merged, self.of(part, depth)?);
            }
            return self.with_own_properties(object, merged, depth);
        }
        self.typed(object, depth)
    }

    /// One branch of a union; where it is deep, the first that comes to an end.
    fn branch(&mut self, branches: &'s [Value], depth: usize) -> Result<Value, String> {
        if depth <= DEEP {
            let chosen = self.dice.one_of(branches);
            return self.of(chosen, depth);
        }
        let shallow = |branch: &&Value| branch.get("const").is_some() || branch["type"] == "null";
        let first = branches.iter().filter(shallow).chain(branches);
        let mut why = String::new();
        for branch in first {
            match self.of(branch, depth) {
                Ok(value) => return Ok(value),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Properties that stand beside a union or a conjunction.
    fn with_own_properties(
        &mut self,
        object: &'s Map<String, Value>,
        value: Value,
        depth: usize,
    ) -> Result<Value, String> {
        if object.contains_key("properties") && value.is_object() {
            return Ok(merge(value, self.object(object, depth)?));
        }
        Ok(value)
    }

    fn typed(&mut self, object: &'s Map<String, Value>, depth: usize) -> Result<Value, String> {
        let one = match object.get("type") {
            Some(Value::Array(types)) if depth > DEEP && types.contains(&"null".into()) => "null",
            Some(Value::Array(types)) => self.dice.one_of(types).as_str().unwrap_or_default(),
            Some(one) => one.as_str().unwrap_or_default(),
            None if object.contains_key("properties") => "object",
            None if object.contains_key("items") => "array",
            None => return Ok(json!("anything")),
        };
        match one {
            "null" => Ok(Value::Null),
            "boolean" => Ok(self.dice.chance(2).into()),
            "integer" => self.integer(object),
            "number" => self.number(object),
            "string" => self.text(object),
            "array" => self.array(object, depth),
            "object" => self.object(object, depth),
            other => Err(format!("the type `{other}` is unknown")),
        }
    }

    /// Small, often, and from a wide range at times.
    fn integer(&mut self, object: &Map<String, Value>) -> Result<Value, String> {
        let bound = |keyword| object.get(keyword).and_then(Value::as_f64);
        let low = bound("minimum").or(bound("exclusiveMinimum").map(|low| low + 1.0));
        let high = bound("maximum").or(bound("exclusiveMaximum").map(|high| high - 1.0));
        let range = *self.dice.one_of(&[1.0, 10.0, 1_000.0, 100_000.0]);
        // Bounds in the middle of the range count, and those far away do not.
        let low = low.map_or(-range, |low| if low < -range { -range } else { low.ceil() });
        let high = high
            .map_or(f64::INFINITY, f64::floor)
            .min(low.max(0.0) + range)
            .max(low);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (low, steps) = (low as i64, (high - low) as u64);
        let mut value = low.saturating_add_unsigned(self.dice.below(steps.saturating_add(1)));
        if let Some(step) = object
            .get("multipleOf")
            .and_then(Value::as_i64)
            .filter(|s| *s > 0)
        {
            value -= value.rem_euclid(step);
            if bound("minimum").is_some_and(|low| (value as f64) < low) {
                value += step;
            }
        }
        if bound("maximum").is_some_and(|high| value as f64 > high) {
            return Err("no number lies between its bounds".to_owned());
        }
        Ok(value.into())
    }

    /// With a fraction that binary numbers have.
    fn number(&mut self, object: &Map<String, Value>) -> Result<Value, String> {
        let whole = self.integer(object)?.as_f64().unwrap_or_default();
        let fraction = *self.dice.one_of(&[0.0, 0.25, 0.5]);
        let high = object.get("maximum").and_then(Value::as_f64);
        let fits = high.is_none_or(|high| whole + fraction <= high);
        let value = if fits { whole + fraction } else { whole };
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn text(&mut self, object: &Map<String, Value>) -> Result<Value, String> {
        if let Some(pattern) = object.get("pattern").and_then(Value::as_str) {
            return Err(format!("no text is made by the pattern `{pattern}`"));
        }
        if let Some(format) = object.get("format").and_then(Value::as_str)
            && let Some(text) = self.formatted(format)
        {
            return Ok(text.into());
        }
        let length = |keyword| object.get(keyword).and_then(Value::as_u64);
        let least = usize::try_from(length("minLength").unwrap_or(0)).unwrap_or(usize::MAX);
        let most = length("maxLength").and_then(|most| usize::try_from(most).ok());
        if least > 10_000 {
            return Err(format!("a text of {least} characters is too long"));
        }
        let mut text = (*self.dice.one_of(WORDS)).to_owned();
        while text.chars().count() < least {
            text.push('x');
        }
        Ok(text
            .chars()
            .take(most.unwrap_or(usize::MAX))
            .collect::<String>()
            .into())
    }

    fn formatted(&mut self, format: &str) -> Option<String> {
        let (n, day) = (self.dice.below(10), 1 + self.dice.below(28));
        Some(match format {
            "date-time" => format!("2026-01-{day:02}T0{n}:00:00Z"),
            "date" => format!("2026-01-{day:02}"),
            "time" => format!("0{n}:00:00Z"),
            "uuid" => format!("00000000-0000-4000-8000-00000000000{n}"),
            "email" => format!("person{n}@example.com"),
            "hostname" => format!("host{n}.example.com"),
            "ipv4" => format!("192.0.2.{n}"),
            "ipv6" => format!("2001:db8::{n}"),
            "uri" | "uri-reference" | "iri" => format!("https://example.com/{n}"),
            "duration" => format!("PT{n}H"),
            _ => return None,
        })
    }

    fn array(&mut self, object: &'s Map<String, Value>, depth: usize) -> Result<Value, String> {
        if let Some(items) = list(object, "items") {
            return items.iter().map(|item| self.of(item, depth)).collect();
        }
        let bound = |keyword| object.get(keyword).and_then(Value::as_u64);
        let least = bound("minItems").unwrap_or(0);
        let most = bound("maxItems").unwrap_or(least + 3);
        let count = match depth > DEEP {
            true => least,
            false => least + self.dice.below(most.saturating_sub(least).min(3) + 1),
        };
        let unique = object.get("uniqueItems") == Some(&Value::Bool(true));
        let Some(items) = object.get("items") else {
            return Ok(json!([]));
        };
        let mut values = Vec::new();
        for _ in 0..count {
            let value = self.of(items, depth)?;
            if !unique || !values.contains(&value) {
                values.push(value);
            }
        }
        if (values.len() as u64) < least {
            return Err(format!("{least} different items are hard to find"));
        }
        Ok(values.into())
    }

    fn object(&mut self, object: &'s Map<String, Value>, depth: usize) -> Result<Value, String> {
        let mut made = Map::new();
        let required = list(object, "required").unwrap_or_default();
        for (name, schema) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let must = required.iter().any(|required| required == name);
            if must || (depth <= DEEP && self.dice.chance(2)) {
                made.insert(name.clone(), self.of(schema, depth)?);
            }
        }
        // A map: any names.
        if let (true, Some(values)) = (made.is_empty(), object.get("additionalProperties")) {
            let count = if values.is_object() && depth <= DEEP {
                self.dice.below(3)
            } else {
                0
            };
            for _ in 0..count {
                let name = *self.dice.one_of(WORDS);
                made.insert(name.to_owned(), self.of(values, depth)?);
            }
        }
        Ok(made.into())
    }
}

/// Texts: names, and what may be the id of something else in the sample.
const WORDS: &[&str] = &["1", "2", "3", "ada", "bo", "cy", "Dæg & Nat", ""];

fn list<'v>(object: &'v Map<String, Value>, keyword: &str) -> Option<&'v [Value]> {
    let list = object.get(keyword)?.as_array()?;
    (!list.is_empty()).then_some(list.as_slice())
}

/// Both objects in one; of anything else, the second.
fn merge(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            first.extend(second);
            first.into()
        }
        (Value::Object(first), second) if first.is_empty() => second,
        (first, Value::Object(second)) if second.is_empty() => first,
        (_, second) => second,
    }
}

/// SplitMix64: ten lines that nobody will change, so that a seed means the same for ever.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Once in `n` times not.
    pub(crate) fn chance(&mut self, n: u64) -> bool {
        self.below(n) != 0
    }

    pub(crate) fn one_of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        let index = usize::try_from(self.below(values.len() as u64)).unwrap_or_default();
        &values[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is made is what the schema asks for, as another program judges it.
    #[test]
    fn what_is_made_is_valid() {
        let document = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "required": ["whole", "some", "tuple", "tree", "kind", "both", "map", "when", "part"],
            "properties": {
                "whole": { "type": "integer", "minimum": -5, "exclusiveMaximum": 7, "multipleOf": 3 },
                "big": { "type": "integer", "format": "uint64", "minimum": 5_000_000 },
                "part": { "type": "number", "minimum": 0, "maximum": 1 },
                "some": { "type": ["string", "null"], "minLength": 2, "maxLength": 4 },
                "tuple": { "type": "array", "items": [{ "type": "boolean" }, { "const": 1 }] },
                "set": { "type": "array", "items": { "enum": ["a", "b"] }, "uniqueItems": true },
                "tree": { "$ref": "#/definitions/Tree" },
                "kind": { "oneOf": [
                    { "type": "string", "const": "one" },
                    { "type": "object", "required": ["two"], "properties": { "two": { "type": "null" } } },
                ] },
                "both": { "allOf": [
                    { "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } },
                    { "type": "object", "required": ["b"], "properties": { "b": { "type": "string" } } },
                ] },
                "map": { "type": "object", "additionalProperties": { "type": "integer" } },
                "when": { "type": "string", "format": "date-time" },
                "code": { "type": "string", "pattern": "^[A-Z]{3}$", "examples": ["DKK", "EUR"] },
            },
            "definitions": { "Tree": {
                "type": "object",
                "required": ["kids", "left"],
                "properties": {
                    "kids": { "type": "array", "items": { "$ref": "#/definitions/Tree" } },
                    "left": { "anyOf": [{ "$ref": "#/definitions/Tree" }, { "type": "null" }] },
                },
            } },
        });
        let judge = jsonschema::draft7::options().should_validate_formats(true);
        let judge = judge.build(&document).unwrap();
        let seed = fastrand::u64(..);
        let mut sampler = Sampler::new(&document, seed);
        for n in 0..500 {
            let value = sampler.sample().unwrap();
            if let Err(error) = judge.validate(&value) {
                panic!(
                    "seed {seed}, value {n}: {error} at {} in {value}",
                    error.instance_path()
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_made_says_what_to_do() {
        let schema = json!({ "type": "string", "pattern": "^DK" });
        let error = Sampler::new(&schema, 1).sample().unwrap_err().to_string();
        assert!(
            error.contains("`^DK`") && error.contains("#[schemars(example"),
            "{error}"
        );
        let endless = json!({
            "$ref": "#/definitions/A",
            "definitions": { "A": { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/A" } } },
        });
        assert!(
            Sampler::new(&endless, 1)
                .sample()
                .unwrap_err()
                .to_string()
                .contains("never ends")
        );
    }

    /// A seed means the same for ever: examples in published documents are made by it.
    #[test]
    fn a_seed_means_the_same_for_ever() {
        let schema = json!({ "type": "array", "minItems": 6, "items": { "type": "integer" } });
        assert_eq!(
            Sampler::new(&schema, 7).sample().unwrap().to_string(),
            "[-1,47124,9,-929,3,-1,-1,0,-65246]"
        );
    }
}
