use proc_macro2::Ident;
use syn::DeriveInput;

use super::naming::{Grammar, Name};
use super::{check_serde, name_of, variants};
use crate::attr::Options;
use crate::attr::inventory::INTEGRATION_EVENT;
use crate::diag::Errors;

/// One version of a public stream.
pub(crate) struct IntegrationEnum<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) stream: Name,
    pub(crate) version: u32,
    pub(crate) variants: Vec<IntegrationVariant<'a>>,
}

pub(crate) struct IntegrationVariant<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) name: Name,
}

impl<'a> IntegrationEnum<'a> {
    pub(crate) fn read(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        let raw = variants(input, &INTEGRATION_EVENT, errors)?;
        check_serde(input, &raw, errors);
        options.require(errors, &["stream", "version"]);
        let stream = options
            .text("stream")
            .map(|text| Name::said(text).check(errors, Grammar::Kebab));
        let read = |raw| name_of(errors, Grammar::Kebab, "", raw);
        let variants = raw.iter().map(|raw| IntegrationVariant {
            ident: &raw.syntax.ident,
            name: read(raw),
        });
        let variants = variants.collect();
        Some(Self {
            input,
            stream: stream?,
            version: options.version("version")?,
            variants,
        })
    }
}
