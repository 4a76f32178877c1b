//! When nothing is left to do.

use std::time::Duration;

use super::{Inner, Service};
use crate::error::Result;
use crate::event::Timestamp;
use crate::store::EventStore;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(1);

impl Service {
    /// Waits until nothing is left to do at the present moment: every projection and stream has seen
    /// the log, every reaction was run, and every timer that is due has fired. What failed and is
    /// tried again is waited for.
    ///
    /// It is for tests: a service that people use is hardly ever there.
    ///
    /// # Errors
    /// When a projection or stream has stopped, with its reason, or the store cannot be read.
    pub async fn settled(&self) -> Result<()> {
        loop {
            let head = self.inner.store.head().await?;
            self.caught_up().await?;
            if self.inner.is_idle().await? && self.inner.store.head().await? == head {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// When the next timer of any process is due, by the service's clock.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next_timer(&self) -> Result<Option<Timestamp>> {
        let mut next = None;
        for process in &self.inner.processes {
            let first = self.inner.store.timers(process, None, 1).await?;
            let due = first.first().map(|timer| timer.place.due);
            next = next.into_iter().chain(due).min();
        }
        Ok(next)
    }
}

impl Inner {
    async fn is_idle(&self) -> Result<bool> {
        for queue in &self.queues {
            if !self.store.reaction_queues(queue, None, 1).await?.is_empty() {
                return Ok(false);
            }
        }
        let now = self.clock.now();
        for process in &self.processes {
            let first = self.store.timers(process, None, 1).await?;
            if first.first().is_some_and(|timer| timer.place.due <= now) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
