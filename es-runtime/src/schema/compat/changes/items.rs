//! Items of arrays, members of `allOf`, and keywords that hold one schema.

use serde_json::{Map, Value};

use super::super::patch::{Patch, taken};
use super::super::refs::Place;
use super::union::{alike, matched};
use super::{Pair, Walk};

impl<'a> Walk<'a> {
    pub(super) fn items(&mut self, pair: &Pair<'a>) {
        for word in ["items", "prefixItems"] {
            let (old, new) = (pair.old.get(word), pair.new.get(word));
            let (Some(Value::Array(old)), Some(Value::Array(new))) = (old, new) else {
                self.either(
                    pair,
                    word,
                    ["items-widened", "items-narrowed", "items-changed"],
                );
                continue;
            };
            let (at, new_at) = (pair.at.below(word), pair.new_at.below(word));
            for number in 0..old.len().max(new.len()) {
                let step = number.to_string();
                let path = format!("{}/{word}/{step}", pair.path);
                match (old.get(number), new.get(number)) {
                    (Some(_), Some(_)) => self.walk(&at.below(&step), &new_at.below(&step), &path),
                    (None, Some(item)) => {
                        let mut patch = Patch::default();
                        for (before, earlier) in new.iter().enumerate().take(number).skip(old.len())
                        {
                            let before_at = new_at.below(&before.to_string());
                            patch = patch.set(
                                at.below(&before.to_string()),
                                taken(&self.new, earlier, &before_at),
                            );
                        }
                        let patch = patch.set(
                            at.below(&step),
                            taken(&self.new, item, &new_at.below(&step)),
                        );
                        self.ask(
                            ["tuple-item-added"; 3],
                            &path,
                            format!("the tuple has an item {number} now"),
                            patch,
                        );
                    }
                    _ => {
                        // From the end, as it is taken off.
                        let patch = (number..old.len())
                            .rev()
                            .fold(Patch::default(), |patch, last| {
                                patch.remove(at.below(&last.to_string()))
                            });
                        self.ask(
                            ["tuple-item-removed"; 3],
                            &path,
                            format!("the tuple has no item {number} any more"),
                            patch,
                        );
                    }
                }
            }
        }
    }

    /// A keyword that holds a schema: into it, or one for the other.
    pub(super) fn either(&mut self, pair: &Pair<'a>, word: &str, rules: [&'static str; 3]) {
        let path = format!("{}/{word}", pair.path);
        match (pair.old.get(word), pair.new.get(word)) {
            (Some(Value::Object(_)), Some(Value::Object(_))) => {
                self.walk(&pair.at.below(word), &pair.new_at.below(word), &path);
            }
            (old, new) if old != new => {
                let patch = self.put(Patch::default(), pair, word);
                let says = self.says(pair, word);
                self.ask(rules, &path, says, patch);
            }
            _ => {}
        }
    }

    pub(super) fn all_of(&mut self, pair: &Pair<'a>) {
        let list = |schema: &'a Map<String, Value>| {
            schema
                .get("allOf")
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        };
        let place = |at: &Place, number: usize| at.below("allOf").below(&number.to_string());
        let old: Vec<Place> = (0..list(pair.old))
            .map(|number| place(&pair.at, number))
            .collect();
        let new: Vec<Place> = (0..list(pair.new))
            .map(|number| place(&pair.new_at, number))
            .collect();
        let pairs = matched(old.len(), new.len(), |left, right| {
            alike(self, &old[left], &new[right]).max(1)
        });
        for &(left, right) in &pairs {
            self.walk(
                &old[left],
                &new[right],
                &format!("{}/allOf/{right}", pair.path),
            );
        }
        let path = format!("{}/allOf", pair.path);
        for (number, place) in old.iter().enumerate() {
            if !pairs.iter().any(|&(left, _)| left == number) {
                let patch = Patch::default().remove(place.clone());
                self.ask(
                    ["all-of-removed"; 3],
                    &path,
                    format!("what `allOf` said with member {number} is gone"),
                    patch,
                );
            }
        }
        for (number, place) in new.iter().enumerate() {
            if !pairs.iter().any(|&(_, right)| right == number) {
                let member = self.new.at(place).unwrap_or(&Value::Null);
                let member = taken(&self.new, member, place);
                let all = pair.at.below("allOf");
                let patch = match old.len() {
                    0 => Patch::default().set(all, Value::Array(vec![member])),
                    length => Patch::default().set(all.below(&length.to_string()), member),
                };
                self.ask(
                    ["all-of-added"; 3],
                    &path,
                    format!("`allOf` asks for more with member {number}"),
                    patch,
                );
            }
        }
    }
}
