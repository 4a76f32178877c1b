//! Consuming another service's stream: an inbox in the consumer's own database, a detector that
//! notices what is missing, and a source to ask for it.

mod broker;
mod brokered;
mod consumer;
mod detector;
mod driver;
#[cfg(feature = "client")]
mod feed;
mod handler;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod source;
mod upcasting;
mod window;

pub use broker::{Broker, Subscription};
pub use brokered::Brokered;
pub use consumer::{Consumer, Progress, Running};
pub use detector::{Detector, Verdict};
#[cfg(feature = "client")]
pub use feed::Feed;
pub use handler::{Handler, HandlerError};
pub use source::{Page, Source};
pub use upcasting::Upcasting;
