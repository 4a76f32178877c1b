use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", version = 1, index(owner, curency))]
struct Balance {
    owner: String,
    currency: String,
}

fn main() {}
