//! The account that commands and replays are measured with.

use std::fmt;

use es_runtime::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
pub(crate) enum AccountEvent {
    Deposited {
        amount: i64,
        currency: String,
        reference: String,
    },
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
pub(crate) enum AccountCommand {
    Deposit { amount: i64 },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = fmt::Error)]
pub(crate) struct Account {
    pub(crate) balance: i64,
}

impl Account {
    fn deposit(&self, amount: i64) -> Result<AccountEvent, fmt::Error> {
        let (currency, reference) = ("DKK".to_owned(), "x".repeat(150));
        Ok(AccountEvent::Deposited {
            amount,
            currency,
            reference,
        })
    }

    fn on_deposited(&mut self, amount: &i64, _: &String, _: &String) {
        self.balance += amount;
    }
}
