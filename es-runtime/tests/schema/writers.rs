//! Events written by the old code, read with the new schema, and the other way round: what the check
//! says holds for all that are made up.

use es_runtime::schema::compat::{Direction, Mode, check};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::random::{pick, seeded};

const ROUNDS: usize = 150;
const NAMES: [&str; 5] = ["amount", "currency", "owner", "note", "lines"];
const WORDS: [&str; 4] = ["dkk", "eur", "sek", "usd"];

/// A schema as derives write it.
fn shape(random: &mut Rng, depth: u32) -> Value {
    match random.u32(..if depth == 0 { 6 } else { 10 }) {
        0 => json!({"type": "integer"}),
        1 => json!({"type": "integer", "minimum": random.i32(-1..2)}),
        2 => json!({"type": *pick(random, &["string", "boolean", "number"])}),
        3 => json!({"type": ["string", "null"]}),
        4 => json!({"type": "string", "enum": WORDS[..random.usize(1..4)]}),
        5 => json!({"type": "string", "maxLength": random.u32(2..4)}),
        6 => json!({"type": "array", "items": shape(random, depth - 1)}),
        7 => json!({"anyOf": [object(random, depth - 1), {"type": "null"}]}),
        8 => {
            let branches = 1..=random.usize(1..4);
            let tagged = branches.map(|number| {
                let mut branch = object(random, depth - 1);
                branch["properties"]["kind"] = json!({"const": format!("kind-{number}")});
                branch["required"]
                    .as_array_mut()
                    .unwrap()
                    .push("kind".into());
                branch
            });
            json!({"oneOf": tagged.collect::<Vec<_>>()})
        }
        _ => object(random, depth - 1),
    }
}

fn object(random: &mut Rng, depth: u32) -> Value {
    let names: Vec<&str> = NAMES.into_iter().filter(|_| random.u32(..3) == 0).collect();
    let required: Vec<&str> = names.iter().copied().filter(|_| random.bool()).collect();
    let properties = names
        .into_iter()
        .map(|name| (name.to_owned(), shape(random, depth)));
    let properties: Map<String, Value> = properties.collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// Changes one thing, somewhere.
fn change(random: &mut Rng, schema: &mut Value) {
    for word in ["items", "anyOf", "oneOf"] {
        match schema.get_mut(word) {
            Some(Value::Array(branches)) if random.u32(..4) > 0 => {
                let at = random.usize(..branches.len());
                return change(random, &mut branches[at]);
            }
            Some(inner @ Value::Object(_)) if random.u32(..4) > 0 => return change(random, inner),
            Some(Value::Array(branches)) if branches.len() > 1 => {
                branches.pop();
                return;
            }
            _ => {}
        }
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let names: Vec<String> = properties
            .keys()
            .filter(|name| *name != "kind")
            .cloned()
            .collect();
        if !names.is_empty() && random.u32(..3) > 0 {
            let name = pick(random, &names).clone();
            return change(random, &mut schema["properties"][name]);
        }
        let name = *pick(random, &NAMES);
        let required = schema["required"].as_array_mut().unwrap();
        match required.iter().position(|required| required == name) {
            Some(at) => drop(required.remove(at)),
            None if random.bool() => required.push(name.into()),
            None => {}
        }
        if !schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .any(|required| required == name)
            && random.bool()
        {
            schema["properties"].as_object_mut().unwrap().remove(name);
        } else if schema["properties"].get(name).is_none() {
            schema["properties"][name] = shape(random, 1);
        }
        return;
    }
    *schema = shape(random, 1);
}

/// An event, as code that is generated from the schema writes it.
fn written(random: &mut Rng, schema: &Value) -> Value {
    for word in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(word).and_then(Value::as_array) {
            let branch = pick(random, branches);
            return written(random, branch);
        }
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return pick(random, values).clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => pick(random, kinds).clone(),
        kind => kind.clone(),
    };
    let least = schema.get("minimum").and_then(Value::as_i64);
    match kind.as_str().unwrap() {
        "integer" => match least {
            Some(least) => least + random.i64(0..3),
            None => random.i64(-3..4),
        }
        .into(),
        "number" => (f64::from(random.i32(-4..5)) / 2.0).into(),
        "boolean" => random.bool().into(),
        "null" => Value::Null,
        "string" => {
            let most = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(5);
            "abcde"
                .chars()
                .take(usize::try_from(random.u64(..=most)).unwrap())
                .collect::<String>()
                .into()
        }
        "array" => (0..random.usize(..3))
            .map(|_| written(random, &schema["items"]))
            .collect(),
        _ => {
            let mut event = Map::new();
            for (name, property) in schema["properties"].as_object().unwrap() {
                let required = schema["required"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|required| required == name);
                if required || random.bool() {
                    event.insert(name.clone(), written(random, property));
                }
            }
            event.into()
        }
    }
}

#[test]
fn what_is_compatible_is_read() {
    let mut random = seeded();
    let (mut compatible, mut not) = (0, 0);
    for _ in 0..ROUNDS {
        let old = object(&mut random, 3);
        let mut new = old.clone();
        for _ in 0..random.usize(1..3) {
            change(&mut random, &mut new);
        }
        let valid = |schema: &Value, event: &Value| jsonschema::draft7::is_valid(schema, event);
        for (mode, writer, reader) in [(Mode::Backward, &old, &new), (Mode::Forward, &new, &old)] {
            let report = check(&old, &new, mode);
            if report.is_compatible() {
                compatible += 1;
                for _ in 0..30 {
                    let event = written(&mut random, writer);
                    assert!(valid(writer, &event), "{event}\n  is not {writer}");
                    assert!(
                        valid(reader, &event),
                        "{event}\n  of {writer}\n  is not {reader}\n{report}"
                    );
                }
                continue;
            }
            not += 1;
            for finding in report.errors() {
                assert!(matches!(
                    (mode, finding.direction),
                    (Mode::Backward, Some(Direction::Backward))
                        | (Mode::Forward, Some(Direction::Forward))
                ));
                if let Some(event) = &finding.counterexample {
                    assert!(valid(writer, event), "{event}\n  is not {writer}\n{report}");
                    assert!(!valid(reader, event), "{event}\n  is {reader}\n{report}");
                } else {
                    assert_eq!(
                        finding.rule, "property-renamed",
                        "{old}\n  to {new}\n{report}"
                    );
                }
            }
        }
    }
    println!("{compatible} are compatible, {not} are not");
    assert!(
        compatible > ROUNDS / 4 && not > ROUNDS / 4,
        "{compatible} and {not}"
    );
}
