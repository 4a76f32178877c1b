//! An event through the versions.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Type};

use super::said::{Said, What, fields};
use crate::attr::Options;
use crate::attr::inventory::INTEGRATION_EVENT;
use crate::attr::serde::{self, Names};
use crate::diag::{self, Errors};
use crate::model::RawVariant;
use crate::model::history::{Change, Field, History, Shape, Step};
use crate::model::naming::{self, Grammar, Name};

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

impl<'a> Line<'a> {
    /// The line of a variant, and those of the events that were merged into it.
    pub(in crate::model) fn of_variant(
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
