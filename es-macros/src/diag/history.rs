//! What is wrong with a history.

use proc_macro2::{Ident, Span, TokenStream};

use super::{Diagnostic, point};
use crate::attr::{Became, Inventory};
use crate::model::history::Field;

// ── One change ──────────────────────────────────────────────────────────────────────────────────

pub(crate) fn since_one(key: &Ident) -> Diagnostic {
    let title =
        "`since = 1` says nothing: every field of the first version is there from the start";
    Diagnostic::new("ES0003", key, title).help("remove the attribute")
}

pub(crate) fn without_since(at: Span) -> Diagnostic {
    Diagnostic::new("ES0025", &point(at), "a change says which version it made")
        .help("add `since = 2`, or the version after the last one that was released")
}

pub(crate) fn no_change(key: &Ident, inventory: &Inventory, names: &[&str]) -> Diagnostic {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let title = format!(
        "this `{}` attribute does not say what changed",
        inventory.attribute
    );
    Diagnostic::new("ES0025", key, title).help(format!("add one of {}", names.join(", ")))
}

pub(crate) fn needs(key: &Ident, what: &str) -> Diagnostic {
    Diagnostic::new("ES0025", key, format!("`{key}` needs `{what}` beside it"))
        .help(format!("add `{what}` to the attribute"))
}

pub(crate) fn nameless(at: &syn::Type) -> Diagnostic {
    Diagnostic::new(
        "ES0025",
        at,
        "a field that was removed has a name and a type",
    )
    .help("`removed(note: String)`")
}

pub(crate) fn no_meaning(key: &Ident, beside: &str) -> Diagnostic {
    Diagnostic::new(
        "ES0026",
        key,
        format!("`{key}` has no meaning beside `{beside}`"),
    )
    .help(format!("remove `{key}`"))
}

pub(crate) fn two_changes(key: &Ident) -> Diagnostic {
    Diagnostic::new(
        "ES0026",
        key,
        "an attribute is about one change, and this is a second one",
    )
    .help("write two attributes; what replaces the whole payload is a version of its own")
}

pub(crate) fn moves_one(at: &impl quote::ToTokens) -> Diagnostic {
    Diagnostic::new(
        "ES0026",
        at,
        "`moved` goes from one field to several, or from several to one",
    )
    .help("for a new name say `was` on the field, for a new type `was_type`")
}

pub(crate) fn moves_many(key: &Ident) -> Diagnostic {
    Diagnostic::new(
        "ES0026",
        key,
        "`moved` goes from one field to several, or from several to one",
    )
    .help("write two attributes, or a function: `combined(… => …), with = …`")
}

pub(crate) fn same_again(key: &Ident, name: &str) -> Diagnostic {
    let title = format!("`{name}` was called `{name}` already, so it was not renamed");
    Diagnostic::new("ES0027", key, title).help("say the name that it had before")
}

pub(crate) fn no_history(key: &Ident, named: bool) -> Diagnostic {
    let (title, help) = if named {
        (
            "a field that serde skips or flattens has no history of its own",
            "say what happened on the variant: `since = 2, upcast(…), with = …`",
        )
    } else {
        (
            "a field without a name has no history of its own",
            "name the fields, and say on the variant what was: `since = 2, upcast(i64), with = …`",
        )
    };
    Diagnostic::new("ES0028", key, title).help(help)
}

// ── One after the other ─────────────────────────────────────────────────────────────────────────

pub(crate) fn gap(key: &Ident, owner: &Ident, missing: u32, since: u32) -> Diagnostic {
    let last = missing - 1;
    let title = format!("version {missing} of `{owner}` has no way from version {last}");
    Diagnostic::new("ES0007", key, title)
        .help(format!(
            "`since = {missing}`, unless another change made version {missing}"
        ))
        .note(if since > missing + 1 {
            "versions count from 1 without gaps, so that every old event finds its way"
        } else {
            "every version has a change that made it, so that every old event finds its way"
        })
}

pub(crate) fn disorder(key: &Ident, last: u32) -> Diagnostic {
    let title = format!("this change stands behind that of version {last}, and is no later one");
    Diagnostic::new("ES0029", key, title)
        .help("write the changes in order, the oldest first, at most one for each version")
}

pub(crate) fn after_the_end(key: &Ident, field: &str, since: u32) -> Diagnostic {
    let title = format!("`{field}` is gone since version {since}, so this version is not reached");
    Diagnostic::new("ES0030", key, title).help(format!(
        "what happened to it happened before version {since}"
    ))
}

pub(crate) fn before_the_beginning(key: &Ident, field: &str, since: u32) -> Diagnostic {
    let title = format!("`{field}` is made by version {since}, so this version is not reached");
    Diagnostic::new("ES0030", key, title)
        .help(format!("what happens to it happens after version {since}"))
}

pub(crate) fn no_such_field<'a>(
    became: &Became,
    since: u32,
    names: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let title = format!(
        "version {since} has no field `{}` that this could become",
        became.name
    );
    let error = Diagnostic::new("ES0031", &became.at, title);
    if names.is_empty() {
        error.help("name a field of that version, as it is called in JSON")
    } else {
        error.help(format!("those of version {since} are {}", names.join(", ")))
    }
}

pub(crate) fn two_fields(field: &Field, version: u32) -> Diagnostic {
    let title = format!(
        "version {version} has two fields that are called `{}`",
        field.name
    );
    Diagnostic::new("ES0032", &field.at, title)
        .help("correct one of the two histories: a name is one field at a time")
}

pub(crate) fn reused(field: &Field, before: &str, version: u32) -> Diagnostic {
    let name = &field.name;
    let title =
        format!("`{name}` was a `{before}` up to version {version}, and comes back as another");
    Diagnostic::new("ES0033", &field.at, title)
        .help("give the new field another name")
        .note("who knows the old version would read the new field as the old one")
}

pub(crate) fn other_type(value: &TokenStream, field: &Field, fitting: Option<&str>) -> Diagnostic {
    let ty = field.type_text();
    let title = format!("the default of `{}` is no `{ty}`", field.name);
    let help = match fitting {
        Some(fitting) => format!("`default = {fitting}`"),
        None => format!("`default = …` takes an expression of the type `{ty}`"),
    };
    Diagnostic::new("ES0036", value, title).help(help)
}
