//! The documents: what other programs think of them.

use es_runtime::schema::Contract;
use serde_json::{Value, json};

use crate::domain::bumped;

fn contract() -> Contract {
    bumped::contract().description("A bank.")
}

fn document(path: &str) -> Value {
    let documents = contract().documents().unwrap();
    serde_json::from_str(documents.get(path).unwrap_or_else(|| panic!("no {path}"))).unwrap()
}

fn judge(schema: &Value) -> jsonschema::Validator {
    let options = jsonschema::draft7::options().should_validate_formats(true);
    options.build(schema).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn each_event_has_a_schema_of_its_payload() {
    let schema = document("accounts/v2/balance-changed.json");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["title"], "BalanceChangedV2");
    assert_eq!(schema["description"], "Money moved.");
    assert_eq!(schema["properties"]["left"]["description"], "What is left.");
    let judge = judge(&schema);
    assert!(judge.is_valid(&json!({ "left": 5 })));
    assert!(!judge.is_valid(&json!({})));
    // Readers are open.
    assert!(judge.is_valid(&json!({ "left": 5, "more": true })));
}

#[test]
fn the_asyncapi_document_is_one_of_the_official_kind() {
    let official = include_str!("asyncapi-3.0.0.schema.json");
    let document = document("asyncapi.json");
    let official = judge(&serde_json::from_str(official).unwrap());
    let errors: Vec<_> = official
        .iter_errors(&document)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn the_official_schema_refuses_a_document_that_is_none() {
    let official = include_str!("asyncapi-3.0.0.schema.json");
    let official = judge(&serde_json::from_str(official).unwrap());
    let mut document = document("asyncapi.json");
    document["operations"]["accounts.v1.send"]["action"] = "shout".into();
    assert!(!official.is_valid(&document));
}

#[test]
fn every_reference_leads_somewhere() {
    let documents = contract().documents().unwrap();
    for (path, text) in documents.iter().filter(|(path, _)| path.ends_with(".json")) {
        let document: Value = serde_json::from_str(text).unwrap();
        let mut followed = 0;
        follow(&document, &document, path, &mut followed);
        assert!(followed > 0 || !text.contains("$ref"), "{path}");
    }
}

fn follow(root: &Value, value: &Value, path: &str, followed: &mut usize) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get("$ref") {
                let pointer = target
                    .strip_prefix('#')
                    .unwrap_or_else(|| panic!("{path}: {target}"));
                assert!(
                    root.pointer(pointer).is_some(),
                    "{path}: {target} leads nowhere"
                );
                *followed += 1;
            }
            object
                .values()
                .for_each(|value| follow(root, value, path, followed));
        }
        Value::Array(all) => all
            .iter()
            .for_each(|value| follow(root, value, path, followed)),
        _ => {}
    }
}

/// The examples are valid, and each is an example of its own message alone.
#[test]
fn an_example_is_of_exactly_one_message() {
    let document = document("asyncapi.json");
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), 5);
    for (name, message) in messages {
        for example in message["examples"].as_array().unwrap() {
            for (other, candidate) in messages {
                let mut schema = candidate["payload"].clone();
                schema["components"] = document["components"].clone();
                let valid = judge(&schema).is_valid(&example["payload"]);
                assert_eq!(valid, name == other, "the example of {name} as {other}");
            }
        }
    }
}

#[test]
fn a_stream_has_one_schema_for_all_that_comes_over_it() {
    let stream = document("accounts/v1/stream.json");
    let example = |name: &str| {
        document("asyncapi.json")["components"]["messages"][name]["examples"][0]["payload"].clone()
    };
    let judge = judge(&stream);
    assert!(judge.is_valid(&example("accounts.v1.account-opened")));
    assert!(!judge.is_valid(&example("accounts.v2.account-opened")));
    assert_eq!(stream["oneOf"][0]["title"], "AccountOpenedV1Event");
}

#[test]
fn the_catalogue_says_what_changed() {
    let catalogue = &contract().documents().unwrap()["catalogue.md"];
    for line in [
        "## `accounts`",
        "- `account-closed` is new",
        "- `balance-changed` has no `balance` any more",
        "- `balance-changed` has `left`, integer (int32)",
        "| `left` | integer (int32) | required | What is left. |",
    ] {
        assert!(
            catalogue.lines().any(|found| found == line),
            "{line} in\n{catalogue}"
        );
    }
}

#[test]
fn numbers_beyond_javascript_are_told_of() {
    let repository = crate::repository::Repository::new();
    let report = repository.check(contract());
    let warning = report
        .findings
        .iter()
        .find(|finding| finding.code == "ES0169")
        .unwrap();
    assert!(warning.message.contains("`balance`"), "{warning}");
}
