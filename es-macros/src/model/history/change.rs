//! What attributes say of changes, one by one.

use proc_macro2::{Ident, TokenStream};
use syn::{Field, Type};

use super::History;
use crate::attr::{Became, Inventory, Listed, Options};
use crate::diag::{self, Errors};
use crate::model::naming::{Grammar, Name};

/// A change of something, as it is said.
pub(super) struct Said<C> {
    pub(super) since: u32,
    /// The word `since`, to point at.
    pub(super) key: Ident,
    pub(super) what: C,
}

pub(super) enum FieldChange {
    Added(New),
    Changed {
        was: Option<String>,
        retyped: Option<Box<Retyped>>,
    },
}

/// What an added field holds in an event that was written before.
#[derive(Clone)]
pub(crate) enum New {
    /// The type's own default.
    Default,
    /// The value of an expression.
    Value(TokenStream),
    /// What a function makes of the old payload.
    From(Box<Type>),
}

pub(super) struct Retyped {
    pub(super) ty: Type,
    pub(super) up: Type,
    pub(super) down: Option<Type>,
}

pub(super) enum VariantChange {
    Name(String),
    Merged,
    Removed {
        fields: Vec<Field>,
        down: Option<Type>,
    },
    /// Split or combined.
    Converted {
        listed: Listed,
        up: Type,
        down: Option<Type>,
    },
    Moved(Listed),
    Whole {
        fields: Vec<Field>,
        up: Type,
        down: Option<Type>,
    },
}

/// Another event that became this one.
pub(crate) struct Merged {
    pub(crate) name: Name,
    /// The version of this event that the function makes.
    pub(crate) since: u32,
    pub(crate) history: History,
    pub(crate) up: Type,
}

/// An event whose name no variant has any more.
pub(crate) struct Gone {
    pub(crate) name: Name,
    /// Nothing where it does not matter, since the event is passed over.
    pub(crate) history: Option<History>,
    /// The function that makes today's events of it; without, it is passed over.
    pub(crate) up: Option<Type>,
}

/// The version that a change made, if it says so as it should.
fn since(errors: &Errors, options: &Options) -> Option<(u32, Ident)> {
    let Some((since, key)) = options.version("since").zip(options.key("since")) else {
        if options.is_readable() {
            errors.push(diag::history::without_since(options.place()));
        }
        return None;
    };
    if since == 1 {
        errors.push(diag::history::since_one(key));
        return None;
    }
    Some((since, key.clone()))
}

/// Which of these options an attribute says: a change is one of them.
fn one_of<'n>(
    errors: &Errors,
    options: &Options,
    names: &[&'n str],
    key: &Ident,
) -> Option<&'n str> {
    let mut said = names.iter().filter(|name| options.has(name));
    let first = said.next().copied();
    if let Some(second) = said.find_map(|name| options.key(name)) {
        errors.push(diag::history::two_changes(second));
        return None;
    }
    if first.is_none() && options.is_readable() {
        errors.push(diag::history::no_change(key, options.inventory(), names));
    }
    first
}

/// The function behind `with`, which the option `of` cannot do without.
fn with(errors: &Errors, options: &Options, of: &str) -> Option<Type> {
    let with = options.ty("with").cloned();
    if let (None, true, Some(key)) = (&with, options.is_readable(), options.key(of)) {
        errors.push(diag::history::needs(key, "with = …"));
    }
    with
}

/// Reports what has no meaning beside the option `of`.
fn without(errors: &Errors, options: &Options, of: &str, names: &[&str]) {
    for key in names.iter().filter_map(|name| options.key(name)) {
        errors.push(diag::history::no_meaning(key, of));
    }
}

pub(super) fn of_field(errors: &Errors, options: &Options) -> Option<Said<FieldChange>> {
    let (since, key) = since(errors, options)?;
    let what = if options.has("was") && options.has("was_type") {
        "was_type"
    } else {
        one_of(
            errors,
            options,
            &["default", "from", "was", "was_type"],
            &key,
        )?
    };
    if what != "was_type" {
        without(errors, options, what, &["with", "down"]);
    } else if let Some(key) = options.key("default").or_else(|| options.key("from")) {
        errors.push(diag::history::two_changes(key));
        return None;
    }
    let what = match what {
        "default" => FieldChange::Added(match options.default("default")? {
            Some(value) => New::Value(value.clone()),
            None => New::Default,
        }),
        "from" => FieldChange::Added(New::From(Box::new(options.ty("from")?.clone()))),
        _ => {
            let retyped = match options.ty("was_type") {
                Some(ty) => Some(Box::new(Retyped {
                    ty: ty.clone(),
                    up: with(errors, options, "was_type")?,
                    down: options.ty("down").cloned(),
                })),
                None => None,
            };
            let was = options.text("was").map(syn::LitStr::value);
            FieldChange::Changed { was, retyped }
        }
    };
    Some(Said { since, key, what })
}

const CHANGES: &[&str] = &[
    "was", "merged", "removed", "split", "combined", "moved", "upcast",
];

/// The changes of a variant, in the order in which they are said.
pub(super) fn of_variant(errors: &Errors, options: &Options) -> Vec<Said<VariantChange>> {
    let read = |options: &Options| {
        let (since, key) = since(errors, options)?;
        let what = one_of(errors, options, CHANGES, &key)?;
        let listed = || options.listed(what).cloned();
        let down = options.ty("down").cloned();
        if what != "merged" {
            without(errors, options, what, &["fields"]);
        }
        let what = match what {
            "was" => {
                without(errors, options, what, &["with", "down"]);
                VariantChange::Name(options.text("was")?.value())
            }
            "merged" => {
                // Public events go down, too.
                if options.inventory().derive == "Event" {
                    without(errors, options, what, &["down"]);
                }
                VariantChange::Merged
            }
            "removed" => {
                without(errors, options, what, &["with"]);
                let fields = listed()?.fields;
                if let Some(nameless) = fields.iter().find(|field| field.ident.is_none()) {
                    errors.push(diag::history::nameless(&nameless.ty));
                    return None;
                }
                VariantChange::Removed { fields, down }
            }
            "moved" => {
                without(errors, options, what, &["with", "down"]);
                let listed = listed()?;
                if let ([_], [Became { at, .. }]) = (&*listed.fields, &*listed.became) {
                    errors.push(diag::history::moves_one(at));
                    return None;
                }
                if listed.fields.len() > 1 && listed.became.len() > 1 {
                    errors.push(diag::history::moves_many(options.key("moved")?));
                    return None;
                }
                VariantChange::Moved(listed)
            }
            "upcast" => VariantChange::Whole {
                fields: listed()?.fields,
                up: with(errors, options, what)?,
                down,
            },
            _ => VariantChange::Converted {
                listed: listed()?,
                up: with(errors, options, what)?,
                down,
            },
        };
        Some(Said { since, key, what })
    };
    options.changes().iter().filter_map(read).collect()
}

/// The history of the fields behind `fields(…)`, which the option `of` cannot do without.
fn listed_history(
    errors: &Errors,
    inventory: &'static Inventory,
    options: &Options,
    of: &str,
) -> Option<History> {
    let key = options.key(of)?;
    let Some(listed) = options.listed("fields") else {
        if options.is_readable() {
            errors.push(diag::history::needs(key, "fields(…)"));
        }
        return None;
    };
    Some(History::of_listed(
        errors,
        inventory,
        key,
        &listed.fields,
        None,
    ))
}

impl Merged {
    /// The events that became a variant.
    pub(crate) fn read(
        errors: &Errors,
        inventory: &'static Inventory,
        options: &Options,
    ) -> Vec<Self> {
        let read = |options: &Options| {
            let name = Name::said(options.text("merged")?).check(errors, Grammar::Old);
            let history = listed_history(errors, inventory, options, "merged");
            let up = with(errors, options, "merged");
            Some(Self {
                name,
                since: options.version("since")?,
                history: history?,
                up: up?,
            })
        };
        options.changes().iter().filter_map(read).collect()
    }
}

impl Gone {
    /// The events that no variant is any more.
    pub(crate) fn read(
        errors: &Errors,
        inventory: &'static Inventory,
        options: &Options,
    ) -> Vec<Self> {
        let read = |options: &Options| {
            let at = Ident::new("_here", options.place());
            let what = one_of(errors, options, &["split", "dropped"], &at)?;
            let name = Name::said(options.text(what)?).check(errors, Grammar::Old);
            if what == "dropped" {
                without(errors, options, what, &["with", "fields"]);
                let (history, up) = (None, None);
                return Some(Self { name, history, up });
            }
            let history = listed_history(errors, inventory, options, what);
            let up = with(errors, options, what);
            Some(Self {
                name,
                history: Some(history?),
                up: Some(up?),
            })
        };
        options.changes().iter().filter_map(read).collect()
    }
}
