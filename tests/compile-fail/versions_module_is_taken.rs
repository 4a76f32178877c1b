//! The module of the older versions has the name of another one.
use es_runtime::prelude::*;

mod accounts_versions {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 2)]
enum Accounts {
    Opened {
        #[integration(since = 2, default)]
        currency: String,
    },
}

fn main() {}
