//! What attributes say of changes, as far as the way down needs it.

use proc_macro2::{Ident, TokenStream};
use syn::Type;

use crate::attr::inventory::INTEGRATION_EVENT;
use crate::attr::serde::Names;
use crate::attr::{Options, Place};
use crate::diag::{self, Errors};

/// What an attribute says of one change, as far as the way down needs it.
pub(crate) struct Said {
    /// The version that it made.
    pub(crate) since: u32,
    /// The word `since`, to point at.
    pub(crate) key: Ident,
    pub(crate) what: What,
    pub(crate) down: Option<Type>,
    pub(crate) lossy: Option<Ident>,
}

pub(crate) enum What {
    /// The event came in.
    Came,
    /// The event went; whether something may make it again on the way down.
    Went { comes_back: bool },
    /// Another event was merged into it.
    Merged,
    /// The way down needs nothing: added, renamed, moved.
    Simple,
    /// Fields were removed, and are filled on the way down with this; or a default of theirs.
    Removed {
        names: Vec<String>,
        fill: Option<Option<TokenStream>>,
    },
    /// A function made other fields of them.
    Converted,
    /// A function made all of it.
    Whole,
}

/// What the attributes of fields say. What cannot be read in them is told by who reads their
/// history.
pub(super) fn fields<'f>(
    errors: &Errors,
    fields: impl Iterator<Item = &'f syn::Field>,
    owner: &Ident,
) -> Vec<Said> {
    let silent = Errors::new();
    let mut said = Vec::new();
    for field in fields {
        let owner = field.ident.as_ref().unwrap_or(owner);
        let options = Options::read(
            &silent,
            &INTEGRATION_EVENT,
            Place::Field,
            &field.attrs,
            owner,
        );
        said.extend(Said::read(errors, options.changes()));
    }
    silent.finish();
    said
}

impl Said {
    /// What attributes say of changes of a variant or a field, and of the fields that they list.
    pub(super) fn read(errors: &Errors, changes: &[Options]) -> Vec<Self> {
        let mut said = Vec::new();
        for options in changes {
            let listed = ["removed", "split", "combined", "moved", "upcast"];
            if let (Some(listed), Some(key)) = (
                listed.iter().find_map(|name| options.listed(name)),
                options.key("since"),
            ) {
                said.extend(fields(errors, listed.fields.iter(), key));
            }
            said.extend(Self::of(errors, options));
        }
        said
    }

    fn of(errors: &Errors, options: &Options) -> Option<Self> {
        let (since, key) = options.version("since").zip(options.key("since"))?;
        let (what, of) = if options.has("merged") {
            (What::Merged, "merged")
        } else if options.has("upcast") {
            (What::Whole, "upcast")
        } else if let Some(listed) = options.listed("removed") {
            let name = |field: &syn::Field| {
                let ident = field.ident.as_ref()?;
                Some(Names::plain().name(ident, &field.attrs))
            };
            let names = listed.fields.iter().filter_map(name).collect();
            let fill = options.default("default").map(Option::<&_>::cloned);
            (What::Removed { names, fill }, "removed")
        } else {
            let converted = ["split", "combined", "was_type"];
            match converted.into_iter().find(|name| options.has(name)) {
                Some(of) => (What::Converted, of),
                None => (What::Simple, "it"),
            }
        };
        let lossy = options.key("lossy");
        if let (What::Simple, Some(lossy)) = (&what, lossy) {
            errors.push(diag::versions::nothing_lost(lossy));
        }
        let fills =
            options.has("default") && matches!(what, What::Merged | What::Whole | What::Converted);
        if let (true, Some(default)) = (fills, options.key("default")) {
            errors.push(diag::history::no_meaning(default, of));
        }
        Some(Self {
            since,
            key: key.clone(),
            what,
            down: options.ty("down").cloned(),
            lossy: lossy.cloned(),
        })
    }
}
