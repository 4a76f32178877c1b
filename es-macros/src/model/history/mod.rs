//! The history of one stored name: what its payload was in each version, and what happened between
//! them. It is written on the newest version, so it is worked out backwards.

mod change;
mod walk;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::{Attribute, Fields, Type};

use crate::attr::serde::{self, Names};
use crate::attr::{Inventory, Options};
use crate::diag::Errors;
use crate::text::canonical;

pub(crate) use change::{Gone, Merged, New};

/// All versions of a payload.
pub(crate) struct History {
    /// What the payload was, from version 1 to the newest.
    pub(crate) shapes: Vec<Shape>,
    /// What happened between them, oldest first.
    pub(crate) steps: Vec<Step>,
}

/// A payload in one version.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Whether it is an object; a tuple otherwise.
    pub(crate) named: bool,
    pub(crate) fields: Vec<Field>,
}

/// A field in one version.
#[derive(Clone)]
pub(crate) struct Field {
    /// Its name in JSON; empty in a tuple.
    pub(crate) name: String,
    /// Its name in Rust, in the version in which it was written down.
    pub(crate) ident: Option<Ident>,
    pub(crate) ty: Type,
    pub(crate) attrs: Vec<Attribute>,
    /// Where it is written, to point at.
    pub(crate) at: TokenStream,
}

/// One change of a payload, or of the name.
#[derive(Clone)]
pub(crate) struct Step {
    /// The version that it made.
    pub(crate) since: u32,
    pub(crate) change: Change,
}

#[derive(Clone)]
pub(crate) enum Change {
    /// The event had this name before.
    Name {
        was: String,
    },
    Added {
        field: Field,
        value: New,
    },
    Renamed {
        from: Field,
        to: Field,
    },
    /// Fields became others by a function of theirs: retyped, split, combined or, without any that
    /// they became, removed.
    Converted {
        from: Vec<Field>,
        to: Vec<Field>,
        up: Option<Type>,
        down: Option<Type>,
    },
    /// Fields went into an object.
    Nested {
        from: Vec<Field>,
        to: Field,
    },
    /// Fields came out of an object.
    Flattened {
        from: Field,
        to: Vec<Field>,
    },
    /// All of the payload became another one by a function.
    Whole {
        up: Type,
        down: Option<Type>,
    },
    /// Nothing but that an event with another name became this one.
    Merged,
}

impl History {
    /// Reads the history of a variant from its own attributes and those of its fields.
    ///
    /// `newest` is the version that all histories of an enum end at, where they have one in common.
    pub(crate) fn of_variant(
        errors: &Errors,
        inventory: &'static Inventory,
        names: &Names,
        variant: &syn::Variant,
        options: &Options,
        newest: Option<u32>,
    ) -> Self {
        let told = errors.count();
        let said = change::of_variant(errors, options);
        let fields: Vec<_> = variant.fields.iter().cloned().collect();
        let named = !matches!(variant.fields, Fields::Unnamed(_));
        let context = walk::Context {
            errors,
            inventory,
            names,
            owner: &variant.ident,
            told,
        };
        context.walk(&fields, named, said, newest)
    }

    /// Reads the history of fields that are listed in an attribute, up to the version `newest` if
    /// the enum counts its versions as one.
    pub(crate) fn of_listed(
        errors: &Errors,
        inventory: &'static Inventory,
        owner: &Ident,
        fields: &[syn::Field],
        newest: Option<u32>,
    ) -> Self {
        let named = fields.iter().all(|field| field.ident.is_some());
        let context = walk::Context {
            errors,
            inventory,
            names: &Names::plain(),
            owner,
            told: errors.count(),
        };
        context.walk(fields, named, Vec::new(), newest)
    }

    /// The newest version.
    pub(crate) fn version(&self) -> u32 {
        u32::try_from(self.shapes.len()).unwrap_or(u32::MAX)
    }

    /// The oldest version whose readers understand what is written in `version`: those who ignore
    /// fields that they do not know understand an addition.
    pub(crate) fn min_reader(&self, version: u32, ignores: bool) -> u32 {
        let lasting = |step: &&Step| match step.change {
            Change::Added { .. } => !ignores,
            Change::Merged => false,
            _ => true,
        };
        let made = self.steps.iter().filter(|step| step.since <= version);
        made.filter(lasting)
            .map(|step| step.since)
            .max()
            .unwrap_or(1)
    }
}

impl Shape {
    /// As it is written in the lock: `{ owner: String, currency: Currency }`.
    pub(crate) fn text(&self) -> String {
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|field| self.field_text(field))
            .collect();
        let fields = fields.join(", ");
        match (self.named, fields.is_empty()) {
            (true, true) => "{}".to_owned(),
            (true, false) => format!("{{ {fields} }}"),
            (false, _) => format!("({fields})"),
        }
    }

    /// One field of it.
    pub(crate) fn field_text(&self, field: &Field) -> String {
        let ty = field.type_text();
        if !self.named {
            ty
        } else if serde::flattens(&field.attrs) {
            format!("..{ty}")
        } else if syn::parse_str::<Ident>(&field.name).is_ok() {
            format!("{}: {ty}", field.name)
        } else {
            format!("{:?}: {ty}", field.name)
        }
    }
}

impl Field {
    fn new(names: &Names, field: &syn::Field) -> Self {
        let at = match &field.ident {
            Some(ident) => ident.to_token_stream(),
            None => field.ty.to_token_stream(),
        };
        let name = |ident| names.name(ident, &field.attrs);
        Self {
            name: field.ident.as_ref().map(name).unwrap_or_default(),
            ident: field.ident.clone(),
            ty: field.ty.clone(),
            attrs: field.attrs.clone(),
            at,
        }
    }

    /// What decides over its JSON, as far as tokens show it: its type, and what writes it.
    pub(crate) fn type_text(&self) -> String {
        let ty = canonical(&self.ty);
        match serde::codec(&self.attrs).write {
            Some(path) => format!("{ty} by {}", canonical(&path)),
            None => ty,
        }
    }
}
