//! The versions of a public stream, as its newest enum declares them.
//!
//! An event's *line* is what it was from the version that it came in to the one that it left in.
//! Those of the newest version are the enum's variants; others ended before, or were merged into
//! one of them.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, LitStr, Type};

use super::RawVariant;
use super::history::{Change, Field, History, Shape, Step};
use super::naming::{self, Grammar, Name};
use crate::attr::inventory::INTEGRATION_EVENT;
use crate::attr::serde::{self, Names};
use crate::attr::{Number, Options, Place};
use crate::diag::{self, Errors};

/// All versions but the newest one.
pub(crate) struct Versions<'a> {
    /// The module that the older versions are in.
    pub(crate) module: Ident,
    pub(crate) lines: Vec<Line<'a>>,
    /// Those that have a type, the newest first.
    pub(crate) older: Vec<Older>,
    /// Retired ones, whose types nobody needs, the newest first.
    pub(crate) gone: Vec<u32>,
}

/// An older version with a type.
pub(crate) struct Older {
    pub(crate) number: u32,
    pub(crate) status: Status,
    /// Whether it has a mapping of its own.
    pub(crate) own: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Status {
    Live,
    Deprecated { from: Day, sunset: Option<Day> },
    Retired,
}

/// Year, month and day, which there is.
pub(crate) type Day = (u32, u32, u32);

/// An event through the versions.
pub(crate) struct Line<'a> {
    /// Its name in the last of them.
    pub(crate) name: Name,
    /// Its variant in the last of them.
    ident: Ident,
    /// The variant of the newest version that it is.
    pub(crate) variant: Option<&'a syn::Variant>,
    /// The first and the last version that have it.
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) history: History,
    /// Fields of the newest version that are in no payload.
    pub(crate) skipped: Vec<&'a Ident>,
    pub(crate) said: Vec<Said>,
    /// What makes events of the version after the last one.
    pub(crate) into: Option<Type>,
}

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

impl<'a> Versions<'a> {
    pub(crate) fn read(
        errors: &Errors,
        options: &Options,
        stream: &Name,
        newest: u32,
        lines: Vec<Line<'a>>,
    ) -> Self {
        let module = options.ident("history").cloned().unwrap_or_else(|| {
            let name = naming::field(&stream.text, stream.at.span());
            Ident::new(&format!("{}_versions", name.unraw()), name.span())
        });
        let mut versions = Self {
            module,
            lines,
            older: Vec::new(),
            gone: Vec::new(),
        };
        let retired = numbers(errors, options, "retired", newest);
        let own = numbers(errors, options, "own", newest);
        let deprecated = numbers(errors, options, "deprecated", newest.saturating_add(1));
        for number in own.values().filter(|n| retired.contains_key(&n.version)) {
            errors.push(diag::versions::retired_already(number));
        }
        for number in deprecated
            .values()
            .filter(|n| retired.contains_key(&n.version))
        {
            errors.push(diag::versions::retired_already(number));
        }
        let said: BTreeMap<u32, &Ident> = versions
            .lines
            .iter()
            .flat_map(|line| &line.said)
            .map(|said| (said.since, &said.key))
            .collect();
        let spoken_of = [&retired, &own, &deprecated]
            .iter()
            .filter_map(|numbers| numbers.keys().find(|version| **version < newest))
            .next();
        let beyond = said.range(newest.saturating_add(1)..).next().is_some();
        if beyond || (said.is_empty() && spoken_of.is_none()) {
            return versions;
        }
        let Some(oldest) = (1..newest).find(|version| !retired.contains_key(version)) else {
            versions.gone = (1..newest).rev().collect();
            return versions;
        };
        if let Some(missing) = (oldest + 1..=newest).find(|version| !said.contains_key(version)) {
            let next = said.range(missing..).next();
            let next = next.map(|(since, key)| (*since, *key));
            errors.push(diag::versions::gap(
                &stream.text,
                missing,
                next,
                options.place(),
            ));
            return versions;
        }
        versions.gone = retired
            .keys()
            .rev()
            .copied()
            .filter(|v| *v < oldest)
            .collect();
        versions.older = (oldest..newest)
            .rev()
            .map(|number| Older {
                number,
                own: own.contains_key(&number),
                status: match deprecated.get(&number) {
                    _ if retired.contains_key(&number) => Status::Retired,
                    Some(number) => Status::deprecated(errors, number),
                    None => Status::Live,
                },
            })
            .collect();
        versions
    }

    /// The version that was made into this one, if it has a type.
    pub(crate) fn before(&self, version: u32) -> Option<&Older> {
        self.older.iter().find(|older| older.number + 1 == version)
    }

    /// The events of a version, in the order of their variants.
    pub(crate) fn events(&self, version: u32) -> impl Iterator<Item = &Line<'a>> {
        self.lines.iter().filter(move |line| line.is_in(version))
    }
}

/// What is said of versions by one option, each of them older than `end`.
fn numbers<'o>(
    errors: &Errors,
    options: &'o Options,
    name: &str,
    end: u32,
) -> BTreeMap<u32, &'o Number> {
    let mut numbers = BTreeMap::new();
    for number in options.numbers(name) {
        if number.version == 0 || number.version >= end {
            errors.push(diag::versions::no_such_version(name, number, end));
        } else if numbers.insert(number.version, number).is_some() {
            errors.push(diag::versions::twice(name, number));
        }
    }
    numbers
}

impl Status {
    /// That of the newest version.
    pub(crate) fn of(errors: &Errors, options: &Options, newest: u32) -> Self {
        let mut deprecated = options.numbers("deprecated");
        deprecated
            .find(|number| number.version == newest)
            .map_or(Self::Live, |number| Self::deprecated(errors, number))
    }

    fn deprecated(errors: &Errors, number: &Number) -> Self {
        let read = |text: &LitStr| {
            let day = day(&text.value());
            if day.is_none() {
                errors.push(diag::versions::no_day(text));
            }
            day
        };
        let from = number.from.as_ref().and_then(read);
        let sunset = number.sunset.as_ref().and_then(read);
        if let (Some(from), Some(sunset), Some(text)) = (from, sunset, &number.sunset)
            && sunset < from
        {
            errors.push(diag::versions::sunset_first(text));
        }
        from.map_or(Self::Live, |from| Self::Deprecated { from, sunset })
    }
}

/// A day of the calendar, `2027-06-30`.
fn day(text: &str) -> Option<Day> {
    let mut parts = text.split('-').zip([4, 2, 2]).map(|(part, length)| {
        let digits = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u32>().ok())?
    });
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let whole = text.len() == 10 && (1..=length).contains(&day);
    whole.then_some((year, month, day))
}

impl<'a> Line<'a> {
    /// The line of a variant, and those of the events that were merged into it.
    pub(super) fn of_variant(
        errors: &Errors,
        raw: &RawVariant<'a>,
        names: &Names,
        name: &Name,
        newest: u32,
    ) -> Vec<Self> {
        let (syntax, options) = (raw.syntax, &raw.options);
        for was in options
            .changes()
            .iter()
            .flat_map(|change| change.texts("was"))
        {
            Name::said(was).check(errors, Grammar::Kebab);
        }
        let mut said = Said::read(errors, options.changes());
        said.extend(fields(errors, syntax.fields.iter(), &syntax.ident));
        let last = latest(&said).min(newest);
        let history = History::of_variant(
            errors,
            &INTEGRATION_EVENT,
            names,
            syntax,
            options,
            Some(last),
        );
        let first = came(errors, options, &mut said);
        for said in said.iter().filter(|said| said.since > newest) {
            errors.push(diag::versions::beyond(&said.key, said.since, newest));
        }
        let early = |said: &&Said| {
            said.since <= first && first > 1 && !matches!(said.what, What::Came | What::Merged)
        };
        for said in said.iter().filter(early) {
            let name = syntax.ident.unraw().to_string();
            errors.push(diag::history::before_the_beginning(&said.key, &name, first));
        }
        let is_skipped = |field: &&'a syn::Field| serde::skips(&field.attrs);
        let skipped = syntax.fields.iter().filter(is_skipped);
        let mut lines = vec![Self {
            name: Name {
                text: name.text.clone(),
                at: name.at.clone(),
            },
            ident: syntax.ident.clone(),
            variant: Some(syntax),
            first,
            last: newest,
            history,
            skipped: skipped.filter_map(|field| field.ident.as_ref()).collect(),
            said,
            into: None,
        }];
        for merged in options.changes().iter().filter(|o| o.has("merged")) {
            let since = merged.version("since");
            // One function brings all down that were merged at once.
            let comes_back = lines[0].said.iter().any(|said| {
                let made = matches!(said.what, What::Came | What::Merged);
                made && Some(said.since) == since && said.down.is_some()
            });
            lines.extend(Self::ended(errors, merged, "merged", comes_back, newest));
        }
        lines
    }

    /// The lines of events that are in no variant any more, nor merged into one.
    pub(crate) fn of_gone(errors: &Errors, options: &Options, newest: u32) -> Vec<Self> {
        let read = |options: &Options| {
            let what = ["split", "dropped"]
                .into_iter()
                .find(|name| options.has(name));
            match what {
                Some(what) => Self::ended(errors, options, what, what == "split", newest),
                None if options.is_readable() => {
                    let at = Ident::new("_here", options.place());
                    let names = ["split", "dropped"];
                    errors.push(diag::history::no_change(&at, options.inventory(), &names));
                    None
                }
                None => None,
            }
        };
        options.changes().iter().filter_map(read).collect()
    }

    /// The line of an event that ended before the newest version.
    fn ended(
        errors: &Errors,
        options: &Options,
        what: &str,
        comes_back: bool,
        newest: u32,
    ) -> Option<Self> {
        let key = options.key(what)?;
        let name = Name::said(options.text(what)?).check(errors, Grammar::Kebab);
        let Some((since, since_key)) = options.version("since").zip(options.key("since")) else {
            // That of a variant's change was told before.
            if options.is_readable() && what != "merged" {
                errors.push(diag::history::without_since(options.place()));
            }
            return None;
        };
        if since == 1 {
            if what != "merged" {
                errors.push(diag::history::since_one(since_key));
            }
            return None;
        }
        if since > newest && what != "merged" {
            errors.push(diag::versions::beyond(since_key, since, newest));
        }
        let none = Vec::new();
        let listed = options
            .listed("fields")
            .map_or(&none, |listed| &listed.fields);
        let mut said = fields(errors, listed.iter(), key);
        let changes = latest(&said);
        let history = History::of_listed(
            errors,
            &INTEGRATION_EVENT,
            key,
            listed,
            Some(changes.min(since)),
        );
        for late in said.iter().filter(|said| said.since >= since) {
            errors.push(diag::history::after_the_end(&late.key, &name.text, since));
        }
        let into = options.ty("with").cloned();
        match what {
            "dropped" if into.is_some() => {
                errors.push(diag::history::no_meaning(options.key("with")?, what));
            }
            "split" if into.is_none() && options.is_readable() => {
                errors.push(diag::history::needs(key, "with = …"));
            }
            _ => {}
        }
        said.push(Said {
            since,
            key: since_key.clone(),
            what: What::Went { comes_back },
            // It comes down by the variant that it became.
            down: None,
            lossy: options.key("lossy").cloned(),
        });
        let ident = naming::variant(&name.text, key.span());
        Some(Self {
            ident,
            variant: None,
            first: 1,
            last: since.min(newest) - 1,
            history,
            skipped: Vec::new(),
            said,
            into: into.filter(|_| what != "dropped"),
            name,
        })
    }

    pub(crate) fn is_in(&self, version: u32) -> bool {
        (self.first..=self.last).contains(&version)
    }

    /// The event's public name in a version.
    pub(crate) fn name_in(&self, version: u32) -> &str {
        let later = self
            .history
            .steps
            .iter()
            .filter(|step| step.since > version);
        let mut was = later.filter_map(|step| match &step.change {
            Change::Name { was } => Some(&**was),
            _ => None,
        });
        was.next().unwrap_or(&self.name.text)
    }

    /// The event's variant in a version: it is called as it was when it had its name.
    pub(crate) fn ident_in(&self, version: u32) -> Ident {
        match self.name_in(version) {
            was if was != self.name.text => naming::variant(was, self.ident.span()),
            _ => self.ident.clone(),
        }
    }

    pub(crate) fn shape_in(&self, version: u32) -> &Shape {
        let shapes = &self.history.shapes;
        let at = usize::try_from(version - 1).unwrap_or(usize::MAX);
        &shapes[at.min(shapes.len() - 1)]
    }

    /// What made a version of it.
    pub(crate) fn steps_to(&self, version: u32) -> impl DoubleEndedIterator<Item = &Step> {
        self.history
            .steps
            .iter()
            .filter(move |step| step.since == version)
    }

    /// A field's name in Rust in a version.
    pub(crate) fn field_in(&self, version: u32, field: &Field) -> Ident {
        let here = |ident: &Ident| {
            let newest = self
                .history
                .shapes
                .last()
                .into_iter()
                .flat_map(|shape| &shape.fields);
            let mut same = newest.filter(|other| other.ident.as_ref() == Some(ident));
            ident.unraw() == field.name || same.any(|other| other.name == field.name)
        };
        match &field.ident {
            Some(ident) if version >= self.last || here(ident) => ident.clone(),
            Some(ident) => naming::field(&field.name, ident.span()),
            None => Ident::new("__", field.at.span()),
        }
    }

    /// The function that makes events of the version before `version` of it, if one is named.
    pub(crate) fn down_from(&self, version: u32) -> Option<&Type> {
        let mut said = self.said.iter().filter(|said| said.since == version);
        said.find_map(|said| match said.what {
            What::Came | What::Merged | What::Whole => said.down.as_ref(),
            _ => None,
        })
    }

    /// What fills a field again that `since` removed.
    pub(crate) fn fill(&self, since: u32, name: &str) -> Option<Option<&TokenStream>> {
        self.said
            .iter()
            .filter(|said| said.since == since)
            .find_map(|said| {
                let What::Removed { names, fill } = &said.what else {
                    return None;
                };
                let fill = fill
                    .as_ref()
                    .filter(|_| names.iter().any(|field| field == name))?;
                Some(fill.as_ref())
            })
    }

    /// Whether something of the event of a version is lost on the way up and down again.
    pub(crate) fn is_lossy(&self, version: u32) -> bool {
        let mut said = self.said.iter().filter(|said| said.since == version + 1);
        said.any(|said| said.lossy.is_some() && !matches!(said.what, What::Merged))
    }

    /// Doc comments and what else the older types need of the attributes of the newest one.
    pub(crate) fn attrs(&self) -> &[Attribute] {
        self.variant.map_or(&[], |variant| &variant.attrs)
    }
}

/// The last version that was made by something. A number like a year is told as a gap, and is not
/// gone through one by one.
fn latest(said: &[Said]) -> u32 {
    const MANY: u32 = 1000;
    let latest = said.iter().map(|said| said.since).max();
    latest.unwrap_or(1).min(MANY)
}

/// The version that a variant came in, noted among what is said of it.
fn came(errors: &Errors, options: &Options, said: &mut Vec<Said>) -> u32 {
    let Some((first, key)) = options.version("since").zip(options.key("since")) else {
        if let Some(down) = options.key("down") {
            errors.push(diag::history::needs(down, "since = …"));
        }
        return 1;
    };
    if first == 1 {
        errors.push(diag::history::since_one(key));
        return 1;
    }
    said.push(Said {
        since: first,
        key: key.clone(),
        what: What::Came,
        down: options.ty("down").cloned(),
        lossy: None,
    });
    first
}

/// What the attributes of fields say. What cannot be read in them is told by who reads their
/// history.
fn fields<'f>(
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
    fn read(errors: &Errors, changes: &[Options]) -> Vec<Self> {
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
