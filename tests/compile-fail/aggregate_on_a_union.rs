use es_runtime::prelude::*;

#[derive(Aggregate)]
#[aggregate(name = "account")]
union Account {
    balance: i64,
}

fn main() {}
