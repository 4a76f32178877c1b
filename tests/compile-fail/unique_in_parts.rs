use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", version = 1, slices = 8)]
struct Balance {
    owner: String,
    #[projection(unique)]
    iban: String,
}

fn main() {}
