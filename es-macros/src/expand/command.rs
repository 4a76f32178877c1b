use proc_macro2::TokenStream;
use quote::quote;

use super::handlers::{self, Kind};
use super::{anonymous, implement, itself};
use crate::model::{CommandEnum, Dispatch};

pub(crate) fn command(model: &CommandEnum<'_>) -> TokenStream {
    let input = model.input;
    let body = match model.variants.is_empty() {
        true => quote!(match *self {}),
        false => {
            let arms = model.variants.iter().map(|variant| {
                let (ident, name) = (variant.handled.ident, &variant.name.text);
                quote!(Self::#ident { .. } => #name)
            });
            quote!(match self { #(#arms),* })
        }
    };
    let body = quote!(fn name(&self) -> &'static str { #body });
    let command = implement(
        input,
        &quote!(__es::Command),
        &itself(input),
        &bounds(),
        &body,
    );
    let decide = match model.dispatch {
        Dispatch::Methods(aggregate) => {
            let variants: Vec<_> = model.variants.iter().map(|v| &v.handled).collect();
            handlers::expand(Kind::Command, input, aggregate, &variants)
        }

        Dispatch::Manual(_) => TokenStream::new(),
    };
    anonymous(&quote!(#command #decide))
}

/// What the impl of `Command` needs of a generic enum.
pub(super) fn bounds() -> TokenStream {
    quote!(Self: __es::Clone + __es::Send + __es::Sync + 'static)
}
