use es_runtime::prelude::*;

#[derive(Projection)]
#[projection(name = "balances", version = 1)]
struct Balance(String, i64);

fn main() {}
