//! The versions of a public stream, as its newest enum declares them.
//!
//! An event's *line* is what it was from the version that it came in to the one that it left in.
//! Those of the newest version are the enum's variants; others ended before, or were merged into
//! one of them.

mod line;
mod said;

use std::collections::BTreeMap;

use proc_macro2::Ident;
use syn::LitStr;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::naming::{self, Name};
use crate::attr::{Number, Options};
use crate::diag::{self, Errors};

pub(crate) use line::Line;
pub(crate) use said::{Said, What};

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
