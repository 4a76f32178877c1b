//! Going back, two events have one name.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 2)]
enum Accounts {
    #[integration(since = 2, was = "opened")]
    AccountOpened,
    Opened,
}

fn main() {}
