//! The derive macros of `es-runtime`, which re-exports them: depend on that crate alone.

mod attr;
mod check;
mod derive;
mod diag;
mod expand;
mod lock;
mod model;
#[cfg(test)]
mod snapshots;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

use derive::Derive;
use proc_macro::TokenStream;

/// The internal events of one aggregate: implements `Event` for the enum and `Evolve` for the
/// aggregate.
///
/// The variant `LimitRaised { by }` is stored as `account.limit-raised` and calls
/// `self.on_limit_raised(&by)`.
///
/// | option | on | |
/// |---|---|---|
/// | `name = "account"` | the enum | the aggregate's stored name |
/// | `aggregate = Account` | the enum | whose events these are |
/// | `dispatch = manual` | the enum | you write `Evolve`; `aggregate` is then optional |
/// | `lock = "../es.lock"` | the enum | what was released, from this file's folder; otherwise `es.lock` beside `Cargo.toml` |
/// | `split = "…"`, `dropped = "…"` | the enum, an attribute each | an event that no variant is any more |
/// | `name = "account.opened"` | a variant | its stored name, whatever it is called in Rust |
/// | `was = "account.created"` | a variant, repeats | an older stored name, which is still read |
/// | `retired` | a variant | it is read, and never written |
/// | `since = 2, …` | a variant or a field, an attribute for each change | what happened to the payload |
///
/// The book has all changes in the guide "Changing events".
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    entry::<derive::Event>(input)
}

/// What somebody may want of an aggregate: implements `Command` for the enum and `Decide` for the
/// aggregate.
///
/// The variant `RaiseLimit { by }` calls `self.raise_limit(by)`, which answers
/// `Result<impl IntoEvents<Event>, Error>` with the aggregate's own types.
///
/// | option | on | |
/// |---|---|---|
/// | `aggregate = Account` | the enum | who decides |
/// | `dispatch = manual` | the enum | you write `Decide`; `aggregate` is then optional |
/// | `name = "raise-limit"` | a variant | its name in the audit trail |
#[proc_macro_derive(Command, attributes(command))]
pub fn command(input: TokenStream) -> TokenStream {
    entry::<derive::Command>(input)
}

/// An aggregate's state, a struct or an enum: implements `Aggregate`.
///
/// | option | |
/// |---|---|
/// | `name = "account"` | the stored name, the first part of every stream's id |
/// | `event = AccountEvent` | what happens to it |
/// | `command = AccountCommand` | what somebody wants of it |
/// | `error = AccountError` | why it says no |
/// | `id = AccountId` | what identifies one; a `String` if left out |
/// | `snapshot = 2` | raise it when snapshots of before mean something else; 1 if left out |
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    entry::<derive::Aggregate>(input)
}

/// A process's state, a struct or an enum: implements `Aggregate`, and says whom the process deals
/// with.
///
/// | option | |
/// |---|---|
/// | `name = "transfer"` | the stored name, the first part of every stream's id |
/// | `event = TransferEvent` | what happens to it |
/// | `input = TransferInput` | what it is told: the commands of the aggregate that it is |
/// | `error = TransferError` | why it says no |
/// | `sends = Account` | an aggregate that it sends commands to; repeats |
/// | `listens = AccountEvent` | events of others that it listens to; repeats |
/// | `id = TransferId` | what identifies one; a `String` if left out |
/// | `snapshot = 2` | raise it when snapshots of before mean something else; 1 if left out |
#[proc_macro_derive(Process, attributes(process))]
pub fn process(input: TokenStream) -> TokenStream {
    entry::<derive::Process>(input)
}

/// The row of one version of a read model: implements `Projection` for a struct with named fields.
///
/// | option | on | |
/// |---|---|---|
/// | `name = "balances"` | the struct | the read model's name |
/// | `version = 2` | the struct | its version, from 1; the table is `balances_v2` |
/// | `index` | a field | the database keeps an index on the column |
#[proc_macro_derive(Projection, attributes(projection))]
pub fn projection(input: TokenStream) -> TokenStream {
    entry::<derive::Projection>(input)
}

/// One version of a public stream: implements `IntegrationEvent` for the enum. On internal events
/// it does not compile.
///
/// | option | on | |
/// |---|---|---|
/// | `stream = "accounts"` | the enum | the stream's name |
/// | `version = 2` | the enum | the version of the contract, from 1 |
/// | `name = "account-opened"` | a variant | its public name, whatever it is called in Rust |
#[proc_macro_derive(IntegrationEvent, attributes(integration))]
pub fn integration_event(input: TokenStream) -> TokenStream {
    entry::<derive::IntegrationEvent>(input)
}

/// Runs a derive. It never panics; if it did, that would be told as our mistake, not the user's.
fn entry<D: Derive>(input: TokenStream) -> TokenStream {
    let source = proc_macro::Span::call_site().local_file();
    let run = || proc_macro2::TokenStream::from(derive::run::<D>(input.into(), source));
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
