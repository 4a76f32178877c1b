//! Internal events: what happened, how it is named in the store, who did it and when.
//!
//! Everything here is pure: no clock, no randomness, no IO.

mod codec;
// Generated code alone sees what is in it.
#[allow(missing_docs)]
mod convert;
pub(crate) mod history;
mod id;
mod metadata;
mod parts;
mod payload;
mod recorded;
#[cfg(feature = "testing")]
mod sample;
mod steps;
mod stored;
mod time;

pub(crate) use codec::{decode, encode};
pub use history::{History, OlderEvent};
pub(crate) use id::slice_of;
pub use id::{CommandId, EventId, InvalidId, LogIdentity, Position, SLICES, StreamId};
pub use metadata::{CommandRecord, Metadata};
pub use parts::Parts;
pub use recorded::Recorded;
pub(crate) use recorded::{at, decode_event, read_back};
#[cfg(feature = "testing")]
pub(crate) use sample::sample;
pub use stored::{StoredEvent, StoredEventRef, StoredEvents};
#[cfg(feature = "runtime")]
pub use time::SystemClock;
#[cfg(feature = "ops")]
pub(crate) use time::TIME_UNITS;
#[doc(hidden)]
pub use time::day;
#[cfg(feature = "runtime")]
pub(crate) use time::span;
pub use time::{Clock, Timestamp};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One kind of internal event as the store knows it: a row of the static table that
/// `#[derive(Event)]` emits, in the order of the enum's variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventType {
    /// The variant's name in Rust, for messages.
    pub variant: &'static str,
    /// The stored name, `account.opened`. It is how old events find their type: frozen for ever.
    pub name: &'static str,
    /// Older stored names, which are still read.
    pub was: &'static [&'static str],
    /// The schema version that is written today.
    pub version: u32,
    /// The oldest schema version whose readers understand what is written today.
    pub min_reader: u32,
}

/// The internal events of one aggregate: private to the service, stored for ever.
///
/// Derive it on an enum with one variant per event:
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "account", aggregate = Account)]
/// enum AccountEvent {
///     Opened { owner: String },
///     Deposited { amount: i64 },
/// }
///
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "account", event = AccountEvent, command = Never, error = Refused)]
/// # struct Account;
/// # #[derive(Clone, Serialize, Command)] #[command(aggregate = Account)] enum Never {}
/// # #[derive(Debug, PartialEq)] struct Refused;
/// # impl std::fmt::Display for Refused {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("no") }
/// # }
/// # impl std::error::Error for Refused {}
/// # impl Account {
/// #     fn on_opened(&mut self, _owner: &String) {}
/// #     fn on_deposited(&mut self, _amount: &i64) {}
/// # }
/// assert_eq!(AccountEvent::TYPES[1].name, "account.deposited");
/// ```
///
/// The law: the stored name and the schema version stand in columns, the payload is the JSON of
/// the variant's fields alone. An internal event is never published; publish an
/// [`IntegrationEvent`](crate::integration::IntegrationEvent) that is made from it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an internal event [ES0016]",
    label = "this is not an enum of internal events",
    note = "derive it on the enum: `#[derive(Clone, Serialize, Deserialize, Event)]` and `#[event(name = \"…\", aggregate = …)]`"
)]
pub trait Event: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The family's stored name, equal to the aggregate's: `account`.
    const NAME: &'static str;
    /// One entry per variant, in the order of the enum.
    const TYPES: &'static [EventType];
    /// How what older code stored becomes today's events.
    const HISTORY: &'static History<Self> = &History::NONE;
    /// The shape of each payload in each version, a line of the lock for each.
    const SHAPES: &'static str = "";
}

/// The index of the variant that is stored under `name` today or was in the past.
pub(crate) fn variant_of(types: &[EventType], name: &str) -> Option<usize> {
    types
        .iter()
        .position(|t| t.name == name || t.was.contains(&name))
}
