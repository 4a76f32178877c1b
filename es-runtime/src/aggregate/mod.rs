//! Aggregates: state, decisions and changes, all pure.

mod fingerprint;
mod given;
mod into_events;
mod loaded;
mod outline;
pub(crate) mod split;

pub use fingerprint::Fingerprint;
pub use given::{Given, When, given};
pub use into_events::IntoEvents;
pub use loaded::Loaded;

use std::error::Error as StdError;
use std::fmt::Display;
use std::str::FromStr;

use crate::event::Event;

/// What keeps its rules over time: an account, an order.
///
/// Derive it on the state, and write one method per command and one per event beside it:
///
/// ```
/// use es_runtime::prelude::*;
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "door", aggregate = Door)]
/// enum DoorEvent {
///     Opened,
///     Closed,
/// }
///
/// #[derive(Clone, Debug, Serialize, Command)]
/// #[command(aggregate = Door)]
/// enum DoorCommand {
///     Open,
/// }
///
/// #[derive(Clone, Debug, Default, Aggregate)]
/// #[aggregate(name = "door", event = DoorEvent, command = DoorCommand, error = AlreadyOpen)]
/// struct Door {
///     open: bool,
/// }
///
/// #[derive(Debug, PartialEq)]
/// struct AlreadyOpen;
/// # impl std::fmt::Display for AlreadyOpen {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("it is open") }
/// # }
/// # impl std::error::Error for AlreadyOpen {}
///
/// impl Door {
///     fn open(&self) -> Result<DoorEvent, AlreadyOpen> {
///         if self.open { Err(AlreadyOpen) } else { Ok(DoorEvent::Opened) }
///     }
///     fn on_opened(&mut self) { self.open = true }
///     fn on_closed(&mut self) { self.open = false }
/// }
///
/// given::<Door>([]).when(DoorCommand::Open).then([DoorEvent::Opened]);
/// given::<Door>([DoorEvent::Opened]).when(DoorCommand::Open).then_error(AlreadyOpen);
/// ```
///
/// The state is a cache of its events: it is never stored as the truth. A service may keep
/// snapshots of it, to read fewer events.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate [ES0024]",
    label = "this is not the state of an aggregate",
    note = "derive it on the state: `#[derive(Clone, Default, Aggregate)]` and `#[aggregate(name = \"…\", event = …, command = …, error = …)]`"
)]
pub trait Aggregate: Clone + Default + Send + Sync + 'static {
    /// The stored name, `account`: the first part of every stream id. Frozen for ever.
    const NAME: &'static str;
    /// What the state looks like, as far as the derive sees it: a snapshot of another shape is not
    /// used. By hand: any text that changes whenever a field or its type does.
    const SHAPE: &'static str;
    /// What identifies one of them; `String` unless the derive says `id = …`.
    type Id: Display + FromStr + Send + Sync;
    /// What happens to it.
    type Event: Event;
    /// What somebody wants of it.
    type Command: Command;
    /// Why it says no.
    type Error: StdError + Send + Sync + 'static;
}

/// What somebody wants. Derived on an enum with one variant per command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command [ES0017]",
    label = "this is not an enum of commands",
    note = "derive it on the enum: `#[derive(Clone, Command)]` and `#[command(aggregate = …)]`"
)]
pub trait Command: Clone + Send + Sync + 'static {
    /// The command's name for the audit trail, `withdraw`.
    fn name(&self) -> &'static str;
}

/// Decides: what happens when `command` meets this state. Pure, so the same state and command
/// always give the same events.
///
/// `#[derive(Command)]` writes it: a variant `Withdraw { amount }` calls
/// `self.withdraw(amount)`. Write it by hand where a `match` reads better
/// (`#[command(…, dispatch = manual)]`).
#[diagnostic::on_unimplemented(
    message = "nothing says what `{Self}` decides",
    label = "this aggregate takes no commands",
    note = "derive `Command` on its commands with `aggregate = …`, or write `impl Decide`"
)]
pub trait Decide: Aggregate {
    /// The events, or why not. No events means: there is nothing to do.
    ///
    /// # Errors
    /// The aggregate's own reasons.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}

/// Changes: what this state becomes by `event`. Pure and total: an event has happened.
///
/// `#[derive(Event)]` writes it: a variant `Withdrawn { amount }` calls
/// `self.on_withdrawn(amount)` with a reference. Write it by hand where a `match` reads better
/// (`#[event(…, dispatch = manual)]`).
#[diagnostic::on_unimplemented(
    message = "nothing says how `{Self}` changes by its events",
    label = "this aggregate has no way from one state to the next",
    note = "derive `Event` on its events with `aggregate = …`, or write `impl Evolve`"
)]
pub trait Evolve: Aggregate {
    /// Applies one event.
    fn evolve(&mut self, event: &Self::Event);
}
