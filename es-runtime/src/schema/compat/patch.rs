//! One change alone: the old document with one thing from the new one, so that the change can be
//! judged where it stands, and shown by an event of its own.

use serde_json::{Map, Value};

use super::refs::{Place, Refs};

/// Where the new document is kept in the old one, for what is taken from it to refer to.
const NEW: &str = "~new";

/// What to put in which place, or to take out.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch(Vec<(Place, Option<Value>)>);

impl Patch {
    pub(super) fn set(mut self, place: Place, value: Value) -> Self {
        self.0.push((place, Some(value)));
        self
    }

    pub(super) fn remove(mut self, place: Place) -> Self {
        self.0.push((place, None));
        self
    }

    /// The old document, so changed.
    pub(super) fn applied(&self, old: &Value, new: &Refs<'_>) -> Value {
        let mut patched = old.clone();
        for (place, value) in &self.0 {
            put(&mut patched, place.steps(), value.clone());
        }
        if let Value::Object(members) = &mut patched {
            members.insert(NEW.to_owned(), taken(new, new.document(), &Place::root()));
        }
        patched
    }
}

/// A schema of the new document, to be put into the old one: its references lead to its own document.
pub(super) fn taken(new: &Refs<'_>, schema: &Value, place: &Place) -> Value {
    match schema {
        Value::Object(members) => {
            let mut taken = Map::new();
            for (name, member) in members {
                let member = match (name.as_str(), member) {
                    ("$ref", Value::String(target)) => match new.resolve(place, target) {
                        Some(target) => {
                            format!("#/{}{}", NEW.replace('~', "~0"), target.pointer()).into()
                        }
                        None => member.clone(),
                    },
                    // It is named where it comes from.
                    ("$id" | "id" | "$anchor", Value::String(_)) => continue,
                    _ => taken_member(new, member, &place.below(name)),
                };
                taken.insert(name.clone(), member);
            }
            taken.into()
        }
        other => taken_member(new, other, place),
    }
}

fn taken_member(new: &Refs<'_>, member: &Value, place: &Place) -> Value {
    match member {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(number, item)| taken(new, item, &place.below(&number.to_string())))
            .collect(),
        Value::Object(_) => taken(new, member, place),
        scalar => scalar.clone(),
    }
}

fn put(document: &mut Value, steps: &[String], value: Option<Value>) {
    let Some((step, rest)) = steps.split_first() else {
        *document = value.unwrap_or(Value::Bool(true));
        return;
    };
    match document {
        Value::Object(members) if rest.is_empty() => match value {
            Some(value) => drop(members.insert(step.clone(), value)),
            None => drop(members.remove(step)),
        },
        Value::Object(members) => {
            let member = members
                .entry(step.clone())
                .or_insert_with(|| Map::new().into());
            put(member, rest, value);
        }
        Value::Array(items) => {
            let Ok(at) = step.parse::<usize>() else {
                return;
            };
            match (value, rest.is_empty()) {
                (None, true) if at < items.len() => drop(items.remove(at)),
                (Some(value), true) if at == items.len() => items.push(value),
                (value, _) => {
                    if let Some(item) = items.get_mut(at) {
                        put(item, rest, value);
                    }
                }
            }
        }
        _ => {}
    }
}
