use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Attribute, Data, DeriveInput, Fields, Type};

use super::naming::{Grammar, Name};
use super::{no_field_options, variants};
use crate::attr::inventory::AGGREGATE_STATE;
use crate::attr::{Inventory, Options};
use crate::diag::{self, Errors};
use crate::text::pretty;

/// An aggregate's state, and the types that belong to it.
pub(crate) struct AggregateState<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) name: Name,
    /// What a snapshot of the state depends on, as far as the derive sees it.
    pub(crate) shape: String,
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
    /// `command` is the option that names the commands.
    pub(crate) fn read(options: &'a Options, command: &str) -> Option<Self> {
        Some(Self {
            id: options.ty("id"),
            event: options.ty("event")?,
            command: options.ty(command)?,
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
        Self::of(&AGGREGATE_STATE, "command", input, options, errors)
    }

    /// The state of whatever is an aggregate; `command` is the option that names its commands.
    pub(super) fn of(
        inventory: &'static Inventory,
        command: &'static str,
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self> {
        match &input.data {
            Data::Struct(data) => {
                no_field_options(&data.fields, &input.ident, inventory, errors);
            }
            Data::Enum(_) => {
                variants(input, inventory, errors)?;
            }
            Data::Union(data) => {
                errors.push(diag::wrong_item(inventory.derive, &data.union_token));
                return None;
            }
        }
        options.require(errors, &["name", "event", command, "error"]);
        let name = Name::said(options.text("name")?).check(errors, Grammar::Family);
        Some(Self {
            input,
            name,
            shape: shape(input, options.version("snapshot").unwrap_or(1)),
            types: AggregateTypes::read(options, command)?,
        })
    }
}

/// `1: {open: bool, #[serde(default)] balance: Money}`: the version that the user counts, and the
/// fields with their types and what serde is told of them. Names in Rust that no snapshot holds,
/// and comments, change nothing.
fn shape(input: &DeriveInput, version: u32) -> String {
    let own = serde(&input.attrs);
    let data = match &input.data {
        Data::Struct(data) => fields(&data.fields),
        Data::Enum(data) => {
            let variants = data.variants.iter().map(|variant| {
                let (attrs, ident) = (serde(&variant.attrs), &variant.ident);
                let fields = fields(&variant.fields);
                quote!(#attrs #ident #fields)
            });
            quote!(#(#variants),*)
        }
        Data::Union(_) => TokenStream::new(),
    };
    format!("{version}: {}", pretty(&quote!(#own #data)))
}

fn fields(fields: &Fields) -> TokenStream {
    let each = fields.iter().map(|field| {
        let (attrs, ty) = (serde(&field.attrs), &field.ty);
        let name = field.ident.as_ref().map(|ident| quote!(#ident:));
        quote!(#attrs #name #ty)
    });
    match fields {
        Fields::Named(_) => quote!({ #(#each),* }),
        Fields::Unnamed(_) => quote!((#(#each),*)),
        Fields::Unit => TokenStream::new(),
    }
}

fn serde(attrs: &[Attribute]) -> TokenStream {
    let serde = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    serde.map(|attr| attr.to_token_stream()).collect()
}
