//! Executes what the events of other services mean to aggregates of this one.

use std::any::TypeId;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::processes::{read, tell};
use super::reactions::{Attempt, Executor, Reactors, Retry, Run, Running};
use super::{Inner, Service};
use crate::error::{Error, Kind, Result};
use crate::event::CommandId;
use crate::process::{Inputs, Recipient, Task, What};
use crate::runtime::without;
use crate::store::{EventStore, inputs_of};

/// The guard that an input that is executed again does nothing again.
const ONCE: &str = "an input counts once";

/// The inputs of one aggregate, whose events other services publish.
pub(super) struct Intake {
    aggregate: TypeId,
    name: &'static str,
    bell: Arc<Notify>,
    run: Run,
}

impl Intake {
    pub(super) fn new<A: Recipient>() -> Self {
        let run = |payload: String, attempt: Attempt| -> Running {
            Box::pin(async move { Ok(perform::<A>(&payload, &attempt).await?) })
        };
        Self {
            aggregate: TypeId::of::<A>(),
            name: A::NAME,
            bell: Arc::default(),
            run: Arc::new(run),
        }
    }

    /// Fails if the service does not have the aggregate.
    pub(super) fn check(&self, aggregates: &HashSet<TypeId>) -> Result<()> {
        if aggregates.contains(&self.aggregate) {
            return Ok(());
        }
        let what = format!("the aggregate `{}`, which takes inputs,", self.name);
        Err(Error::new(Kind::Unregistered { what }))
    }

    /// Under what the inputs wait.
    pub(super) fn queue(&self) -> String {
        inputs_of(self.name)
    }

    pub(super) fn bell(&self) -> (TypeId, Arc<Notify>) {
        (self.aggregate, self.bell.clone())
    }

    pub(super) fn run(self, inner: &Arc<Inner>, retry: Retry, lease: Duration) {
        let executor = Executor {
            projection: self.queue(),
            reactors: Reactors::by(self.name, self.bell, self.run),
            retry,
            store: inner.store.clone(),
            service: Arc::downgrade(inner),
            owner: inner.workers.owner().to_owned(),
            lease,
            stop: inner.workers.stop(),
        };
        inner.workers.add(tokio::spawn(executor.run()));
    }
}

impl Service {
    /// What makes the events that a consumer brings inputs of the aggregate `A`: hand it to
    /// [`Consumer::handle`](crate::consume::Consumer::handle). `A` says by [`Receives`] what each
    /// event means.
    ///
    /// The consumer's inbox must be in the service's own database, where what an event means is
    /// committed together with the consumer's cursor.
    ///
    /// [`Receives`]: crate::process::Receives
    ///
    /// # Errors
    /// When the builder was not told that `A` takes [`inputs`](crate::Builder::inputs).
    pub fn inputs<A: Recipient>(&self) -> Result<Inputs<A>> {
        let Some(bell) = self.inner.inputs.get(&TypeId::of::<A>()) else {
            let what = format!("the intake of `{0}`, `.inputs::<{0}>()`,", A::NAME);
            return Err(Error::new(Kind::Unregistered { what }));
        };
        Ok(Inputs::new(self.inner.store.identity(), bell.clone()))
    }
}

/// Executes an input.
async fn perform<A: Recipient>(payload: &str, attempt: &Attempt) -> Result<()> {
    const WHAT: &str = "an input of another service";
    let Task { id, why, what } = read::<Task>(WHAT, A::NAME, payload)?;
    let What::Tell { input } = what else {
        return Ok(());
    };
    let input = read(WHAT, A::NAME, input.get())?;
    let id = if without(ONCE) {
        CommandId::random()
    } else {
        id
    };
    let key = &attempt.reaction().key;
    tell::<A>(attempt.service(), key, id, input, why).await
}
