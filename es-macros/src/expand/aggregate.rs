use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::DeriveInput;
use syn::spanned::Spanned as _;

use super::{anonymous, implement, itself};
use crate::model::{AggregateState, AggregateTypes};

pub(crate) fn aggregate(model: &AggregateState<'_>) -> TokenStream {
    with_types(model.input, &model.name.text, &model.shape, &model.types)
}

pub(super) fn with_types(
    input: &DeriveInput,
    name: &str,
    shape: &str,
    types: &AggregateTypes<'_>,
) -> TokenStream {
    let AggregateTypes {
        id,
        event,
        command,
        error,
    } = types;
    let id = id.map_or_else(|| quote!(__es::String), |id| quote!(#id));
    // Each stands where the user said it: what rustc says of it, one that is private for example,
    // it says there.
    let types = [
        quote_spanned!(id.span()=> type Id = #id;),
        quote_spanned!(event.span()=> type Event = #event;),
        quote_spanned!(command.span()=> type Command = #command;),
        quote_spanned!(error.span()=> type Error = #error;),
    ];
    let body = quote! {
        const NAME: &'static str = #name;
        const SHAPE: &'static str = #shape;
        #(#types)*
    };
    let bounds = quote! {
        Self: __es::Clone + __es::Default + __es::Send + __es::Sync + 'static,
        #event: __es::Event,
        #command: __es::Command,
        #error: __es::StdError + __es::Send + __es::Sync + 'static,
    };
    anonymous(&implement(
        input,
        &quote!(__es::Aggregate),
        &itself(input),
        &bounds,
        &body,
    ))
}
