use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", version = 1, unique(iban))]
struct Balance {
    owner: String,
    #[projection(index)]
    iban: String,
    #[projection(index, unique)]
    number: i64,
}

fn main() {}
