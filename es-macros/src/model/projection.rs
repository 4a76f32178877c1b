use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::{Data, DeriveInput, Fields, FieldsNamed, Type};

use super::naming::{Grammar, Name};
use crate::attr::inventory::PROJECTION;
use crate::attr::{Options, Place};
use crate::diag::{self, Errors};

/// The row of one version of a read model.
pub(crate) struct ReadModel<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) name: Name,
    pub(crate) version: u32,
    pub(crate) columns: Vec<Column<'a>>,
}

pub(crate) struct Column<'a> {
    pub(crate) field: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) index: bool,
}

impl<'a> ReadModel<'a> {
    pub(crate) fn read(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        let fields = named_fields(input, errors)?;
        options.require(errors, &["name", "version"]);
        let columns = fields.named.iter().filter_map(|syntax| {
            let field = syntax.ident.as_ref()?;
            let said = Options::read(errors, &PROJECTION, Place::Field, &syntax.attrs, field);
            Some(Column {
                field,
                ty: &syntax.ty,
                index: said.has("index"),
            })
        });
        let columns = columns.collect();
        let name = Name::said(options.text("name")?).check(errors, Grammar::Family);
        Some(Self {
            input,
            name,
            version: options.version("version")?,
            columns,
        })
    }
}

fn named_fields<'a>(input: &'a DeriveInput, errors: &Errors) -> Option<&'a FieldsNamed> {
    let at = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Some(fields),
            Fields::Unnamed(fields) => fields.to_token_stream(),
            Fields::Unit => input.ident.to_token_stream(),
        },
        Data::Enum(data) => data.enum_token.to_token_stream(),
        Data::Union(data) => data.union_token.to_token_stream(),
    };
    errors.push(diag::wrong_item(PROJECTION.derive, &at));
    None
}
