//! Timers that processes set, and that have not fired yet.

use super::{NewReaction, Noted, ParkedChange};
use crate::event::{CommandId, Timestamp};

/// A timer that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timer {
    /// When it fires, by the service's clock; whose it is, and what it is called.
    pub place: TimerPlace,
    /// Names this very setting, for ever: fired, it is the id of the command.
    pub command_id: CommandId,
    /// What it says when it fires, as JSON.
    pub payload: String,
    /// How often it was fired in vain.
    pub attempts: u32,
    /// Why it could not fire last.
    pub failure: Option<Noted>,
}

/// Where a timer stands in the order in which timers fire.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerPlace {
    /// When it fires, by the service's clock; not before 1970.
    pub due: Timestamp,
    /// The id of the process.
    pub key: String,
    /// What the process calls it.
    pub name: String,
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTimer {
    /// When it fires, whose it is, and what it is called.
    pub place: TimerPlace,
    /// Names this very setting.
    pub command_id: CommandId,
    /// What it says when it fires, as JSON.
    pub payload: String,
}

/// What becomes of a timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerChange {
    /// It is set, in the place of one of the same name.
    Set(NewTimer),
    /// It never fires.
    Cancel {
        /// The id of the process.
        key: String,
        /// What the process calls it.
        name: String,
    },
}

impl TimerChange {
    /// Whose it is, and what it is called.
    pub fn subject(&self) -> (&str, &str) {
        match self {
            Self::Set(NewTimer { place, .. }) => (&place.key, &place.name),
            Self::Cancel { key, name } => (key, name),
        }
    }
}

/// What a page of the log makes of a process, to be written together with the cursor's move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessPage {
    /// What is to be done, in order: for each instance of the process one after the other.
    pub tasks: Vec<NewReaction>,
    /// What becomes of timers. Of several changes of one timer the last one counts.
    pub timers: Vec<TimerChange>,
    /// What changes of the instances that are set aside.
    pub parked: Vec<ParkedChange>,
}

/// The changes of timers, of which the last one of each counts, in an order that all writers keep.
#[cfg(feature = "runtime")]
pub(crate) fn last_changes(changes: &[TimerChange]) -> (Vec<&NewTimer>, Vec<(&str, &str)>) {
    let last: std::collections::BTreeMap<_, _> = changes
        .iter()
        .map(|change| (change.subject(), change))
        .collect();
    let (mut set, mut gone) = (Vec::new(), Vec::new());
    for (subject, change) in last {
        match change {
            TimerChange::Set(timer) => set.push(timer),
            TimerChange::Cancel { .. } => gone.push(subject),
        }
    }
    (set, gone)
}
