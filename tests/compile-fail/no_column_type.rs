use es_runtime::prelude::*;

struct Money(i64);

#[derive(Projection)]
#[projection(name = "balances", version = 1)]
struct Balance {
    owner: String,
    amount: Money,
}

fn main() {}
