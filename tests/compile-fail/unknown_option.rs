use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", verison = 2)]
struct Balance {
    #[projection(sorted)]
    owner: String,
}

fn main() {}
