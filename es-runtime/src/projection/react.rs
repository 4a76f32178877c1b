//! Reactions to events: what a read model has done outside of it, once for each event.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Fold;
use crate::event::{Event, Recorded};

/// What happened to the row of a key: what a reaction may depend on.
#[derive(Debug)]
#[non_exhaustive]
pub struct Changed<'a, P> {
    /// The key.
    pub key: &'a str,
    /// The row before the event, if it had one.
    pub before: Option<&'a P>,
    /// The row after it.
    pub after: Option<&'a P>,
}

/// What is to be done outside when an event changes a row: notify somebody, send a command, call
/// another system.
///
/// ```
/// use es_runtime::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "account", aggregate = Account)]
/// # enum AccountEvent { Withdrawn { amount: i64 } }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "account", event = AccountEvent, command = Never, error = std::fmt::Error)]
/// # struct Account;
/// # #[derive(Clone, Command)] #[command(aggregate = Account)] enum Never {}
/// # impl Account { fn on_withdrawn(&mut self, _: &i64) {} }
/// # #[derive(Clone, Debug, PartialEq, Projection)]
/// # #[projection(name = "balances", version = 1)]
/// # struct Balance { amount: i64 }
/// # impl Fold<AccountEvent> for Balance {
/// #     fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
/// #         let AccountEvent::Withdrawn { amount } = event.data;
/// #         Some(Balance { amount: row.map_or(0, |row| row.amount) - amount })
/// #     }
/// # }
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Overdrawn { account: String }
///
/// impl React<AccountEvent> for Balance {
///     type Reaction = Overdrawn;
///
///     fn react(row: Changed<'_, Self>, _: &Recorded<AccountEvent>) -> impl IntoIterator<Item = Overdrawn> {
///         let below = |row: Option<&Self>| row.is_some_and(|row| row.amount < 0);
///         let account = row.key.to_owned();
///         (below(row.after) && !below(row.before)).then_some(Overdrawn { account })
///     }
/// }
/// ```
///
/// The law: each event is reacted to once, by one version of the read model, from when the first
/// version was declared; history before that is not reacted to, nor is it again by a version that
/// is built later or anew. What a reaction stands for is done at least once, in the order of each
/// key.
///
/// It is pure, as the fold is: what is done with the reaction is said where the service is built.
/// What waits may be read by the next release: change the type as you would change a payload.
#[diagnostic::on_unimplemented(
    message = "`{Self}` reacts to no such events",
    label = "this read model has no reactions to them",
    note = "write `impl React<YourEvent> for {Self}`; the row must be `Clone`"
)]
pub trait React<E: Event>: Fold<E> + Clone {
    /// What is to be done.
    type Reaction: Serialize + DeserializeOwned + Send + 'static;

    /// The reactions to the event, for each key that it touches.
    fn react(
        row: Changed<'_, Self>,
        event: &Recorded<E>,
    ) -> impl IntoIterator<Item = Self::Reaction>;
}
