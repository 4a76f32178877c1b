//! A live version that nothing leads down to, and a loss that nobody declared.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 2)]
enum Accounts {
    #[integration(since = 2, removed(note: String), default)]
    Opened { owner: String },
    BalanceChanged {
        #[integration(since = 2, was_type = String, with = str::parse)]
        balance: i64,
    },
}

fn main() {}
