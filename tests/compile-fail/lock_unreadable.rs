// A lock that was merged badly.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual, lock = "broken.lock")]
enum AccountEvent {
    Closed,
}

fn main() {}
