//! The way from tokens to code, the same for every derive:
//! attributes → model → check → expansion, or the errors and an impl to stand beside them.

use std::path::PathBuf;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::DeriveInput;

use crate::attr::inventory::{self, Inventory};
use crate::attr::{Options, Place};
use crate::diag::Errors;
use crate::model::{
    AggregateState, CommandEnum, EventEnum, IntegrationEnum, ProcessState, ReadModel,
};
use crate::{check, expand};

/// One derive, step by step.
pub(crate) trait Derive {
    const INVENTORY: &'static Inventory;
    type Model<'a>;

    fn read<'a>(
        input: &'a DeriveInput,
        options: &'a Options,
        errors: &Errors,
    ) -> Option<Self::Model<'a>>;
    fn check(_model: &Self::Model<'_>, _errors: &Errors) {}
    fn expand(model: &Self::Model<'_>) -> TokenStream;
    fn fallback(input: &DeriveInput, options: &Options) -> TokenStream;
}

/// What a derive answers.
pub(crate) struct Output {
    pub(crate) errors: Vec<syn::Error>,
    pub(crate) code: TokenStream,
}

/// Runs a derive on an item that stands in the file `source`.
pub(crate) fn run<D: Derive>(tokens: TokenStream, source: Option<PathBuf>) -> Output {
    let typing = is_typing(tokens.clone());
    let input: DeriveInput = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(_) if typing => {
            return Output {
                errors: Vec::new(),
                code: TokenStream::new(),
            };
        }
        Err(error) => {
            return Output {
                errors: vec![error],
                code: TokenStream::new(),
            };
        }
    };
    let errors = Errors::new();
    let mut options = Options::read(
        &errors,
        D::INVENTORY,
        Place::Item,
        &input.attrs,
        &input.ident,
    );
    options.source = source;
    let model = D::read(&input, &options, &errors);
    if let Some(model) = &model {
        D::check(model, &errors);
    }
    match (model, errors.finish()) {
        (Some(model), errors) if errors.is_empty() => Output {
            errors,
            code: D::expand(&model),
        },
        (_, errors) => {
            let errors = if typing { Vec::new() } else { errors };
            Output {
                errors,
                code: D::fallback(&input, &options),
            }
        }
    }
}

/// Whether an IDE asks for completions: then it has put a word of its own at the cursor, and an
/// error would only be about that.
fn is_typing(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            let name = ident.to_string();
            name.contains("__ra_fixup") || name.contains("intellijRulezz")
        }
        TokenTree::Group(group) => is_typing(group.stream()),
        _ => false,
    })
}

impl From<Output> for TokenStream {
    fn from(Output { errors, code }: Output) -> Self {
        let errors = errors.iter().map(syn::Error::to_compile_error);
        quote!(#(#errors)* #code)
    }
}

macro_rules! derives {
    ($($(#[$doc:meta])* $name:ident: $inventory:ident, $model:ident, $expand:ident $(, $check:ident)?;)*) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl Derive for $name {
            const INVENTORY: &'static Inventory = &inventory::$inventory;
            type Model<'a> = $model<'a>;

            fn read<'a>(
                input: &'a DeriveInput,
                options: &'a Options,
                errors: &Errors,
            ) -> Option<$model<'a>> {
                $model::read(input, options, errors)
            }

            $(fn check(model: &$model<'_>, errors: &Errors) {
                check::$check(model, errors);
            })?

            fn expand(model: &$model<'_>) -> TokenStream {
                expand::$expand(model)
            }

            fn fallback(input: &DeriveInput, options: &Options) -> TokenStream {
                expand::fallback::$expand(input, options)
            }
        }
    )*};
}

derives! {
    Event: EVENT, EventEnum, event, event;
    Command: COMMAND, CommandEnum, command, command;
    Aggregate: AGGREGATE_STATE, AggregateState, aggregate;
    Process: PROCESS, ProcessState, process;
    Projection: PROJECTION, ReadModel, projection, projection;
    IntegrationEvent: INTEGRATION_EVENT, IntegrationEnum, integration, integration;
}
