use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", version = 1)]
struct Balance {
    key: String,
    amount: i64,
}

fn main() {}
