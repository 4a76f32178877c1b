//! Integration events of other services as inputs: what they mean is written with the cursor of the
//! consumer that brings them, and executed from there.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Receives, Task, What, Why};
use crate::aggregate::Aggregate;
use crate::consume::{Handler, HandlerError};
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, LogIdentity, StreamId};
use crate::integration::{IntegrationEvent, Received};
use crate::store::{NewInput, Tx, inputs_of};

/// Makes the events that a consumer brings inputs of the aggregate `A`: the handler that
/// [`Service::inputs`](crate::Service::inputs) gives out.
///
/// The law: what an event means is committed with the consumer's cursor, and is executed once, in the
/// order in which it came for each aggregate.
pub struct Inputs<A> {
    log: LogIdentity,
    bell: Arc<Notify>,
    of: PhantomData<fn() -> A>,
}

impl<A> Inputs<A> {
    /// For a service on this log; the bell rings when there is something to do.
    pub(crate) fn new(log: LogIdentity, bell: Arc<Notify>) -> Self {
        let of = PhantomData;
        Self { log, bell, of }
    }
}

impl<A> Clone for Inputs<A> {
    fn clone(&self) -> Self {
        Self::new(self.log, self.bell.clone())
    }
}

impl<A: Aggregate> fmt::Debug for Inputs<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inputs of {}", A::NAME)
    }
}

impl<E: IntegrationEvent, A: Receives<E>> Handler<E> for Inputs<A> {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        if tx.identity() == self.log {
            return Ok(());
        }
        let aggregate = A::NAME;
        Err(Error::new(Kind::InboxElsewhere { aggregate }).into())
    }

    async fn handle(&mut self, event: &Received<E>, tx: &mut Tx) -> Result<(), HandlerError> {
        let inputs = inputs::<E, A>(event)?;
        tx.add_inputs(inputs_of(A::NAME), inputs).await?;
        Ok(())
    }

    fn committed(&mut self) {
        self.bell.notify_one();
    }
}

/// What an event means, as it waits in the store.
fn inputs<E: IntegrationEvent, A: Receives<E>>(event: &Received<E>) -> Result<Vec<NewInput>> {
    let mut inputs = Vec::new();
    for (number, (id, input)) in A::receive(event).into_iter().enumerate() {
        let key = StreamId::new(A::NAME, id)?.id().to_owned();
        let input = serde_json::value::to_raw_value(&input).map_err(|error| {
            let what = format!("an input to `{}`", A::NAME);
            Error::caused_by(Kind::Unencodable { what }, error)
        })?;
        let Received { source, id, .. } = event;
        let task = Task {
            // A consumer may begin anew, under any name and at any time.
            id: CommandId::kept(format!("input {number} {} {source} {id}", A::NAME)),
            why: Why {
                correlation: event.correlation.clone(),
                causation: Some(id.clone()),
                traceparent: event.traceparent.clone(),
            },
            what: What::Tell { input },
        };
        inputs.push(NewInput {
            key,
            id: task.id,
            family: A::NAME,
            payload: task.encode()?,
        });
    }
    Ok(inputs)
}
