use super::handler::{Handler, HandlerError};
use crate::integration::{Received, Upcast};
use crate::store::Tx;

/// A handler of the next version that reads this one: it moves to the new contract before it moves
/// to the new stream.
///
/// Each event of the old version goes [up](Upcast::upcast); where it becomes several, they come one
/// after another, with one position. Over two versions, write `Upcasting(Upcasting(handler))`.
///
/// ```no_run
/// # use es_runtime::prelude::*;
/// # use es_runtime::{Store, store::Tx, consume::{Consumer, Feed, Handler, HandlerError, Upcasting}};
/// # fn run<V1: Upcast>(inbox: Store, handler: impl Handler<V1::Newer>) {
/// let consumer = Consumer::new("notifications", inbox)
///     .stream::<V1>(Feed::http("http://bank:8080"))
///     .handle(Upcasting(handler));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Upcasting<H>(pub H);

impl<V: Upcast, H: Handler<V::Newer>> Handler<V> for Upcasting<H> {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        self.0.prepare(tx).await
    }

    /// What the newer event says, the first of several.
    fn key(event: &Received<V>) -> String {
        let newer = event.data.clone().upcast().ok();
        let first = newer.and_then(|newer| newer.into_iter().next());
        first.map_or_else(|| event.subject.clone(), |data| H::key(&event.with(data)))
    }

    async fn again(&mut self, event: &Received<V>, tx: &mut Tx) -> Result<(), HandlerError> {
        for data in event.data.clone().upcast()? {
            let event = event.with(data);
            self.0.again(&event, tx).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, event: &Received<V>, tx: &mut Tx) -> Result<(), HandlerError> {
        for data in event.data.clone().upcast()? {
            let event = event.with(data);
            self.0.handle(&event, tx).await?;
        }
        Ok(())
    }
}
