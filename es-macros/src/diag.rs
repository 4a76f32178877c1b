//! Every diagnostic, in one place, in the order of the codes; `docs/errors/` has a page for each.
//!
//! A diagnostic is a title with its code, then a help that can be pasted, and at most one note
//! with the domain's reason. It points at the smallest thing that must change.

pub(crate) mod history;
pub(crate) mod released;
pub(crate) mod versions;

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::Type;
use syn::ext::IdentExt as _;

use crate::attr::inventory::{Kind, Spec};
use crate::attr::{Inventory, Place, closest};
use crate::model::naming::Grammar;
use crate::text::pretty;

/// One mistake, told where it stands.
pub(crate) struct Diagnostic {
    at: TokenStream,
    title: String,
    help: Option<String>,
    note: Option<&'static str>,
}

impl Diagnostic {
    fn new(code: &str, at: &impl ToTokens, title: impl Display) -> Self {
        let title = format!("{title} [{code}]");
        Self {
            at: at.to_token_stream(),
            title,
            help: None,
            note: None,
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    fn note(self, note: &'static str) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }

    fn into_error(self) -> syn::Error {
        let help = self
            .help
            .map(|help| format!("\n\nhelp: {help}"))
            .unwrap_or_default();
        let gap = if help.is_empty() { "\n\n" } else { "\n" };
        let note = self
            .note
            .map(|note| format!("{gap}note: {note}"))
            .unwrap_or_default();
        syn::Error::new_spanned(self.at, format!("{}{help}{note}", self.title))
    }
}

/// Collects all mistakes of one derive, so that they are told together.
///
/// Dropped unread it panics: a mistake that nobody hears of would be accepted.
pub(crate) struct Errors {
    found: RefCell<Option<Vec<syn::Error>>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self {
            found: RefCell::new(Some(Vec::new())),
        }
    }

    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        if let Some(found) = &mut *self.found.borrow_mut() {
            found.push(diagnostic.into_error());
        }
    }

    /// How many there are so far.
    pub(crate) fn count(&self) -> usize {
        self.found.borrow().as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn finish(self) -> Vec<syn::Error> {
        self.found.take().unwrap_or_default()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        let unread = self.found.borrow().is_some();
        assert!(
            !unread || std::thread::panicking(),
            "the errors of a derive were not read"
        );
    }
}

// ── Options ─────────────────────────────────────────────────────────────────────────────────────

pub(crate) fn unknown_option(
    inventory: &Inventory,
    key: &Ident,
    place: Place,
    meant: Option<&str>,
) -> Diagnostic {
    let attribute = inventory.attribute;
    let title = format!("unknown `{attribute}` option `{key}`");
    let error = Diagnostic::new("ES0001", key, title);
    let list: Vec<_> = inventory
        .at(place)
        .iter()
        .map(|spec| format!("`{}`", spec.name))
        .collect();
    if let Some(name) = meant {
        error.help(format!("did you mean `{name}`?"))
    } else if list.is_empty() {
        error.help(format!("{} has no `{attribute}` options", a(place)))
    } else if let [only] = &*list {
        error.help(format!("the only option of {} is {only}", a(place)))
    } else if list.len() < 10 {
        error.help(format!(
            "the options of {} are {}",
            a(place),
            list.join(", ")
        ))
    } else {
        error
    }
}

pub(crate) fn missing_options(inventory: &Inventory, missing: &[&Spec], at: Span) -> Diagnostic {
    let names: Vec<_> = missing
        .iter()
        .map(|spec| format!("`{}`", spec.name))
        .collect();
    let examples: Vec<_> = missing.iter().map(|spec| spec.example).collect();
    let title = format!(
        "`#[derive({})]` needs {}",
        inventory.derive,
        names.join(", ")
    );
    Diagnostic::new("ES0002", &point(at), title).help(format!(
        "`#[{}({})]`",
        inventory.attribute,
        examples.join(", ")
    ))
}

pub(crate) fn duplicate_option(inventory: &Inventory, key: &Ident) -> Diagnostic {
    let title = format!("the `{}` option `{key}` is said twice", inventory.attribute);
    Diagnostic::new("ES0006", key, title).help("remove one of the two")
}

/// A type that an option which repeats names once more.
pub(crate) fn said_again(option: &str, ty: &Type) -> Diagnostic {
    let title = format!("`{option} = {}` is said twice", pretty(ty));
    Diagnostic::new("ES0006", ty, title).help("remove one of the two")
}

pub(crate) fn wrong_kind(spec: &Spec, at: &impl ToTokens) -> Diagnostic {
    let wanted = match spec.kind {
        Kind::Text | Kind::File => "a string".to_owned(),
        Kind::Version => "a whole number from 1".to_owned(),
        Kind::Parts => "a whole number from 1 to 1024".to_owned(),
        Kind::Type => "a type, without quotes".to_owned(),
        Kind::Word(word) => format!("the word `{word}`"),
        Kind::Flag => "no value".to_owned(),
        Kind::Default => "no value, or an expression".to_owned(),
        Kind::Function => "the path of a function, without quotes".to_owned(),
        Kind::Fields => "fields in parentheses".to_owned(),
        Kind::Name => "a name, without quotes".to_owned(),
        Kind::Columns => "names of fields in parentheses".to_owned(),
        Kind::Number => "the number of a version in parentheses".to_owned(),
        Kind::Deprecated => "a version and the day from which on, in parentheses".to_owned(),
        Kind::Moves => "fields, an arrow, and what they became, in parentheses".to_owned(),
    };
    Diagnostic::new(
        "ES0009",
        at,
        format!("the option `{}` wants {wanted}", spec.name),
    )
    .help(format!("`{}`", spec.example))
}

pub(crate) fn misplaced_option(
    inventory: &Inventory,
    key: &Ident,
    place: Place,
    home: Place,
) -> Diagnostic {
    let attribute = inventory.attribute;
    if home == place.plain() {
        let title = format!("the `{attribute}` option `{key}` is no part of a change");
        return Diagnostic::new("ES0020", key, title).help("say it in an attribute of its own");
    }
    let title = format!("the `{attribute}` option `{key}` belongs on {}", a(home));
    Diagnostic::new("ES0020", key, title).help(format!("move it to {}", a(home)))
}

pub(crate) fn malformed(inventory: &Inventory, place: Place, at: &impl ToTokens) -> Diagnostic {
    let attribute = inventory.attribute;
    let usual = inventory
        .at(place)
        .iter()
        .filter(|spec| spec.kind.is_usual());
    let examples: Vec<_> = usual.map(|spec| spec.example).collect();
    Diagnostic::new(
        "ES0021",
        at,
        format!("`{attribute}` takes a list of options"),
    )
    .help(format!("`#[{attribute}({})]`", examples.join(", ")))
}

pub(crate) fn missing_comma(inventory: &Inventory, spec: &Spec, rest: &TokenStream) -> Diagnostic {
    let first = rest.clone().into_iter().next();
    let title = format!(
        "`{}` takes a list of options, with a comma after each",
        inventory.attribute
    );
    Diagnostic::new("ES0021", &first, title).help(format!("`{}, …`", spec.example))
}

pub(crate) fn colon(spec: &Spec, rest: &TokenStream) -> Diagnostic {
    let first = rest.clone().into_iter().next();
    let title = format!("the value of the option `{}` stands behind `=`", spec.name);
    Diagnostic::new("ES0021", &first, title).help(format!("`{}`", spec.example))
}

pub(crate) fn version_zero(spec: &Spec, at: &TokenStream) -> Diagnostic {
    Diagnostic::new("ES0022", at, "versions count from 1").help(format!("`{} = 1`", spec.name))
}

// ── Items ───────────────────────────────────────────────────────────────────────────────────────

/// What a derive wants to stand on, when it stands on something else.
pub(crate) fn wrong_item(derive: &str, at: &impl ToTokens) -> Diagnostic {
    let (wanted, help) = match derive {
        "Event" => (
            "an enum with one variant per event",
            "for state use `#[derive(Aggregate)]`",
        ),
        "Command" => (
            "an enum with one variant per command",
            "for state use `#[derive(Aggregate)]`",
        ),
        "IntegrationEvent" => (
            "an enum with one variant per event",
            "a single event is an enum with one variant: `enum Accounts { AccountOpened { … } }`",
        ),
        "Aggregate" | "Process" => ("a struct or an enum that holds the state", "use a `struct`"),
        _ => (
            "a struct with named fields, one per column",
            "name the fields: `struct Balance { amount: i64 }`",
        ),
    };
    Diagnostic::new(
        "ES0004",
        at,
        format!("`#[derive({derive})]` needs {wanted}"),
    )
    .help(help)
}

pub(crate) fn serde_attribute(key: &Ident) -> Diagnostic {
    Diagnostic::new(
        "ES0010",
        key,
        format!("the store cannot keep what `#[serde({key})]` makes"),
    )
    .help(format!("remove `{key}`"))
    .note("the stored name says which variant it is, and its fields alone are the payload")
}

// ── Names ───────────────────────────────────────────────────────────────────────────────────────

/// What has a name that is unique in its enum or struct.
#[derive(Clone, Copy)]
pub(crate) enum Named {
    Event,
    Command,
    IntegrationEvent,
    Column,
}

pub(crate) fn same_name(what: Named, name: &str, at: &TokenStream) -> Diagnostic {
    let (title, note) = match what {
        Named::Event => (
            format!("two events are stored as `{name}`"),
            "the stored name is how old events find their type; it is unique for ever",
        ),
        Named::Command => (
            format!("two commands are called `{name}`"),
            "the name is what the audit trail says was wanted",
        ),
        Named::IntegrationEvent => (
            format!("two events are published as `{name}`"),
            "the public name is how consumers find an event's type; it is unique for ever",
        ),
        Named::Column => (
            format!("two columns are called `{name}`"),
            "databases do not tell upper case from lower case in the name of a column",
        ),
    };
    Diagnostic::new("ES0005", at, title).note(note)
}

pub(crate) fn was_and_is(name: &str, at: &TokenStream) -> Diagnostic {
    let title = format!("`{name}` is what this event is stored as today");
    Diagnostic::new("ES0005", at, title).help("remove `was`, which lists the names of before")
}

pub(crate) fn first_used_here(name: &str, at: &TokenStream) -> Diagnostic {
    Diagnostic::new("ES0005", at, format!("`{name}` is first used here"))
}

pub(crate) fn bad_name(grammar: Grammar, name: &str, at: &TokenStream) -> Diagnostic {
    let fixed = grammar
        .fix(name)
        .map(|fixed| format!(": `{fixed}`"))
        .unwrap_or_default();
    let title = match name {
        "" => "a stored name cannot be empty".to_owned(),
        _ => format!("`{name}` cannot be a stored name"),
    };
    Diagnostic::new("ES0008", at, title).help(format!("use {}{fixed}", grammar.rule()))
}

pub(crate) fn reserved_column(at: &Ident) -> Diagnostic {
    Diagnostic::new("ES0014", at, format!("no column can be called `{at}`"))
        .help("name the field for what it holds: `account`")
        .note("the column `key` is there already: it holds what `Fold::keys` answers")
}

pub(crate) fn unknown_column(item: &Ident, at: &Ident, fields: &[&Ident]) -> Diagnostic {
    let title = format!("`{item}` has no field `{at}` to be indexed");
    let names: Vec<_> = fields
        .iter()
        .map(|field| field.unraw().to_string())
        .collect();
    let meant = closest(&at.unraw().to_string(), names.iter().map(String::as_str));
    let help = match meant {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("its fields are `{}`", names.join("`, `")),
    };
    Diagnostic::new("ES0039", at, title).help(help)
}

/// What is unique in parts that do not wait for each other.
pub(crate) fn unique_in_parts(at: &impl ToTokens) -> Diagnostic {
    Diagnostic::new(
        "ES0041",
        at,
        "nothing is unique in a read model of several parts",
    )
    .help("remove `slices`, or declare `index` in place of `unique`")
    .note("each part has come as far as it has: what one row hands on, another may hold earlier")
}

/// A column that stands in an index twice.
pub(crate) fn column_twice(at: &Ident) -> Diagnostic {
    let title = format!("the index has the column `{at}` twice");
    Diagnostic::new("ES0040", at, title).help("remove one of the two")
}

/// An index beside one on the same columns.
pub(crate) fn index_twice(columns: &str, unique: bool, at: &impl ToTokens) -> Diagnostic {
    let title = match unique {
        true => format!("the unique index on `{columns}` is an index already"),
        false => format!("there is an index on `{columns}` already"),
    };
    let help = match unique {
        true => "remove `index`: rows are found by what is unique, too",
        false => "remove one of the two",
    };
    Diagnostic::new("ES0040", at, title).help(help)
}

pub(crate) fn same_handler(name: &Ident, at: &Ident) -> Diagnostic {
    Diagnostic::new(
        "ES0023",
        at,
        format!("another variant is handled by `{name}` already"),
    )
    .help("rename one of the two variants, and say `name = \"…\"` to keep its stored name")
}

// ── Found by rustc in the code that we emit ─────────────────────────────────────────────────────

/// The text of the constant assertion that a published type is not an internal event.
pub(crate) fn leak(event: &Ident) -> String {
    format!(
        "[ES0011] `{event}` is internal and is never published; publish an integration event made \
         from it: an enum of its own"
    )
}

/// The text of the constant assertion that an enum and its aggregate have one name.
pub(crate) fn name_differs(event: &Ident, name: &str, aggregate: &impl ToTokens) -> String {
    let aggregate = pretty(aggregate);
    format!(
        "[ES0012] the events of `{event}` are stored as `{name}.…`, but `{aggregate}` has another \
         name; both must be the same"
    )
}

// ── Words ───────────────────────────────────────────────────────────────────────────────────────

fn a(place: Place) -> &'static str {
    match place {
        Place::Item => "the type",
        Place::Variant => "a variant",
        Place::Field => "a field",
        Place::Gone => "the type",
        Place::VariantChange => "a variant, with `since`",
        Place::FieldChange => "a field, with `since`",
    }
}

/// Something to point with, where there is a span alone.
fn point(span: Span) -> Ident {
    Ident::new("_here", span)
}
