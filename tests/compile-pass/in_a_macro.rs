//! The derives in the hands of a macro: types, names and numbers arrive in invisible brackets.
#![deny(warnings)]

use es_runtime::prelude::*;

macro_rules! read_model {
    ($name:ident, $table:literal, $version:literal, $field:ident: $ty:ty) => {
        #[derive(Projection)]
        #[projection(name = $table, version = $version)]
        struct $name {
            #[projection(index)]
            $field: $ty,
        }
    };
}

macro_rules! row {
    ($name:ident, $($field:tt)*) => {
        #[derive(Projection)]
        #[projection(name = "rows", version = 1)]
        struct $name { $($field)* }
    };
}

macro_rules! events {
    ($name:ident of $aggregate:ty, $family:expr, $variant:ident: $ty:ty) => {
        #[derive(Clone, Debug, Serialize, Deserialize, Event)]
        #[event(name = $family, aggregate = $aggregate)]
        enum $name {
            $variant($ty),
        }
    };
}

read_model!(Balance, "balances", 3, amount: Option<i64>);
row!(Row, amount: i64, owner: String);
events!(AccountEvent of Account, "account", Deposited: i64);

#[derive(Clone, Command)]
#[command(dispatch = manual)]
enum AccountCommand {}

#[derive(Clone, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
struct Account;

impl Account {
    fn on_deposited(&mut self, _amount: &i64) {}
}

fn main() {
    Account.evolve(&AccountEvent::Deposited(1));
    assert_eq!((Balance::VERSION, Balance { amount: None }.amount), (3, None));
    let Row { amount, owner } = Row { amount: 1, owner: String::new() };
    assert_eq!(Row { amount, owner }.to_row().unwrap().len(), Row::COLUMNS.len());
    assert_eq!(AccountEvent::TYPES[0].name, "account.deposited");
}
