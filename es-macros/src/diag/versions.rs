//! What is wrong with the versions of a public stream.

use proc_macro2::{Ident, Span};
use syn::LitStr;

use super::{Diagnostic, point};
use crate::attr::Number;

pub(crate) fn gap(
    stream: &str,
    missing: u32,
    next: Option<(u32, &Ident)>,
    options: Span,
) -> Diagnostic {
    let last = missing - 1;
    let title = format!("version {missing} of `{stream}` has no way from version {last}");
    let at = next.map_or_else(|| point(options), |(_, key)| key.clone());
    Diagnostic::new("ES0007", &at, title)
        .help(format!(
            "say `since = {missing}` on what changed then, or `retired({last})` on the enum if nobody reads version {last}"
        ))
        .note("every version that is served is made from the next one, down from the newest")
}

pub(crate) fn beyond(key: &Ident, since: u32, newest: u32) -> Diagnostic {
    let title = format!("`since = {since}` is beyond the stream's version, which is {newest}");
    Diagnostic::new("ES0050", key, title)
        .help(format!(
            "raise it on the enum, `version = {since}`, or say `since = {newest}`"
        ))
        .note("the versions of a stream are counted on the enum, for all of its events together")
}

pub(crate) fn no_such_version(option: &str, number: &Number, end: u32) -> Diagnostic {
    let version = number.version;
    let title = format!("`{option}({version})` speaks of a version that is not there");
    let error = Diagnostic::new("ES0051", &number.at, title);
    match (option, end) {
        (_, 1) => error.help("remove it: there is no older version"),
        (_, 2) => error.help("the only one that it can speak of is 1"),
        ("deprecated", _) => error.help(format!("the stream has the versions 1 to {}", end - 1)),
        _ => error.help(format!("the older versions are 1 to {}", end - 1)),
    }
}

pub(crate) fn twice(option: &str, number: &Number) -> Diagnostic {
    let title = format!("`{option}({})` is said twice", number.version);
    Diagnostic::new("ES0051", &number.at, title).help("remove one of the two")
}

pub(crate) fn retired_already(number: &Number) -> Diagnostic {
    let title = format!(
        "version {} is retired, and nothing else can be said of it",
        number.version
    );
    Diagnostic::new("ES0051", &number.at, title).help("remove this, or `retired`")
}

pub(crate) fn no_day(text: &LitStr) -> Diagnostic {
    let title = format!("`{}` is not a day", text.value());
    Diagnostic::new("ES0052", text, title).help("write year, month and day: `\"2027-06-30\"`")
}

pub(crate) fn sunset_first(text: &LitStr) -> Diagnostic {
    Diagnostic::new("ES0052", text, "the sunset comes before the deprecation")
        .help("consumers are told `from` when on to move, and move until the `sunset`")
}

pub(crate) fn no_way_down(key: &Ident, what: &str, older: u32) -> Diagnostic {
    let title = format!("version {older} is live, and {what} has no way down to it");
    Diagnostic::new("ES0053", key, title)
        .help(format!(
            "add {}; or say `own({older})` on the enum and write `impl Publish<…>` for that version",
            if what == "what was removed" { "`default, lossy`" } else { "`down = …`" }
        ))
        .note("every live version is fed, by downcasts or by a mapping of its own")
}

pub(crate) fn undeclared_loss(key: &Ident, older: u32) -> Diagnostic {
    let title =
        format!("something of version {older} is lost here, and the history does not say so");
    Diagnostic::new("ES0054", key, title)
        .help("add `lossy` to the attribute")
        .note("what goes up and comes down again is as it was, unless it is declared `lossy`")
}

pub(crate) fn nothing_lost(lossy: &Ident) -> Diagnostic {
    Diagnostic::new("ES0054", lossy, "nothing is lost by this change").help("remove `lossy`")
}

pub(crate) fn generic(at: &impl quote::ToTokens) -> Diagnostic {
    Diagnostic::new(
        "ES0055",
        at,
        "a stream with older versions has no parameters",
    )
    .help("name the types: `Payment<Dkk>` in the place of `Payment<C>`")
    .note("the older versions are types of their own, which cannot tell what they would need")
}

pub(crate) fn two_events(at: &impl quote::ToTokens, name: &str, version: u32) -> Diagnostic {
    let title = format!("version {version} would have two events `{name}`");
    Diagnostic::new("ES0056", at, title)
        .help(
            "give one of them its own name in that version: `was`, or `since` where it came later",
        )
        .note("the public name is how consumers find an event's type; it is unique in its version")
}
