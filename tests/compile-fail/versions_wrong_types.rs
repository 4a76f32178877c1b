//! Conversions that make something else: rustc points at them.
use es_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 2)]
enum Accounts {
    BalanceChanged {
        #[integration(since = 2, was_type = String, with = parse, down = show)]
        balance: i64,
        #[integration(since = 2, default = "Dkk")]
        currency: Currency,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Currency {
    Dkk,
}

fn parse(balance: String) -> Option<i64> {
    balance.parse().ok()
}

fn show(balance: u64) -> String {
    balance.to_string()
}

fn main() {}
