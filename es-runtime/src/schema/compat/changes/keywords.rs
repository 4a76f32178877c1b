//! Keyword by keyword.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::node::Claim;
use super::super::patch::Patch;
use super::super::refs::pointer;
use super::super::report::Level;
use super::union::values;
use super::{BREAKS, Pair, SILENT, SURPRISES, Walk};

/// Keywords that stand for themselves, with the names of their rules.
const PLAIN: [(&[&str], [&str; 3]); 17] = [
    (&["minimum", "exclusiveMinimum"], BOUND),
    (&["maximum", "exclusiveMaximum"], BOUND),
    (&["minLength"], BOUND),
    (&["maxLength"], BOUND),
    (&["minItems"], BOUND),
    (&["maxItems"], BOUND),
    (&["minProperties"], BOUND),
    (&["maxProperties"], BOUND),
    (
        &["multipleOf"],
        ["multiple-relaxed", "multiple-tightened", "multiple-changed"],
    ),
    (
        &["uniqueItems"],
        [
            "unique-items-removed",
            "unique-items-added",
            "unique-items-changed",
        ],
    ),
    (
        &["contains", "minContains", "maxContains"],
        ["contains-relaxed", "contains-tightened", "contains-changed"],
    ),
    (
        &["propertyNames"],
        [
            "property-names-relaxed",
            "property-names-tightened",
            "property-names-changed",
        ],
    ),
    (&["dependencies"], DEPENDENCY),
    (&["dependentRequired"], DEPENDENCY),
    (&["dependentSchemas"], DEPENDENCY),
    (&["not"], ["not-narrowed", "not-widened", "not-changed"]),
    (&["type"], ["type-widened", "type-narrowed", "type-changed"]),
];
const BOUND: [&str; 3] = ["bound-relaxed", "bound-tightened", "bound-changed"];
const DEPENDENCY: [&str; 3] = [
    "dependency-removed",
    "dependency-added",
    "dependency-changed",
];

/// Keywords that the walk goes into.
const WALKED: [&str; 24] = [
    "properties",
    "required",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "allOf",
    "anyOf",
    "oneOf",
    "enum",
    "const",
    "pattern",
    "format",
    "contentEncoding",
    "contentMediaType",
    "if",
    "then",
    "else",
    "title",
    "default",
    "x-reserved",
];

impl<'a> Walk<'a> {
    pub(super) fn keywords(&mut self, pair: &Pair<'a>) {
        for (words, rules) in PLAIN {
            let changed = words.iter().any(|word| !self.same(pair, word));
            if changed {
                let patch = words
                    .iter()
                    .fold(Patch::default(), |patch, word| self.put(patch, pair, word));
                let says = match words {
                    [word] => self.says(pair, word),
                    [word, ..] => {
                        let changed = words
                            .iter()
                            .find(|word| pair.old.get(**word) != pair.new.get(**word));
                        self.says(pair, changed.unwrap_or(word))
                    }
                    [] => String::new(),
                };
                self.ask(rules, &format!("{}/{}", pair.path, words[0]), says, patch);
            }
        }
        match (values(pair.old), values(pair.new)) {
            (None, None) => {}
            (old, new) => {
                if old != new {
                    let patch = self.put(self.put(Patch::default(), pair, "enum"), pair, "const");
                    let rules = ["values-removed", "values-added", "values-changed"];
                    self.ask(
                        rules,
                        &format!("{}/enum", pair.path),
                        "the list of values changed",
                        patch,
                    );
                }
            }
        }
        self.properties(pair);
        self.items(pair);
        for word in [
            "additionalProperties",
            "unevaluatedProperties",
            "additionalItems",
            "unevaluatedItems",
        ] {
            let rules = match word {
                "additionalProperties" | "unevaluatedProperties" => [
                    "additional-properties-allowed",
                    "additional-properties-forbidden",
                    "additional-properties-changed",
                ],
                _ => [
                    "additional-items-allowed",
                    "additional-items-forbidden",
                    "additional-items-changed",
                ],
            };
            self.either(pair, word, rules);
        }
        self.all_of(pair);
        for word in ["anyOf", "oneOf"] {
            let both = pair
                .old
                .get(word)
                .and_then(Value::as_array)
                .zip(pair.new.get(word).and_then(Value::as_array));
            match both {
                Some((old, new)) => {
                    let old =
                        (0..old.len()).map(|number| pair.at.below(word).below(&number.to_string()));
                    let new = (0..new.len())
                        .map(|number| pair.new_at.below(word).below(&number.to_string()));
                    self.union(
                        pair,
                        Some(word),
                        &old.collect::<Vec<_>>(),
                        &new.collect::<Vec<_>>(),
                    );
                }
                None if pair.old.get(word) != pair.new.get(word) => {
                    let rules = ["union-removed", "union-added", "union-changed"];
                    let patch = self.put(Patch::default(), pair, word);
                    let says = self.says(pair, word);
                    self.ask(rules, &format!("{}/{word}", pair.path), says, patch);
                }
                None => {}
            }
        }
        self.claims(pair);
        for word in pair
            .old
            .keys()
            .chain(pair.new.keys())
            .collect::<BTreeSet<_>>()
        {
            let word = word.as_str();
            let known = SILENT.contains(&word)
                || WALKED.contains(&word)
                || word.starts_with("x-")
                || PLAIN.iter().any(|(words, _)| words.contains(&word));
            if !known && pair.old.get(word) != pair.new.get(word) {
                let says = format!("{}, and what it means is not known", self.says(pair, word));
                self.fixed(
                    "unknown-keyword-changed",
                    &format!("{}/{word}", pair.path),
                    says,
                    BREAKS,
                    None,
                );
            }
        }
    }

    /// What no instance shows, and yet readers rely on.
    fn claims(&mut self, pair: &Pair<'_>) {
        let path = |word: &str| format!("{}/{word}", pair.path);
        match (pair.old.get("pattern"), pair.new.get("pattern")) {
            (old, new) if old == new => {}
            (Some(_), Some(_)) => {
                let patch = self.put(Patch::default(), pair, "pattern");
                let says = format!(
                    "{}, and typed readers rely on it",
                    self.says(pair, "pattern")
                );
                self.fixed(
                    "pattern-changed",
                    &path("pattern"),
                    says,
                    BREAKS,
                    Some(patch),
                );
            }
            _ => {
                let patch = self.put(Patch::default(), pair, "pattern");
                let says = self.says(pair, "pattern");
                self.ask(
                    ["pattern-removed", "pattern-added", "pattern-changed"],
                    &path("pattern"),
                    says,
                    patch,
                );
            }
        }
        for word in ["format", "contentEncoding", "contentMediaType"] {
            let (old, new) = (pair.old.get(word), pair.new.get(word));
            if old == new {
                continue;
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let implies = |narrow: &Value, wide: &Value| {
                Claim::Format(text(narrow)).implies(&Claim::Format(text(wide)))
            };
            let (rule, backward, forward) = match (old, new) {
                (None, _) => ("format-added", Level::Error, Level::Info),
                (_, None) => ("format-removed", Level::Info, Level::Error),
                (Some(old), Some(new)) if implies(old, new) => {
                    ("format-widened", Level::Info, Level::Error)
                }
                (Some(old), Some(new)) if implies(new, old) => {
                    ("format-narrowed", Level::Error, Level::Info)
                }
                _ => ("format-changed", Level::Error, Level::Error),
            };
            let says = format!("{}, and typed readers rely on it", self.says(pair, word));
            self.fixed(rule, &path(word), says, (backward, forward), None);
        }
        if ["if", "then", "else"]
            .iter()
            .any(|word| !self.same(pair, word))
        {
            let words = ["if", "then", "else"].into_iter();
            let patch = words.fold(Patch::default(), |patch, word| self.put(patch, pair, word));
            let says = "the condition changed: which events it refuses is not followed";
            self.fixed(
                "conditional-changed",
                &path("if"),
                says,
                BREAKS,
                Some(patch),
            );
        }
    }

    pub(super) fn annotations(&mut self, pair: &Pair<'_>) {
        let path = |word: &str| format!("{}/{}", pair.path, pointer(word));
        if pair.old.get("title") != pair.new.get("title") {
            let says = format!(
                "{}: types in generated code are called so",
                self.says(pair, "title")
            );
            self.source("title-changed", &path("title"), says);
        }
        if pair.old.get("default") != pair.new.get("default") {
            let says = format!(
                "{}: readers fill in another value",
                self.says(pair, "default")
            );
            self.fixed("default-changed", &path("default"), says, SURPRISES, None);
        }
        for word in pair
            .old
            .keys()
            .chain(pair.new.keys())
            .collect::<BTreeSet<_>>()
        {
            if !word.starts_with("x-") || pair.old.get(word) == pair.new.get(word) {
                continue;
            }
            if word == "x-unit" {
                let says = format!("{}: the numbers mean something else", self.says(pair, word));
                self.fixed("unit-changed", &path(word), says, BREAKS, None);
            } else if word.contains("personal") {
                let says = format!(
                    "{}: readers have to treat it otherwise",
                    self.says(pair, word)
                );
                self.fixed("personal-data-changed", &path(word), says, SURPRISES, None);
            }
        }
    }
}
