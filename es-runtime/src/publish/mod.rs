//! Integration streams over message brokers: [`Transport`] is a broker, and for each stream version
//! and each transport there is a relay, which reads the stream, sends it, and stores how far the
//! broker has confirmed it.
//!
//! What goes out is what the feed serves: the same CloudEvents, byte for byte, with the same ids, in
//! the order of the stream. After a lost connection a relay goes on with the first event that was not
//! confirmed, so that an event may come twice, and never too late. The stream in the store stays the
//! truth: a broker may be away, or lose all it has, and no command waits for it.

mod driver;
mod message;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
mod redeliver;
mod runner;

pub(crate) use driver::Relay;
pub use driver::RelayStatus;
pub use message::{Message, Route};
#[cfg(feature = "nats")]
pub use nats::Nats;
#[cfg(feature = "rabbitmq")]
pub use rabbitmq::RabbitMq;
pub use redeliver::redeliver;

use std::future::Future;

use crate::error::Result;
use crate::event::Position;

/// A message broker, as a relay needs it. Its settings alone: the connection is a [`Link`].
///
/// The suite in `testing::transports` holds a transport to its laws.
pub trait Transport: Send + Sync + 'static {
    /// A connection to the broker.
    type Link: Link;

    /// Under which name its cursors are kept: another name is another transport, which gets every
    /// stream from the first event on.
    fn name(&self) -> &str;

    /// Whether the settings make sense. Asked when the service starts, before anything is sent.
    ///
    /// # Errors
    /// What to correct.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Connects as the one relay of a stream version, and makes what the broker needs for it.
    ///
    /// The law: two links of one route never mix. While one lives, nobody else gets one; or else
    /// nothing of the older one arrives behind what the newer one has sent.
    ///
    /// # Errors
    /// [`Error::held`](crate::Error::held) while somebody else has it,
    /// [`Error::broker`](crate::Error::broker) for a broker that does not answer as it should.
    fn open(&self, route: &Route) -> impl Future<Output = Result<Self::Link>> + Send;

    /// Sends messages again to one place alone, a queue or a subject, and returns when the broker has
    /// confirmed them all.
    ///
    /// The law: they are what was sent before, with the same ids, and nobody else gets them.
    ///
    /// # Errors
    /// When the broker does not answer as it should, or there is no such place: how many of them
    /// arrived is not known.
    fn redeliver(
        &self,
        to: &str,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A connection to a broker, for one stream version.
///
/// Dropped, it ends, and somebody else may [`open`](Transport::open) one. What was not confirmed
/// then may have arrived or not, but nothing of it without all that was sent before it.
pub trait Link: Send + 'static {
    /// The last event that the broker itself says that it has, if it says so: where it stands, sending
    /// goes on.
    fn has(&self) -> Option<Position> {
        None
    }

    /// Sends a message; the broker's answer comes later.
    ///
    /// # Errors
    /// When the connection is lost: the link is of no use any more.
    fn send(&mut self, message: Message) -> impl Future<Output = Result<()>> + Send;

    /// Waits until the broker has confirmed more of what was sent, and answers up to which position
    /// all of it is. Called while something is not confirmed.
    ///
    /// The law: what is confirmed is the broker's, and survives its restart.
    ///
    /// # Errors
    /// When the connection is lost, or the broker does not take a message.
    ///
    /// # Cancel safety
    /// A dropped future loses no confirmation: the next call answers it.
    fn confirmed(&mut self) -> impl Future<Output = Result<Position>> + Send;

    /// Ends the connection, and returns when somebody else may open one.
    fn close(self) -> impl Future<Output = ()> + Send;
}
