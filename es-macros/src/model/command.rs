use syn::DeriveInput;

use super::naming::{Grammar, Name};
use super::{Dispatch, Handled, RawVariant, name_of, variants};
use crate::attr::Options;
use crate::attr::inventory::COMMAND;
use crate::diag::Errors;

/// What somebody may want of an aggregate.
pub(crate) struct CommandEnum<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) dispatch: Dispatch<'a>,
    pub(crate) variants: Vec<CommandVariant<'a>>,
}

pub(crate) struct CommandVariant<'a> {
    pub(crate) handled: Handled<'a>,
    pub(crate) name: Name,
}

impl<'a> CommandEnum<'a> {
    pub(crate) fn read(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        let variants = variants(input, &COMMAND, errors)?;
        let dispatch = Dispatch::read(options);
        if dispatch.is_none() {
            options.require(errors, &["aggregate"]);
        }
        let read = |raw: &RawVariant<'a>| CommandVariant {
            handled: Handled::new("", raw.syntax),
            name: name_of(errors, Grammar::Kebab, "", raw),
        };
        let variants = variants.iter().map(read).collect();
        Some(Self {
            input,
            dispatch: dispatch?,
            variants,
        })
    }
}
