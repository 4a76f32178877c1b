//! The `match` that calls one method of the aggregate per variant, and what is said when a method
//! is missing.
//!
//! rustc would say "no method named `withdraw` found" in the middle of nowhere. So there is, for
//! every type, a trait with a method of each handler's name, which asks for a marker that nobody
//! has. An inherent method wins over it. Where there is none, the marker's bound fails, and its
//! `on_unimplemented` says at the variant which method to write.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Field, Fields, Type};

use super::{implement, itself};
use crate::diag::{self, MissingHandler};
use crate::model::Handled;
use crate::text::pretty;

/// Whose variants are handled.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Commands are taken apart, and the handler answers with events or an error.
    Command,
    /// Events are borrowed, and the handler changes the state.
    Event,
}

impl Kind {
    /// What is handled.
    fn value(self) -> Ident {
        let name = match self {
            Self::Command => "__command",
            Self::Event => "__event",
        };
        Ident::new(name, Span::call_site())
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
    let arms = variants.iter().map(|variant| arm(kind, input, variant));
    let value = kind.value();
    let body = match (kind, variants.is_empty()) {
        (Kind::Event, true) => quote!(match *#value {}),
        _ => quote!(match #value { #(#arms)* }),
    };
    let implementation = implementation(kind, input, aggregate, &body);
    let missing = (!variants.is_empty()).then(|| missing(kind, input, variants));
    quote!(#implementation #missing)
}

/// The impl around the `match`. Where the aggregate is none, all of it says so at one place.
pub(super) fn implementation(
    kind: Kind,
    input: &DeriveInput,
    aggregate: &Type,
    body: &TokenStream,
) -> TokenStream {
    let (item, value) = (itself(input), kind.value());
    let this = this(input, aggregate.span());
    let (name, method) = match kind {
        Kind::Command => (
            quote!(__es::Decide),
            quote_spanned! {aggregate.span()=>
                fn decide(&#this, #value: #item)
                    -> __es::Result<__es::Vec<Self::Event>, Self::Error>
            },
        ),
        Kind::Event => (
            quote!(__es::Evolve),
            quote_spanned!(aggregate.span()=> fn evolve(&mut #this, #value: &#item)),
        ),
    };
    let method = quote_spanned!(aggregate.span()=> #method { #body });
    implement(input, &name, aggregate, &TokenStream::new(), &method)
}

/// `AccountCommand::Withdraw { amount: __amount } => self.withdraw(__amount)`.
///
/// The call stands where the variant does, its arguments where the fields do: what rustc says about
/// the call, it says about them.
fn arm(kind: Kind, input: &DeriveInput, variant: &Handled<'_>) -> TokenStream {
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
        Kind::Command => quote_spanned! {ident.span()=>
            __es::Result::map(#call, __es::IntoEvents::<Self::Event>::into_events)
        },
        Kind::Event => call,
    };
    quote!(#of::#ident #pattern => #result,)
}

/// A name for each field's value, placed at the field.
fn locals(variant: &Handled<'_>) -> Vec<Ident> {
    let local = |(i, field): (usize, &Field)| match &field.ident {
        Some(name) => format_ident!("__{}", name.unraw(), span = at(name.span())),
        None => format_ident!("__{i}", span = at(field.ty.span())),
    };
    variant.fields.iter().enumerate().map(local).collect()
}

/// The place of `span`, with names of our own.
fn at(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}

/// The trait whose methods are found where the user's are missing.
fn missing(kind: Kind, input: &DeriveInput, variants: &[&Handled<'_>]) -> TokenStream {
    let markers = variants.iter().map(|variant| {
        let (marker, signature) = (marker(variant), signature(kind, variant));
        let text = diag::missing_handler(&input.ident, variant.ident, &variant.handler, &signature);
        let MissingHandler {
            message,
            label,
            note,
        } = text;
        quote! {
            #[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]
            trait #marker<Event, Error> {}
            // With one impl that is not worth a mention, rustc does not ask for a first one.
            #[diagnostic::do_not_recommend]
            impl<Event, Error> #marker<Event, Error> for () {}
        }
    });
    let methods = variants.iter().map(|variant| {
        let (marker, handler) = (marker(variant), &variant.handler);
        let types: Vec<_> = (0..variant.fields.len())
            .map(|i| format_ident!("__{i}"))
            .collect();
        let answer = match kind {
            Kind::Command => quote!(-> __es::Result<__es::Vec<Self::Event>, Self::Error>),
            Kind::Event => TokenStream::new(),
        };
        let bound = quote_spanned! {variant.ident.span()=>
            Self: #marker<Self::Event, Self::Error>
        };
        quote! {
            fn #handler<#(#types),*>(&mut self, #(_: #types),*) #answer where #bound {
                ::core::unreachable!()
            }
        }
    });
    quote! {
        trait __MissingHandlers: __es::Aggregate { #(#methods)* }
        impl<__A: __es::Aggregate> __MissingHandlers for __A {}
        #(#markers)*
    }
}

/// `__HandlesWithdraw`: rustc prints it in the help, so it should read as what it is.
fn marker(variant: &Handled<'_>) -> Ident {
    format_ident!(
        "__Handles{}",
        variant.ident.unraw(),
        span = variant.ident.span()
    )
}

/// The method to write, as rustc prints it: `{Event}` and `{Error}` become the aggregate's types.
fn signature(kind: Kind, variant: &Handled<'_>) -> String {
    let handler = &variant.handler;
    let arguments = variant.fields.iter().enumerate().map(|(i, field)| {
        let ty = pretty(&field.ty).replace('{', "{{").replace('}', "}}");
        let name = field
            .ident
            .as_ref()
            .map_or(format!("_{i}"), Ident::to_string);
        match kind {
            Kind::Command => format!(", {name}: {ty}"),
            Kind::Event => format!(", {name}: &{ty}"),
        }
    });
    let arguments: String = arguments.collect();
    match kind {
        Kind::Command => {
            format!(
                "fn {handler}(&self{arguments}) -> Result<impl IntoEvents<{{Event}}>, {{Error}}>"
            )
        }
        Kind::Event => format!("fn {handler}(&mut self{arguments})"),
    }
}
