//! What the user said, checked: nothing here is optional that a derive needs.

mod aggregate;
mod command;
mod event;
pub(crate) mod history;
mod integration;
pub(crate) mod naming;
mod process;
mod projection;
mod release;
pub(crate) mod versions;

use proc_macro2::Ident;
use syn::{Data, DeriveInput, Fields, Type};

pub(crate) use aggregate::{AggregateState, AggregateTypes};
pub(crate) use command::CommandEnum;
pub(crate) use event::{EventEnum, EventVariant};
pub(crate) use integration::IntegrationEnum;
use naming::{Grammar, Name};
pub(crate) use process::ProcessState;
pub(crate) use projection::{Index, ReadModel};

use crate::attr::{self, Inventory, Options, Place};
use crate::diag::{self, Errors};

/// Who writes the `match` over an enum's variants.
#[derive(Clone, Copy)]
pub(crate) enum Dispatch<'a> {
    /// The derive does: one method of this aggregate per variant.
    Methods(&'a Type),
    /// The user does, by hand; the aggregate may still be named.
    Manual(Option<&'a Type>),
}

impl<'a> Dispatch<'a> {
    fn read(options: &'a Options) -> Option<Self> {
        match (options.has("dispatch"), options.ty("aggregate")) {
            (true, aggregate) => Some(Self::Manual(aggregate)),
            (false, aggregate) => aggregate.map(Self::Methods),
        }
    }

    pub(crate) fn aggregate(self) -> Option<&'a Type> {
        match self {
            Self::Methods(aggregate) => Some(aggregate),
            Self::Manual(aggregate) => aggregate,
        }
    }
}

/// A variant and the method that handles it.
pub(crate) struct Handled<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) fields: &'a Fields,
    pub(crate) handler: Ident,
}

impl<'a> Handled<'a> {
    fn new(prefix: &str, syntax: &'a syn::Variant) -> Self {
        let handler = naming::method(prefix, &syntax.ident);
        Self {
            ident: &syntax.ident,
            fields: &syntax.fields,
            handler,
        }
    }
}

/// A variant as it was written, with its options.
struct RawVariant<'a> {
    syntax: &'a syn::Variant,
    options: Options,
}

/// The enum's variants with their options, or why this is no enum.
fn variants<'a>(
    input: &'a DeriveInput,
    inventory: &'static Inventory,
    errors: &Errors,
) -> Option<Vec<RawVariant<'a>>> {
    let wrong = |at: &dyn quote::ToTokens| {
        errors.push(diag::wrong_item(inventory.derive, &at.to_token_stream()));
    };
    let data = match &input.data {
        Data::Enum(data) => data,
        Data::Struct(data) => {
            wrong(&data.struct_token);
            return None;
        }
        Data::Union(data) => {
            wrong(&data.union_token);
            return None;
        }
    };
    let read = |syntax: &'a syn::Variant| {
        let (attrs, owner) = (&syntax.attrs, &syntax.ident);
        let options = Options::read(errors, inventory, Place::Variant, attrs, owner);
        if inventory.history.field.is_empty() {
            no_field_options(&syntax.fields, owner, inventory, errors);
        }
        RawVariant { syntax, options }
    };
    Some(data.variants.iter().map(read).collect())
}

/// Reads the attributes of fields, for a derive that has no options there.
fn no_field_options(
    fields: &Fields,
    owner: &Ident,
    inventory: &'static Inventory,
    errors: &Errors,
) {
    for field in fields {
        let owner = field.ident.as_ref().unwrap_or(owner);
        Options::read(errors, inventory, Place::Field, &field.attrs, owner);
    }
}

/// serde's attributes on an enum that is stored by its variants' numbers.
fn check_serde(input: &DeriveInput, variants: &[RawVariant<'_>], errors: &Errors) {
    attr::serde::check_enum(errors, &input.attrs);
    for variant in variants {
        attr::serde::check_variant(errors, &variant.syntax.attrs);
    }
}

/// The name of a variant: what its option says, or else `{prefix}{variant}` in kebab-case.
fn name_of(errors: &Errors, grammar: Grammar, prefix: &str, variant: &RawVariant<'_>) -> Name {
    let name = match variant.options.text("name") {
        Some(text) => Name::said(text),
        None => Name::derived(prefix, &variant.syntax.ident),
    };
    name.check(errors, grammar)
}
