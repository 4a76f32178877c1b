//! The bank that is measured: accounts, and what the world is told of each.

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

/// Nothing is decided on: the log is filled beforehand.
#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
pub(crate) enum AccountCommand {}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = fmt::Error)]
pub(crate) struct Account {
    balance: i64,
}

impl Account {
    fn on_opened(&mut self, _: &String, _: &String) {
        self.balance = 0;
    }

    fn on_deposited(&mut self, amount: &i64, _: &String) {
        self.balance += amount;
    }

    fn on_withdrawn(&mut self, amount: &i64, _: &String) {
        self.balance -= amount;
    }

    fn on_renamed(&mut self, _: &String) {}

    fn on_closed(&mut self) {}
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
pub(crate) enum Accounts {
    AccountOpened {
        account: String,
        owner: String,
        currency: String,
    },
    BalanceChanged {
        account: String,
        balance: i64,
        reference: String,
    },
    OwnerChanged {
        account: String,
        owner: String,
    },
    AccountClosed {
        account: String,
    },
}

impl Publish<Account> for Accounts {
    fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
        let account = event.id().to_owned();
        match &event.data {
            AccountEvent::Opened { owner, currency } => Self::AccountOpened {
                account,
                owner: owner.clone(),
                currency: currency.clone(),
            },
            AccountEvent::Deposited { reference, .. }
            | AccountEvent::Withdrawn { reference, .. } => Self::BalanceChanged {
                account,
                balance: after.balance,
                reference: reference.clone(),
            },
            AccountEvent::Renamed { owner } => Self::OwnerChanged {
                account,
                owner: owner.clone(),
            },
            AccountEvent::Closed => Self::AccountClosed { account },
        }
    }
}
