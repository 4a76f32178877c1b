use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", version = 0)]
struct Balance {
    amount: i64,
}

fn main() {}
