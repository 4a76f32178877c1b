//! Consuming another service's stream: an inbox in the consumer's own database, a detector that
//! notices what is missing, and a source to ask for it.

mod ahead;
mod ahead_of;
mod begin;
mod beside;
mod broker;
mod brokered;
mod consumer;
mod detector;
mod driver;
mod entities;
#[cfg(feature = "client")]
mod feed;
mod handler;
mod held;
mod inbox;
mod moving;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod reader;
mod repair;
mod running;
mod source;
mod told;
mod upcasting;
mod verify;
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
pub use source::{Filtered, Page, Source};
pub use told::Progress;
pub use upcasting::Upcasting;
pub use verify::Verified;
