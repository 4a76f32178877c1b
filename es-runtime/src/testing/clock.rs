//! A clock that is turned by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Service;
use crate::error::Result;
use crate::event::{Clock, Timestamp};

/// A clock that stands still until somebody turns it. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use es_runtime::event::Clock;
/// use es_runtime::testing::SimulatedClock;
///
/// let clock = SimulatedClock::new("2026-01-01T12:00:00Z".parse()?);
/// clock.turn(Duration::from_secs(60));
/// assert_eq!(clock.now(), "2026-01-01T12:01:00Z".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedClock(Arc<watch::Sender<Timestamp>>);

impl SimulatedClock {
    /// A clock that shows this moment.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(now)))
    }

    /// Shows another moment.
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(now);
    }

    /// Shows what comes so much later: all at once, as after a time in which nothing ran.
    pub fn turn(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Lets the time pass for a service that runs by this clock: stops wherever a timer is due, and
    /// each time waits until the service has done all that there was to do.
    ///
    /// # Errors
    /// As [`Service::settled`].
    pub async fn advance(&self, service: &Service, by: Duration) -> Result<()> {
        let end = self.now() + by;
        loop {
            service.settled().await?;
            match service.next_timer().await? {
                Some(due) if due <= end => self.set(due.max(self.now())),
                _ => break,
            }
        }
        self.set(end);
        service.settled().await
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn until(&self, moment: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut now = self.0.subscribe();
            // Whoever waits has the clock, so that it is there.
            now.wait_for(|now| *now >= moment).await.ok();
        })
    }
}
