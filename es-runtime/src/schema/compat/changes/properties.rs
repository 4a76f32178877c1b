//! Properties that come, go, and change.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::patch::{Patch, taken};
use super::super::refs::pointer;
use super::{BREAKS, Pair, Walk};

impl<'a> Walk<'a> {
    pub(super) fn properties(&mut self, pair: &Pair<'a>) {
        let old = members(pair.old, "properties");
        let new = members(pair.new, "properties");
        let (needed, needs) = (names(pair.old), names(pair.new));
        let at = |name: &str| pair.at.below("properties").below(name);
        let path = |name: &str| format!("{}/properties/{}", pair.path, pointer(name));
        let list = |names: &BTreeSet<&str>| Value::from_iter(names.iter().copied());
        let required = pair.at.below("required");
        let mut added: Vec<&str> = new
            .keys()
            .filter(|name| !old.contains_key(*name))
            .map(String::as_str)
            .collect();
        let mut removed: Vec<&str> = old
            .keys()
            .filter(|name| !new.contains_key(*name))
            .map(String::as_str)
            .collect();
        if self.renames
            && let ([was], [is]) = (removed.as_slice(), added.as_slice())
            && old[*was] == new[*is]
        {
            let says = format!(
                "`{was}` is gone and `{is}` is there instead: if it was renamed, what is written under one name is not found under the other; if not, remove one and add the other in two releases"
            );
            let place = pair.new_at.below("properties").below(is);
            let mut names = needed.clone();
            if names.remove(was) {
                names.insert(is);
            }
            let patch = Patch::default()
                .remove(at(was))
                .set(at(is), taken(&self.new, &new[*is], &place))
                .set(required.clone(), list(&names));
            self.fixed("property-renamed", &path(is), says, BREAKS, Some(patch));
            (added, removed) = (Vec::new(), Vec::new());
        }
        for name in added {
            let place = pair.new_at.below("properties").below(name);
            let mut patch = Patch::default().set(at(name), taken(&self.new, &new[name], &place));
            let mut with = needed.clone();
            let is_needed = needs.contains(name) && with.insert(name);
            if is_needed {
                patch = patch.set(required.clone(), list(&with));
            }
            let filled = new[name].get("default").is_some();
            let (rule, says) = match (is_needed, filled) {
                (false, _) => ("property-added", "was added, and is optional"),
                (true, true) => (
                    "property-added-with-default",
                    "was added, with a default for old events",
                ),
                (true, false) => (
                    "required-property-added",
                    "was added, and old events do not have it",
                ),
            };
            let reserved = pair.old.get("x-reserved").and_then(Value::as_array);
            if reserved.is_some_and(|reserved| reserved.iter().any(|reserved| reserved == name)) {
                let says = format!("`{name}` was removed once, and is reserved");
                self.fixed("removed-name-reused", &path(name), says, BREAKS, None);
            }
            self.ask([rule; 3], &path(name), format!("`{name}` {says}"), patch);
        }
        for name in removed {
            let mut without = needed.clone();
            let was_needed = without.remove(name);
            let mut patch = Patch::default().remove(at(name));
            if was_needed {
                patch = patch.set(required.clone(), list(&without));
            }
            let (rule, says) = match was_needed {
                false => ("property-removed", "was removed; its name stays reserved"),
                true => (
                    "required-property-removed",
                    "was removed, and old readers need it",
                ),
            };
            self.ask([rule; 3], &path(name), format!("`{name}` {says}"), patch);
        }
        for name in old.keys().filter(|name| new.contains_key(*name)) {
            let place = pair.new_at.below("properties").below(name);
            self.walk(&at(name), &place, &path(name));
        }
        let there = |name: &&str| old.contains_key(*name) == new.contains_key(*name);
        for name in needs.difference(&needed).filter(|name| there(name)) {
            let mut with = needed.clone();
            with.insert(name);
            let patch = Patch::default().set(required.clone(), list(&with));
            self.ask(
                ["property-now-required"; 3],
                &path(name),
                format!("`{name}` is required now, and old events may lack it"),
                patch,
            );
        }
        for name in needed.difference(&needs).filter(|name| there(name)) {
            let mut without = needed.clone();
            without.remove(name);
            let patch = Patch::default().set(required.clone(), list(&without));
            self.ask(
                ["property-now-optional"; 3],
                &path(name),
                format!("`{name}` is optional now, and old readers need it"),
                patch,
            );
        }
        self.patterns(pair);
    }

    fn patterns(&mut self, pair: &Pair<'a>) {
        let (old, new) = (
            members(pair.old, "patternProperties"),
            members(pair.new, "patternProperties"),
        );
        let at = pair.at.below("patternProperties");
        for pattern in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let path = format!("{}/patternProperties/{}", pair.path, pointer(pattern));
            let place = pair.new_at.below("patternProperties").below(pattern);
            let patch = match (old.get(pattern), new.get(pattern)) {
                (Some(_), Some(_)) => {
                    self.walk(&at.below(pattern), &place, &path);
                    continue;
                }
                (None, Some(schema)) => {
                    Patch::default().set(at.below(pattern), taken(&self.new, schema, &place))
                }
                _ => Patch::default().remove(at.below(pattern)),
            };
            let rules = [
                "pattern-properties-removed",
                "pattern-properties-added",
                "pattern-properties-changed",
            ];
            self.ask(
                rules,
                &path,
                format!("the rule for properties like `{pattern}` changed"),
                patch,
            );
        }
    }
}

fn members<'a>(schema: &'a Map<String, Value>, word: &str) -> &'a Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    schema.get(word).and_then(Value::as_object).unwrap_or(&NONE)
}

fn names(schema: &Map<String, Value>) -> BTreeSet<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
