//! The derive macros of `es-runtime`, which re-exports them: depend on that crate alone.

mod attr;
mod check;
mod derive;
mod diag;
mod expand;
mod model;
#[cfg(test)]
mod snapshots;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

use derive::Derive;
use proc_macro::TokenStream;

/// The internal events of one aggregate: implements `Event` for the enum and `Evolve` for the
/// aggregate.
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    entry::<derive::Event>(input)
}

/// What somebody may want of an aggregate: implements `Command` for the enum and `Decide` for the
/// aggregate.
#[proc_macro_derive(Command, attributes(command))]
pub fn command(input: TokenStream) -> TokenStream {
    entry::<derive::Command>(input)
}

/// An aggregate's state: implements `Aggregate`.
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    entry::<derive::Aggregate>(input)
}

/// The row of one version of a read model: implements `Projection`.
#[proc_macro_derive(Projection, attributes(projection))]
pub fn projection(input: TokenStream) -> TokenStream {
    entry::<derive::Projection>(input)
}

/// One version of a public stream: implements `IntegrationEvent`.
#[proc_macro_derive(IntegrationEvent, attributes(integration))]
pub fn integration_event(input: TokenStream) -> TokenStream {
    entry::<derive::IntegrationEvent>(input)
}

/// Runs a derive. It never panics; if it did, that would be told as our mistake, not the user's.
fn entry<D: Derive>(input: TokenStream) -> TokenStream {
    let run = || proc_macro2::TokenStream::from(derive::run::<D>(input.into()));
    let bug = |_| {
        let derive = D::INVENTORY.derive;
        let text = format!(
            "`#[derive({derive})]` failed by a bug of its own; please report it with this item"
        );
        syn::Error::new(proc_macro2::Span::call_site(), text).to_compile_error()
    };
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(bug)
        .into()
}
