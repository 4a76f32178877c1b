//! Whatever the user calls their own types, the derives mean the standard library's.
#![deny(warnings)]
#![allow(dead_code)]

mod core {}
mod std {}
mod serde_shadow {
    pub mod es_runtime {}
}

struct Result;
struct Option;
struct Vec;
struct Some;
struct None;
struct Ok;
struct Err;
struct Box;
trait Clone {}
trait Default {}
trait Send {}
trait Sync {}
trait Event {}
trait Column {}
#[allow(unused_macros)]
macro_rules! assert {
    () => {};
}
// A field of this name would match this constant, were it bound by its own name.
#[allow(non_upper_case_globals)]
const amount: i64 = 7;

mod bank {
    use es_runtime::prelude::*;

    // In the same scope as the derives.
    type Vec = ();
    struct String;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", aggregate = Account)]
    pub enum AccountEvent {
        Deposited { amount: i64 },
    }

    #[derive(Clone, Debug, Command)]
    #[command(aggregate = Account)]
    pub enum AccountCommand {
        Deposit { amount: i64 },
    }

    #[derive(Clone, Debug, Default, Aggregate)]
    #[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = Refused)]
    pub struct Account {
        balance: i64,
    }

    #[derive(Debug)]
    pub enum Refused {}

    impl ::std::fmt::Display for Refused {
        fn fmt(&self, _: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {}
        }
    }

    impl ::std::error::Error for Refused {}

    impl Account {
        fn deposit(&self, amount: i64) -> Result<AccountEvent, Refused> {
            Ok(AccountEvent::Deposited { amount })
        }

        fn on_deposited(&mut self, amount: &i64) {
            self.balance += amount;
        }
    }

    #[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    pub enum Accounts {
        BalanceChanged { balance: i64 },
    }

    #[derive(Projection)]
    #[projection(name = "balances", version = 1)]
    pub struct Balance {
        pub amount: i64,
    }

    const _: () = ();
}

#[derive(es_runtime::Projection)]
#[projection(name = "balances", version = 1)]
struct Balance {
    amount: i64,
    owner: ::std::option::Option<i64>,
}

#[derive(es_runtime::Command, ::std::clone::Clone)]
#[command(dispatch = manual)]
enum AccountCommand {
    Deposit { amount: i64 },
}

fn main() {
    use es_runtime::aggregate::Command as _;
    let _ = AccountCommand::Deposit { amount }.name();
}
