//! The bank that is measured: accounts, and what is known of each in a row.

use std::fmt;

use es_runtime::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
pub(crate) enum AccountEvent {
    Opened { owner: String, currency: String },
    Deposited { amount: i64, reference: String },
    Withdrawn { amount: i64, reference: String },
    Renamed { owner: String },
    Closed,
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
pub(crate) enum AccountCommand {
    Open { owner: String },
}

/// Nothing is decided on: what is measured comes after that.
#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = fmt::Error)]
pub(crate) struct Account;

impl Account {
    fn open(&self, owner: String) -> Result<AccountEvent, fmt::Error> {
        let currency = "DKK".to_owned();
        Ok(AccountEvent::Opened { owner, currency })
    }

    fn on_opened(&mut self, _: &String, _: &String) {}

    fn on_deposited(&mut self, _: &i64, _: &String) {}

    fn on_withdrawn(&mut self, _: &i64, _: &String) {}

    fn on_renamed(&mut self, _: &String) {}

    fn on_closed(&mut self) {}
}

/// Two versions of one read model with the same content.
macro_rules! balance {
    ($row:ident, $version:literal) => {
        #[derive(Clone, Debug, PartialEq, Projection)]
        #[projection(name = "balances", version = $version)]
        pub(crate) struct $row {
            #[projection(index)]
            owner: String,
            currency: String,
            amount: i64,
            movements: i64,
            changed: Timestamp,
        }

        impl Fold<AccountEvent> for $row {
            fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
                let moved = |row: $row, amount: i64| $row {
                    amount: row.amount + amount,
                    movements: row.movements + 1,
                    changed: event.time,
                    ..row
                };
                match (&event.data, row) {
                    (AccountEvent::Opened { owner, currency }, _) => Some($row {
                        owner: owner.clone(),
                        currency: currency.clone(),
                        amount: 0,
                        movements: 0,
                        changed: event.time,
                    }),
                    (AccountEvent::Deposited { amount, .. }, Some(row)) => {
                        Some(moved(row, *amount))
                    }
                    (AccountEvent::Withdrawn { amount, .. }, Some(row)) => {
                        Some(moved(row, -amount))
                    }
                    (AccountEvent::Renamed { owner }, Some(row)) => Some($row {
                        owner: owner.clone(),
                        changed: event.time,
                        ..row
                    }),
                    (AccountEvent::Closed, _) => None,
                    (_, row) => row,
                }
            }
        }
    };
}

balance!(Balance, 1);
balance!(NextBalance, 2);
