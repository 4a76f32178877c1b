//! Consuming another service's stream: an inbox in the consumer's own database, a detector that
//! notices what is missing, and a source to ask for it.

mod ahead;
mod begin;
mod broker;
mod brokered;
mod consumer;
mod detector;
mod driver;
#[cfg(feature = "client")]
mod feed;
mod handler;
mod held;
mod inbox;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod reader;
mod running;
mod source;
mod told;
mod upcasting;
mod window;
mod worker;

pub use begin::Begin;
pub use broker::{Broker, Subscription};
pub use brokered::Brokered;
pub use consumer::Consumer;
pub use detector::{Detector, Verdict};
#[cfg(feature = "client")]
pub use feed::Feed;
pub use handler::{Handler, HandlerError};
pub use inbox::Inbox;
pub use running::Running;
pub use source::{Page, Source};
pub use told::Progress;
pub use upcasting::Upcasting;
