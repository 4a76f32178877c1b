//! What a report tells of changes: where, how many, and with which event that shows them.

use es_runtime::schema::compat::{Finding, Level, Mode, check};
use serde_json::json;

use Level::{Error, Info};

use crate::rules::{event, row};

#[test]
fn fixed_answers_are_shown_where_they_can_be() {
    let pattern = |pattern: &str| event(json!({"type": "string", "pattern": pattern}));
    let report = check(&pattern("^a+$"), &pattern("^a+b?$"), Mode::Full);
    let shown: Vec<_> = report
        .errors()
        .map(|finding| finding.counterexample.clone())
        .collect();
    assert_eq!(shown, [None, Some(json!({"p": "ab"}))], "{report}");
    let named = |name: &str| json!({"type": "object", "properties": {name: {"type": "null"}}, "required": [name]});
    let report = check(&named("a"), &named("b"), Mode::Full);
    let shown: Vec<_> = report
        .errors()
        .map(|finding| finding.counterexample.clone())
        .collect();
    assert_eq!(
        shown,
        [Some(json!({"a": null})), Some(json!({"b": null}))],
        "{report}"
    );
}

#[test]
fn what_several_schemas_declare_is_not_closed_by_one() {
    let part = |name: &str, kind: &str| json!({"properties": {"a": {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}}});
    let old = json!({"type": "object", "allOf": [part("x", "integer"), part("y", "integer")], "required": ["a"]});
    let new = json!({"type": "object", "allOf": [part("x", "integer"), part("y", "string")], "required": ["a"]});
    row(old.clone(), new, Error, Error, "type-changed");
    let with = |kind: &str| {
        json!({"type": "object", "properties": {"k": {"type": "integer"}, "a": {"type": "object", "properties": {"x": {"type": "integer"}}}}, "required": ["k", "a"],
        "oneOf": [{"properties": {"k": {"const": 1}, "a": {"type": "object", "properties": {"y": {"type": kind}}, "required": ["y"]}}}, {"properties": {"k": {"const": 2}}}]})
    };
    row(with("integer"), with("number"), Info, Error, "type-widened");
}

#[test]
fn trees_are_followed_once() {
    let tree = |kind: &str| {
        json!({
            "$ref": "#/definitions/node",
            "definitions": {"node": {"type": "object", "properties": {
                "value": {"type": kind},
                "children": {"type": "array", "items": {"$ref": "#/definitions/node"}},
            }, "required": ["value", "children"]}},
        })
    };
    assert_eq!(
        row(tree("integer"), tree("number"), Info, Error, "type-widened")
            .findings()
            .len(),
        1
    );
}

#[test]
fn several_changes_are_told_at_once() {
    let old = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "string"}}, "required": ["a", "b"]});
    let new = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"type": "string", "maxLength": 3}, "c": {"type": "string"}}, "required": ["a", "b", "c"]});
    let report = check(&old, &new, Mode::Full);
    let errors: Vec<(&str, &str)> = report
        .errors()
        .map(|finding| (finding.rule, finding.path.as_str()))
        .collect();
    assert_eq!(
        errors,
        [
            ("bound-tightened", "/properties/a/minimum"),
            ("bound-tightened", "/properties/b/maxLength"),
            ("property-now-required", "/properties/c"),
        ],
        "{report}"
    );
    assert!(
        report
            .errors()
            .all(|finding: &Finding| finding.counterexample.is_some()),
        "{report}"
    );
    let error = report.into_result().unwrap_err();
    assert_eq!(error.code(), "ES0170");
    assert!(error.to_string().contains("for example {"), "{error}");
}
