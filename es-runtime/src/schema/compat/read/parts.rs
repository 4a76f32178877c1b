//! What the items of an array and the properties of an object are.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::node::{ANY, Id, Leaf, Properties};
use super::super::refs::Place;
use super::{Reader, looks_around};

impl Reader<'_> {
    pub(super) fn items(
        &mut self,
        schema: &Map<String, Value>,
        place: &Place,
        parts: &mut Vec<Id>,
    ) {
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

    pub(super) fn properties(
        &mut self,
        schema: &Map<String, Value>,
        place: &Place,
        parts: &mut Vec<Id>,
    ) {
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
}
