//! Lists of values and branches of unions.

use serde_json::{Map, Value};

use super::super::patch::{Patch, taken};
use super::super::refs::{Place, Refs};
use super::union::{alike, branches, matched, values};
use super::{Pair, Walk};

impl<'a> Walk<'a> {
    pub(super) fn values(&mut self, pair: &Pair<'_>, old: &[Value], new: &[Value]) {
        let path = format!("{}/enum", pair.path);
        let gone: Vec<&Value> = old.iter().filter(|value| !new.contains(value)).collect();
        let more: Vec<&Value> = new.iter().filter(|value| !old.contains(value)).collect();
        let to = |values: Vec<&Value>| {
            let words = ["const", "oneOf", "anyOf", "type"].iter();
            let patch = words.fold(Patch::default(), |patch, word| {
                patch.remove(pair.at.below(word))
            });
            patch.set(pair.at.below("enum"), values.into_iter().cloned().collect())
        };
        if let ([was], [is]) = (old, new) {
            if was != is {
                let says = format!("the value was `{was}` and is `{is}`");
                self.ask(
                    ["const-changed"; 3],
                    &format!("{}/const", pair.path),
                    says,
                    to(vec![is]),
                );
            }
            return;
        }
        let shown = |values: &[&Value]| {
            values
                .iter()
                .map(|value| format!("`{value}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if !gone.is_empty() {
            let says = format!("{} may come no more, and is in old events", shown(&gone));
            self.ask(
                ["enum-value-removed"; 3],
                &path,
                says,
                to(old.iter().filter(|value| new.contains(value)).collect()),
            );
        }
        if !more.is_empty() {
            let says = format!(
                "{} may come now, and old readers do not know it",
                shown(&more)
            );
            self.ask(
                ["enum-value-added"; 3],
                &path,
                says,
                to(old.iter().chain(more).collect()),
            );
        }
    }

    pub(super) fn unions(&mut self, pair: &Pair<'a>) {
        let places = |at: &Place, schema: &Map<String, Value>| match branches(schema) {
            Some((word, list)) => (0..list.len())
                .map(|number| at.below(word).below(&number.to_string()))
                .collect(),
            None => vec![at.clone()],
        };
        let (old, new) = (places(&pair.at, pair.old), places(&pair.new_at, pair.new));
        let word = branches(pair.old).map(|(word, _)| word);
        self.union(pair, word, &old, &new);
        if let (Some((was, _)), Some((is, _))) = (branches(pair.old), branches(pair.new))
            && was != is
        {
            let list = pair.old.get(was).cloned().unwrap_or_default();
            let patch = Patch::default()
                .remove(pair.at.below(was))
                .set(pair.at.below(is), list);
            let rules = ["union-relaxed", "union-tightened", "union-changed"];
            self.ask(
                rules,
                &format!("{}/{is}", pair.path),
                format!("`{was}` is `{is}` now"),
                patch,
            );
        }
    }

    /// Branches are told apart by what they are, not by their order.
    pub(super) fn union(
        &mut self,
        pair: &Pair<'a>,
        word: Option<&str>,
        old: &[Place],
        new: &[Place],
    ) {
        let pairs = matched(old.len(), new.len(), |left, right| {
            alike(self, &old[left], &new[right])
        });
        let path = |number: usize| match word {
            Some(word) => format!("{}/{word}/{number}", pair.path),
            None => pair.path.clone(),
        };
        for &(left, right) in &pairs {
            self.walk_branch(pair, &old[left], &new[right], &path(left));
        }
        for (number, place) in old.iter().enumerate() {
            if !pairs.iter().any(|&(left, _)| left == number) {
                let patch = match word {
                    Some(_) => Patch::default().remove(place.clone()),
                    None => Patch::default().set(
                        pair.raw.clone(),
                        taken(&self.new, &Value::Object(pair.new.clone()), &pair.new_at),
                    ),
                };
                let says = format!(
                    "{} of the union is gone, and is in old events",
                    self.named(&self.old, place)
                );
                self.ask(["union-branch-removed"; 3], &path(number), says, patch);
            }
        }
        for (number, place) in new.iter().enumerate() {
            if !pairs.iter().any(|&(_, right)| right == number) {
                let branch = taken(&self.new, self.new.at(place).unwrap_or(&Value::Null), place);
                let patch = match word {
                    Some(word) => Patch::default()
                        .set(pair.at.below(word).below(&old.len().to_string()), branch),
                    None => {
                        let was = self.old.at(&pair.raw).cloned().unwrap_or_default();
                        let union = Value::from_iter([("anyOf", Value::from(vec![was, branch]))]);
                        let kept = kept_definitions(&pair.raw, self.old.document(), union);
                        Patch::default().set(pair.raw.clone(), kept)
                    }
                };
                let says = format!(
                    "{} may come now, and old readers do not know it",
                    self.named(&self.new, place)
                );
                self.ask(["union-branch-added"; 3], &path(number), says, patch);
            }
        }
    }

    /// A schema that is no union is its own only branch.
    fn walk_branch(&mut self, pair: &Pair<'a>, old: &Place, new: &Place, path: &str) {
        if *old != pair.at && *new != pair.new_at {
            return self.walk(old, new, path);
        }
        let (at, from) = self.old.followed(old);
        let (new_at, to) = self.new.followed(new);
        if let (Value::Object(from), Value::Object(to)) = (from, to) {
            let pair = Pair {
                raw: old.clone(),
                at,
                old: from,
                new_at,
                new: to,
                path: path.to_owned(),
            };
            match (values(from), values(to)) {
                (Some(from), Some(to)) => self.values(&pair, &from, &to),
                _ => self.keywords(&pair),
            }
        }
    }

    /// A branch, as people call it.
    fn named(&self, refs: &Refs<'_>, place: &Place) -> String {
        let (at, schema) = refs.followed(place);
        let title = schema.get("title").and_then(Value::as_str);
        match title.or_else(|| at.steps().last().map(String::as_str)) {
            Some(title) if title.parse::<usize>().is_err() => format!("the branch `{title}`"),
            Some(number) => format!("branch {number}"),
            None => "the branch".to_owned(),
        }
    }
}

/// What stands in the root's place still has the root's definitions.
fn kept_definitions(place: &Place, document: &Value, mut schema: Value) -> Value {
    if *place == Place::root() {
        for word in ["definitions", "$defs", "$schema"] {
            if let Some(kept) = document.get(word) {
                schema[word] = kept.clone();
            }
        }
    }
    schema
}
