//! What follows from an event of a process, as values.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::{Hears, Process, Recipient};
use crate::event::Timestamp;

/// What is to be done because of an event: commands to send and timers to set, in order.
pub struct Effects<P> {
    all: Vec<Effect>,
    of: PhantomData<fn() -> P>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Send {
        /// The aggregate's name.
        to: &'static str,
        id: String,
        command: Said,
    },
    Set {
        name: String,
        due: Timestamp,
        input: Said,
    },
    Cancel {
        name: String,
    },
}

/// A value as JSON, or why it is none.
pub(crate) type Said = Result<String, String>;

fn said(value: &impl Serialize) -> Said {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

impl<P: Process> Effects<P> {
    /// Nothing is to be done.
    pub fn new() -> Self {
        Self {
            all: Vec::new(),
            of: PhantomData,
        }
    }

    /// Sends a command to an aggregate of the same service. What becomes of it comes back as
    /// [`Hears`] says; until then, the process's later commands wait.
    pub fn send<A: Recipient>(mut self, id: impl Into<A::Id>, command: A::Command) -> Self
    where
        P: Hears<A>,
    {
        self.all.push(Effect::Send {
            to: A::NAME,
            id: id.into().to_string(),
            command: said(&command),
        });
        self
    }

    /// Sets a timer: when it is `due` by the service's clock, it says `input` to the process. Set
    /// again under the same name, it takes the place of the one before; a time that is over is now.
    pub fn set(mut self, name: impl Into<String>, due: Timestamp, input: P::Command) -> Self {
        self.all.push(Effect::Set {
            name: name.into(),
            due,
            input: said(&input),
        });
        self
    }

    /// Cancels the timer of this name, if there is one. Cancelled by an event from before its time,
    /// it never fires; one that is due may fire while it is cancelled.
    pub fn cancel(mut self, name: impl Into<String>) -> Self {
        self.all.push(Effect::Cancel { name: name.into() });
        self
    }

    pub(crate) fn into_vec(self) -> Vec<Effect> {
        self.all
    }

    /// These and then those.
    pub(crate) fn extend(&mut self, more: Self) {
        self.all.extend(more.all);
    }
}

impl<P: Process> Default for Effects<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Clone for Effects<P> {
    fn clone(&self) -> Self {
        Self {
            all: self.all.clone(),
            of: PhantomData,
        }
    }
}

impl<P> PartialEq for Effects<P> {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

/// One a line, as a test shows it.
impl<P> fmt::Debug for Effects<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |said: &'_ Said| said.clone().unwrap_or_else(|error| format!("<{error}>"));
        match self {
            Self::Send { to, id, command } => write!(f, "send {to}-{id} {}", text(command)),
            Self::Set { name, due, input } => write!(f, "set `{name}` {due} {}", text(input)),
            Self::Cancel { name } => write!(f, "cancel `{name}`"),
        }
    }
}
