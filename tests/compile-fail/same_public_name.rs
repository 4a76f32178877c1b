use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
enum Accounts {
    AccountOpened,
    #[integration(name = "account-opened")]
    AccountCreated,
}

fn main() {}
