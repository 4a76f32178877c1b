//! A ledger, and the same one in other releases.

use es_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "ledger", dispatch = manual)]
pub(crate) enum LedgerEvent {
    Added { amount: i64 },
    Taken { amount: i64 },
}

#[derive(Clone, Debug, Serialize, Command)]
#[command(dispatch = manual)]
pub(crate) enum LedgerCommand {
    Add(i64),
    /// No more than there is.
    Take(i64),
    /// Everything; nothing to do when there is nothing.
    Empty,
    /// In two events.
    AddTwice(i64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OnlySo(pub(crate) i64);

impl std::fmt::Display for OnlySo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is only {}", self.0)
    }
}

impl std::error::Error for OnlySo {}

pub(crate) fn decide(total: i64, command: &LedgerCommand) -> Result<Vec<LedgerEvent>, OnlySo> {
    use LedgerEvent::{Added, Taken};
    Ok(match *command {
        LedgerCommand::Add(amount) => vec![Added { amount }],
        LedgerCommand::AddTwice(amount) => vec![Added { amount }; 2],
        LedgerCommand::Take(amount) if amount > total => return Err(OnlySo(total)),
        LedgerCommand::Take(amount) => vec![Taken { amount }],
        LedgerCommand::Empty if total == 0 => vec![],
        LedgerCommand::Empty => vec![Taken { amount: total }],
    })
}

/// A release of the ledger: its state, and what an event adds to the total.
macro_rules! release {
    ($(#[$attr:meta])* $name:ident { $($(#[$on:meta])* $field:ident: $type:ty,)* }
     |$self:ident, $amount:ident| $evolve:block) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Aggregate)]
        $(#[$attr])*
        #[aggregate(name = "ledger", event = LedgerEvent, command = LedgerCommand, error = OnlySo)]
        pub(crate) struct $name { $($(#[$on])* pub(crate) $field: $type,)* }

        impl Decide for $name {
            fn decide(&self, command: LedgerCommand) -> Result<Vec<LedgerEvent>, OnlySo> {
                decide(self.total, &command)
            }
        }

        impl Evolve for $name {
            fn evolve(&mut self, event: &LedgerEvent) {
                let $self = self;
                let $amount = match event {
                    LedgerEvent::Added { amount } => *amount,
                    LedgerEvent::Taken { amount } => -amount,
                };
                $evolve
            }
        }
    };
}

pub(crate) use release;

release! {
    Ledger { total: i64, entries: u64, }
    |state, amount| { state.total += amount; state.entries += 1; }
}
