use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::handlers::{self, Kind};
use super::{Guard, anonymous, implement, itself, never_both};
use crate::diag;
use crate::model::{Dispatch, EventEnum};

pub(crate) fn event(model: &EventEnum<'_>) -> TokenStream {
    let input = model.input;
    let guard = same_name(model);
    let (name, beside, table) = (&model.name.text, &guard.beside, guard.before(table(model)));
    let (history, codecs) = super::history::history(model);
    let lines = model.lines();
    let body = quote! {
        const NAME: &'static str = #name;
        const TYPES: &'static [__es::EventType] = #table;
        const SHAPES: &'static str = #lines;
        #history
    };
    let event = implement(
        input,
        &quote!(__es::Event),
        &itself(input),
        &bounds(),
        &body,
    );
    let evolve = match model.dispatch {
        Dispatch::Methods(aggregate) => {
            let variants: Vec<_> = model.variants.iter().map(|v| &v.handled).collect();
            handlers::expand(Kind::Event, input, aggregate, &variants)
        }

        Dispatch::Manual(_) => TokenStream::new(),
    };
    let tracked = tracked(model);
    let never_both = never_both(input);
    anonymous(&quote!(#tracked #codecs #event #beside #never_both #evolve))
}

/// What the impl of `Event` needs of a generic enum.
pub(super) fn bounds() -> TokenStream {
    quote! {
        Self: __es::Serialize + __es::DeserializeOwned + __es::Clone + __es::Send + __es::Sync + 'static
    }
}

/// A row for each variant, which says what is not as usual.
fn table(model: &EventEnum<'_>) -> TokenStream {
    let rows = model.variants.iter().map(|variant| {
        let (ident, name) = (
            variant.handled.ident.unraw().to_string(),
            &variant.name.text,
        );
        let row = quote!(__es::event(#ident, #name));
        let version = variant.history.version();
        if variant.was.is_empty() && version == 1 {
            return row;
        }
        let was = variant.was.iter().map(|was| &was.text);
        let min_reader = variant.history.min_reader(version, variant.ignores);
        let [version, min_reader] = [version, min_reader].map(Literal::u32_unsuffixed);
        quote! {
            __es::EventType { was: &[#(#was),*], version: #version, min_reader: #min_reader, ..#row }
        }
    });
    quote!(&[#(#rows),*])
}

/// What makes the compiler look at the lock again when it changes.
fn tracked(model: &EventEnum<'_>) -> Option<TokenStream> {
    let path = model.lock.as_ref()?.path.to_str()?;
    Some(quote!(
        const _: &[::core::primitive::u8] = ::core::include_bytes!(#path);
    ))
}

/// A stream is named by its aggregate and an event by its enum: both must say the same.
fn same_name(model: &EventEnum<'_>) -> Guard {
    let Some(aggregate) = model.dispatch.aggregate() else {
        return Guard::none();
    };
    let name = &model.name.text;
    let text = diag::name_differs(&model.input.ident, name, aggregate);
    // That the aggregate is none, its own impl says: one error is enough.
    let assertion = quote_spanned! {model.name.at.span()=>
        ::core::assert!(
            {
                use __es::NoAggregate as _;
                __es::same(__es::Named::<#aggregate>::NAME, #name)
            },
            #text
        )
    };
    Guard::new(model.input, assertion)
}
