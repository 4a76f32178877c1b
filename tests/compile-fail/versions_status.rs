//! Words about versions that are not there, and days that are none.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 2, retired(2), own(1), retired(1))]
enum Accounts {
    Opened {
        #[integration(since = 2, default)]
        currency: String,
    },
}

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "loans", version = 2, deprecated(1, from = "2026-12-01", sunset = "2026-11-31"))]
enum Loans {
    Granted {
        #[integration(since = 2, default)]
        currency: String,
    },
}

fn main() {}
