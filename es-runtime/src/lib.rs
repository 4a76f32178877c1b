#![doc = include_str!("../README.md")]

extern crate self as es_runtime;

pub mod error;
// The modules stand in the order of the data flow; each imports only those above it.
pub mod aggregate;
pub mod event;
pub mod integration;
pub mod projection;
pub mod store;
// Around them, outside the order.
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{Error, Result};
// pub use es_macros::{Aggregate, Command, Event, IntegrationEvent, Projection};

/// What a service's own modules need, in one `use`.
pub mod prelude {
    pub use crate::aggregate::{Aggregate, Command, Decide, Evolve, IntoEvents, given};
    pub use crate::event::{CommandId, Event, Position, Recorded, Timestamp};
    pub use crate::integration::{IntegrationEvent, Publish, Received};
    pub use crate::projection::{Fold, Projection};
    pub use serde::{Deserialize, Serialize};
}

/// For generated code alone.
#[doc(hidden)]
pub mod __private;
