//! What a published schema asks of its readers that not all of them can give.

use serde_json::{Map, Value, json};

use super::compat::subset;
use super::contract::Rewrite;
use super::sampler::Sampler;
use crate::error::Result;

/// Beyond this a number in JavaScript is another one.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// Values that are tried.
const SAMPLES: usize = 100;

/// Formats of draft-07, and the sizes of numbers that schemas from Rust name.
const FORMATS: &[&str] = &[
    "date",
    "date-time",
    "double",
    "email",
    "float",
    "hostname",
    "idn-email",
    "idn-hostname",
    "int16",
    "int32",
    "int64",
    "int8",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// What may surprise a reader of this document, with what to do about it.
pub(crate) fn surprises(document: &Value) -> Vec<(String, &'static str)> {
    let mut document = document.clone();
    let mut found = Vec::new();
    let definitions = super::document::take_definitions(&mut document);
    let mut look = |place: &str, schema: &Value| {
        each_with_path(schema, place, &mut |path, object| {
            if is_integer(object) && !is_safe(object) {
                found.push((
                    format!("the number at `{path}` may be more than 2^53, where JavaScript's numbers end"),
                    "bound it with `#[schemars(range(…))]`, `#[schemars(extend(\"maximum\" = …))]` or a smaller type, or publish it as text",
                ));
            }
            let format = object.get("format").and_then(Value::as_str);
            if let Some(format) = format.filter(|format| !FORMATS.contains(format)) {
                found.push((
                    format!("the format `{format}` at `{path}` is no standard one, so readers treat it as any text"),
                    "publish one of draft-07, as `date-time`",
                ));
            }
        });
    };
    look("", &document);
    for (name, schema) in &definitions {
        look(name, schema);
    }
    found.sort();
    found
}

/// Where a type and its schema differ: a value that the schema allows and the type does not read, or
/// one that the type writes and the schema does not allow.
///
/// # Errors
/// When no sample can be made.
pub(crate) fn disagreement(
    document: &Value,
    variant: usize,
    rewrite: Rewrite,
) -> Result<Option<(String, &'static str)>> {
    let mut sampler = Sampler::new(document, 0);
    for _ in 0..SAMPLES {
        let value = sampler.sample()?.to_string();
        match rewrite(variant, &value) {
            Err(error) => {
                let message = format!(
                    "the schema allows `{value}`, which its own type does not read ({error})"
                );
                return Ok(Some((message, SAY_IT)));
            }
            Ok(written) if !allows(document, &written) => {
                let message = format!("its type writes `{written}`, which the schema forbids");
                return Ok(Some((message, SAY_IT)));
            }
            Ok(_) => {}
        }
    }
    Ok(None)
}

const SAY_IT: &str =
    "say the type's rules in its schema, or give it examples, `#[schemars(example = …)]`";

/// Whether a payload is what the schema describes, as far as it is certain.
pub(crate) fn allows(document: &Value, payload: &str) -> bool {
    let Ok(payload) = serde_json::from_str::<Value>(payload) else {
        return false;
    };
    let this = json!({ "const": payload });
    subset(&this, document).counterexample().is_none()
}

/// Visits a schema and all in it, with the names of the properties that lead there.
fn each_with_path(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
    let Some(object) = schema.as_object() else {
        return;
    };
    visit(if path.is_empty() { "the payload" } else { path }, object);
    let under = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    for (keyword, value) in object {
        match (keyword.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(named)) => {
                for (name, schema) in named {
                    each_with_path(schema, &under(name), visit);
                }
            }
            ("items" | "additionalProperties" | "additionalItems" | "contains", value)
                if value.is_object() =>
            {
                each_with_path(value, &under("[]"), visit);
            }
            ("items" | "allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                for schema in all {
                    each_with_path(schema, path, visit);
                }
            }
            _ => {}
        }
    }
}

fn is_integer(object: &Map<String, Value>) -> bool {
    let wide = matches!(
        object.get("format").and_then(Value::as_str),
        Some("int64" | "uint64" | "int" | "uint" | "int128" | "uint128")
    );
    let named = |kind: &Value| kind == "integer";
    let integer = match object.get("type") {
        Some(Value::Array(types)) => types.iter().any(named),
        Some(kind) => named(kind),
        None => false,
    };
    wide && integer
}

fn is_safe(object: &Map<String, Value>) -> bool {
    let bound = |keyword| object.get(keyword).and_then(Value::as_f64);
    bound("minimum").is_some_and(|low| low >= -SAFE)
        && bound("maximum").is_some_and(|high| high <= SAFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_safe_bounds_and_odd_formats_are_told_with_their_place() {
        let document = json!({
            "properties": {
                "safe": { "type": "integer", "format": "int64", "minimum": 0, "maximum": SAFE },
                "small": { "type": "integer", "format": "int32" },
                "maybe": { "type": ["integer", "null"], "format": "uint64", "minimum": 0 },
                "list": { "type": "array", "items": { "type": "string", "format": "naive-date" } },
                "other": { "$ref": "#/definitions/Other" },
            },
            "definitions": { "Other": { "oneOf": [
                { "properties": { "deep": { "type": "integer", "format": "int64" } } },
            ] } },
        });
        let found: Vec<_> = surprises(&document)
            .into_iter()
            .map(|(what, _)| what)
            .collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("`naive-date` at `list.[]`"), "{found:?}");
        assert!(found[1].contains("`Other.deep`"), "{found:?}");
        assert!(found[2].contains("`maybe`"), "{found:?}");
    }

    #[test]
    fn where_a_type_and_its_schema_differ_is_told() {
        let document = json!({ "type": "integer", "minimum": 0, "maximum": 100 });
        let small: Rewrite = |_, payload| {
            let n: u8 = serde_json::from_str(payload)?;
            let too_much = || serde::de::Error::custom("too much");
            (n < 9).then(|| payload.to_owned()).ok_or_else(too_much)
        };
        let (message, _) = disagreement(&document, 0, small).unwrap().unwrap();
        assert!(message.contains("(too much)"), "{message}");
        let negative: Rewrite = |_, payload| Ok(format!("-1{payload}"));
        let (message, _) = disagreement(&document, 0, negative).unwrap().unwrap();
        assert!(message.contains("writes `-1"), "{message}");
        let same: Rewrite = |_, payload| Ok(payload.to_owned());
        assert_eq!(disagreement(&document, 0, same).unwrap(), None);
    }
}
