//! `es schema compat`: what it prints, and how it exits.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cases::es;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, schema: &Value) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, schema.to_string()).unwrap();
        path.display().to_string()
    }
}

fn event(kind: &str) -> Value {
    json!({"type": "object", "properties": {"amount": {"type": kind}}, "required": ["amount"]})
}

/// All that comes over a stream, as it is published.
fn stream(events: &[(&str, &str)]) -> Value {
    let message = |(name, kind): &(&str, &str)| {
        json!({
            "allOf": [{"$ref": "#/definitions/Envelope"}],
            "type": "object",
            "properties": {"type": {"const": name}, "data": {"$ref": format!("#/definitions/{kind}")}},
            "required": ["type", "data"],
        })
    };
    json!({
        "oneOf": events.iter().map(message).collect::<Vec<_>>(),
        "definitions": {
            "integer": event("integer"),
            "number": event("number"),
            "Envelope": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        },
    })
}

#[test]
fn it_exits_by_what_it_finds() {
    let files = Files::new();
    let (old, new) = (
        files.file("old.json", &event("integer")),
        files.file("new.json", &event("number")),
    );
    let run = |mode: &str| {
        es(&[
            "schema", "compat", "--old", &old, "--new", &new, "--mode", mode,
        ])
    };
    let (code, out, _) = run("backward");
    assert_eq!(
        (code, out.trim_end().ends_with("\ncompatible")),
        (0, true),
        "{out}"
    );
    let (code, out, _) = run("forward");
    assert_eq!(code, 1, "{out}");
    assert!(
        out.starts_with("error [type-widened] forward /properties/amount/type: "),
        "{out}"
    );
    assert!(out.contains("\n  for example {\"amount\":0.5}\n"), "{out}");
    assert!(out.contains("not compatible: 1 of the findings"), "{out}");
    let (code, out, _) = es(&["schema", "compat", "--old", &old, "--new", &old]);
    assert_eq!((code, out.trim_end()), (0, "compatible: nothing changed"));
    // Against all of history.
    let (code, out, _) = es(&[
        "schema", "compat", "--old", &new, "--old", &old, "--new", &old, "--mode", "backward",
    ]);
    assert_eq!(code, 1, "{out}");
}

#[test]
fn programs_read_json_and_sarif() {
    let files = Files::new();
    let (old, new) = (
        files.file("old.json", &event("integer")),
        files.file("new.json", &event("number")),
    );
    let run = |shown: &str| {
        let (code, out, _) = es(&["schema", "compat", "--old", &old, "--new", &new, shown]);
        assert_eq!(code, 1);
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let report = run("--json");
    assert_eq!(report["compatible"], false);
    assert_eq!(report["findings"][0]["rule"], "type-widened");
    assert_eq!(report["findings"][0]["direction"], "forward");
    assert_eq!(
        report["findings"][0]["counterexample"],
        json!({"amount": 0.5})
    );
    let sarif = run("--sarif");
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["level"]),
        (&json!("type-widened"), &json!("error"))
    );
    assert_eq!(
        sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"],
        "type-widened"
    );
    let place = &result["locations"][0];
    assert_eq!(
        place["physicalLocation"]["artifactLocation"]["uri"],
        new.as_str()
    );
    assert_eq!(
        place["logicalLocations"][0]["fullyQualifiedName"],
        "#/properties/amount/type"
    );
}

#[test]
fn streams_are_compared_event_by_event() {
    let files = Files::new();
    let one = files.file(
        "one.json",
        &stream(&[("opened", "integer"), ("closed", "integer")]),
    );
    let two = files.file(
        "two.json",
        &stream(&[
            ("closed", "integer"),
            ("opened", "integer"),
            ("moved", "integer"),
        ]),
    );
    let other = files.file(
        "other.json",
        &stream(&[("closed", "number"), ("opened", "integer")]),
    );
    let run = |old: &str, new: &str| {
        let (code, out, _) = es(&["schema", "compat", "--old", old, "--new", new, "--json"]);
        (
            code,
            serde_json::from_str::<Value>(&out).unwrap()["findings"][0].clone(),
        )
    };
    let (code, finding) = run(&one, &two);
    assert_eq!(
        (code, &finding["rule"], &finding["event"]),
        (0, &json!("event-type-added"), &json!("moved"))
    );
    let (code, finding) = run(&two, &one);
    assert_eq!(
        (code, &finding["rule"], &finding["event"]),
        (1, &json!("event-type-removed"), &json!("moved"))
    );
    let (code, finding) = run(&one, &other);
    assert_eq!(
        (code, &finding["rule"], &finding["event"]),
        (1, &json!("type-widened"), &json!("closed")),
        "{finding}"
    );
    assert_eq!(finding["path"], "/properties/data/properties/amount/type");
    assert_eq!(
        finding["counterexample"],
        json!({"type": "closed", "id": "", "data": {"amount": 0.5}})
    );
}

#[test]
fn what_cannot_be_compared_is_told() {
    let files = Files::new();
    let (schema, list) = (
        files.file("schema.json", &event("integer")),
        files.file("list.json", &json!([])),
    );
    for (arguments, says) in [
        (vec!["--old", &schema], "say --new"),
        (vec!["--new", &schema], "say --old"),
        (vec!["--old", &schema, "--new", &list], "is no schema"),
        (
            vec!["--old", &schema, "--new", "/nowhere.json"],
            "cannot be read",
        ),
        (
            vec!["--old", &schema, "--new", &schema, "--mode", "sideways"],
            "say backward, forward or full",
        ),
        (
            vec!["--old", &schema, "--new", &schema, "--cases", "x"],
            "--cases",
        ),
    ] {
        let (code, _, error) = es(&[vec!["schema", "compat"], arguments].concat());
        assert_eq!((code, error.contains(says)), (2, true), "{error}");
    }
}
