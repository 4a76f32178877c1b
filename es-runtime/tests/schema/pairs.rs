//! Pairs of schemas, each way round: what theory says.

use es_runtime::schema::compat::{Verdict, subset};
use serde_json::{Value, json};

/// What is said of `left` in `right`, and of `right` in `left`.
#[track_caller]
fn check(left: Value, right: Value, forth: bool, back: bool) {
    for (sub, sup, expected) in [(&left, &right, forth), (&right, &left, back)] {
        let verdict = subset(sub, sup);
        assert_eq!(
            verdict.is_subset(),
            expected,
            "{sub}\n  in {sup}\n  {verdict:?}"
        );
    }
}

#[track_caller]
fn equal(left: Value, right: Value) {
    check(left, right, true, true);
}

#[track_caller]
fn narrower(left: Value, right: Value) {
    check(left, right, true, false);
}

#[track_caller]
fn apart(left: Value, right: Value) {
    check(left, right, false, false);
}

#[track_caller]
fn unsure(sub: Value, sup: Value, why: &str) {
    match subset(&sub, &sup) {
        Verdict::Unsure { reason, .. } => assert!(reason.contains(why), "{reason}"),
        verdict => panic!("{sub}\n  in {sup}\n  {verdict:?}"),
    }
}

#[test]
fn types() {
    narrower(json!({"type": "integer"}), json!({"type": "number"}));
    narrower(
        json!({"type": "string"}),
        json!({"type": ["string", "null"]}),
    );
    apart(json!({"type": "string"}), json!({"type": "integer"}));
    equal(json!({}), json!(true));
    equal(json!({"not": {}}), json!(false));
    equal(
        json!({"type": "number", "multipleOf": 1}),
        json!({"type": "integer"}),
    );
    equal(
        json!({"type": ["array", "boolean", "integer", "null", "number", "object", "string"]}),
        json!({}),
    );
    narrower(json!({"const": 1.0}), json!({"type": "integer"}));
    equal(json!({"type": "boolean"}), json!({"enum": [false, true]}));
    equal(json!({"type": "null"}), json!({"const": null}));
    narrower(json!(false), json!({"type": "null"}));
}

#[test]
fn values() {
    equal(json!({"enum": [1, 2, 2.0]}), json!({"enum": [2, 1]}));
    narrower(json!({"const": "a"}), json!({"enum": ["a", "b"]}));
    narrower(json!({"const": 1e300}), json!({"enum": [1e300, 2]}));
    equal(
        json!({"enum": [3, "a"], "type": "string"}),
        json!({"const": "a"}),
    );
    equal(
        json!({"enum": [1, 2, 3, 10], "maximum": 5}),
        json!({"type": "integer", "minimum": 1, "maximum": 3}),
    );
    narrower(
        json!({"const": {"a": [1, {"b": null}]}}),
        json!({"type": "object", "required": ["a"]}),
    );
    apart(
        json!({"const": {"a": 1}}),
        json!({"const": {"a": 1, "b": 2}}),
    );
    equal(
        json!({"type": "array", "items": {"type": "boolean"}, "maxItems": 1}),
        json!({"enum": [[], [true], [false]]}),
    );
    apart(json!({"const": 1}), json!({"const": "1"}));
    narrower(
        json!({"type": "string", "not": {"const": "a"}}),
        json!({"type": "string"}),
    );
}

#[test]
fn numbers() {
    narrower(
        json!({"type": "number", "minimum": 5}),
        json!({"type": "number", "minimum": 4}),
    );
    narrower(
        json!({"type": "number", "exclusiveMinimum": 5}),
        json!({"type": "number", "minimum": 5}),
    );
    equal(
        json!({"type": "integer", "exclusiveMinimum": 5}),
        json!({"type": "integer", "minimum": 6}),
    );
    equal(
        json!({"type": "integer", "minimum": 0.5, "maximum": 1.5}),
        json!({"const": 1}),
    );
    narrower(
        json!({"type": "number", "multipleOf": 6}),
        json!({"type": "integer", "multipleOf": 3}),
    );
    apart(
        json!({"type": "number", "multipleOf": 0.3}),
        json!({"type": "number", "multipleOf": 0.2}),
    );
    narrower(
        json!({"type": "number", "multipleOf": 0.6}),
        json!({"type": "number", "multipleOf": 0.2}),
    );
    equal(
        json!({"allOf": [{"type": "integer", "multipleOf": 4}, {"multipleOf": 6}]}),
        json!({"type": "integer", "multipleOf": 12}),
    );
    equal(
        json!({"anyOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 4}]}),
        json!({"type": "integer"}),
    );
    narrower(
        json!({"anyOf": [{"type": "number", "maximum": 3}, {"type": "number", "minimum": 4}]}),
        json!({"type": "number"}),
    );
    equal(
        json!({"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 5}),
        json!(false),
    );
    narrower(
        json!({"type": "integer", "minimum": 7, "maximum": 8}),
        json!({"type": "integer", "not": {"multipleOf": 3}}),
    );
    narrower(json!({"maximum": -0.0}), json!({"maximum": 1e-9}));
    equal(
        json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": true}),
        json!({"exclusiveMinimum": 3}),
    );
}

#[test]
fn texts() {
    narrower(
        json!({"type": "string", "minLength": 2}),
        json!({"type": "string", "minLength": 1}),
    );
    narrower(
        json!({"type": "string", "maxLength": 1}),
        json!({"type": "string", "maxLength": 2}),
    );
    equal(
        json!({"type": "string", "maxLength": 0}),
        json!({"const": ""}),
    );
    narrower(json!({"pattern": "^ab*$"}), json!({"pattern": "^a"}));
    narrower(
        json!({"pattern": "^(cat|dog)$"}),
        json!({"maxLength": 3, "minLength": 3}),
    );
    equal(
        json!({"type": "string", "pattern": "^(red|green)$"}),
        json!({"enum": ["red", "green"]}),
    );
    equal(
        json!({"pattern": "^[0-9]{2,3}$"}),
        json!({"pattern": "^\\d\\d\\d?$"}),
    );
    equal(
        json!({"pattern": "^(?!x)"}),
        json!({"not": {"type": "string", "pattern": "^x"}}),
    );
    equal(
        json!({"pattern": "^(?=.*a)b"}),
        json!({"allOf": [{"pattern": "^b"}, {"pattern": "^.*a"}]}),
    );
    apart(
        json!({"type": "string", "pattern": "a"}),
        json!({"type": "string", "pattern": "b"}),
    );
    narrower(
        json!({"type": "string", "pattern": "\\u00e9"}),
        json!({"type": "string", "minLength": 1}),
    );
    equal(
        json!({"type": "string", "pattern": "(?!$)"}),
        json!({"type": "string", "minLength": 1}),
    );
    equal(
        json!({"type": "string", "pattern": "([\\s\\S]*$)+c"}),
        json!(false),
    );
    // Characters are counted, not bytes.
    narrower(json!({"const": "é😀"}), json!({"maxLength": 2}));
    // Ends of lines are characters that a dot does not match.
    narrower(
        json!({"type": "string", "pattern": "^.*$"}),
        json!({"type": "string"}),
    );
    equal(
        json!({"type": "string", "pattern": "^[\\s\\S]*$"}),
        json!({"type": "string"}),
    );
    // So it is no length either.
    narrower(
        json!({"type": "string", "pattern": ".{3,}"}),
        json!({"type": "string", "minLength": 3}),
    );
    // A pattern that says nothing was meant to.
    narrower(
        json!({"type": "string", "pattern": "[a-z]*"}),
        json!({"type": "string"}),
    );
    unsure(
        json!({"pattern": "(a)\\1"}),
        json!({"pattern": "b"}),
        "refers back",
    );
    equal(
        json!({"pattern": "(a)\\1"}),
        json!({"allOf": [{"pattern": "(a)\\1"}]}),
    );
}

#[test]
fn claims_of_typed_readers() {
    narrower(
        json!({"type": "string", "format": "date"}),
        json!({"type": "string"}),
    );
    apart(
        json!({"type": "string", "format": "date"}),
        json!({"type": "string", "format": "date-time"}),
    );
    narrower(
        json!({"type": "integer", "format": "int32"}),
        json!({"type": "integer", "format": "int64"}),
    );
    narrower(
        json!({"type": "integer", "format": "uint8"}),
        json!({"type": "integer", "format": "int16"}),
    );
    apart(
        json!({"type": "integer", "format": "uint64"}),
        json!({"type": "integer", "format": "int64"}),
    );
    apart(
        json!({"type": "string", "contentEncoding": "base64"}),
        json!({"type": "string", "contentEncoding": "base16"}),
    );
    narrower(
        json!({"type": "string", "contentMediaType": "image/png"}),
        json!({"type": "string"}),
    );
    // A format of texts says nothing of numbers.
    narrower(json!({"type": "integer"}), json!({"format": "date"}));
    // Where a value shows the difference, it is shown.
    let verdict = subset(
        &json!({"type": "string", "format": "date"}),
        &json!({"type": "integer"}),
    );
    assert_eq!(verdict.counterexample(), Some(&json!("2020-01-01")));
}

#[test]
fn arrays() {
    let ints = json!({"type": "array", "items": {"type": "integer"}});
    narrower(
        ints.clone(),
        json!({"type": "array", "items": {"type": "number"}}),
    );
    narrower(ints.clone(), json!({"type": "array"}));
    narrower(
        json!({"type": "array", "minItems": 2}),
        json!({"type": "array", "minItems": 1}),
    );
    equal(
        json!({"type": "array", "items": false}),
        json!({"type": "array", "maxItems": 0}),
    );
    narrower(
        json!({"type": "array", "items": [{"type": "integer"}], "additionalItems": false}),
        ints.clone(),
    );
    narrower(
        json!({"type": "array", "items": [{"type": "integer"}], "additionalItems": {"type": "integer"}, "minItems": 1}),
        ints.clone(),
    );
    apart(
        json!({"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}),
        ints.clone(),
    );
    equal(
        json!({"type": "array", "prefixItems": [{"type": "string"}], "items": false}),
        json!({"type": "array", "items": [{"type": "string"}], "additionalItems": false}),
    );
    // An open tail takes what a tuple item would refuse.
    narrower(
        json!({"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}),
        json!({"type": "array", "items": [{"type": "string"}]}),
    );
    narrower(
        json!({"type": "array", "items": [{"type": "string"}], "additionalItems": false}),
        json!({"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": false}),
    );
    equal(
        json!({"type": "array", "items": [true, false]}),
        json!({"type": "array", "maxItems": 1}),
    );
    equal(
        json!({"type": "array", "additionalItems": false}),
        json!({"type": "array"}),
    );
}

#[test]
fn arrays_that_contain() {
    let contains = |schema: Value| json!({"type": "array", "contains": schema});
    narrower(
        contains(json!({"const": 1})),
        contains(json!({"type": "integer"})),
    );
    narrower(contains(json!({})), json!({"type": "array"}));
    equal(contains(json!({})), json!({"type": "array", "minItems": 1}));
    narrower(
        json!({"type": "array", "items": {"const": 1}, "minItems": 1}),
        contains(json!({"const": 1})),
    );
    equal(
        json!({"type": "array", "not": {"contains": {"type": "string"}}}),
        json!({"type": "array", "items": {"not": {"type": "string"}}}),
    );
    narrower(
        json!({"allOf": [contains(json!({"type": "string"})), contains(json!({"type": "null"}))]}),
        json!({"type": "array", "minItems": 2}),
    );
    narrower(
        json!({"type": "array", "contains": {"const": 1}, "minContains": 2}),
        json!({"type": "array", "contains": {"const": 1}}),
    );
    narrower(
        json!({"type": "array", "contains": {"const": 1}, "minContains": 0, "maxContains": 1}),
        json!({"type": "array", "contains": {"const": 1}, "minContains": 0, "maxContains": 2}),
    );
    equal(
        json!({"type": "array", "items": {"type": "boolean"}, "uniqueItems": true, "minItems": 3}),
        json!(false),
    );
    narrower(
        json!({"type": "array", "uniqueItems": true}),
        json!({"type": "array"}),
    );
    narrower(
        json!({"type": "array", "maxItems": 1}),
        json!({"type": "array", "uniqueItems": true}),
    );
    narrower(
        json!({"type": "array", "items": [{"const": 1}, {"const": 2}], "additionalItems": false}),
        json!({"type": "array", "uniqueItems": true}),
    );
}

#[test]
fn objects() {
    let open = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let closed = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false});
    narrower(closed.clone(), open.clone());
    narrower(
        json!({"type": "object", "required": ["a", "b"]}),
        json!({"type": "object", "required": ["a"]}),
    );
    narrower(
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}),
        open.clone(),
    );
    narrower(
        closed.clone(),
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "additionalProperties": false}),
    );
    narrower(
        json!({"type": "object", "additionalProperties": {"type": "integer"}}),
        json!({"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": {"type": "integer"}}),
    );
    narrower(
        json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}}}),
        json!({"type": "object", "properties": {"xa": {"type": "integer"}}}),
    );
    equal(
        json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}, "^[^x]|^$": {"type": "string"}}}),
        json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}}),
    );
    equal(
        json!({"type": "object", "propertyNames": {"pattern": "^x"}}),
        json!({"type": "object", "patternProperties": {"^x": true}, "additionalProperties": false}),
    );
    narrower(
        json!({"type": "object", "propertyNames": {"maxLength": 2}}),
        json!({"type": "object", "propertyNames": {"maxLength": 3}}),
    );
    narrower(
        json!({"type": "object", "propertyNames": {"enum": ["a", "b"]}}),
        json!({"type": "object", "maxProperties": 2}),
    );
    narrower(
        json!({"type": "object", "required": ["a", "b"]}),
        json!({"type": "object", "minProperties": 2}),
    );
    equal(
        json!({"type": "object", "maxProperties": 0}),
        json!({"const": {}}),
    );
    equal(
        json!({"type": "object", "propertyNames": false}),
        json!({"const": {}}),
    );
    apart(
        json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}),
        json!({"type": "object", "required": ["b"]}),
    );
}

#[test]
fn objects_that_depend() {
    equal(
        json!({"type": "object", "dependencies": {"a": ["b"]}}),
        json!({"type": "object", "dependentRequired": {"a": ["b"]}}),
    );
    narrower(
        json!({"type": "object", "required": ["b"]}),
        json!({"type": "object", "dependencies": {"a": ["b"]}}),
    );
    narrower(
        json!({"type": "object", "dependencies": {"a": ["b", "c"]}}),
        json!({"type": "object", "dependencies": {"a": ["b"]}}),
    );
    equal(
        json!({"type": "object", "dependentSchemas": {"a": {"required": ["b"]}}}),
        json!({"type": "object", "anyOf": [{"not": {"required": ["a"]}}, {"required": ["b"]}]}),
    );
    narrower(
        json!({"type": "object", "properties": {"a": false}}),
        json!({"type": "object", "dependencies": {"a": {"maxProperties": 1}}}),
    );
}

#[test]
fn logic() {
    equal(
        json!({"not": {"not": {"type": "string"}}}),
        json!({"type": "string"}),
    );
    equal(
        json!({"not": {"anyOf": [{"type": "string"}, {"type": "null"}]}}),
        json!({"allOf": [{"not": {"type": "string"}}, {"not": {"type": "null"}}]}),
    );
    equal(
        json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}),
        json!({"type": "number", "not": {"type": "integer"}}),
    );
    narrower(
        json!({"oneOf": [{"type": "string"}, {"minLength": 3}]}),
        json!({"anyOf": [{"type": "string"}, {"minLength": 3}]}),
    );
    equal(
        json!({"if": {"type": "string"}, "then": {"minLength": 3}, "else": {"type": "integer"}}),
        json!({"anyOf": [{"type": "string", "minLength": 3}, {"type": "integer"}]}),
    );
    equal(json!({"if": false, "then": false}), json!({}));
    narrower(
        json!({"anyOf": [{"const": 1}, {"const": 2}]}),
        json!({"anyOf": [{"const": 3}, {"enum": [1, 2]}]}),
    );
    equal(json!({"allOf": []}), json!({}));
}

/// A union told apart by a tag, as enums are published.
fn tagged(branches: usize) -> Value {
    let branch = |number: usize| {
        json!({
            "type": "object",
            "properties": {
                "type": {"const": format!("kind-{number}")},
                "amount": {"type": "integer", "minimum": 0},
                "note": {"type": ["string", "null"]},
            },
            "required": ["type", "amount"],
        })
    };
    json!({"oneOf": (0..branches).map(branch).collect::<Vec<_>>()})
}

#[test]
fn tagged_unions_are_matched() {
    let mut shuffled = tagged(12);
    shuffled["oneOf"].as_array_mut().unwrap().reverse();
    equal(tagged(12), shuffled);
    narrower(tagged(11), tagged(12));
    let mut narrowed = tagged(12);
    narrowed["oneOf"][7]["properties"]["amount"]["minimum"] = 1.into();
    narrower(narrowed, tagged(12));
}

#[test]
fn references() {
    let tree = |leaf: &str, key: &str| {
        json!({
            "$ref": "#/definitions/node",
            "definitions": {"node": {
                "type": "object",
                "properties": {
                    "value": {"type": leaf},
                    key: {"type": "array", "items": {"$ref": "#/definitions/node"}},
                },
                "required": ["value"],
            }},
        })
    };
    narrower(tree("integer", "children"), tree("number", "children"));
    apart(tree("integer", "children"), tree("integer", "leaves"));
    // The same list, unrolled by one.
    equal(
        json!({"$ref": "#/$defs/list", "$defs": {"list": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/list"}}]}}}),
        json!({"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/list"}}], "$defs": {"list": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/list"}}]}}}),
    );
    // Nothing finite is its own child for ever.
    equal(
        json!({"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}}),
        json!(false),
    );
    equal(
        json!({"$id": "https://example.org/a.json", "$ref": "b.json", "definitions": {"b": {"$id": "b.json", "type": "integer"}}}),
        json!({"type": "integer"}),
    );
    equal(
        json!({"$ref": "#name", "definitions": {"x": {"$id": "#name", "type": "null"}}}),
        json!({"type": "null"}),
    );
    equal(
        json!({"$ref": "#name", "definitions": {"x": {"$anchor": "name", "type": "null"}}}),
        json!({"type": "null"}),
    );
    equal(
        json!({"$ref": "#/definitions/a~1b%25", "definitions": {"a/b%": {"type": "null"}}}),
        json!({"type": "null"}),
    );
    // Before 2019-09 nothing counts beside a reference.
    let beside = |schema: &str| json!({"$schema": schema, "$ref": "#/definitions/a", "maximum": 3, "definitions": {"a": {"type": "integer"}}});
    equal(
        beside("http://json-schema.org/draft-07/schema#"),
        json!({"type": "integer"}),
    );
    equal(
        beside("https://json-schema.org/draft/2020-12/schema"),
        json!({"type": "integer", "maximum": 3}),
    );
    unsure(
        json!({}),
        json!({"$ref": "https://example.org/elsewhere"}),
        "out of the document",
    );
}

#[test]
fn what_others_have_not_looked_at() {
    let closed = |schema: Value| {
        let mut schema = schema;
        schema["unevaluatedProperties"] = false.into();
        schema
    };
    equal(
        closed(json!({"allOf": [{"properties": {"a": true}}], "properties": {"b": true}})),
        json!({"properties": {"a": true, "b": true}, "additionalProperties": false}),
    );
    equal(
        closed(
            json!({"type": "object", "anyOf": [{"properties": {"a": true}, "required": ["a"]}, {"properties": {"b": true}, "required": ["b"]}]}),
        ),
        json!({"type": "object", "properties": {"a": true, "b": true}, "additionalProperties": false, "minProperties": 1}),
    );
    equal(
        closed(
            json!({"type": "object", "if": {"required": ["a"]}, "then": {"properties": {"a": true}}, "else": {"properties": {"b": true}}}),
        ),
        json!({"type": "object", "properties": {"a": true, "b": true}, "additionalProperties": false, "maxProperties": 1}),
    );
    equal(
        closed(
            json!({"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"properties": {"a": true}}}}),
        ),
        json!({"type": "object", "properties": {"a": true}, "additionalProperties": false}),
    );
    equal(
        json!({"type": "array", "oneOf": [{"prefixItems": [true, {"type": "null"}], "minItems": 2}, {"maxItems": 0}], "unevaluatedItems": false}),
        json!({"type": "array", "anyOf": [{"maxItems": 0}, {"items": [true, {"type": "null"}], "minItems": 2, "maxItems": 2}]}),
    );
    equal(
        json!({"$dynamicRef": "#node", "$defs": {"n": {"$dynamicAnchor": "node", "type": "integer"}}}),
        json!({"type": "integer"}),
    );
}

#[test]
fn what_is_not_followed_says_so() {
    unsure(
        json!({"type": "array", "contains": {"type": "null"}}),
        json!({"allOf": [{"contains": {"type": "null"}}], "unevaluatedItems": false}),
        "unevaluatedItems",
    );
    equal(
        json!({"type": "object", "properties": {"a": true}, "unevaluatedProperties": false}),
        json!({"type": "object", "properties": {"a": true}, "additionalProperties": false}),
    );
    unsure(
        json!({"type": "number"}),
        json!({"type": "number", "multipleOf": 1e-60}),
        "reckoned",
    );
    unsure(
        json!({"maximum": 4}),
        json!({"maximum": 5, "exclusiveMaximum": true}),
        "draft 4",
    );
    narrower(json!({"type": "any"}), json!({}));
    // What is not followed is the same only with all that stands around it.
    let around = |properties: Value| json!({"type": "object", "properties": properties, "patternProperties": {"^\\p{L}": {"type": "integer"}}, "additionalProperties": false});
    unsure(
        around(json!({"1": true})),
        around(json!({"2": true})),
        "property of characters",
    );
    equal(
        around(json!({"1": true})),
        json!({"allOf": [around(json!({"1": true}))]}),
    );
}

#[test]
fn the_answer_says_where_and_shows_what() {
    let verdict = subset(
        &json!({"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}),
        &json!({"type": "object", "properties": {"amount": {"type": "integer", "maximum": 9}}}),
    );
    match verdict {
        Verdict::NotSubset {
            path,
            reason,
            counterexample,
        } => {
            assert_eq!(path, "/properties/amount/maximum");
            assert_eq!(reason, "`10` is not at most 9");
            assert_eq!(counterexample, Some(json!({"amount": 10})));
        }
        verdict => panic!("{verdict:?}"),
    }
}
