//! Keyed folds, pure: rows and events in, changes out.

use super::Projection;
#[cfg(feature = "runtime")]
use super::reacting::Reactions;
use crate::event::{Event, Position, Recorded};

/// What an event does to the rows of a read model.
///
/// ```
/// use es_runtime::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "account", aggregate = Account)]
/// # enum AccountEvent { Opened { owner: String }, Deposited { amount: i64 }, Closed }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "account", event = AccountEvent, command = Never, error = std::fmt::Error)]
/// # struct Account;
/// # #[derive(Clone, Command)] #[command(aggregate = Account)] enum Never {}
/// # impl Account { fn on_opened(&mut self, _: &String) {} fn on_deposited(&mut self, _: &i64) {} fn on_closed(&mut self) {} }
///
/// #[derive(Clone, Debug, PartialEq, Projection)]
/// #[projection(name = "balances", version = 1)]
/// struct Balance {
///     owner: String,
///     amount: i64,
/// }
///
/// impl Fold<AccountEvent> for Balance {
///     fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
///         match (&event.data, row) {
///             (AccountEvent::Opened { owner }, _) => Some(Balance { owner: owner.clone(), amount: 0 }),
///             (AccountEvent::Deposited { amount }, Some(row)) => Some(Balance { amount: row.amount + amount, ..row }),
///             (AccountEvent::Closed, _) => None,
///             (_, row) => row,
///         }
///     }
/// }
///
/// let opened = Recorded::example("alice", 1, AccountEvent::Opened { owner: "Alice".into() });
/// assert_eq!(Balance::fold(None, &opened).unwrap().amount, 0);
/// ```
///
/// The law: a fold is pure, so that a rebuild from the first event gives the same rows.
pub trait Fold<E: Event>: Projection {
    /// The rows that the event touches; by default the one of its stream's id.
    fn keys(event: &Recorded<E>) -> impl IntoIterator<Item = String> {
        [event.id().to_owned()]
    }

    /// The row after the event; `None` for no row.
    fn fold(row: Option<Self>, event: &Recorded<E>) -> Option<Self>;
}

/// An event of any family on its way into the rows of `P`.
pub(crate) trait Folding<P>: Send + Sync {
    fn keys(&self) -> Vec<String>;
    fn fold(&self, row: Option<P>) -> Option<P>;
    fn position(&self) -> Position;

    /// Whether its reactions are to be enqueued.
    #[cfg(feature = "runtime")]
    fn reacts(&self) -> bool {
        false
    }

    /// As [`fold`](Self::fold), with the reactions to it.
    #[cfg(feature = "runtime")]
    fn react(&self, _key: &str, row: Option<P>, _reactions: &mut Reactions) -> Option<P> {
        self.fold(row)
    }
}

impl<P: Fold<E>, E: Event> Folding<P> for Recorded<E> {
    fn keys(&self) -> Vec<String> {
        P::keys(self).into_iter().collect()
    }

    fn fold(&self, row: Option<P>) -> Option<P> {
        P::fold(row, self)
    }

    fn position(&self) -> Position {
        self.position
    }
}
