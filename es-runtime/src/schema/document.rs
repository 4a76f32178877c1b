//! JSON Schema documents of draft-07 as values: visiting what is in them, moving definitions, and
//! the shape that is left when the words for people are gone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The dialect of every schema that is published.
pub(crate) const DIALECT: &str = "http://json-schema.org/draft-07/schema#";
/// Where a document keeps the types that it refers to.
pub(crate) const DEFINITIONS: &str = "#/definitions/";

/// Definitions by name.
pub(crate) type Definitions = BTreeMap<String, Value>;

/// Keywords whose value is a schema, or a list of schemas.
const SCHEMAS: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "oneOf",
    "propertyNames",
    "then",
];
/// Keywords whose value has schemas by name.
const NAMED: &[&str] = &[
    "definitions",
    "dependencies",
    "patternProperties",
    "properties",
];
/// Keywords that mean nothing to a validator.
const WORDS: &[&str] = &[
    "$comment",
    "$id",
    "$schema",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Visits the schemas that stand directly in this one.
pub(crate) fn for_each_inner(schema: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Value)) {
    for (keyword, value) in schema {
        match value {
            Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                named
                    .values_mut()
                    .filter(|v| !v.is_array())
                    .for_each(&mut *visit);
            }
            Value::Array(all) if SCHEMAS.contains(&keyword.as_str()) => {
                all.iter_mut().for_each(&mut *visit);
            }
            value if SCHEMAS.contains(&keyword.as_str()) => visit(value),
            _ => {}
        }
    }
}

/// Visits a schema and all in it, the outer before the inner.
pub(crate) fn for_each(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    if let Value::Object(object) = schema {
        visit(object);
        for_each_inner(object, &mut |inner| for_each(inner, visit));
    }
}

/// Rewrites every reference.
pub(crate) fn map_refs(schema: &mut Value, rewrite: &dyn Fn(&str) -> String) {
    for_each(schema, &mut |object| {
        if let Some(Value::String(target)) = object.get_mut("$ref") {
            *target = rewrite(target);
        }
    });
}

/// The name of the definition that a reference means.
pub(crate) fn definition(reference: &str) -> Option<&str> {
    reference.strip_prefix(DEFINITIONS)
}

/// Takes the definitions out of a document.
pub(crate) fn take_definitions(document: &mut Value) -> Definitions {
    match document
        .as_object_mut()
        .and_then(|object| object.remove("definitions"))
    {
        Some(Value::Object(definitions)) => definitions.into_iter().collect(),
        _ => Definitions::new(),
    }
}

/// The definitions that these schemas refer to, directly or through each other.
pub(crate) fn reachable<'a>(
    schemas: impl IntoIterator<Item = &'a Value>,
    definitions: &Definitions,
) -> Definitions {
    let mut found = Definitions::new();
    let mut open: Vec<Value> = schemas.into_iter().cloned().collect();
    while let Some(mut schema) = open.pop() {
        for name in references(&mut schema) {
            if let Some(definition) = definitions.get(&name)
                && found.insert(name, definition.clone()).is_none()
            {
                open.push(definition.clone());
            }
        }
    }
    found
}

fn references(schema: &mut Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for_each(schema, &mut |object| {
        let reference = object.get("$ref").and_then(Value::as_str);
        names.extend(reference.and_then(definition).map(str::to_owned));
    });
    names
}

/// Adds words for people to a schema. Beside a `$ref` draft-07 ignores everything, so it is wrapped.
pub(crate) fn say(schema: &mut Value, keyword: &str, text: &str) {
    if schema.get("$ref").is_some() {
        *schema = json!({ "allOf": [schema.take()] });
    }
    if let Value::Bool(all) = schema {
        *schema = if *all {
            json!({})
        } else {
            json!({ "not": {} })
        };
    }
    if let Some(object) = schema.as_object_mut() {
        object.insert(keyword.to_owned(), text.into());
    }
}

/// What the schema asks for, without the words for people and the names of definitions: two
/// documents of one shape describe the same JSON, written the same way.
pub(crate) fn shape(document: &Value) -> Value {
    let mut root = document.clone();
    let definitions = take_definitions(&mut root);
    // Definitions are numbered in the order in which they are met.
    let (mut names, mut shaped) = (Vec::new(), Map::new());
    plain(&mut root, &mut names);
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        let mut schema = definitions.get(&name).cloned().unwrap_or(Value::Null);
        plain(&mut schema, &mut names);
        shaped.insert(next.to_string(), schema);
        next += 1;
    }
    if let (Some(object), false) = (root.as_object_mut(), shaped.is_empty()) {
        object.insert("definitions".to_owned(), shaped.into());
    }
    root.sort_all_objects();
    root
}

fn plain(schema: &mut Value, names: &mut Vec<String>) {
    if let Value::Object(object) = schema {
        // One wrapped reference is that reference: it was wrapped for its words.
        object.retain(|keyword, _| !WORDS.contains(&keyword.as_str()));
        if object.len() == 1
            && let Some(Value::Array(all)) = object.get_mut("allOf")
            && all.len() == 1
        {
            *schema = all.remove(0);
            return plain(schema, names);
        }
        if let Some(Value::Array(required)) = object.get_mut("required") {
            required.sort_by_key(Value::to_string);
        }
        object.sort_keys();
        if let Some(name) = object
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(definition)
        {
            let known = names.iter().position(|known| known == name);
            let number = known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            object.insert("$ref".to_owned(), format!("{DEFINITIONS}{number}").into());
        }
        for_each_inner(object, &mut |inner| plain(inner, names));
    }
}

/// A step of a JSON Pointer.
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The first place where two shapes differ, as a JSON Pointer, with what stands there.
pub(crate) fn first_difference(old: &Value, new: &Value) -> Option<(String, String, String)> {
    if old == new {
        return None;
    }
    let inner = |key: &str, old: &Value, new: &Value| {
        let (path, old, new) = first_difference(old, new)?;
        Some((pointer(key) + &path, old, new))
    };
    let deeper = match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
            keys.into_iter()
                .find_map(|key| match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => inner(key, old, new),
                    (old, new) => {
                        let text =
                            |v: Option<&Value>| v.map_or("nothing".to_owned(), Value::to_string);
                        Some((pointer(key), text(old), text(new)))
                    }
                })
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            let pairs = old.iter().zip(new).enumerate();
            pairs
                .into_iter()
                .find_map(|(n, (old, new))| inner(&n.to_string(), old, new))
        }
        _ => None,
    };
    deeper.or_else(|| Some((String::new(), old.to_string(), new.to_string())))
}

/// Thirty-two hexadecimal digits that stand for these texts in this order.
pub(crate) fn digest<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        // Length first, so that no two lists of texts are one.
        hash.update((text.as_ref().len() as u64).to_be_bytes());
        hash.update(text.as_ref().as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}

/// The digest of a document's [`shape`].
pub(crate) fn shape_digest(document: &Value) -> String {
    digest([shape(document).to_string()])
}

/// A document as it stands in a file.
pub(crate) fn pretty(document: &Value) -> String {
    let mut sorted = document.clone();
    sorted.sort_all_objects();
    format!("{sorted:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree, with this name of its type and these words.
    fn tree(name: &str, words: &str, leaf: &Value) -> Value {
        json!({
            "title": words,
            "description": words,
            "allOf": [{ "$ref": format!("{DEFINITIONS}{name}") }],
            "definitions": { name: {
                "type": "object",
                "description": words,
                "required": ["left", "title"],
                "properties": {
                    "left": { "anyOf": [{ "$ref": format!("{DEFINITIONS}{name}") }, { "type": "null" }] },
                    "title": leaf,
                },
            } },
        })
    }

    #[test]
    fn names_of_types_and_words_are_no_part_of_the_shape() {
        let text = json!({ "type": "string" });
        let one = tree("Tree", "A tree.", &text);
        let other = tree(
            "Node",
            "Whatever.",
            &json!({ "type": "string", "examples": ["a"] }),
        );
        assert_eq!(shape(&one), shape(&other));
        assert_eq!(shape_digest(&one), shape_digest(&other));
        assert_eq!(shape(&shape(&one)), shape(&one));
        // A property that is called like a keyword stays.
        assert!(shape(&one).to_string().contains("\"title\""));
    }

    #[test]
    fn where_shapes_differ_first_is_told() {
        let one = shape(&tree("Tree", "", &json!({ "type": "string" })));
        let other = shape(&tree("Tree", "", &json!({ "type": "integer" })));
        let (path, old, new) = first_difference(&one, &other).unwrap();
        assert_eq!(path, "/definitions/0/properties/title/type");
        assert_eq!((old.as_str(), new.as_str()), ("\"string\"", "\"integer\""));
        assert_eq!(first_difference(&one, &one), None);
        let gone = first_difference(&json!({ "a/b": 1 }), &json!({})).unwrap();
        assert_eq!(gone, ("/a~1b".into(), "1".into(), "nothing".into()));
    }

    #[test]
    fn what_is_referred_to_comes_along_and_nothing_else() {
        let mut all = Definitions::new();
        all.insert(
            "A".into(),
            json!({ "items": { "$ref": "#/definitions/B" } }),
        );
        all.insert(
            "B".into(),
            json!({ "items": { "$ref": "#/definitions/A" } }),
        );
        all.insert("C".into(), json!({}));
        let schema = json!({ "properties": { "a": { "$ref": "#/definitions/A" } } });
        let reached = reachable([&schema], &all);
        assert_eq!(reached.keys().collect::<Vec<_>>(), ["A", "B"]);
    }
}
