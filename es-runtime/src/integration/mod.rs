//! Integration events: the public contract, made from internal events, one stream per version.

mod envelope;
#[cfg(feature = "runtime")]
mod mapper;
#[cfg(feature = "runtime")]
pub(crate) mod place;
mod proof;
#[cfg(feature = "runtime")]
pub(crate) mod states;
#[cfg(feature = "runtime")]
mod stream;
#[cfg(feature = "runtime")]
mod verify;
mod versions;
#[cfg(feature = "feed")]
mod wire;

pub use crate::store::StreamVersion;
pub(crate) use envelope::type_of;
pub use envelope::{CloudEvent, Received};
#[cfg(feature = "runtime")]
pub(crate) use mapper::{AggregateMapper, Mapper};
#[cfg(feature = "runtime")]
pub use place::Place;
pub use proof::{InvalidHex, Salt, StreamHash};
#[cfg(feature = "runtime")]
pub(crate) use stream::IntegrationStream;
#[cfg(feature = "runtime")]
pub use verify::{Breach, verify};
pub(crate) use versions::Cast;
#[cfg(feature = "testing")]
pub(crate) use versions::Check;
#[cfg(feature = "schema")]
#[doc(hidden)]
pub use versions::TypeSchema;
#[doc(hidden)]
pub use versions::{Described, all_downward, all_upward, below, downward, upward};
pub use versions::{Downcast, Older, Status, Upcast};
#[cfg(feature = "schema")]
pub(crate) use versions::{down, encoded};
#[cfg(feature = "feed")]
pub(crate) use wire::Envelopes;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::{Aggregate, IntoEvents};
use crate::event::Recorded;

/// One kind of integration event: a row of the static table that `#[derive(IntegrationEvent)]`
/// emits, in the order of the enum's variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegrationType {
    /// The variant's name in Rust, for messages.
    pub variant: &'static str,
    /// The public name, `account-opened`.
    pub name: &'static str,
}

/// One version of a public stream: an enum with one variant per event.
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
/// #[integration(stream = "accounts", version = 1)]
/// enum Accounts {
///     AccountOpened { account: String },
///     BalanceChanged { account: String, balance: i64 },
/// }
///
/// assert_eq!(Accounts::TYPES[1].name, "balance-changed");
/// ```
///
/// The law: a version's events never change once they are published; a change is the next
/// version, a stream of its own with its own positions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an integration event and is never published [ES0011]",
    label = "only integration events leave the service",
    note = "publish an integration event made from it: derive `IntegrationEvent` on an enum of its own and write `impl Publish<…>` for that"
)]
pub trait IntegrationEvent: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The stream's name, `accounts`.
    const STREAM: &'static str;
    /// The version of the contract, from 1.
    const VERSION: u32;
    /// One entry per variant, in the order of the enum.
    const TYPES: &'static [IntegrationType];
    /// Whether this version is to be had.
    const STATUS: Status = Status::Live;
    /// The older versions that its history declares, each after the one that follows it.
    const OLDER: &'static [Older] = &[];
}

/// Makes integration events out of an aggregate's internal ones.
///
/// Every internal event is mapped or explicitly left out: it is a `match`, and the compiler
/// checks it. The law: it is pure, so that a stream can be filled from the first event.
pub trait Publish<A: Aggregate>: IntegrationEvent {
    /// What the world is told of `event`; `after` is the aggregate's state right after it.
    fn publish(event: &Recorded<A::Event>, after: &A) -> impl IntoEvents<Self>;
}

/// The version of the stream that `E` is published on.
pub fn stream_of<E: IntegrationEvent>() -> StreamVersion {
    version_of::<E>(E::VERSION)
}

/// A version of the stream that `E` is a version of.
pub(crate) fn version_of<E: IntegrationEvent>(version: u32) -> StreamVersion {
    let stream = E::STREAM.to_owned();
    StreamVersion { stream, version }
}
