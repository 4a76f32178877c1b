//! Checked models in, code out. Nothing here can fail.
//!
//! What is emitted stands in a `const _` of its own and names everything by absolute paths, so
//! that the user's names neither meet nor shadow it. Only static tables and a `match` are emitted;
//! whatever can be a loop over a table is one in the runtime.

mod aggregate;
mod command;
mod event;
pub(crate) mod fallback;
mod handlers;
mod history;
mod integration;
mod process;
mod projection;
mod relocate;
mod steps;
mod versions;

pub(crate) use aggregate::aggregate;
pub(crate) use command::command;
pub(crate) use event::event;
pub(crate) use integration::integration;
pub(crate) use process::process;
pub(crate) use projection::projection;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::DeriveInput;
use syn::spanned::Spanned as _;

/// A block that sees the runtime as `__es` and is seen by nobody.
///
/// What its names look like and whether they are used is nothing that the user could change.
fn anonymous(items: &TokenStream) -> TokenStream {
    quote! {
        #[doc(hidden)]
        #[allow(
            dead_code,
            deprecated,
            non_camel_case_types,
            non_snake_case,
            unused_imports,
            unused_qualifications
        )]
        const _: () = {
            use ::es_runtime::__private as __es;
            #items
        };
    }
}

/// `impl<…> Trait for Target where … { body }`, with the generics of `input`.
///
/// `bounds` are added only where there are type parameters: without, rustc finds a missing
/// supertrait by itself and says it better.
fn implement(
    input: &DeriveInput,
    name: &TokenStream,
    target: &impl ToTokens,
    bounds: &TokenStream,
    body: &TokenStream,
) -> TokenStream {
    let (impl_generics, _, where_clause) = input.generics.split_for_impl();
    let bounds = if is_generic(input) {
        bounds.clone()
    } else {
        TokenStream::new()
    };
    let said = where_clause
        .map(|clause| &clause.predicates)
        .into_iter()
        .flatten();
    let where_clause = match (where_clause, bounds.is_empty()) {
        (None, true) => TokenStream::new(),
        _ => quote!(where #(#said,)* #bounds),
    };
    // Spanned at the target, where a supertrait that is missing is then missed.
    quote_spanned! {target.span()=>
        #[automatically_derived]
        impl #impl_generics #name for #target #where_clause { #body }
    }
}

/// The type that carries the derive, with its parameters.
fn itself(input: &DeriveInput) -> TokenStream {
    let (name, (_, parameters, _)) = (&input.ident, input.generics.split_for_impl());
    quote!(#name #parameters)
}

fn is_generic(input: &DeriveInput) -> bool {
    !input.generics.params.is_empty()
}

/// Whether such a name stands anywhere in `tokens`.
fn mentions(tokens: &impl ToTokens, is: &mut dyn FnMut(&Ident) -> bool) -> bool {
    tokens
        .to_token_stream()
        .into_iter()
        .any(|token| match token {
            TokenTree::Ident(ident) => is(&ident),
            TokenTree::Group(group) => mentions(&group.stream(), is),
            _ => false,
        })
}

/// For a generic enum, whose constants are known where it is used alone: internal and public events
/// both have this impl, so that a type that is both has it twice, which rustc tells at once.
fn never_both(input: &DeriveInput) -> TokenStream {
    if !is_generic(input) {
        return TokenStream::new();
    }
    let name = quote!(__es::InternalIsNeverPublished_ES0011);
    let (item, nothing) = (itself(input), TokenStream::new());
    implement(input, &name, &item, &nothing, &nothing)
}

/// Places a constant assertion: beside the impl, where `cargo check` meets it, and for a generic
/// type inside of its table, which is the first place where the parameters are known.
struct Guard {
    beside: TokenStream,
    inside: TokenStream,
}

impl Guard {
    fn new(input: &DeriveInput, assertion: TokenStream) -> Self {
        match is_generic(input) {
            true => Self {
                beside: TokenStream::new(),
                inside: quote!(#assertion;),
            },
            false => Self {
                beside: quote!(const _: () = #assertion;),
                inside: TokenStream::new(),
            },
        }
    }

    fn none() -> Self {
        Self {
            beside: TokenStream::new(),
            inside: TokenStream::new(),
        }
    }

    /// `table`, with the assertion before it where that is its place.
    fn before(&self, table: TokenStream) -> TokenStream {
        let inside = &self.inside;
        if inside.is_empty() {
            table
        } else {
            quote!({ #inside #table })
        }
    }
}
