//! Schemas and instances made up: no answer is refuted, and none takes for ever.

use std::time::{Duration, Instant};

use es_runtime::schema::compat::{Verdict, subset};
use fastrand::Rng;
use serde_json::{Map, Value, json};

const ROUNDS: usize = 1500;

pub(crate) fn seeded() -> Rng {
    let seed = std::env::var("ES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    Rng::with_seed(seed)
}

pub(crate) fn pick<'a, T>(random: &mut Rng, from: &'a [T]) -> &'a T {
    &from[random.usize(..from.len())]
}

const NAMES: [&str; 4] = ["a", "b", "ab", "c"];
const PATTERNS: [&str; 6] = ["a", "^b", "b$", "^(ab|c)$", "^a*$", "^[^a]"];

fn instance(random: &mut Rng, depth: u32) -> Value {
    match random.u32(..if depth == 0 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => random.bool().into(),
        2 | 3 => random.i32(-3..6).into(),
        4 => json!(f64::from(random.i32(-6..12)) / 4.0),
        5 | 6 => (*pick(random, &["", "a", "b", "ab", "ba", "c", "aab"])).into(),
        7 | 8 => {
            let names: Vec<&str> = NAMES.into_iter().filter(|_| random.bool()).collect();
            names
                .into_iter()
                .map(|name| (name.to_owned(), instance(random, depth - 1)))
                .collect::<Map<_, _>>()
                .into()
        }
        _ => (0..random.usize(..4))
            .map(|_| instance(random, depth - 1))
            .collect(),
    }
}

fn list(random: &mut Rng, depth: u32) -> Value {
    (0..random.usize(1..4))
        .map(|_| schema(random, depth))
        .collect()
}

fn schema(random: &mut Rng, depth: u32) -> Value {
    if depth == 0 || random.u32(..12) == 0 {
        return match random.u32(..6) {
            0 => true.into(),
            1 => false.into(),
            2 => json!({"const": instance(random, 1)}),
            3 => json!({"$ref": "#/definitions/d"}),
            _ => {
                json!({"type": pick(random, &["null", "boolean", "integer", "number", "string", "array", "object"])})
            }
        };
    }
    let mut members = Map::new();
    for _ in 0..random.usize(1..4) {
        let deeper = depth - 1;
        let (word, value) = match random.u32(..29) {
            0 | 1 => (
                "type",
                json!(pick(
                    random,
                    &["integer", "number", "string", "array", "object", "boolean"]
                )),
            ),
            2 => (
                "type",
                json!([
                    pick(random, &["string", "null"]),
                    pick(random, &["array", "object", "integer"])
                ]),
            ),
            3 => (
                "enum",
                (0..random.usize(1..4))
                    .map(|_| instance(random, 1))
                    .collect(),
            ),
            4 => ("minimum", random.i32(-3..4).into()),
            5 => ("maximum", random.i32(-1..6).into()),
            6 => ("exclusiveMinimum", random.i32(-3..4).into()),
            7 => (
                "exclusiveMaximum",
                json!(f64::from(random.i32(-2..12)) / 2.0),
            ),
            8 => (
                "multipleOf",
                json!(pick(random, &[0.5, 1.0, 1.5, 2.0, 3.0])),
            ),
            9 => ("minLength", random.u32(..4).into()),
            10 => ("maxLength", random.u32(..4).into()),
            11 => ("pattern", json!(pick(random, &PATTERNS))),
            12 => ("items", schema(random, deeper)),
            13 => ("items", list(random, deeper)),
            14 => ("additionalItems", schema(random, deeper)),
            15 => ("contains", schema(random, deeper)),
            16 => ("minItems", random.u32(..3).into()),
            17 => ("maxItems", random.u32(..4).into()),
            18 => ("uniqueItems", random.bool().into()),
            19 | 20 => {
                let names: Vec<&str> = NAMES.into_iter().filter(|_| random.bool()).collect();
                let properties = names
                    .into_iter()
                    .map(|name| (name.to_owned(), schema(random, deeper)));
                ("properties", properties.collect::<Map<_, _>>().into())
            }
            21 => (
                "required",
                NAMES.into_iter().filter(|_| random.u32(..3) == 0).collect(),
            ),
            22 => ("additionalProperties", schema(random, deeper)),
            23 => (
                "patternProperties",
                json!({*pick(random, &PATTERNS): schema(random, deeper)}),
            ),
            24 => ("propertyNames", schema(random, deeper)),
            25 => (
                *pick(random, &["minProperties", "maxProperties"]),
                random.u32(..4).into(),
            ),
            26 => ("not", schema(random, deeper)),
            27 => (
                *pick(random, &["anyOf", "oneOf", "allOf"]),
                list(random, deeper),
            ),
            _ => (
                "dependencies",
                json!({*pick(random, &NAMES): [pick(random, &NAMES)]}),
            ),
        };
        members.insert(word.to_owned(), value);
    }
    if random.u32(..12) == 0 {
        for word in ["if", "then", "else"] {
            members.insert(word.to_owned(), schema(random, depth - 1));
        }
    }
    members.into()
}

fn document(random: &mut Rng) -> Value {
    let mut schema = schema(random, 3);
    if schema.is_boolean() {
        schema = json!({});
    }
    // Definitions refer to themselves through items alone.
    let below = self::schema(random, 1);
    schema["definitions"] = json!({"d": {"anyOf": [below_without_refs(below), {"type": "array", "items": {"$ref": "#/definitions/d"}}]}});
    schema
}

fn below_without_refs(schema: Value) -> Value {
    match schema.to_string().contains("$ref") {
        true => json!({"type": "null"}),
        false => schema,
    }
}

/// Changes one thing somewhere.
fn changed(random: &mut Rng, schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Value::Object(members) = &mut schema else {
        return self::schema(random, 1);
    };
    let words: Vec<String> = members
        .keys()
        .filter(|word| *word != "definitions")
        .cloned()
        .collect();
    if words.is_empty() || random.u32(..3) == 0 {
        if let Value::Object(more) = self::schema(random, 1) {
            members.extend(more);
        }
        return schema;
    }
    let word = pick(random, &words).clone();
    let nested = [
        "items",
        "not",
        "contains",
        "additionalProperties",
        "propertyNames",
        "additionalItems",
    ];
    if nested.contains(&word.as_str()) && !members[&word].is_array() && random.bool() {
        members[&word] = changed(random, &members[&word].clone());
    } else {
        members.remove(&word);
    }
    schema
}

/// Exactly this instance, and nothing else.
fn only(value: &Value) -> Value {
    json!({"const": value})
}

/// Instances of the schema, as different as they come.
fn some(schema: &Value) -> Vec<Value> {
    let mut known = Vec::new();
    while known.len() < 8 {
        let others = json!({"allOf": [schema, {"not": {"enum": known}}], "definitions": schema["definitions"]});
        match subset(&others, &json!(false)).counterexample() {
            Some(instance) => known.push(instance.clone()),
            None => break,
        }
    }
    known
}

#[test]
fn no_answer_is_refuted() {
    let mut random = seeded();
    let (mut yes, mut no, mut unsure) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let sub = document(&mut random);
        let sup = match random.u32(..3) {
            0 => document(&mut random),
            _ => changed(&mut random, &sub),
        };
        let start = Instant::now();
        let verdict = subset(&sub, &sup);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{sub}\n  in {sup}"
        );
        match verdict {
            Verdict::Subset => {
                yes += 1;
                let mut instances = some(&sub);
                instances.extend((0..40).map(|_| instance(&mut random, 2)));
                for instance in instances {
                    let refuted = oracle::valid(&sub, &instance) && !oracle::valid(&sup, &instance);
                    assert!(!refuted, "{instance}\n  is {sub}\n  and not {sup}");
                }
            }
            Verdict::NotSubset {
                counterexample: Some(instance),
                ..
            } => {
                no += 1;
                assert!(oracle::valid(&sub, &instance), "{instance}\n  is not {sub}");
                assert!(!oracle::valid(&sup, &instance), "{instance}\n  is {sup}");
                // The same, asked in two other ways.
                let back = subset(&only(&instance), &sub);
                assert!(
                    !matches!(back, Verdict::NotSubset { .. }),
                    "{instance} in {sub}"
                );
                assert!(
                    !subset(&only(&instance), &sup).is_subset(),
                    "{instance} in {sup}"
                );
            }
            _ => unsure += 1,
        }
    }
    println!("{yes} are, {no} are not, {unsure} are unsure");
    assert!(
        yes > ROUNDS / 20 && no > ROUNDS / 5,
        "the schemas are too plain"
    );
    assert!(unsure < ROUNDS / 20, "too many are unsure");
}

/// The same schema in words of 2020-12, with some that there are only there.
fn modern(random: &mut Rng, schema: &Value) -> Value {
    let Value::Object(members) = schema else {
        return match schema {
            Value::Array(list) => list.iter().map(|schema| modern(random, schema)).collect(),
            other => other.clone(),
        };
    };
    let mut new = Map::new();
    for (word, value) in members {
        let tuple = members.get("items").is_some_and(Value::is_array);
        let (word, value) = match word.as_str() {
            "items" if tuple => ("prefixItems", modern(random, value)),
            "additionalItems" if tuple => ("items", modern(random, value)),
            "additionalItems" => continue,
            "dependencies" => ("dependentRequired", value.clone()),
            "enum" | "const" | "required" | "type" => (word.as_str(), value.clone()),
            "properties" | "patternProperties" | "definitions" => {
                let members = value.as_object().unwrap().iter();
                let members = members.map(|(name, schema)| (name.clone(), modern(random, schema)));
                (word.as_str(), members.collect::<Map<_, _>>().into())
            }
            _ => (word.as_str(), modern(random, value)),
        };
        new.insert(word.to_owned(), value);
    }
    if new.contains_key("contains") && random.bool() {
        new.insert("minContains".to_owned(), random.u32(..3).into());
        new.insert("maxContains".to_owned(), random.u32(1..3).into());
    }
    let looks = ["allOf", "anyOf", "oneOf", "if", "properties", "prefixItems"];
    if looks.iter().any(|word| new.contains_key(*word)) && random.bool() {
        let rest = self::schema(random, 0);
        let word = *pick(random, &["unevaluatedProperties", "unevaluatedItems"]);
        new.insert(
            word.to_owned(),
            if random.bool() { false.into() } else { rest },
        );
    }
    if random.u32(..10) == 0 {
        let needed = self::schema(random, 1);
        let needed = modern(random, &needed);
        new.insert(
            "dependentSchemas".to_owned(),
            json!({*pick(random, &NAMES): needed}),
        );
    }
    new.into()
}

#[test]
fn no_answer_on_modern_schemas_is_refuted() {
    let mut random = seeded();
    let (mut yes, mut no, mut unsure) = (0, 0, 0);
    for _ in 0..ROUNDS / 3 {
        let old = document(&mut random);
        let changed = changed(&mut random, &old);
        let mut dated = |schema: &Value| {
            let mut schema = modern(&mut random, schema);
            schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
            schema
        };
        let (sub, sup) = (dated(&old), dated(&changed));
        let valid = |schema: &Value, instance: &Value| {
            let validator = jsonschema::draft202012::new(schema).unwrap();
            validator.is_valid(instance)
        };
        match subset(&sub, &sup) {
            Verdict::Subset => {
                yes += 1;
                let mut instances: Vec<Value> = (0..20).map(|_| instance(&mut random, 2)).collect();
                let some = subset(&sub, &json!(false));
                instances.extend(some.counterexample().cloned());
                for instance in instances {
                    let refuted = valid(&sub, &instance) && !valid(&sup, &instance);
                    assert!(!refuted, "{instance}\n  is {sub}\n  and not {sup}");
                }
            }
            Verdict::NotSubset {
                counterexample: Some(instance),
                ..
            } => {
                no += 1;
                assert!(valid(&sub, &instance), "{instance}\n  is not {sub}");
                assert!(!valid(&sup, &instance), "{instance}\n  is {sup}");
            }
            _ => unsure += 1,
        }
    }
    println!("{yes} are, {no} are not, {unsure} are unsure");
    assert!(
        yes > ROUNDS / 60 && no > ROUNDS / 30,
        "the schemas are too plain"
    );
    assert!(unsure < ROUNDS / 10, "too many are unsure");
}

/// A validator of its own, as short as it can be: what it says is what the standard says.
mod oracle {
    use serde_json::{Map, Value};

    pub(super) fn valid(document: &Value, instance: &Value) -> bool {
        check(document, document, instance)
    }

    fn same(left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
            (Value::Array(left), Value::Array(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(right)
                        .all(|(left, right)| same(left, right))
            }
            (Value::Object(left), Value::Object(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
            }
            _ => left == right,
        }
    }

    fn is(kind: &str, instance: &Value) -> bool {
        match kind {
            "null" => instance.is_null(),
            "boolean" => instance.is_boolean(),
            "integer" => instance
                .as_f64()
                .is_some_and(|number| number.fract() == 0.0),
            "number" => instance.is_number(),
            "string" => instance.is_string(),
            "array" => instance.is_array(),
            _ => instance.is_object(),
        }
    }

    /// The patterns of this test, by hand.
    fn matches(pattern: &str, text: &str) -> bool {
        match pattern {
            "a" => text.contains('a'),
            "^b" => text.starts_with('b'),
            "b$" => text.ends_with('b'),
            "^(ab|c)$" => text == "ab" || text == "c",
            "^a*$" => text.chars().all(|letter| letter == 'a'),
            "^[^a]" => text.chars().next().is_some_and(|letter| letter != 'a'),
            other => panic!("{other}"),
        }
    }

    fn check(root: &Value, schema: &Value, instance: &Value) -> bool {
        let schema = match schema {
            Value::Bool(all) => return *all,
            Value::Object(schema) => schema,
            other => panic!("{other}"),
        };
        if schema.contains_key("$ref") {
            return check(root, &root["definitions"]["d"], instance);
        }
        schema
            .iter()
            .all(|(word, value)| keyword(root, schema, word, value, instance))
    }

    fn keyword(
        root: &Value,
        schema: &Map<String, Value>,
        word: &str,
        value: &Value,
        instance: &Value,
    ) -> bool {
        let all = |schemas: &Value| {
            schemas
                .as_array()
                .unwrap()
                .iter()
                .filter(|schema| check(root, schema, instance))
                .count()
        };
        let number = |holds: fn(f64, f64) -> bool| {
            instance
                .as_f64()
                .is_none_or(|number| holds(number, value.as_f64().unwrap()))
        };
        let length = || usize::try_from(value.as_u64().unwrap()).unwrap();
        match word {
            "type" => match value {
                Value::Array(kinds) => kinds
                    .iter()
                    .any(|kind| is(kind.as_str().unwrap(), instance)),
                kind => is(kind.as_str().unwrap(), instance),
            },
            "enum" => value
                .as_array()
                .unwrap()
                .iter()
                .any(|value| same(value, instance)),
            "const" => same(value, instance),
            "minimum" => number(|number, bound| number >= bound),
            "maximum" => number(|number, bound| number <= bound),
            "exclusiveMinimum" => number(|number, bound| number > bound),
            "exclusiveMaximum" => number(|number, bound| number < bound),
            "multipleOf" => number(|number, factor| (number / factor).fract() == 0.0),
            "minLength" => instance
                .as_str()
                .is_none_or(|text| text.chars().count() >= length()),
            "maxLength" => instance
                .as_str()
                .is_none_or(|text| text.chars().count() <= length()),
            "pattern" => instance
                .as_str()
                .is_none_or(|text| matches(value.as_str().unwrap(), text)),
            "not" => !check(root, value, instance),
            "allOf" => all(value) == value.as_array().unwrap().len(),
            "anyOf" => all(value) > 0,
            "oneOf" => all(value) == 1,
            "if" => {
                let branch = if check(root, value, instance) {
                    "then"
                } else {
                    "else"
                };
                schema
                    .get(branch)
                    .is_none_or(|schema| check(root, schema, instance))
            }
            _ => match instance {
                Value::Array(items) => array(root, schema, word, value, items),
                Value::Object(members) => object(root, schema, word, value, members),
                _ => true,
            },
        }
    }

    fn array(
        root: &Value,
        schema: &Map<String, Value>,
        word: &str,
        value: &Value,
        items: &[Value],
    ) -> bool {
        let length = || usize::try_from(value.as_u64().unwrap()).unwrap();
        match word {
            "items" => items.iter().enumerate().all(|(at, item)| match value {
                Value::Array(first) => match first.get(at) {
                    Some(schema) => check(root, schema, item),
                    None => schema
                        .get("additionalItems")
                        .is_none_or(|rest| check(root, rest, item)),
                },
                schema => check(root, schema, item),
            }),
            "contains" => items.iter().any(|item| check(root, value, item)),
            "minItems" => items.len() >= length(),
            "maxItems" => items.len() <= length(),
            "uniqueItems" => {
                value == &Value::Bool(false)
                    || items
                        .iter()
                        .enumerate()
                        .all(|(at, item)| !items[..at].iter().any(|other| same(item, other)))
            }
            _ => true,
        }
    }

    fn object(
        root: &Value,
        schema: &Map<String, Value>,
        word: &str,
        value: &Value,
        members: &Map<String, Value>,
    ) -> bool {
        let length = || usize::try_from(value.as_u64().unwrap()).unwrap();
        let has = |name: &Value| members.contains_key(name.as_str().unwrap());
        match word {
            "properties" => value.as_object().unwrap().iter().all(|(name, schema)| {
                members
                    .get(name)
                    .is_none_or(|member| check(root, schema, member))
            }),
            "patternProperties" => value.as_object().unwrap().iter().all(|(pattern, schema)| {
                members
                    .iter()
                    .all(|(name, member)| !matches(pattern, name) || check(root, schema, member))
            }),
            "additionalProperties" => members.iter().all(|(name, member)| {
                let named = schema
                    .get("properties")
                    .is_some_and(|properties| properties.get(name).is_some());
                let patterns = schema.get("patternProperties").and_then(Value::as_object);
                let matched = patterns
                    .is_some_and(|patterns| patterns.keys().any(|pattern| matches(pattern, name)));
                named || matched || check(root, value, member)
            }),
            "required" => value.as_array().unwrap().iter().all(has),
            "propertyNames" => members
                .keys()
                .all(|name| check(root, value, &Value::String(name.clone()))),
            "minProperties" => members.len() >= length(),
            "maxProperties" => members.len() <= length(),
            "dependencies" => value.as_object().unwrap().iter().all(|(name, needs)| {
                !members.contains_key(name) || needs.as_array().unwrap().iter().all(has)
            }),
            _ => true,
        }
    }
}
