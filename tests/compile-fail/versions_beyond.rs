//! A change in a version that the stream has not reached, and a gap.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 2)]
enum Accounts {
    Opened {
        #[integration(since = 3, default)]
        currency: String,
    },
}

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "loans", version = 3)]
enum Loans {
    Granted {
        #[integration(since = 3, was = "ccy")]
        currency: String,
    },
}

fn main() {}
