use proc_macro2::Ident;
use syn::DeriveInput;

use super::naming::{Grammar, Name};
use super::versions::{Line, Status, Versions};
use super::{RawVariant, check_serde, name_of, variants};
use crate::attr::Options;
use crate::attr::inventory::INTEGRATION_EVENT;
use crate::attr::serde::Names;
use crate::diag::Errors;

/// The newest version of a public stream, with its history.
pub(crate) struct IntegrationEnum<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) stream: Name,
    pub(crate) version: u32,
    pub(crate) status: Status,
    pub(crate) variants: Vec<IntegrationVariant<'a>>,
    pub(crate) versions: Versions<'a>,
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
        let read = |raw: &RawVariant<'a>| IntegrationVariant {
            ident: &raw.syntax.ident,
            name: name_of(errors, Grammar::Kebab, "", raw),
        };
        let variants: Vec<_> = raw.iter().map(read).collect();
        let (stream, version) = (stream?, options.version("version")?);
        let mut lines = Vec::new();
        for (raw, variant) in raw.iter().zip(&variants) {
            let names = Names::of(&input.attrs, &raw.syntax.attrs);
            lines.extend(Line::of_variant(
                errors,
                raw,
                &names,
                &variant.name,
                version,
            ));
        }
        lines.extend(Line::of_gone(errors, options, version));
        let versions = Versions::read(errors, options, &stream, version, lines);
        Some(Self {
            input,
            status: Status::of(errors, options, version),
            stream,
            version,
            variants,
            versions,
        })
    }
}
