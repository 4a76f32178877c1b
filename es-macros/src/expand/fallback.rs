//! Impls to stand beside errors. Without them one mistake in an attribute would be followed by
//! "the trait is not implemented" wherever the type is used.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput};

use super::handlers::{self, Kind};
use super::{anonymous, implement, itself};
use crate::attr::Options;
use crate::model::AggregateTypes;

pub(crate) fn event(input: &DeriveInput, options: &Options) -> TokenStream {
    let body = quote! {
        const NAME: &'static str = "";
        const TYPES: &'static [__es::EventType] = &[];
    };
    let bounds = super::event::bounds();
    let event = implement(input, &quote!(__es::Event), &itself(input), &bounds, &body);
    let evolve = dispatch(Kind::Event, input, options);
    on_an_enum(input, &quote!(#event #evolve))
}

pub(crate) fn command(input: &DeriveInput, options: &Options) -> TokenStream {
    let body = quote!(
        fn name(&self) -> &'static str {
            ""
        }
    );
    let bounds = super::command::bounds();
    let command = implement(
        input,
        &quote!(__es::Command),
        &itself(input),
        &bounds,
        &body,
    );
    let decide = dispatch(Kind::Command, input, options);
    on_an_enum(input, &quote!(#command #decide))
}

pub(crate) fn integration(input: &DeriveInput, _: &Options) -> TokenStream {
    let body = quote! {
        const STREAM: &'static str = "";
        const VERSION: u32 = 1;
        const TYPES: &'static [__es::IntegrationType] = &[];
    };
    let bounds = super::event::bounds();
    let event = implement(
        input,
        &quote!(__es::IntegrationEvent),
        &itself(input),
        &bounds,
        &body,
    );
    on_an_enum(input, &event)
}

pub(crate) fn projection(input: &DeriveInput, _: &Options) -> TokenStream {
    let body = quote! {
        const NAME: &'static str = "";
        const VERSION: u32 = 1;
        const COLUMNS: &'static [__es::ColumnDef] = &[];
        fn to_row(&self) -> __es::Result<__es::Row, __es::OutOfRange> { ::core::unreachable!() }
        fn from_row(_: __es::Row) -> __es::Result<Self, __es::OutOfRange> { ::core::unreachable!() }
    };
    let bounds = quote!(Self: __es::Send + __es::Sync + 'static);
    anonymous(&implement(
        input,
        &quote!(__es::Projection),
        &itself(input),
        &bounds,
        &body,
    ))
}

/// Only with all of its types: with another one in its place, every use would be a wrong type.
pub(crate) fn aggregate(input: &DeriveInput, options: &Options) -> TokenStream {
    AggregateTypes::read(options, "command").map_or_else(TokenStream::new, |types| {
        super::aggregate::with_types(input, "", "", &types)
    })
}

/// As an aggregate, which deals with nobody.
pub(crate) fn process(input: &DeriveInput, options: &Options) -> TokenStream {
    AggregateTypes::read(options, "input").map_or_else(TokenStream::new, |types| {
        let aggregate = super::aggregate::with_types(input, "", "", &types);
        let sends = options.types("sends").map(|ty| quote!(__es::Sends<#ty>));
        let listens = options
            .types("listens")
            .map(|ty| quote!(__es::ListensTo<#ty>));
        let nothing = TokenStream::new();
        let marked =
            |name: TokenStream| implement(input, &name, &itself(input), &nothing, &nothing);
        let markers = sends.chain(listens).map(marked);
        let wired = super::process::wired(input, &types, &nothing);
        let items = anonymous(&quote!(#(#markers)* #wired));
        quote!(#aggregate #items)
    })
}

fn dispatch(kind: Kind, input: &DeriveInput, options: &Options) -> Option<TokenStream> {
    let aggregate = options
        .ty("aggregate")
        .filter(|_| !options.attempts("dispatch"))?;
    Some(handlers::implementation(
        kind,
        input,
        aggregate,
        &quote!(::core::unreachable!()),
    ))
}

/// A derive on something else was a mistake as a whole, and is told as one.
fn on_an_enum(input: &DeriveInput, items: &TokenStream) -> TokenStream {
    match input.data {
        Data::Enum(_) => anonymous(items),
        Data::Struct(_) | Data::Union(_) => TokenStream::new(),
    }
}
