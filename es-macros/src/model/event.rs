use quote::ToTokens;
use syn::DeriveInput;

use super::history::{Gone, History, Merged};
use super::naming::{Grammar, Name};
use super::{Dispatch, Handled, RawVariant, check_serde, name_of, variants};
use crate::attr::Options;
use crate::attr::inventory::EVENT;
use crate::attr::serde::{self, Names};
use crate::diag::{self, Errors};
use crate::lock::Lock;

/// The internal events of one aggregate.
pub(crate) struct EventEnum<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) name: Name,
    pub(crate) dispatch: Dispatch<'a>,
    pub(crate) variants: Vec<EventVariant<'a>>,
    /// Events that no variant is any more.
    pub(crate) gone: Vec<Gone>,
    /// What was released.
    pub(crate) lock: Option<Lock>,
}

pub(crate) struct EventVariant<'a> {
    pub(crate) handled: Handled<'a>,
    pub(crate) name: Name,
    /// Older names, whenever they were given up.
    pub(crate) was: Vec<Name>,
    pub(crate) history: History,
    /// Whether its readers ignore fields that they do not know.
    pub(crate) ignores: bool,
    /// Other events that became this one.
    pub(crate) merged: Vec<Merged>,
    /// Whether it is read, and never written.
    pub(crate) retired: bool,
}

impl<'a> EventEnum<'a> {
    pub(crate) fn read(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        let raw = variants(input, &EVENT, errors)?;
        check_serde(input, &raw, errors);
        let dispatch = Dispatch::read(options);
        let needed: &[_] = if dispatch.is_some() {
            &["name"]
        } else {
            &["name", "aggregate"]
        };
        options.require(errors, needed);
        let name = options.text("name");
        let name = name.map(|name| Name::said(name).check(errors, Grammar::Family));
        // Without a name, the variants' own mistakes are told all the same; a wrong one is told once.
        let right = name
            .as_ref()
            .filter(|name| Grammar::Family.accepts(&name.text));
        let prefix = right.map(|name| format!("{}.", name.text));
        let prefix = prefix.unwrap_or_default();
        let read = |raw| EventVariant::read(input, &prefix, raw, errors);
        let variants = raw.iter().map(read).collect();
        let gone = Gone::read(errors, &EVENT, options);
        Some(Self {
            input,
            name: name?,
            dispatch: dispatch?,
            variants,
            gone,
            lock: lock(input, options, errors),
        })
    }
}

/// The lock that the enum is compared with, if there is one.
fn lock(input: &DeriveInput, options: &Options, errors: &Errors) -> Option<Lock> {
    let said = options.text("lock");
    let at = || said.map_or_else(|| input.ident.to_token_stream(), ToTokens::to_token_stream);
    Lock::find(said, options.source.as_deref()).unwrap_or_else(|problem| {
        errors.push(diag::released::unreadable(&problem, &at()));
        None
    })
}

impl<'a> EventVariant<'a> {
    fn read(input: &DeriveInput, prefix: &str, raw: &RawVariant<'a>, errors: &Errors) -> Self {
        let (syntax, options) = (raw.syntax, &raw.options);
        let names = Names::of(&input.attrs, &syntax.attrs);
        let history = History::of_variant(errors, &EVENT, &names, syntax, options, None);
        let ignores = !serde::denies_unknown_fields(&input.attrs);
        // Those with a version and those without.
        let changes = options
            .changes()
            .iter()
            .flat_map(|change| change.texts("was"));
        let was = options.texts("was").chain(changes);
        Self {
            handled: Handled::new("on_", syntax),
            name: name_of(errors, Grammar::Dotted, prefix, raw),
            was: was
                .map(|was| Name::said(was).check(errors, Grammar::Old))
                .collect(),
            history,
            ignores,
            merged: Merged::read(errors, &EVENT, options),
            retired: options.has("retired"),
        }
    }
}
