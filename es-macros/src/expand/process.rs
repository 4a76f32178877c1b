use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::DeriveInput;
use syn::spanned::Spanned as _;

use super::{anonymous, implement, itself};
use crate::model::{AggregateTypes, ProcessState};

pub(crate) fn process(model: &ProcessState<'_>) -> TokenStream {
    let ProcessState {
        aggregate: state,
        sends,
        listens,
    } = model;
    let aggregate = super::aggregate(state);
    let input = state.input;
    let (nothing, target) = (TokenStream::new(), itself(input));
    let marked = |name: TokenStream| implement(input, &name, &target, &nothing, &nothing);
    let markers = sends
        .iter()
        .map(|ty| marked(quote_spanned!(ty.span()=> __es::Sends<#ty>)))
        .chain(
            listens
                .iter()
                .map(|ty| marked(quote_spanned!(ty.span()=> __es::ListensTo<#ty>))),
        );
    // Each at its type: what is missing there is told there.
    let wires = sends
        .iter()
        .map(|ty| quote_spanned!(ty.span()=> __wires.sends::<#ty>();))
        .chain(
            listens
                .iter()
                .map(|ty| quote_spanned!(ty.span()=> __wires.listens::<#ty>();)),
        );
    let wired = wired(input, &state.types, &quote!(#(#wires)*));
    let items = anonymous(&quote!(#(#markers)* #wired));
    quote!(#aggregate #items)
}

/// Says one by one whom the process deals with.
pub(super) fn wired(
    input: &DeriveInput,
    types: &AggregateTypes<'_>,
    wires: &TokenStream,
) -> TokenStream {
    let body = quote! {
        fn wire(__wires: &mut impl __es::Wires<Self>) {
            let _ = &__wires;
            #wires
        }
    };
    let AggregateTypes { event, command, .. } = types;
    let bounds = quote! {
        Self: __es::Clone + __es::Default + __es::Send + __es::Sync + 'static,
        #event: __es::Event,
        #command: __es::Command,
    };
    implement(input, &quote!(__es::Wired), &itself(input), &bounds, &body)
}
