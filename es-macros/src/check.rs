//! Rules across options: what one variant or field may not say because another one does.

mod versions;

use std::collections::HashMap;

use quote::ToTokens as _;
use syn::ext::IdentExt as _;

use crate::diag::{self, Errors, Named};
use crate::model::naming::Name;
use crate::model::{CommandEnum, Dispatch, EventEnum, Handled, IntegrationEnum, ReadModel};

pub(crate) fn event(model: &EventEnum<'_>, errors: &Errors) {
    let names = model
        .variants
        .iter()
        .flat_map(|v| std::iter::once(&v.name).chain(&v.was));
    unique(errors, Named::Event, names);
    handlers(
        errors,
        model.dispatch,
        model.variants.iter().map(|v| (&v.handled, &v.name)),
    );
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
