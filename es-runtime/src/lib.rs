#![doc = include_str!("../README.md")]
// The core alone holds parts that only the runtime calls.
#![cfg_attr(not(feature = "runtime"), allow(dead_code, unused_imports))]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)
)]

// Derives name this crate as its users do.
#[allow(unused_extern_crates)]
extern crate self as es_runtime;

pub mod error;
#[cfg(feature = "runtime")]
mod runtime;

// The modules stand in the order of the data flow; each imports only those above it.

pub mod event;

pub mod aggregate;

pub mod store;

pub mod projection;

pub mod integration;

#[cfg(feature = "schema")]
pub mod schema;

#[cfg(feature = "runtime")]
pub mod publish;

#[cfg(feature = "feed")]
pub mod feed;

#[cfg(feature = "runtime")]
pub mod consume;

pub mod process;

// Around them, outside the order.

#[cfg(feature = "ops")]
pub mod ops;
#[cfg(feature = "runtime")]
mod service;

// In front of it.

#[cfg(feature = "runtime")]
pub mod adapt;

#[cfg(feature = "testing")]
pub mod testing;

pub use error::{Error, Result};
pub use es_macros::{Aggregate, Command, Event, IntegrationEvent, Process, Projection};
#[cfg(feature = "runtime")]
pub use service::{
    Attempt, Builder, Current, Execute, PageToken, Promote, RangePage, Reactor, Receipt, Retry,
    RowRange, Selection, Service, SnapshotStats, Snapshots, View,
};
#[cfg(feature = "runtime")]
pub use store::Store;
#[cfg(feature = "postgres")]
pub use store::postgres;
#[cfg(feature = "sqlite")]
pub use store::sqlite;

/// What a service's own modules need, in one `use`.
pub mod prelude {
    pub use crate::aggregate::{Aggregate, Command, Decide, Evolve, IntoEvents, given};
    pub use crate::event::{CommandId, Event, Position, Recorded, Timestamp};
    pub use crate::integration::{IntegrationEvent, Publish, Received, Upcast};
    pub use crate::process::{Effects, Hears, Listens, Process, Receives, Sent, given_process};
    pub use crate::projection::{Changed, Fold, Projection, React};
    #[cfg(feature = "schema")]
    pub use crate::schema::{JsonSchema, schemars};
    pub use es_macros::{Aggregate, Command, Event, IntegrationEvent, Process, Projection};
    pub use serde::{Deserialize, Serialize};
}

/// For generated code alone.
#[doc(hidden)]
pub mod __private;
