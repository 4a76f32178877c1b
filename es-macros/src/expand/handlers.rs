//! The `match` that calls one method of the aggregate per variant, and what is said when a method
//! is missing.
//!
//! rustc would say "no method named `withdraw` found" in the middle of nowhere. So there is, for
//! every aggregate, a trait with a method of each handler's name, which asks for a marker that nobody
//! has. An inherent method wins over it. Where there is none, the marker's bound fails, and its
//! `on_unimplemented` says at the variant which method to write.
//!
//! The markers are the runtime's. What they say of a handler they are told as types: a `struct` of
//! the handler's name, and what it is called with. A trait with a text of its own for each variant
//! was more than half of all that was emitted.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Field, Fields, Type};

use super::{implement, itself, mentions};
use crate::model::Handled;

/// Whose variants are handled.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Commands are taken apart, and the handler answers with events or an error.
    Command,
    /// Events are borrowed, and the handler changes the state.
    Event,
}

impl Kind {
    /// What is handled, placed at `span`, for the same reasons as [`this`].
    fn value(self, input: &DeriveInput, span: Span) -> Ident {
        let name = match self {
            Self::Command => "__command",
            Self::Event => "__event",
        };
        Ident::new(name, span.resolved_at(input.ident.span()))
    }
}

/// `self`, placed at `span`. It is a local like others: where the user's tokens come out of several
/// macros of theirs, it still has to be the same one everywhere.
fn this(input: &DeriveInput, span: Span) -> Ident {
    Ident::new("self", span.resolved_at(input.ident.span()))
}

/// The impl of `Decide` or `Evolve`.
pub(super) fn expand(
    kind: Kind,
    input: &DeriveInput,
    aggregate: &Type,
    variants: &[&Handled<'_>],
) -> TokenStream {
    let arms = variants
        .iter()
        .map(|variant| arm(kind, input, aggregate, variant));
    let (span, item) = (aggregate.span(), itself(input));
    let value = kind.value(input, span);
    let body = match (kind, variants.is_empty()) {
        (Kind::Command, true) => quote!(match #value),
        (Kind::Event, true) => quote!(match *#value),
        (Kind::Command, false) => quote_spanned!(span=> match __es::its_command::<#item>(#value)),
        (Kind::Event, false) => quote_spanned!(span=> match __es::its_event::<#item>(#value)),
    };
    let body = quote!(#body { #(#arms)* });
    let implementation = implementation(kind, input, aggregate, &body);
    let missing = (!variants.is_empty()).then(|| missing(kind, input, aggregate, variants));
    quote!(#implementation #missing)
}

/// The impl around the `match`. Where the aggregate is none, all of it says so at one place.
pub(super) fn implementation(
    kind: Kind,
    input: &DeriveInput,
    aggregate: &Type,
    body: &TokenStream,
) -> TokenStream {
    let value = kind.value(input, aggregate.span());
    let this = this(input, aggregate.span());
    let (name, method) = match kind {
        Kind::Command => (
            quote!(__es::Decide),
            quote_spanned! {aggregate.span()=>
                fn decide(&#this, #value: Self::Command)
                    -> __es::Result<__es::Vec<Self::Event>, Self::Error>
            },
        ),
        Kind::Event => (
            quote!(__es::Evolve),
            quote_spanned!(aggregate.span()=> fn evolve(&mut #this, #value: &Self::Event)),
        ),
    };
    let method = quote_spanned!(aggregate.span()=> #method { #body });
    implement(input, &name, aggregate, &TokenStream::new(), &method)
}

/// `AccountCommand::Withdraw { amount: __0 } => self.withdraw(__0)`.
///
/// The call stands where the variant does, its arguments where the fields do: what rustc says about
/// the call, it says about them.
fn arm(kind: Kind, input: &DeriveInput, aggregate: &Type, variant: &Handled<'_>) -> TokenStream {
    let (of, ident, handler) = (&input.ident, variant.ident, &variant.handler);
    let (this, locals) = (this(input, ident.span()), locals(variant));
    let (pattern, fields) = match variant.fields {
        Fields::Unit => (quote!({}), ident.span()),
        Fields::Unnamed(fields) => (quote!((#(#locals),*)), fields.paren_token.span.join()),
        Fields::Named(fields) => {
            let names = fields.named.iter().map(|field| &field.ident);
            (
                quote!({ #(#names: #locals),* }),
                fields.brace_token.span.join(),
            )
        }
    };
    let arguments = quote_spanned!(fields=> (#(#locals),*));
    // A place, not a reference: the methods found on it are the user's with whatever receiver they
    // have, before those of the fallback, which take `&mut self`.
    let call = quote_spanned!(ident.span()=> (*#this).#handler #arguments);
    let result = match kind {
        // What is wrong with the aggregate is said where it is named, once for all variants.
        Kind::Command => quote_spanned!(aggregate.span()=> __es::events(#this, #call)),
        Kind::Event => call,
    };
    quote!(#of::#ident #pattern => #result,)
}

/// A name for each field's value, placed at the field.
fn locals(variant: &Handled<'_>) -> Vec<Ident> {
    let place = |field: &Field| field.ident.as_ref().map_or(field.ty.span(), Ident::span);
    let local = |(i, field): (usize, &Field)| format_ident!("__{i}", span = at(place(field)));
    variant.fields.iter().enumerate().map(local).collect()
}

/// The place of `span`, with names of our own.
fn at(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}

/// The trait whose methods are found where the user's are missing.
fn missing(
    kind: Kind,
    input: &DeriveInput,
    aggregate: &Type,
    variants: &[&Handled<'_>],
) -> TokenStream {
    let own = names(&input.generics.params);
    let fields: Vec<_> = variants.iter().map(|v| fields(&own, v)).collect();
    // What the block names is not shadowed by a marker.
    let (of, generics) = (&input.ident, &input.generics);
    let needed = names(&quote!(str #of #generics #aggregate #(#fields)*));
    let marker = |variant: &&Handled<'_>| match needed.contains(&variant.handler) {
        true => format_ident!("{}_", variant.handler),
        false => variant.handler.clone(),
    };
    let markers: Vec<_> = variants.iter().map(marker).collect();
    let methods = variants.iter().zip(&markers).zip(&fields);
    let methods = methods.map(|((variant, marker), fields)| {
        let (handler, types) = (&variant.handler, numbered(variant.fields.len()));
        // The answer is nothing here, where the bound is taken to hold, and unknown to the caller,
        // where it does not: so the body is empty, and one error is enough.
        let span = variant.ident.span();
        let (answer, bound) = match kind {
            Kind::Command => (
                quote!(-> Self::Answer),
                quote_spanned! {span=>
                    __es::HandlesCommand<#marker, #fields, __E, __R, Answer = ()>
                },
            ),
            Kind::Event => (
                TokenStream::new(),
                quote_spanned!(span=> __es::HandlesEvent<#marker, #fields>),
            ),
        };
        quote!(fn #handler(&mut self, #(_: #types),*) #answer where Self: #bound {})
    });
    let any = numbered(variants.iter().map(|v| v.fields.len()).max().unwrap_or(0));
    let (parameters, types) = match kind {
        Kind::Command => (quote!(__E, __R,), quote!(__A::Event, __A::Error,)),
        Kind::Event => (TokenStream::new(), TokenStream::new()),
    };
    quote! {
        #(struct #markers;)*
        trait __MissingHandlers<#parameters #(#any),*> { #(#methods)* }
        impl<__A: __es::Aggregate, #(#any),*> __MissingHandlers<#types #(#any),*> for __A {}
    }
}

/// The types of a variant's fields, in a tuple. Those of the enum's own parameters are not known
/// where it stands.
fn fields(own: &HashSet<Ident>, variant: &Handled<'_>) -> TokenStream {
    let mut own = |name: &Ident| name == "Self" || own.contains(name);
    let types = variant.fields.iter().zip(numbered(variant.fields.len()));
    let types = types.map(|(field, any)| match &field.ty {
        ty if mentions(ty, &mut own) => quote!(#any),
        ty => quote!(#ty),
    });
    quote!((#(#types,)*))
}

/// All the names that stand in `tokens`.
fn names(tokens: &impl ToTokens) -> HashSet<Ident> {
    let mut names = HashSet::new();
    mentions(tokens, &mut |name| {
        names.insert(name.clone());
        false
    });
    names
}

/// `__0, __1`: as many names as there are fields.
fn numbered(fields: usize) -> Vec<Ident> {
    (0..fields).map(|i| format_ident!("__{i}")).collect()
}
