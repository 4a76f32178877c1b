use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};

use syn::ext::IdentExt as _;

use super::event::bounds;
use super::{Guard, anonymous, implement, itself};
use crate::diag;
use crate::model::IntegrationEnum;

pub(crate) fn integration(model: &IntegrationEnum<'_>) -> TokenStream {
    let IntegrationEnum {
        input,
        stream,
        version,
        variants,
    } = model;
    let rows = variants.iter().map(|variant| {
        let (ident, name) = (variant.ident.unraw().to_string(), &variant.name.text);
        quote!(__es::IntegrationType { variant: #ident, name: #name })
    });
    let version = Literal::u32_unsuffixed(*version);
    let guard = not_internal(model);
    let (stream, beside, table) = (
        &stream.text,
        &guard.beside,
        guard.before(quote!(&[#(#rows),*])),
    );
    let body = quote! {
        const STREAM: &'static str = #stream;
        const VERSION: u32 = #version;
        const TYPES: &'static [__es::IntegrationType] = #table;
    };
    let event = implement(
        input,
        &quote!(__es::IntegrationEvent),
        &itself(input),
        &bounds(),
        &body,
    );
    anonymous(&quote!(#event #beside))
}

/// A type is internal or public, never both: rustc knows what a derive cannot see.
fn not_internal(model: &IntegrationEnum<'_>) -> Guard {
    let (ident, item) = (&model.input.ident, itself(model.input));
    let text = diag::leak(ident);
    let assertion = quote_spanned! {ident.span()=>
        ::core::assert!(
            !{
                use __es::NotInternal as _;
                __es::Probe::<#item>::INTERNAL
            },
            #text
        )
    };
    Guard::new(model.input, assertion)
}
