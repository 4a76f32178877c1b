use es_runtime::prelude::*;

#[derive(Command)]
#[command(aggregate = Account)]
struct Withdraw {
    amount: i64,
}

fn main() {}
