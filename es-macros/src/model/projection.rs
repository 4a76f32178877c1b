use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
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
    /// The parts that its keys are divided in, if it says so.
    pub(crate) slices: Option<u16>,
    pub(crate) columns: Vec<Column<'a>>,
    pub(crate) indexes: Vec<Index>,
}

pub(crate) struct Column<'a> {
    pub(crate) field: &'a Ident,
    pub(crate) ty: &'a Type,
}

/// Columns by which rows are found.
pub(crate) struct Index {
    /// Their places among the columns.
    pub(crate) columns: Vec<usize>,
    pub(crate) unique: bool,
    /// What says so, to point at.
    pub(crate) at: TokenStream,
}

impl<'a> ReadModel<'a> {
    pub(crate) fn read(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        let fields = named_fields(input, errors)?;
        options.require(errors, &["name", "version"]);
        let (mut columns, mut alone) = (Vec::new(), Vec::new());
        for syntax in &fields.named {
            let Some(field) = &syntax.ident else { continue };
            let said = Options::read(errors, &PROJECTION, Place::Field, &syntax.attrs, field);
            for (word, unique) in [("unique", true), ("index", false)] {
                alone.extend(said.has(word).then(|| Index {
                    columns: vec![columns.len()],
                    unique,
                    at: said.key(word).into_token_stream(),
                }));
            }
            let ty = &syntax.ty;
            columns.push(Column { field, ty });
        }
        let mut indexes = together(input, options, &columns, errors);
        indexes.extend(alone);
        let name = Name::said(options.text("name")?).check(errors, Grammar::Family);
        Some(Self {
            input,
            name,
            version: options.version("version")?,
            slices: options.parts("slices"),
            columns,
            indexes,
        })
    }

    /// The columns of an index, as people write them.
    pub(crate) fn names(&self, index: &Index) -> Vec<String> {
        let name = |column: &usize| self.columns[*column].field.unraw().to_string();
        index.columns.iter().map(name).collect()
    }
}

/// The indexes that the type declares, on columns that it has.
fn together(
    input: &DeriveInput,
    options: &Options,
    columns: &[Column<'_>],
    errors: &Errors,
) -> Vec<Index> {
    let mut indexes = Vec::new();
    for (word, said) in options.columns() {
        let mut places = Vec::new();
        for name in &said.names {
            match columns.iter().position(|c| c.field.unraw() == name.unraw()) {
                Some(place) if places.contains(&place) => errors.push(diag::column_twice(name)),
                Some(place) => places.push(place),
                None => {
                    let fields: Vec<_> = columns.iter().map(|c| c.field).collect();
                    errors.push(diag::unknown_column(&input.ident, name, &fields));
                }
            }
        }
        if places.len() == said.names.len() {
            indexes.push(Index {
                columns: places,
                unique: word == "unique",
                at: said.at.clone(),
            });
        }
    }
    indexes
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
