use syn::{Data, DeriveInput, Type};

use super::naming::{Grammar, Name};
use super::{no_field_options, variants};
use crate::attr::Options;
use crate::attr::inventory::AGGREGATE_STATE;
use crate::diag::{self, Errors};

/// An aggregate's state, and the types that belong to it.
pub(crate) struct AggregateState<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) name: Name,
    pub(crate) types: AggregateTypes<'a>,
}

pub(crate) struct AggregateTypes<'a> {
    /// `None`: a `String`.
    pub(crate) id: Option<&'a Type>,
    pub(crate) event: &'a Type,
    pub(crate) command: &'a Type,
    pub(crate) error: &'a Type,
}

impl<'a> AggregateTypes<'a> {
    pub(crate) fn read(options: &'a Options) -> Option<Self> {
        Some(Self {
            id: options.ty("id"),
            event: options.ty("event")?,
            command: options.ty("command")?,
            error: options.ty("error")?,
        })
    }
}

impl<'a> AggregateState<'a> {
    pub(crate) fn read(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        match &input.data {
            Data::Struct(data) => {
                no_field_options(&data.fields, &input.ident, &AGGREGATE_STATE, errors);
            }
            Data::Enum(_) => {
                variants(input, &AGGREGATE_STATE, errors)?;
            }
            Data::Union(data) => {
                errors.push(diag::wrong_item(AGGREGATE_STATE.derive, &data.union_token));
                return None;
            }
        }
        options.require(errors, &["name", "event", "command", "error"]);
        let name = Name::said(options.text("name")?).check(errors, Grammar::Family);
        Some(Self {
            input,
            name,
            types: AggregateTypes::read(options)?,
        })
    }
}
