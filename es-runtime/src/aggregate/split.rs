//! Events that are no more: functions that make today's of them, as the derive wraps them.

use std::fmt::Display;

use serde::de::DeserializeOwned;

use super::IntoEvents;
use crate::event::history::{Fallible, Payload, Plain, whole};

/// A function from an event that is no more to those that took its place.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not turn what was into events [ES0034]",
    label = "this function does not answer events of the enum",
    note = "it takes the old payload, and answers one event, an `Option`, an array or a `Vec` of them, or a `Result` with that"
)]
pub trait Splits<How, Old, Event> {
    /// The events, or why not.
    fn split(&self, old: Old) -> Result<Vec<Event>, String>;
}

impl<F, Old, Event, Events> Splits<Plain, Old, Event> for F
where
    F: Fn(Old) -> Events,
    Events: IntoEvents<Event>,
{
    fn split(&self, old: Old) -> Result<Vec<Event>, String> {
        Ok(self(old).into_events())
    }
}

impl<F, Old, Event, Events, Error> Splits<Fallible, Old, Event> for F
where
    F: Fn(Old) -> Result<Events, Error>,
    Events: IntoEvents<Event>,
    Error: Display,
{
    fn split(&self, old: Old) -> Result<Vec<Event>, String> {
        self(old)
            .map(Events::into_events)
            .map_err(|error| error.to_string())
    }
}

/// Today's events of one that is no more.
pub fn split<Event, Old: DeserializeOwned, How, F>(
    function: F,
    payload: &Payload,
) -> Result<Vec<Event>, String>
where
    F: Splits<How, Old, Event>,
{
    function.split(whole(payload)?)
}
