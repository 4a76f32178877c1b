use syn::DeriveInput;

use super::naming::{Grammar, Name};
use super::{Dispatch, Handled, check_serde, name_of, variants};
use crate::attr::Options;
use crate::attr::inventory::EVENT;
use crate::diag::Errors;

/// The internal events of one aggregate.
pub(crate) struct EventEnum<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) name: Name,
    pub(crate) dispatch: Dispatch<'a>,
    pub(crate) variants: Vec<EventVariant<'a>>,
}

pub(crate) struct EventVariant<'a> {
    pub(crate) handled: Handled<'a>,
    pub(crate) name: Name,
    pub(crate) was: Vec<Name>,
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
        let name = Name::said(options.text("name")?).check(errors, Grammar::Family);
        let prefix = format!("{}.", name.text);
        let variants = raw.iter().map(|raw| EventVariant {
            handled: Handled::new("on_", raw.syntax),
            name: name_of(errors, Grammar::Dotted, &prefix, raw),
            was: raw
                .options
                .texts("was")
                .map(|was| Name::said(was).check(errors, Grammar::Old))
                .collect(),
        });
        let variants = variants.collect();
        Some(Self {
            input,
            name,
            dispatch: dispatch?,
            variants,
        })
    }
}
