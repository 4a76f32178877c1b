//! What was released stays as it was: every entry of the lock against what the history says of its
//! version.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::ToTokens as _;

use crate::diag::Errors;
use crate::diag::released::{self as diag, Subject};
use crate::lock::{Lock, Released};
use crate::model::history::{Field, History, Shape};
use crate::model::{EventEnum, EventVariant};

/// Reports what was released and is not declared so any more.
pub(crate) fn released(model: &EventEnum<'_>, lock: &Lock, errors: &Errors) {
    let mut left: Vec<&Released> = lock.released.iter().collect();
    let mut take = |names: &[&str]| -> Vec<&Released> {
        let (taken, others) = left.iter().partition(|entry| names.contains(&&*entry.name));
        left = others;
        taken
    };
    for variant in &model.variants {
        let names: Vec<_> = std::iter::once(&variant.name).chain(&variant.was).collect();
        let names: Vec<_> = names.iter().map(|name| &*name.text).collect();
        let subject = Subject::variant(variant.handled.ident);
        let at = variant.handled.ident.to_token_stream();
        Comparison {
            subject,
            at,
            history: &variant.history,
            errors,
        }
        .of(&take(&names));
        for merged in &variant.merged {
            let (subject, at) = (Subject::gone(&merged.name.text), merged.name.at.clone());
            let comparison = Comparison {
                subject,
                at,
                history: &merged.history,
                errors,
            };
            comparison.of(&take(&[&merged.name.text]));
        }
    }
    for gone in &model.gone {
        let entries = take(&[&gone.name.text]);
        if let Some(history) = &gone.history {
            let (subject, at) = (Subject::gone(&gone.name.text), gone.name.at.clone());
            Comparison {
                subject,
                at,
                history,
                errors,
            }
            .of(&entries);
        }
    }
    forgotten(model, lock, &left, errors);
}

/// Reports released names of this enum's family that nothing reads any more.
fn forgotten(model: &EventEnum<'_>, lock: &Lock, left: &[&Released], errors: &Errors) {
    let prefix = format!("{}.", model.name.text);
    let known: BTreeSet<_> = lock.released.iter().map(|entry| &entry.name).collect();
    let mut told = BTreeSet::new();
    for entry in left.iter().filter(|entry| entry.name.starts_with(&prefix)) {
        if told.insert(&entry.name) {
            let same = |variant: &&EventVariant<'_>| {
                let first = variant.history.shapes.first();
                let new = !known.contains(&variant.name.text);
                new && first.is_some_and(|shape| differences(shape, entry).is_empty())
            };
            let now = model
                .variants
                .iter()
                .find(same)
                .map(|variant| variant.handled.ident);
            errors.push(diag::forgotten(
                &entry.name,
                entry.version,
                now,
                &model.name.at,
            ));
        }
    }
}

/// One event's entries against its history.
struct Comparison<'a> {
    subject: Subject<'a>,
    /// Where the event is named.
    at: TokenStream,
    history: &'a History,
    errors: &'a Errors,
}

/// A difference between an entry and a shape.
enum Difference<'a> {
    /// An object became a tuple, or a tuple something else.
    Whole,
    /// The code has a field that was not released.
    Extra(&'a Field),
    /// A field was released that the code does not have.
    Missing(&'a str),
    /// It was released with another type.
    Retyped(&'a Field, &'a str),
    /// It seems to have been called so.
    Renamed(&'a Field, &'a str),
}

impl Comparison<'_> {
    fn of(&self, entries: &[&Released]) {
        let mut entries = entries.to_vec();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.version));
        let Some(next) = entries.first().map(|newest| newest.version + 1) else {
            return;
        };
        // The newest first: what is wrong there is wrong before for the same reason.
        let (mut told, mut ends) = (BTreeSet::new(), None);
        for entry in &entries {
            let Some(shape) = self.history.shapes.get(entry.version as usize - 1) else {
                ends = ends.or(Some(entry.version));
                continue;
            };
            for difference in differences(shape, entry) {
                if told.insert(difference.key().to_owned()) {
                    let since = self.since(&difference, entry, &entries).unwrap_or(next);
                    self.tell(&difference, entry, since);
                }
            }
        }
        if let Some(version) = ends.filter(|_| told.is_empty()) {
            let known = self.history.version();
            self.errors
                .push(diag::history_ends(self.subject, version, known, &self.at));
        }
    }

    /// The released version that has it as the code does, after the one that does not.
    fn since(
        &self,
        difference: &Difference<'_>,
        entry: &Released,
        entries: &[&Released],
    ) -> Option<u32> {
        let text = |field: &Field| text_of(field);
        let has = |entry: &Released, text: &str| entry.fields.iter().any(|field| field == text);
        let as_now = |later: &&&Released| match difference {
            Difference::Whole => false,
            Difference::Extra(field) => has(later, &text(field)),
            Difference::Missing(field) => !has(later, field),
            Difference::Retyped(field, _) | Difference::Renamed(field, _) => {
                has(later, &text(field))
            }
        };
        let later = entries.iter().filter(|later| later.version > entry.version);
        later.filter(as_now).map(|later| later.version).min()
    }

    fn tell(&self, difference: &Difference<'_>, entry: &Released, since: u32) {
        let (subject, version) = (self.subject, entry.version);
        self.errors.push(match *difference {
            Difference::Whole => diag::other_shape(subject, entry, since, &self.at),
            Difference::Extra(field) => diag::without(subject, version, field, since),
            Difference::Missing(was) => diag::with(subject, version, was, since, &self.at),
            Difference::Retyped(field, was) => diag::retyped(subject, version, field, was, since),
            Difference::Renamed(field, was) => diag::renamed(subject, version, field, was, since),
        });
    }
}

impl Difference<'_> {
    /// What it is about, so that it is told once.
    fn key(&self) -> &str {
        match self {
            Self::Whole => "",
            Self::Missing(was) => name_of(was),
            Self::Extra(field) | Self::Retyped(field, _) | Self::Renamed(field, _) => &field.name,
        }
    }
}

fn differences<'a>(shape: &'a Shape, entry: &'a Released) -> Vec<Difference<'a>> {
    let texts: Vec<_> = shape
        .fields
        .iter()
        .map(|field| shape.field_text(field))
        .collect();
    // Without fields there is nothing to tell an object from a tuple.
    if shape.named != entry.named && !(texts.is_empty() && entry.fields.is_empty()) {
        return vec![Difference::Whole];
    }
    if !shape.named {
        let same = texts == entry.fields;
        return if same {
            Vec::new()
        } else {
            vec![Difference::Whole]
        };
    }
    let mut extra: Vec<_> = shape
        .fields
        .iter()
        .zip(&texts)
        .filter(|(_, text)| !entry.fields.contains(text))
        .collect();
    let mut missing: Vec<_> = entry
        .fields
        .iter()
        .filter(|field| !texts.contains(field))
        .collect();
    let mut differences = Vec::new();
    extra.retain(|(field, text)| {
        let same = |was: &&String| name_of(was) == name_of(text);
        let Some(i) = missing.iter().position(same) else {
            return true;
        };
        differences.push(Difference::Retyped(field, type_of(missing.remove(i))));
        false
    });
    extra.retain(|(field, text)| {
        let same = |was: &&String| type_of(was) == type_of(text);
        let mut alike = missing.iter().enumerate().filter(|(_, was)| same(was));
        let (Some((i, _)), None) = (alike.next(), alike.next()) else {
            return true;
        };
        differences.push(Difference::Renamed(field, name_of(missing.remove(i))));
        false
    });
    differences.extend(extra.iter().map(|(field, _)| Difference::Extra(field)));
    differences.extend(missing.iter().map(|was| Difference::Missing(was)));
    differences
}

fn text_of(field: &Field) -> String {
    let named = Shape {
        named: true,
        fields: Vec::new(),
    };
    named.field_text(field)
}

/// `owner` of `owner: String`.
fn name_of(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(name, _)| name)
}

/// `String` of `owner: String`.
fn type_of(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(_, ty)| ty)
}
