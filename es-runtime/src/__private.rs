//! What generated code refers to. No part of the public API: it changes with `es-macros`, to
//! which it is pinned.

pub use core::clone::Clone;
pub use core::default::Default;
pub use core::marker::{Send, Sync};
pub use core::option::Option::{None, Some};
pub use core::result::Result::{self, Ok};
pub use serde;
pub use serde::de::DeserializeOwned;
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use std::error::Error as StdError;
pub use std::string::String;
pub use std::vec::Vec;

use core::marker::PhantomData;

pub use crate::aggregate::split::{Splits, split};
pub use crate::aggregate::{Aggregate, Command, Decide, Evolve, IntoEvents};
pub use crate::error::Error;
pub use crate::event::history::*;
pub use crate::event::{Event, EventType, day};
pub use crate::integration::{
    Described, Downcast, IntegrationEvent, IntegrationType, Older, Status, Upcast, all_downward,
    all_upward, below, downward, upward,
};
pub use crate::process::{ListensTo, Sends, Wired, Wires};
pub use crate::projection::{Column, Index, OutOfRange, Projection, Stored, Unique};
pub use crate::store::{ColumnDef, IndexDef, Row, Value};

/// Whether two stored names are equal, at compile time. An aggregate that is none has no other name.
pub const fn same(a: Option<&str>, b: &str) -> bool {
    let Some(a) = a else { return true };
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// Asks at compile time what an aggregate is called: the inherent constant, which wins, is there for
/// aggregates alone.
pub struct Named<A: ?Sized>(PhantomData<A>);

impl<A: Aggregate> Named<A> {
    pub const NAME: Option<&'static str> = Some(A::NAME);
}

/// Answers the question for all other types.
pub trait NoAggregate {
    const NAME: Option<&'static str> = None;
}

impl<A: ?Sized> NoAggregate for Named<A> {}

/// Asks at compile time whether `T` is an internal event: the inherent constant, which wins, is
/// there for those alone.
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T: Event> Probe<T> {
    pub const INTERNAL: bool = true;
}

/// Answers the question for all other types.
pub trait NotInternal {
    const INTERNAL: bool = false;
}

impl<T: ?Sized> NotInternal for Probe<T> {}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema + IntegrationEvent> Probe<T> {
    pub const SCHEMA: Described = Some(crate::schema::described::<T>());
}

/// Answers for types without a schema, as above.
pub trait NoSchema {
    #[cfg(feature = "schema")]
    const SCHEMA: Described = None;
    #[cfg(not(feature = "schema"))]
    const SCHEMA: Described = ();
}

impl<T: ?Sized> NoSchema for Probe<T> {}

/// An event that was never called otherwise and has one version.
pub const fn event(variant: &'static str, name: &'static str) -> EventType {
    EventType {
        variant,
        name,
        was: &[],
        version: 1,
        min_reader: 1,
    }
}

/// What a handler of this aggregate's answered, as `decide` does.
pub fn events<A: Aggregate<Event = E, Error = R>, E, R>(
    _: &A,
    answer: Result<impl IntoEvents<E>, R>,
) -> Result<Vec<E>, R> {
    answer.map(IntoEvents::into_events)
}

/// What a generic enum of events has, internal or public, once. rustc prints the name.
#[allow(non_camel_case_types)]
pub trait InternalIsNeverPublished_ES0011 {}

/// The events of an aggregate are those of the enum that names it.
pub fn its_event<E>(event: &impl ItsEvent<E>) -> &E {
    event.itself()
}

/// The commands of an aggregate are those of the enum that names it.
pub fn its_command<C>(command: impl ItsCommand<C>) -> C {
    command.itself()
}

#[diagnostic::on_unimplemented(
    message = "the events of this aggregate are `{Self}`, not `{E}` [ES0012]",
    label = "this aggregate has other events",
    note = "say `event = {E}` on the aggregate, or name another aggregate here"
)]
pub trait ItsEvent<E> {
    fn itself(&self) -> &E;
}

impl<E> ItsEvent<E> for E {
    fn itself(&self) -> &E {
        self
    }
}

#[diagnostic::on_unimplemented(
    message = "the commands of this aggregate are `{Self}`, not `{C}` [ES0012]",
    label = "this aggregate has other commands",
    note = "say `command = {C}` on the aggregate, or name another aggregate here"
)]
pub trait ItsCommand<C> {
    fn itself(self) -> C;
}

impl<C> ItsCommand<C> for C {
    fn itself(self) -> C {
        self
    }
}

/// Nobody has it: what is asked for where an aggregate has no method for a command. `Name` is called
/// like the method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler `{Name}` [ES0015]",
    label = "`{Self}` has no method `{Name}` that is visible here",
    note = "write: fn {Name}(&self, …) -> Result<impl IntoEvents<{Event}>, {Error}>; … stands for {Fields}"
)]
pub trait HandlesCommand<Name, Fields, Event, Error> {
    /// What the method answers.
    type Answer;
}

/// Nobody has it: what is asked for where an aggregate has no method for an event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler `{Name}` [ES0015]",
    label = "`{Self}` has no method `{Name}` that is visible here",
    note = "write: fn {Name}(&mut self, …); … stands for references to {Fields}"
)]
pub trait HandlesEvent<Name, Fields> {}

// With an impl, though not of what is asked for, rustc does not ask for a first one; being for all
// types, it is not worth a mention.
impl<T> HandlesCommand<(), (), (), ()> for T {
    type Answer = ();
}
impl<T> HandlesEvent<(), ()> for T {}

/// The column that holds values of type `S`.
pub const fn column<S: Stored>(name: &'static str) -> ColumnDef {
    ColumnDef {
        name,
        kind: S::KIND,
        nullable: S::NULLABLE,
    }
}

/// An index on the columns at these places, on which many rows may hold the same.
pub const fn many(columns: &'static [usize]) -> IndexDef {
    let unique = false;
    IndexDef { columns, unique }
}

/// An index on what one row holds at most.
pub const fn one(columns: &'static [usize]) -> IndexDef {
    let unique = true;
    IndexDef { columns, unique }
}

/// The index at this place among those of the table.
pub const fn index<P, C, K>(place: usize) -> Index<P, C, K> {
    Index::at(place)
}

/// The values of a row with `N` columns.
pub fn values<const N: usize>(row: Row) -> Result<[Value; N], OutOfRange> {
    let found = row.len();
    row.try_into()
        .map_err(|_| OutOfRange::new(format!("the row should hold {N} values, but holds {found}")))
}
