//! What was released and is not declared so any more.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;

use super::Diagnostic;
use crate::lock::{Released, Unreadable};
use crate::model::history::Field;
use crate::text::canonical;

/// Whose payload it is.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// A variant's.
    Variant(&'a Ident),
    /// An event's that no variant is any more, by its stored name.
    Gone(&'a str),
}

impl<'a> Subject<'a> {
    pub(crate) fn variant(ident: &'a Ident) -> Self {
        Self::Variant(ident)
    }

    pub(crate) fn gone(name: &'a str) -> Self {
        Self::Gone(name)
    }

    /// `Deposited` was released as version 2.
    fn was_released(self, version: u32) -> String {
        match self {
            Self::Variant(ident) => format!("`{ident}` was released as version {version}"),
            Self::Gone(name) => format!("`{name}` was released as version {version}"),
        }
    }
}

const NOTE: &str =
    "what was released stands in databases for ever, and this history reads it wrongly";

/// The field as it is written, `reference: String`.
fn written(field: &Field) -> String {
    let ident = field
        .ident
        .as_ref()
        .map_or_else(|| field.name.clone(), Ident::to_string);
    format!("{ident}: {}", canonical(&field.ty))
}

pub(crate) fn without(subject: Subject<'_>, version: u32, field: &Field, since: u32) -> Diagnostic {
    let title = format!("{} without `{}`", subject.was_released(version), field.name);
    Diagnostic::new("ES0013", &field.at, title)
        .help(format!(
            "`#[event(since = {since}, default)] {}`",
            written(field)
        ))
        .note(NOTE)
}

pub(crate) fn renamed(
    subject: Subject<'_>,
    version: u32,
    field: &Field,
    was: &str,
    since: u32,
) -> Diagnostic {
    let released = subject.was_released(version);
    let title = format!("{released} with `{was}` and without `{}`", field.name);
    let text = written(field);
    let was = was.trim_matches('"');
    Diagnostic::new("ES0013", &field.at, title)
        .help(format!(
            "`#[event(since = {since}, was = \"{was}\")] {text}`, or `default` if it is another field"
        ))
        .note(NOTE)
}

pub(crate) fn retyped(
    subject: Subject<'_>,
    version: u32,
    field: &Field,
    was: &str,
    since: u32,
) -> Diagnostic {
    let title = format!(
        "{} with `{}: {was}`",
        subject.was_released(version),
        field.name
    );
    let text = written(field);
    Diagnostic::new("ES0013", &field.ty.to_token_stream(), title)
        .help(format!(
            "`#[event(since = {since}, was_type = {was}, with = …)] {text}`"
        ))
        .note(NOTE)
}

pub(crate) fn with(
    subject: Subject<'_>,
    version: u32,
    was: &str,
    since: u32,
    at: &TokenStream,
) -> Diagnostic {
    let title = format!("{} with `{was}`", subject.was_released(version));
    let help = match subject {
        Subject::Variant(ident) => {
            format!("`#[event(since = {since}, removed({was}))]` on `{ident}`")
        }
        Subject::Gone(_) => format!("put it back: `fields(…, {was})`"),
    };
    Diagnostic::new("ES0013", at, title).help(help).note(NOTE)
}

pub(crate) fn other_shape(
    subject: Subject<'_>,
    entry: &Released,
    since: u32,
    at: &TokenStream,
) -> Diagnostic {
    let fields = entry.fields.join(", ");
    let shape = match entry.named {
        true if fields.is_empty() => "{}".to_owned(),
        true => format!("{{ {fields} }}"),
        false => format!("({fields})"),
    };
    let title = format!("{} as `{shape}`", subject.was_released(entry.version));
    let help = match subject {
        Subject::Variant(_) => format!("`#[event(since = {since}, upcast({fields}), with = …)]`"),
        Subject::Gone(_) => format!("`fields({fields})`"),
    };
    Diagnostic::new("ES0013", at, title).help(help).note(NOTE)
}

pub(crate) fn history_ends(
    subject: Subject<'_>,
    version: u32,
    known: u32,
    at: &TokenStream,
) -> Diagnostic {
    let released = subject.was_released(version);
    let title = format!("{released}, and its history ends at version {known}");
    Diagnostic::new("ES0013", at, title)
        .help(format!(
            "put back the attribute that made version {}: `since = {}`",
            known + 1,
            known + 1
        ))
        .note(NOTE)
}

pub(crate) fn forgotten(
    name: &str,
    version: u32,
    now: Option<&Ident>,
    at: &TokenStream,
) -> Diagnostic {
    let title = format!("`{name}` was released as version {version}, and nothing reads it");
    let help = match now {
        Some(variant) => format!("if it is `{variant}` now, `#[event(was = \"{name}\")]` there"),
        None => format!("`#[event(dropped = \"{name}\")]` on the enum passes it over"),
    };
    Diagnostic::new("ES0037", at, title).help(help).note(
        "events stay in the log when their variant goes; `was`, `merged`, `split` or `dropped` says what they are now",
    )
}

pub(crate) fn unreadable(problem: &Unreadable, at: &TokenStream) -> Diagnostic {
    match problem {
        Unreadable::File { file, why } => Diagnostic::new(
            "ES0038",
            at,
            format!("the lock `{file}` cannot be read: {why}"),
        )
        .help("its path begins where this file stands"),
        Unreadable::Line { file, line } => Diagnostic::new(
            "ES0038",
            at,
            format!("line {line} of the lock `{file}` is no entry"),
        )
        .help("take it from version control again: it only grows, and nobody edits it"),
    }
}
