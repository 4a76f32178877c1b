//! What changed between two schemas, each change on its own and by its rule's name. Whether readers
//! break is asked elsewhere; only what no instance can show has its answer here.

mod branches;
mod items;
mod keywords;
mod properties;
mod union;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::patch::{Patch, taken};
use super::refs::{Place, Refs};
use super::report::{Level, Surface};
use union::{branches, values};

/// A change, and how to find out what it does.
pub(super) struct Change {
    /// What it is called if it widens, narrows, or does something else to what is allowed.
    pub(super) rules: [&'static str; 3],
    pub(super) path: String,
    pub(super) says: String,
    pub(super) surface: Surface,
    pub(super) effect: Effect,
}

pub(super) enum Effect {
    /// Whatever follows for data when this alone is changed.
    Ask(Patch),
    /// What new readers make of old data, and old readers of new data, whatever it does; and what to
    /// ask for an event that shows it.
    Fixed(Level, Level, Option<Patch>),
}

/// Speaks to people alone, or is followed where it is referred to.
const SILENT: [&str; 15] = [
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$comment",
    "$ref",
    "$defs",
    "definitions",
    "description",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "x-extensible",
];

/// For new readers and for old ones.
const BREAKS: (Level, Level) = (Level::Error, Level::Error);
const SURPRISES: (Level, Level) = (Level::Warning, Level::Warning);

/// Everything that changed from one document to the other.
pub(super) fn changes(old: &Value, new: &Value, renames: bool) -> Vec<Change> {
    let mut walk = Walk {
        old: Refs::new(old),
        new: Refs::new(new),
        renames,
        seen: HashSet::new(),
        changes: Vec::new(),
    };
    walk.walk(&Place::root(), &Place::root(), "");
    walk.changes
}

pub(super) struct Walk<'a> {
    pub(super) old: Refs<'a>,
    pub(super) new: Refs<'a>,
    renames: bool,
    seen: HashSet<(Place, Place)>,
    changes: Vec<Change>,
}

/// A schema on both sides.
struct Pair<'a> {
    /// Where the old one is referred to, and where it stands.
    raw: Place,
    at: Place,
    old: &'a Map<String, Value>,
    new_at: Place,
    new: &'a Map<String, Value>,
    path: String,
}

impl<'a> Walk<'a> {
    fn walk(&mut self, raw: &Place, new_raw: &Place, path: &str) {
        let (at, old) = self.old.followed(raw);
        let (new_at, new) = self.new.followed(new_raw);
        self.definition(raw, new_raw, path);
        if !self.seen.insert((raw.clone(), new_raw.clone())) {
            return;
        }
        let (Value::Object(old), Value::Object(new)) = (old, new) else {
            if old != new {
                let patch = Patch::default().set(raw.clone(), taken(&self.new, new, &new_at));
                self.ask(
                    ["schema-widened", "schema-narrowed", "schema-changed"],
                    path,
                    "the schema changed",
                    patch,
                );
            }
            return;
        };
        let pair = Pair {
            raw: raw.clone(),
            at,
            old,
            new_at,
            new,
            path: path.to_owned(),
        };
        if let (Some(old), Some(new)) = (values(old), values(new)) {
            self.values(&pair, &old, &new);
        } else if branches(old).is_some() || branches(new).is_some() {
            self.unions(&pair);
        } else {
            self.keywords(&pair);
        }
        self.annotations(&pair);
    }

    /// A definition with another name is another type in generated code.
    fn definition(&mut self, raw: &Place, new_raw: &Place, path: &str) {
        let name = |refs: &Refs<'_>, place: &Place| {
            let target = refs.at(place)?.get("$ref")?.as_str()?;
            target.rsplit('/').next().map(str::to_owned)
        };
        if let (Some(old), Some(new)) = (name(&self.old, raw), name(&self.new, new_raw))
            && old != new
        {
            let says = format!("the definition `{old}` is called `{new}` now");
            self.source("definition-renamed", path, says);
        }
    }

    /// Do both schemas say the same with this keyword?
    fn same(&self, pair: &Pair<'_>, word: &str) -> bool {
        match (pair.old.get(word), pair.new.get(word)) {
            (None, None) => true,
            (Some(_), Some(_)) => same(
                self,
                &pair.at.below(word),
                &pair.new_at.below(word),
                &mut HashSet::new(),
            ),
            _ => false,
        }
    }

    fn put(&self, patch: Patch, pair: &Pair<'_>, word: &str) -> Patch {
        match pair.new.get(word) {
            Some(value) => patch.set(
                pair.at.below(word),
                taken(&self.new, value, &pair.new_at.below(word)),
            ),
            None => patch.remove(pair.at.below(word)),
        }
    }

    fn says(&self, pair: &Pair<'_>, word: &str) -> String {
        let shown = |value: &Value| super::judge::shown(value);
        match (pair.old.get(word), pair.new.get(word)) {
            (Some(old), Some(new)) if old == new => format!("`{word}` changed in a definition"),
            (Some(old), Some(new)) => format!("`{word}` was {} and is {}", shown(old), shown(new)),
            (None, Some(new)) => format!("`{word}` is {} now", shown(new)),
            (Some(old), None) => format!("`{word}` was {} and is gone", shown(old)),
            (None, None) => format!("`{word}` changed"),
        }
    }

    fn ask(&mut self, rules: [&'static str; 3], path: &str, says: impl Into<String>, patch: Patch) {
        self.change(rules, path, says, Surface::Wire, Effect::Ask(patch));
    }

    fn fixed(
        &mut self,
        rule: &'static str,
        path: &str,
        says: impl Into<String>,
        levels: (Level, Level),
        patch: Option<Patch>,
    ) {
        let effect = Effect::Fixed(levels.0, levels.1, patch);
        self.change([rule; 3], path, says, Surface::Wire, effect);
    }

    fn source(&mut self, rule: &'static str, path: &str, says: String) {
        self.change(
            [rule; 3],
            path,
            says,
            Surface::Source,
            Effect::Fixed(Level::Info, Level::Warning, None),
        );
    }

    fn change(
        &mut self,
        rules: [&'static str; 3],
        path: &str,
        says: impl Into<String>,
        surface: Surface,
        effect: Effect,
    ) {
        self.changes.push(Change {
            rules,
            path: path.to_owned(),
            says: says.into(),
            surface,
            effect,
        });
    }
}

/// The same statements, references followed, whatever people are told.
pub(super) fn same(
    walk: &Walk<'_>,
    old: &Place,
    new: &Place,
    seen: &mut HashSet<(Place, Place)>,
) -> bool {
    let (at, old) = walk.old.followed(old);
    let (new_at, new) = walk.new.followed(new);
    if !seen.insert((at.clone(), new_at.clone())) {
        return true;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let words = old
                .keys()
                .chain(new.keys())
                .filter(|word| !SILENT.contains(&word.as_str()) && *word != "title");
            words.into_iter().all(|word| {
                old.contains_key(word)
                    && new.contains_key(word)
                    && same(walk, &at.below(word), &new_at.below(word), seen)
            })
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len()
                && (0..old.len()).all(|number| {
                    let step = number.to_string();
                    same(walk, &at.below(&step), &new_at.below(&step), seen)
                })
        }
        (old, new) => old == new,
    }
}
