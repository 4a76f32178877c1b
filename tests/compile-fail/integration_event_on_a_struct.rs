use es_runtime::prelude::*;

#[derive(IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
struct AccountOpened {
    owner: String,
}

fn main() {}
