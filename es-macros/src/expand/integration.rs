use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;

use super::event::bounds;
use super::{Guard, anonymous, implement, itself, never_both, versions};
use crate::diag;
use crate::model::IntegrationEnum;
use crate::model::versions::{Day, Status};

pub(crate) fn integration(model: &IntegrationEnum<'_>) -> TokenStream {
    let IntegrationEnum { input, .. } = model;
    let rows = model.variants.iter().map(|variant| {
        let (ident, name) = (variant.ident.unraw().to_string(), &variant.name.text);
        row(&ident, name)
    });
    let guard = not_internal(model);
    let (beside, table) = (&guard.beside, guard.before(quote!(&[#(#rows),*])));
    let older = versions::table(model);
    let facts = facts(model, model.version, model.status, &table);
    let event = implement(
        input,
        &quote!(__es::IntegrationEvent),
        &itself(input),
        &bounds(),
        &quote!(#facts #older),
    );
    let (module, steps) = (versions::module(model), versions::steps(model));
    let never_both = never_both(input);
    let items = anonymous(&quote!(#event #beside #never_both #steps));
    quote!(#items #module)
}

/// What `IntegrationEvent` says of one version.
pub(super) fn facts(
    model: &IntegrationEnum<'_>,
    version: u32,
    status: Status,
    table: &TokenStream,
) -> TokenStream {
    let (stream, version) = (&model.stream.text, Literal::u32_unsuffixed(version));
    let status = match status {
        Status::Live => TokenStream::new(),
        Status::Retired => quote!(
            const STATUS: __es::Status = __es::Status::Retired;
        ),
        Status::Deprecated { from, sunset } => {
            let (from, sunset) = (day(from), sunset.map(day));
            let sunset = match sunset {
                Some(sunset) => quote!(::core::option::Option::Some(#sunset)),
                None => quote!(::core::option::Option::None),
            };
            quote! {
                const STATUS: __es::Status = __es::Status::Deprecated { from: #from, sunset: #sunset };
            }
        }
    };
    quote! {
        const STREAM: &'static str = #stream;
        const VERSION: u32 = #version;
        #status
        const TYPES: &'static [__es::IntegrationType] = #table;
    }
}

fn day((year, month, day): Day) -> TokenStream {
    let [year, month, day] = [year, month, day].map(Literal::u32_unsuffixed);
    quote!(__es::day(#year, #month, #day))
}

/// One event in the table of a version.
pub(super) fn row(variant: &str, name: &str) -> TokenStream {
    quote!(__es::IntegrationType { variant: #variant, name: #name })
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
