// What was released stays as it was, and stays read.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual, lock = "released.lock")]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: u64, #[event(since = 2, default)] currency: String, reference: String },
    Closed(String),
}

fn main() {}
