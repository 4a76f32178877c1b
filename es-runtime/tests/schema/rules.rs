//! The rule table: a test for each row, in both directions.

use es_runtime::schema::compat::{
    Direction, Level, Mode, Report, Surface, check, check_events, check_history,
};
use serde_json::{Value, json};

use Level::{Error, Info, Warning};

fn worst(report: &Report, direction: Direction) -> Level {
    let findings = report.findings().iter();
    let here = findings.filter(|finding| finding.direction.is_none_or(|found| found == direction));
    here.map(|finding| finding.level).max().unwrap_or(Info)
}

/// What a change does to new readers and to old ones, and by which rule.
#[track_caller]
pub(crate) fn row(old: Value, new: Value, backward: Level, forward: Level, rule: &str) -> Report {
    let report = check(&old, &new, Mode::Full);
    let found = (
        worst(&report, Direction::Backward),
        worst(&report, Direction::Forward),
    );
    assert_eq!(found, (backward, forward), "{old}\n  to {new}\n{report}");
    let named: Vec<&str> = report
        .findings()
        .iter()
        .map(|finding| finding.rule)
        .collect();
    assert!(named.contains(&rule), "{named:?}\n{report}");
    assert_eq!(report.is_compatible(), backward < Error && forward < Error);
    for (mode, direction, level) in [
        (Mode::Backward, Direction::Backward, backward),
        (Mode::Forward, Direction::Forward, forward),
    ] {
        let alone = check(&old, &new, mode);
        assert_eq!(alone.is_compatible(), level < Error, "{mode:?}\n{alone}");
        assert_eq!(worst(&alone, direction), level, "{mode:?}\n{alone}");
    }
    report
}

/// An event with one property.
pub(crate) fn event(property: Value) -> Value {
    json!({"type": "object", "properties": {"p": property}, "required": ["p"]})
}

/// A change of the property, one way and the other way round.
#[track_caller]
fn ways(old: Value, new: Value, (backward, forward): (Level, Level), there: &str, back: &str) {
    row(
        event(old.clone()),
        event(new.clone()),
        backward,
        forward,
        there,
    );
    row(event(new), event(old), forward, backward, back);
}

/// New readers take old data, old readers do not take new data.
const WIDER: (Level, Level) = (Info, Error);
const NARROWER: (Level, Level) = (Error, Info);
const OTHER: (Level, Level) = (Error, Error);

#[test]
fn what_only_people_read_is_free() {
    let old = event(json!({"type": "string"}));
    let mut new = event(json!({"$ref": "#/definitions/text"}));
    new["definitions"] = json!({"text": {"type": "string"}});
    new["description"] = "Something happened.".into();
    new["examples"] = json!([{"p": "a"}]);
    new["$id"] = "urn:example".into();
    assert_eq!(check(&old, &new, Mode::Full).findings(), []);
    let mut titled = old.clone();
    titled["title"] = "Opened".into();
    let report = row(old, titled, Info, Warning, "title-changed");
    assert_eq!(report.findings()[0].surface, Surface::Source);
    let mut renamed = new.clone();
    renamed["definitions"] = json!({"words": {"type": "string"}});
    renamed["properties"]["p"] = json!({"$ref": "#/definitions/words"});
    row(new, renamed, Info, Warning, "definition-renamed");
}

#[test]
fn defaults() {
    let property = |default: i32| event(json!({"type": "integer", "default": default}));
    row(
        property(0),
        property(1),
        Warning,
        Warning,
        "default-changed",
    );
}

#[test]
fn properties_come_and_go() {
    let old = event(json!({"type": "string"}));
    let with = |property: Value, required: bool| {
        let mut new = old.clone();
        new["properties"]["q"] = property;
        if required {
            new["required"] = json!(["p", "q"]);
        }
        new
    };
    let optional = with(json!({"type": "integer"}), false);
    let required = with(json!({"type": "integer"}), true);
    let filled = with(json!({"type": "integer", "default": 0}), true);
    row(old.clone(), optional.clone(), Info, Info, "property-added");
    let report = row(
        old.clone(),
        required.clone(),
        Error,
        Info,
        "required-property-added",
    );
    assert_eq!(
        report.errors().next().unwrap().counterexample,
        Some(json!({"p": ""}))
    );
    assert_eq!(report.errors().next().unwrap().path, "/properties/q");
    row(
        old.clone(),
        filled,
        Info,
        Info,
        "property-added-with-default",
    );
    row(
        optional.clone(),
        old.clone(),
        Info,
        Info,
        "property-removed",
    );
    row(
        required.clone(),
        old.clone(),
        Info,
        Error,
        "required-property-removed",
    );
    row(
        optional.clone(),
        required.clone(),
        Error,
        Info,
        "property-now-required",
    );
    row(
        required,
        optional.clone(),
        Info,
        Error,
        "property-now-optional",
    );
    // Of an event without any.
    row(
        json!({"type": "object"}),
        with(json!({"type": "integer"}), false),
        Error,
        Info,
        "required-property-added",
    );
    row(
        json!({"type": "object"}),
        json!({"type": "object", "properties": {"q": {"type": "integer"}}}),
        Info,
        Info,
        "property-added",
    );
}

#[test]
fn names_are_not_changed_and_not_reused() {
    let named = |name: &str, kind: &str, required: bool| {
        let mut schema = json!({"type": "object", "properties": {name: {"type": kind}}});
        if required {
            schema["required"] = json!([name]);
        }
        schema
    };
    row(
        named("owner", "string", true),
        named("holder", "string", true),
        Error,
        Error,
        "property-renamed",
    );
    row(
        named("owner", "string", false),
        named("holder", "string", false),
        Error,
        Error,
        "property-renamed",
    );
    row(
        named("owner", "string", false),
        named("age", "integer", false),
        Info,
        Info,
        "property-removed",
    );
    let without = json!({"type": "object"});
    let history = [named("note", "string", false), without.clone()];
    let report = check_history(&history, &named("note", "integer", false), Mode::Full);
    let error = report.errors().next().unwrap();
    assert_eq!(
        (error.rule, error.against),
        ("removed-name-reused", Some(0)),
        "{report}"
    );
    assert!(check_history(&history, &named("note", "string", false), Mode::Full).is_compatible());
    assert!(check(&history[1], &named("note", "integer", false), Mode::Full).is_compatible());
    let mut reserved = without;
    reserved["x-reserved"] = json!(["note"]);
    row(
        reserved,
        named("note", "integer", false),
        Error,
        Error,
        "removed-name-reused",
    );
}

#[test]
fn all_of_history_counts() {
    let wide = event(json!({"type": ["string", "null"]}));
    let narrow = event(json!({"type": "string"}));
    let history = [wide.clone(), narrow.clone()];
    let report = check_history(&history, &narrow, Mode::Backward);
    let against: Vec<Option<usize>> = report.errors().map(|finding| finding.against).collect();
    assert_eq!(against, [Some(0)], "{report}");
    assert!(check_history(&history, &wide, Mode::Backward).is_compatible());
    assert!(check_history(&[], &wide, Mode::Full).is_compatible());
}

#[test]
fn types() {
    ways(
        json!({"type": "integer"}),
        json!({"type": "number"}),
        WIDER,
        "type-widened",
        "type-narrowed",
    );
    ways(
        json!({"type": "string"}),
        json!({"type": ["string", "null"]}),
        WIDER,
        "type-widened",
        "type-narrowed",
    );
    ways(
        json!({"type": "string"}),
        json!({"type": "integer"}),
        OTHER,
        "type-changed",
        "type-changed",
    );
    ways(
        json!({"const": "a"}),
        json!({"const": "b"}),
        OTHER,
        "const-changed",
        "const-changed",
    );
    ways(
        json!({"type": "object", "properties": {"q": {"type": "integer"}}}),
        json!({"anyOf": [{"type": "object", "properties": {"q": {"type": "integer"}}}, {"type": "null"}]}),
        WIDER,
        "union-branch-added",
        "union-branch-removed",
    );
    ways(
        json!(true),
        json!({"type": "integer"}),
        NARROWER,
        "schema-narrowed",
        "schema-widened",
    );
}

#[test]
fn lists_of_values() {
    let two = json!({"type": "string", "enum": ["a", "b"]});
    let three = json!({"type": "string", "enum": ["b", "c", "a"]});
    ways(
        two.clone(),
        three.clone(),
        WIDER,
        "enum-value-added",
        "enum-value-removed",
    );
    // Enums of Rust come as unions of constants, once they have doc comments.
    let union = json!({"oneOf": [{"const": "a", "type": "string"}, {"const": "b", "type": "string"}, {"const": "c", "type": "string", "description": "New."}]});
    ways(
        two.clone(),
        union.clone(),
        WIDER,
        "enum-value-added",
        "enum-value-removed",
    );
    assert!(check(&event(three), &event(union), Mode::Full).is_compatible());
    let extensible =
        |values: Value| event(json!({"type": "string", "enum": values, "x-extensible": true}));
    row(
        extensible(json!(["a"])),
        extensible(json!(["a", "b"])),
        Info,
        Warning,
        "enum-value-added",
    );
    ways(
        json!({"type": "string"}),
        two,
        NARROWER,
        "values-added",
        "values-removed",
    );
}

fn branch(tag: &str, property: &str) -> Value {
    json!({"type": "object", "properties": {"kind": {"const": tag}, property: {"type": "integer"}}, "required": ["kind", property]})
}

#[test]
fn unions() {
    let two = json!({"oneOf": [branch("cash", "till"), branch("card", "number")]});
    let three = json!({"oneOf": [branch("wire", "iban"), branch("card", "number"), branch("cash", "till")]});
    ways(
        two.clone(),
        three,
        WIDER,
        "union-branch-added",
        "union-branch-removed",
    );
    let mut retagged = two.clone();
    retagged["oneOf"][1]["properties"]["kind"]["const"] = "plastic".into();
    ways(
        two.clone(),
        retagged,
        OTHER,
        "union-branch-added",
        "union-branch-removed",
    );
    // An optional property in one branch, though the other branch has one of that name.
    let mut more = two.clone();
    more["oneOf"][0]["properties"]["number"] = json!({"type": "string"});
    row(
        event(two.clone()),
        event(more),
        Info,
        Info,
        "property-added",
    );
    let mut tighter = two.clone();
    tighter["oneOf"][1]["properties"]["number"]["minimum"] = 1.into();
    let report = row(event(two), event(tighter), Error, Info, "bound-tightened");
    let error = report.errors().next().unwrap();
    assert_eq!(
        error.path,
        "/properties/p/oneOf/1/properties/number/minimum"
    );
    assert_eq!(
        error.counterexample,
        Some(json!({"p": {"kind": "card", "number": 0}}))
    );
}

#[test]
fn event_types() {
    let events = |names: &[&str]| {
        names
            .iter()
            .map(|name| ((*name).to_owned(), event(json!({"type": "string"}))))
            .collect()
    };
    let (one, two) = (events(&["opened"]), events(&["closed", "opened"]));
    let added = check_events(&one, &two, Mode::Full);
    assert_eq!(
        (
            worst(&added, Direction::Backward),
            worst(&added, Direction::Forward)
        ),
        (Info, Warning)
    );
    assert_eq!(added.findings()[0].rule, "event-type-added");
    let removed = check_events(&two, &one, Mode::Full);
    assert_eq!(
        (
            worst(&removed, Direction::Backward),
            worst(&removed, Direction::Forward)
        ),
        (Error, Info)
    );
    assert_eq!(removed.findings()[0].rule, "event-type-removed");
    assert!(check_events(&two, &one, Mode::Forward).is_compatible());
    let mut changed = two.clone();
    changed.insert("closed".to_owned(), event(json!({"type": "integer"})));
    let report = check_events(&two, &changed, Mode::Full);
    assert!(
        report
            .findings()
            .iter()
            .all(|finding| finding.event.as_deref() == Some("closed"))
    );
    assert!(!report.is_compatible());
}

#[test]
fn all_of_and_not() {
    ways(
        json!({"type": "integer"}),
        json!({"type": "integer", "allOf": [{"minimum": 0}]}),
        NARROWER,
        "all-of-added",
        "all-of-removed",
    );
    ways(
        json!({"type": "string", "not": {"const": "a"}}),
        json!({"type": "string", "not": {"enum": ["a", "b"]}}),
        NARROWER,
        "not-widened",
        "not-narrowed",
    );
    let base = |more: Value| json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, more]});
    row(
        base(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
        base(
            json!({"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "integer"}}}),
        ),
        Info,
        Info,
        "property-added",
    );
}

#[test]
fn bounds() {
    for (kind, word, loose, tight) in [
        ("integer", "minimum", 1, 2),
        ("integer", "maximum", 5, 4),
        ("number", "exclusiveMinimum", 1, 2),
        ("number", "exclusiveMaximum", 5, 4),
        ("string", "minLength", 1, 2),
        ("string", "maxLength", 5, 4),
        ("array", "minItems", 1, 2),
        ("array", "maxItems", 5, 4),
        ("object", "maxProperties", 5, 4),
    ] {
        let bounded = |bound: i32| match kind {
            "object" => json!({"type": kind, "additionalProperties": true, word: bound}),
            _ => json!({"type": kind, word: bound}),
        };
        ways(
            bounded(loose),
            bounded(tight),
            NARROWER,
            "bound-tightened",
            "bound-relaxed",
        );
    }
    let contains =
        |least: i32| json!({"type": "array", "contains": {"type": "integer", "minimum": least}});
    ways(
        contains(1),
        contains(2),
        NARROWER,
        "contains-tightened",
        "contains-relaxed",
    );
    let multiple = |of: i32| json!({"type": "integer", "multipleOf": of});
    ways(
        multiple(6),
        multiple(3),
        WIDER,
        "multiple-relaxed",
        "multiple-tightened",
    );
    ways(
        multiple(4),
        multiple(6),
        OTHER,
        "multiple-changed",
        "multiple-changed",
    );
    ways(
        json!({"type": "array"}),
        json!({"type": "array", "uniqueItems": true}),
        NARROWER,
        "unique-items-added",
        "unique-items-removed",
    );
}

#[test]
fn patterns_and_formats() {
    let pattern = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let text = json!({"type": "string"});
    ways(
        text.clone(),
        pattern("^[a-z]+$"),
        NARROWER,
        "pattern-added",
        "pattern-removed",
    );
    ways(
        pattern("^[a-z]+$"),
        pattern("^[a-z0-9]+$"),
        OTHER,
        "pattern-changed",
        "pattern-changed",
    );
    for word in ["format", "contentEncoding", "contentMediaType"] {
        let said = |value: &str| json!({"type": "string", word: value});
        ways(
            text.clone(),
            said("one"),
            NARROWER,
            "format-added",
            "format-removed",
        );
        ways(
            said("one"),
            said("two"),
            OTHER,
            "format-changed",
            "format-changed",
        );
    }
    ways(
        text,
        json!({"type": "string", "format": "email"}),
        NARROWER,
        "format-added",
        "format-removed",
    );
    let sized = |format: &str| json!({"type": "integer", "format": format});
    ways(
        sized("int32"),
        sized("int64"),
        WIDER,
        "format-widened",
        "format-narrowed",
    );
}

#[test]
fn arrays_and_maps_are_gone_into() {
    let list = |kind: &str| json!({"type": "array", "items": {"type": kind}});
    ways(
        list("integer"),
        list("number"),
        WIDER,
        "type-widened",
        "type-narrowed",
    );
    let map = |kind: &str| json!({"type": "object", "additionalProperties": {"type": kind}});
    ways(
        map("integer"),
        map("number"),
        WIDER,
        "type-widened",
        "type-narrowed",
    );
    let report = row(
        event(list("number")),
        event(list("integer")),
        Error,
        Info,
        "type-narrowed",
    );
    let error = report.errors().next().unwrap();
    assert_eq!(error.path, "/properties/p/items/type");
    assert!(
        error.counterexample.as_ref().unwrap()["p"][0].is_f64(),
        "{report}"
    );
}

#[test]
fn tuples_go_by_their_tail() {
    let tuple = |items: Value, tail: Value| json!({"type": "array", "items": items, "additionalItems": tail});
    let (one, two) = (
        json!([{"type": "string"}]),
        json!([{"type": "string"}, {"type": "integer"}]),
    );
    ways(
        tuple(one.clone(), json!(false)),
        tuple(two.clone(), json!(false)),
        WIDER,
        "tuple-item-added",
        "tuple-item-removed",
    );
    ways(
        tuple(one.clone(), json!(true)),
        tuple(two.clone(), json!(true)),
        NARROWER,
        "tuple-item-added",
        "tuple-item-removed",
    );
    ways(
        tuple(one, json!({"type": "integer"})),
        tuple(two, json!({"type": "integer"})),
        (Info, Info),
        "tuple-item-added",
        "tuple-item-removed",
    );
}

#[test]
fn open_and_closed() {
    let object = |more: Value| json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": more});
    ways(
        object(json!(true)),
        object(json!(false)),
        NARROWER,
        "additional-properties-forbidden",
        "additional-properties-allowed",
    );
    // A closed reader refuses what is added.
    let closed = |property: Value| json!({"type": "object", "properties": property, "additionalProperties": false});
    row(
        closed(json!({"a": true})),
        closed(json!({"a": true, "b": {"type": "integer"}})),
        Info,
        Error,
        "property-added",
    );
    let unevaluated = |more: Value| json!({"type": "object", "properties": {"a": true}, "unevaluatedProperties": more});
    ways(
        unevaluated(json!(true)),
        unevaluated(json!(false)),
        NARROWER,
        "additional-properties-forbidden",
        "additional-properties-allowed",
    );
}

#[test]
fn names_of_properties() {
    let map = |more: Value| {
        let mut map = json!({"type": "object", "additionalProperties": true});
        map.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        map
    };
    ways(
        map(json!({})),
        map(json!({"patternProperties": {"^x": {"type": "integer"}}})),
        NARROWER,
        "pattern-properties-added",
        "pattern-properties-removed",
    );
    ways(
        map(json!({})),
        map(json!({"propertyNames": {"maxLength": 3}})),
        NARROWER,
        "property-names-tightened",
        "property-names-relaxed",
    );
    for needs in [
        json!({"dependencies": {"a": ["b"]}}),
        json!({"dependentRequired": {"a": ["b"]}}),
        json!({"dependentSchemas": {"a": {"required": ["b"]}}}),
    ] {
        ways(
            map(json!({})),
            map(needs),
            NARROWER,
            "dependency-added",
            "dependency-removed",
        );
    }
}

#[test]
fn what_is_not_followed_is_refused() {
    let conditional =
        |bound: i32| json!({"type": "integer", "if": {"minimum": 0}, "then": {"maximum": bound}});
    ways(
        conditional(5),
        conditional(6),
        OTHER,
        "conditional-changed",
        "conditional-changed",
    );
    ways(
        json!({"type": "integer"}),
        conditional(5),
        OTHER,
        "conditional-changed",
        "conditional-changed",
    );
    ways(
        json!({"type": "integer"}),
        json!({"type": "integer", "sizeOf": 3}),
        OTHER,
        "unknown-keyword-changed",
        "unknown-keyword-changed",
    );
}

#[test]
fn meaning() {
    let amount = |unit: &str| json!({"type": "integer", "x-unit": unit});
    ways(
        amount("cents"),
        amount("euros"),
        OTHER,
        "unit-changed",
        "unit-changed",
    );
    let personal = |personal: bool| json!({"type": "string", "x-personal": personal});
    ways(
        personal(false),
        personal(true),
        (Warning, Warning),
        "personal-data-changed",
        "personal-data-changed",
    );
}
