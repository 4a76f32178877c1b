//! Handlers that are called like something that the derives or the user have to name.
#![deny(warnings)]

use es_runtime::prelude::*;

mod account {
    use super::*;

    #[derive(Clone, Debug, Default, Aggregate)]
    #[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
    pub(super) struct State;
}

mod money {
    #[derive(Clone, Debug)]
    pub struct Money;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = account::State)]
enum AccountEvent {
    Booked,
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = account::State)]
enum AccountCommand {
    // The module of the aggregate.
    Account,
    // The module of a field's type.
    Money(money::Money),
    // Primitive types.
    Str(&'static str),
    U8(u8),
    // A keyword.
    Move { r#type: Option<u8> },
    // The enum itself.
    AllOf(Vec<Self>),
}

impl account::State {
    fn account(&self) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Booked)
    }

    fn money(&self, _: money::Money) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Booked)
    }

    fn str(&self, _: &str) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Booked)
    }

    fn u8(&self, _: u8) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Booked)
    }

    fn r#move(&self, _: Option<u8>) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Booked)
    }

    fn all_of(&self, commands: Vec<AccountCommand>) -> Result<Vec<AccountEvent>, std::fmt::Error> {
        Ok(commands.into_iter().map(|_| AccountEvent::Booked).collect())
    }

    fn on_booked(&mut self) {}
}

fn main() {
    use AccountCommand::{Account, AllOf, Money, Move, Str, U8};
    for command in [Account, Money(money::Money), Str(""), U8(1), Move { r#type: None }] {
        let both = AllOf(vec![command.clone()]);
        given::<account::State>([]).when(command).then([AccountEvent::Booked]);
        given::<account::State>([]).when(both).then([AccountEvent::Booked]);
    }
}
