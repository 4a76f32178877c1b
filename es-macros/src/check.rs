//! Rules across options: what one variant or field may not say because another one does.

mod released;
mod versions;

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::Lit;
use syn::ext::IdentExt as _;

use crate::diag::{self, Errors, Named};
use crate::model::history::{Change, History, New};
use crate::model::naming::Name;
use crate::model::{CommandEnum, Dispatch, EventEnum, Handled, IntegrationEnum, ReadModel};

pub(crate) fn event(model: &EventEnum<'_>, errors: &Errors) {
    let names = model.variants.iter().flat_map(|v| {
        let merged = v.merged.iter().map(|merged| &merged.name);
        let was = v.was.iter().filter(|was| was.text != v.name.text);
        std::iter::once(&v.name).chain(was).chain(merged)
    });
    let gone = model.gone.iter().map(|gone| &gone.name);
    unique(errors, Named::Event, names.chain(gone));
    handlers(
        errors,
        model.dispatch,
        model.variants.iter().map(|v| (&v.handled, &v.name)),
    );
    for variant in &model.variants {
        let same = variant
            .was
            .iter()
            .filter(|was| was.text == variant.name.text);
        same.for_each(|was| errors.push(diag::was_and_is(&was.text, &was.at)));
        defaults(&variant.history, errors);
    }
    // An event that is read wrongly for another reason is not compared as well.
    if let Some(lock) = model.lock.as_ref().filter(|_| errors.count() == 0) {
        released::released(model, lock, errors);
    }
}

pub(crate) fn command(model: &CommandEnum<'_>, errors: &Errors) {
    unique(
        errors,
        Named::Command,
        model.variants.iter().map(|v| &v.name),
    );
    handlers(
        errors,
        model.dispatch,
        model.variants.iter().map(|v| (&v.handled, &v.name)),
    );
}

pub(crate) fn projection(model: &ReadModel<'_>, errors: &Errors) {
    let column = |field: &proc_macro2::Ident| {
        // Databases do not tell `Amount` from `amount`.
        let text = field.unraw().to_string().to_lowercase();
        Name {
            text,
            at: field.to_token_stream(),
        }
    };
    let names: Vec<_> = model.columns.iter().map(|c| column(c.field)).collect();
    unique(errors, Named::Column, names.iter());
    for (column, name) in model.columns.iter().zip(&names) {
        if name.text == "key" {
            errors.push(diag::reserved_column(column.field));
        }
    }
    indexes(model, errors);
    if model.slices.is_some_and(|slices| slices > 1) {
        let unique = model.indexes.iter().filter(|index| index.unique);
        unique.for_each(|index| errors.push(diag::unique_in_parts(&index.at)));
    }
}

/// Reports indexes on columns that have one already: a unique one is an index, too.
fn indexes(model: &ReadModel<'_>, errors: &Errors) {
    for (n, index) in model.indexes.iter().enumerate() {
        let others = model.indexes.iter().enumerate().filter(|(m, other)| {
            let before = (!other.unique, *m) < (!index.unique, n);
            other.columns == index.columns && before
        });
        if let Some((_, earlier)) = others.max_by_key(|(_, other)| other.unique) {
            let columns = model.names(index).join(", ");
            let beside_unique = earlier.unique && !index.unique;
            errors.push(diag::index_twice(&columns, beside_unique, &index.at));
        }
    }
}

pub(crate) fn integration(model: &IntegrationEnum<'_>, errors: &Errors) {
    unique(
        errors,
        Named::IntegrationEvent,
        model.variants.iter().map(|v| &v.name),
    );
    versions::check(model, errors);
}

/// Reports the second of two equal names, and the first with it.
fn unique<'a>(errors: &Errors, what: Named, names: impl Iterator<Item = &'a Name>) {
    let mut first: HashMap<&str, (&Name, bool)> = HashMap::new();
    for name in names {
        match first.get_mut(&*name.text) {
            None => {
                first.insert(&name.text, (name, false));
            }
            Some((earlier, told)) => {
                errors.push(diag::same_name(what, &name.text, &name.at));
                if !std::mem::replace(told, true) {
                    errors.push(diag::first_used_here(&name.text, &earlier.at));
                }
            }
        }
    }
}

/// Reports two variants that would call one method, unless they have one name too, which was told.
fn handlers<'a>(
    errors: &Errors,
    dispatch: Dispatch<'_>,
    variants: impl Iterator<Item = (&'a Handled<'a>, &'a Name)>,
) {
    let Dispatch::Methods(_) = dispatch else {
        return;
    };
    let mut taken: HashMap<_, &str> = HashMap::new();
    for (variant, name) in variants {
        let earlier = taken.insert(&variant.handler, &name.text);
        if earlier.is_some_and(|earlier| earlier != name.text) {
            errors.push(diag::same_handler(&variant.handler, variant.ident));
        }
    }
}

/// Reports defaults that are plainly of another type than their field. Of all others rustc tells.
fn defaults(history: &History, errors: &Errors) {
    for step in &history.steps {
        let Change::Added { field, value } = &step.change else {
            continue;
        };
        let New::Value(value) = value else { continue };
        let ty = field.type_text();
        if let Some(fitting) = literal(value).and_then(|literal| fitting(&literal, &ty)) {
            errors.push(diag::history::other_type(value, field, fitting.as_deref()));
        }
    }
}

/// The literal that an expression consists of.
fn literal(value: &TokenStream) -> Option<Lit> {
    syn::parse2(value.clone()).ok()
}

/// Whether a literal is no value of a type of the standard library's: then what to write in its
/// place, if it can be told.
fn fitting(literal: &Lit, ty: &str) -> Option<Option<String>> {
    const WHOLE: &[&str] = &[
        "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
    ];
    let text = literal.to_token_stream().to_string();
    match (literal, ty) {
        (Lit::Str(_), "String") => Some(Some(format!("{text}.to_owned()"))),
        (Lit::Int(_), "f32" | "f64") => Some(Some(format!("{text}.0"))),
        (Lit::Str(_), "bool" | "f32" | "f64" | "char") => Some(None),
        (Lit::Bool(_) | Lit::Char(_), "String" | "f32" | "f64") => Some(None),
        (Lit::Int(_) | Lit::Float(_), "String" | "bool" | "char") => Some(None),
        (Lit::Str(_) | Lit::Bool(_) | Lit::Float(_), ty) if WHOLE.contains(&ty) => Some(None),
        _ => None,
    }
}
