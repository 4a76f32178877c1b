use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", version = 1)]
enum Balance {
    Positive,
}

fn main() {}
