//! From an enum's schema to the schemas of its variants' payloads: what stands in the store and on
//! the wire has the fields alone, since the variant's name is in the envelope.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde_json::{Map, Value, json};

use super::document::{DEFINITIONS, Definitions, definition, for_each, map_refs, say};
use crate::error::{Error, Kind, Result};

/// The payloads of an enum, in the order of its variants.
pub(crate) struct Payloads {
    pub(crate) description: Option<String>,
    pub(crate) variants: Vec<Value>,
    pub(crate) definitions: Definitions,
}

impl Payloads {
    /// Takes the schema of `E` apart, which has `variants` of them. `suffix` is put behind the
    /// names of types, so that those of two versions can stand in one document.
    pub(crate) fn of<E: JsonSchema + DeserializeOwned>(
        variants: usize,
        suffix: &str,
    ) -> Result<Self> {
        // What is written counts: that is what stands in the store and on the wire.
        let settings = SchemaSettings::draft07().for_serialize();
        let mut root = settings
            .into_generator()
            .into_root_schema_for::<E>()
            .to_value();
        let mut definitions: Definitions = super::document::take_definitions(&mut root)
            .into_iter()
            .map(|(name, schema)| (format!("{name}{suffix}"), schema))
            .collect();
        let rename = |target: &str| match definition(target) {
            Some(name) => format!("{DEFINITIONS}{name}{suffix}"),
            None => target.to_owned(),
        };
        map_refs(&mut root, &rename);
        for (name, schema) in &mut definitions {
            map_refs(schema, &rename);
            title_branches(name, schema);
        }
        let description = root["description"].as_str().map(str::to_owned);
        let mut branches = branches(&root);
        let names = names::<E>();
        let ordered = names.iter().filter_map(|name| branches.remove(*name));
        let found: Vec<_> = ordered.collect();
        if found.len() == variants && branches.is_empty() {
            return Ok(Self {
                description,
                variants: found,
                definitions,
            });
        }
        Err(Error::new(Kind::NoSchema {
            of: std::any::type_name::<E>(),
            why: format!(
                "it describes {} of the enum's {variants} variants: derive `JsonSchema` on it, with serde's attributes as they are, and let no variant be written under another name than it is read",
                found.len()
            ),
        }))
    }
}

/// The payload schemas of an externally tagged enum, by the variants' names in serde.
fn branches(root: &Value) -> BTreeMap<String, Value> {
    let all = root["oneOf"]
        .as_array()
        .map_or_else(|| vec![root], |all| all.iter().collect());
    let mut found = BTreeMap::new();
    for branch in all {
        let names = branch["enum"].as_array().into_iter().flatten();
        for name in names.chain([&branch["const"]]).filter_map(Value::as_str) {
            found.insert(
                name.to_owned(),
                described(json!({ "type": "object" }), branch),
            );
        }
        let required = branch["required"].as_array().map(Vec::as_slice);
        if let Some([Value::String(name)]) = required {
            let payload = branch["properties"][name].clone();
            found.insert(name.clone(), described(payload, branch));
        }
    }
    found
}

fn described(mut payload: Value, branch: &Value) -> Value {
    if let Some(text) = branch["description"].as_str() {
        say(&mut payload, "description", text);
    }
    payload
}

/// Gives every branch of a union inside of a type a title, from which code generators make names.
fn title_branches(name: &str, schema: &mut Value) {
    for_each(schema, &mut |object| {
        for keyword in ["oneOf", "anyOf"] {
            let Some(Value::Array(branches)) = object.get_mut(keyword) else {
                continue;
            };
            for branch in branches.iter_mut().filter_map(Value::as_object_mut) {
                if let (Some(word), false) = (branch_word(branch), branch.contains_key("title")) {
                    branch.insert(
                        "title".to_owned(),
                        format!("{name}{}", pascal(&word)).into(),
                    );
                }
            }
        }
    });
}

/// What tells the branch from the others: its constant, its tag or its only field.
fn branch_word(branch: &Map<String, Value>) -> Option<String> {
    if let Some(word) = branch.get("const").and_then(Value::as_str) {
        return Some(word.to_owned());
    }
    let properties = branch.get("properties")?.as_object()?;
    let tag = properties
        .values()
        .find_map(|property| property["const"].as_str());
    let only = || (properties.len() == 1).then(|| properties.keys().next().map(String::as_str))?;
    tag.or_else(only).map(str::to_owned)
}

/// `account-opened` → `AccountOpened`.
pub(crate) fn pascal(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    };
    words.map(capital).collect()
}

/// The names under which serde reads the variants of `E`, in their order; aliases among them.
fn names<E: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It has no value to give, so it always fails.
    E::deserialize(Asker { names: &mut names }).err();
    names
}

struct Asker<'a> {
    names: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Asker<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("there is no value"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.names = variants;
        Err(de::Error::custom("there is no value"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    /// Money.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Money(i64);

    #[derive(Serialize, Deserialize, JsonSchema)]
    enum How {
        /// Notes and coins.
        Cash,
        Card {
            number: String,
        },
    }

    /// What happened.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code)]
    enum Every {
        Plain,
        /// Money came.
        Paid(Money),
        #[serde(rename = "zz", alias = "aa")]
        Named {
            how: How,
            note: Option<String>,
        },
        AlsoPlain,
        Two(String, Money),
        /// Nothing to say.
        Empty {},
    }

    #[test]
    fn an_enum_comes_apart_in_the_order_of_its_variants() {
        let all = Payloads::of::<Every>(6, "V2").unwrap();
        assert_eq!(all.description.as_deref(), Some("What happened."));
        assert_eq!(all.variants[0], json!({ "type": "object" }));
        assert_eq!(
            all.variants[1],
            json!({ "allOf": [{ "$ref": "#/definitions/MoneyV2" }], "description": "Money came." })
        );
        assert_eq!(all.variants[2]["required"], json!(["how", "note"]));
        assert_eq!(all.variants[3], json!({ "type": "object" }));
        assert_eq!(all.variants[4]["minItems"], 2);
        assert_eq!(all.variants[5]["description"], "Nothing to say.");
        let how = &all.definitions["HowV2"]["oneOf"];
        assert_eq!(
            (&how[0]["title"], &how[1]["title"]),
            (&"HowV2Cash".into(), &"HowV2Card".into())
        );
    }

    #[test]
    fn a_schema_of_something_else_is_refused() {
        #[derive(Deserialize)]
        #[allow(dead_code)]
        enum Odd {
            One,
            Two,
        }
        impl JsonSchema for Odd {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                "Odd".into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": ["One"] })
            }
        }
        let error = Payloads::of::<Odd>(2, "").err().unwrap().to_string();
        assert!(
            error.contains("describes 1 of the enum's 2 variants"),
            "{error}"
        );
        assert!(error.ends_with("[ES0160]"), "{error}");
    }
}
