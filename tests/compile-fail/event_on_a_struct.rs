use es_runtime::prelude::*;

#[derive(Event)]
#[event(name = "account", aggregate = Account)]
struct Account {
    balance: i64,
}

fn main() {}
