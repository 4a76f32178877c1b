//! Schemas made to take for ever or to overflow: each ends, and none is called compatible wrongly.

use std::time::{Duration, Instant};

use es_runtime::schema::compat::{Verdict, subset};
use serde_json::{Value, json};

/// Far more than any of them takes, so that only one that does not end fails.
const LIMIT: Duration = Duration::from_secs(60);

fn answer(sub: &Value, sup: &Value) -> Verdict {
    let start = Instant::now();
    let verdict = subset(sub, sup);
    println!("{:?}", start.elapsed());
    assert!(start.elapsed() < LIMIT);
    verdict
}

fn nested(depth: usize, inner: Value, wrap: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(inner, |schema, _| wrap(schema))
}

#[test]
fn deep_nesting_ends() {
    let wraps: [fn(Value) -> Value; 8] = [
        |inner| json!({"items": inner, "type": "array", "minItems": 1}),
        |inner| json!({"properties": {"a": inner}, "required": ["a"], "type": "object"}),
        |inner| json!({"not": inner}),
        |inner| json!({"allOf": [inner, {"type": "array"}]}),
        |inner| json!({"anyOf": [inner, {"type": "null"}]}),
        |inner| json!({"oneOf": [inner, {"type": "null"}]}),
        |inner| json!({"if": {"type": "array"}, "then": inner, "else": {"items": inner}}),
        |inner| json!({"contains": inner}),
    ];
    for wrap in &wraps[..6] {
        for depth in [10, 60, 400] {
            let left = nested(depth, json!({"type": "integer"}), wrap);
            let right = nested(depth, json!({"type": "number"}), wrap);
            answer(&left, &right);
            answer(&right, &left);
        }
    }
    let left = nested(12, json!({"type": "integer"}), wraps[6]);
    answer(&left, &nested(12, json!({"type": "number"}), wraps[6]));
    let chain = nested(40, json!({"type": "integer"}), wraps[1]);
    let wider = nested(40, json!({"type": "number"}), wraps[1]);
    assert!(answer(&chain, &wider).is_subset());
    assert!(answer(&wider, &chain).counterexample().is_some());
}

#[test]
fn what_is_left_over_in_branches_of_branches_ends() {
    let wrap = |inner: Value| {
        json!({
            "anyOf": [
                inner.clone(),
                {"properties": {"a": true}},
                {"not": inner.clone()},
                {"if": inner, "then": {"properties": {"b": true}}},
            ],
            "unevaluatedProperties": {"type": "integer"},
        })
    };
    for depth in [2, 4, 7] {
        let left = nested(
            depth,
            json!({"properties": {"c": {"type": "integer"}}}),
            wrap,
        );
        let right = nested(
            depth,
            json!({"properties": {"c": {"type": "number"}}}),
            wrap,
        );
        answer(&left, &right);
        answer(&right, &left);
    }
}

#[test]
fn long_lists_end() {
    let words = |from: usize, to: usize| json!({"enum": (from..to).map(|n| format!("word-{n}")).collect::<Vec<_>>()});
    assert!(answer(&words(0, 5000), &words(0, 5001)).is_subset());
    assert_eq!(
        answer(&words(0, 5001), &words(0, 5000)).counterexample(),
        Some(&json!("word-5000"))
    );
    let numbers = |to: u32| json!({"enum": (0..to).collect::<Vec<_>>()});
    assert!(
        answer(
            &numbers(4000),
            &json!({"type": "integer", "minimum": 0, "maximum": 3999})
        )
        .is_subset()
    );
    assert!(
        answer(
            &json!({"type": "integer", "minimum": 0, "maximum": 3999}),
            &numbers(4000)
        )
        .is_subset()
    );
    assert_eq!(
        answer(
            &json!({"type": "integer", "minimum": 0, "maximum": 4000}),
            &numbers(4000)
        )
        .counterexample(),
        Some(&json!(4000))
    );
    let wide = |kind: &str| {
        let properties: serde_json::Map<String, Value> = (0..300)
            .map(|n| (format!("p{n}"), json!({"type": kind})))
            .collect();
        let required: Vec<String> = properties.keys().cloned().collect();
        json!({"type": "object", "properties": properties, "required": required})
    };
    assert!(answer(&wide("integer"), &wide("number")).is_subset());
    assert!(
        answer(&wide("number"), &wide("integer"))
            .counterexample()
            .is_some()
    );
}

#[test]
fn unions_that_multiply_end() {
    let choice = |n: usize| json!({"anyOf": [{"required": [format!("a{n}")]}, {"required": [format!("b{n}")]}]});
    let sub = json!({"type": "object", "allOf": (0..40).map(choice).collect::<Vec<_>>()});
    answer(&sub, &json!({"type": "object", "minProperties": 41}));
    assert!(
        answer(&sub, &json!({"type": "object", "minProperties": 3}))
            .counterexample()
            .is_none()
    );
    let branches = |kinds: std::ops::Range<usize>| {
        let branches = kinds.map(|n| json!({"type": "object", "properties": {"type": {"const": n}, "x": {"minimum": n}}, "required": ["type"]}));
        json!({"oneOf": branches.collect::<Vec<_>>()})
    };
    assert!(answer(&branches(0..60), &branches(0..60)).is_subset());
    let (narrow, wide) = (branches(0..30), branches(0..40));
    assert!(answer(&narrow, &wide).is_subset());
    assert!(answer(&wide, &narrow).counterexample().is_some());
    // No tag to tell them apart by.
    let untagged = |from: usize| {
        let branches = (from..from + 12).map(|n| json!({"type": "object", "properties": {"x": {"multipleOf": n + 2}, "y": {"minimum": n}}}));
        json!({"anyOf": branches.collect::<Vec<_>>()})
    };
    answer(&untagged(0), &untagged(1));
    answer(&untagged(1), &untagged(0));
}

#[test]
fn patterns_that_explode_end() {
    let blown = json!({"type": "string", "pattern": "^(a|b)*a(a|b){40}$"});
    let other = json!({"type": "string", "pattern": "^(a|b)*b(a|b){41}$"});
    answer(&blown, &other);
    answer(
        &json!({"type": "string", "pattern": "(x+x+)+y(.{300}){3}"}),
        &json!({"pattern": "z"}),
    );
    answer(
        &json!({"type": "string"}),
        &json!({"pattern": "^(.*a){30}$"}),
    );
    answer(
        &json!({"pattern": format!("{}a{}", "(".repeat(500), ")".repeat(500))}),
        &json!(false),
    );
    answer(
        &json!({"type": "string", "pattern": "^[a-z]*$", "minLength": 50_000}),
        &json!({"maxLength": 49_999}),
    );
}

#[test]
fn sizes_that_cannot_be_shown_end() {
    for (least, most) in [
        ("minLength", "maxLength"),
        ("minItems", "maxItems"),
        ("minProperties", "maxProperties"),
    ] {
        let kind = match least {
            "minLength" => "string",
            "minItems" => "array",
            _ => "object",
        };
        let huge = json!({"type": kind, least: 1_000_000_000_000_u64});
        let small = json!({"type": kind, most: 5});
        let verdict = answer(&huge, &small);
        assert!(!verdict.is_subset(), "{verdict:?}");
        assert!(answer(&huge, &json!({"type": kind, least: 5})).is_subset());
    }
    let primes = json!({"type": "integer", "allOf": [{"multipleOf": 999_999_937}, {"multipleOf": 999_999_929}, {"multipleOf": 999_999_893}, {"multipleOf": 999_999_883}, {"multipleOf": 999_999_797}]});
    assert!(!answer(&primes, &json!({"multipleOf": 2})).is_subset());
    let without = json!({"type": "integer", "not": {"anyOf": (2..40).map(|n| json!({"multipleOf": n})).collect::<Vec<_>>()}});
    assert!(answer(&without, &json!({"not": {"multipleOf": 5}})).is_subset());
    assert!(!answer(&without, &json!({"multipleOf": 5})).is_subset());
    answer(
        &json!({"type": "array", "uniqueItems": true, "minItems": 300, "items": {"type": "integer"}}),
        &json!(false),
    );
    answer(
        &json!({"type": "array", "minContains": 200, "contains": {"const": 1}}),
        &json!({"uniqueItems": true}),
    );
}

#[test]
fn circles_end() {
    let circle = json!({"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}});
    answer(&circle, &json!({"type": "string"}));
    answer(&json!({"not": {"$ref": "#"}}), &json!({"type": "string"}));
    answer(
        &json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
        &json!({"type": "string"}),
    );
    let many = |kind: &str| {
        let definitions: serde_json::Map<String, Value> = (0..12)
            .map(|n| {
                let next = |of: usize| json!({"$ref": format!("#/definitions/d{}", (n * 5 + of) % 12)});
                (format!("d{n}"), json!({"anyOf": [{"type": kind}, {"type": "object", "properties": {"l": next(1), "r": next(2)}, "required": ["l", "r"]}, {"type": "array", "items": next(3)}]}))
            })
            .collect();
        json!({"$ref": "#/definitions/d0", "definitions": definitions})
    };
    assert!(answer(&many("integer"), &many("number")).is_subset());
    assert!(
        answer(&many("number"), &many("integer"))
            .counterexample()
            .is_some()
    );
}
