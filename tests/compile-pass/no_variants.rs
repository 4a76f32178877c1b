//! An aggregate that nothing happens to, and a stream without events: to begin with.
#![deny(warnings)]
#![allow(dead_code)]

use es_runtime::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
enum AccountCommand {}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
struct Account;

#[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
enum Accounts {}

#[derive(Projection)]
#[projection(name = "accounts", version = 1)]
struct Nothing {}

fn main() {
    assert!(AccountEvent::TYPES.is_empty() && Accounts::TYPES.is_empty());
    assert!(Nothing {}.to_row().is_ok_and(|row| row.is_empty()));
}
