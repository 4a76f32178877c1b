//! A message broker as a consumer needs it.

use std::future::Future;

use crate::error::Result;
use crate::store::StreamVersion;

/// A message broker that a stream's events come over as they are published:
/// [`RabbitMq`](crate::publish::RabbitMq), [`Nats`](crate::publish::Nats). Its settings alone: the
/// connection is a [`Subscription`].
///
/// Nothing is asked of it: it may lose events, bring them twice or in another order, and even lie. See
/// [`Brokered`](super::Brokered).
pub trait Broker: Send + Sync + 'static {
    /// A connection to the broker.
    type Subscription: Subscription;

    /// Connects, and hears of all events of `stream` from now on; `consumer` is a name for people.
    ///
    /// # Errors
    /// When the broker does not answer as it should: it is tried again.
    fn subscribe(
        &self,
        stream: &StreamVersion,
        consumer: &str,
    ) -> impl Future<Output = Result<Self::Subscription>> + Send;
}

/// A connection to a broker, for one stream version.
pub trait Subscription: Send + 'static {
    /// The next message: a CloudEvent in structured JSON.
    ///
    /// # Errors
    /// When the connection is lost: a new one is made.
    fn next(&mut self) -> impl Future<Output = Result<Vec<u8>>> + Send;
}
