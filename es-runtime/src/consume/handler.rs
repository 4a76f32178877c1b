use std::future::Future;

use crate::integration::Received;
pub use crate::store::HandlerError;
use crate::store::Tx;

/// What a consumer does with each event.
///
/// The effects that are written with `tx` and the consumer's cursor are committed together: each
/// event has its effect exactly once. What is done outside of `tx` may be done again after a
/// crash: do it with the event's id as idempotency key.
///
/// ```
/// use es_runtime::consume::{Handler, HandlerError};
/// use es_runtime::prelude::*;
/// use es_runtime::store::Tx;
///
/// #[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
/// #[integration(stream = "accounts", version = 1)]
/// enum Accounts {
///     AccountOpened { account: String },
/// }
///
/// struct Welcome;
///
/// impl Handler<Accounts> for Welcome {
///     async fn handle(&mut self, event: &Received<Accounts>, tx: &mut Tx) -> Result<(), HandlerError> {
///         let Accounts::AccountOpened { account } = &event.data;
///         let insert = "INSERT INTO letter (event, text) VALUES (?, ?)";
///         es_runtime::sqlite::sqlx::query(insert)
///             .bind(&event.id)
///             .bind(format!("Welcome, {account}!"))
///             .execute(tx.sqlite()?)
///             .await?;
///         Ok(())
///     }
/// }
/// ```
pub trait Handler<E>: Send + 'static {
    /// Called once at every start: the place to make tables that are not there yet.
    ///
    /// # Errors
    /// Whatever keeps the handler from working: the consumer does not start.
    fn prepare(&mut self, tx: &mut Tx) -> impl Future<Output = Result<(), HandlerError>> + Send {
        let _ = tx;
        async { Ok(()) }
    }
    /// What an event belongs to: the events of one key are handled in order, and when one fails, the
    /// others wait. By default the publishing service's aggregate id.
    ///
    /// The law: an event has the same key in every release, while the consumer is divided into
    /// [parts](super::Consumer::parts). What cannot be decoded belongs to its subject.
    fn key(event: &Received<E>) -> String {
        event.subject.clone()
    }

    /// Handles an event again that was handled before, when somebody asks for a
    /// [repair](super::Running::repair): writes its effects as they should be, whether they are there or
    /// not. By default it refuses, since effects that are added up would be doubled.
    ///
    /// # Errors
    /// Whatever keeps the event from being handled: the repair of its part ends there, with this reason.
    fn again(
        &mut self,
        event: &Received<E>,
        tx: &mut Tx,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        let _ = (event, tx);
        let refused =
            "the handler does not say how an event is handled again: write `Handler::again`";
        async move { Err(refused.into()) }
    }

    /// Handles one event; an error or a panic rolls back everything that was written with `tx`.
    ///
    /// # Errors
    /// Whatever keeps the event from being handled. Its key is set aside, with the events behind it,
    /// and tried again; it is never skipped. A database that is away is tried again for everybody.
    fn handle(
        &mut self,
        event: &Received<E>,
        tx: &mut Tx,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Hears that what it wrote is committed: the place to wake somebody who waits for it. After a
    /// crash nobody hears of it.
    fn committed(&mut self) {}
}
