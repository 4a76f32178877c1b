use es_runtime::prelude::*;

fn table<P: Projection>() -> String {
    P::TABLE.sql_name()
}

struct Balance {
    amount: i64,
}

fn main() {
    table::<Balance>();
}
