// A default that is plainly of another type than its field.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual)]
enum AccountEvent {
    Opened {
        #[event(since = 2, default = "Anna")] owner: String,
        #[event(since = 2, default = 0)] rate: f64,
        #[event(since = 2, default = "0")] cents: i64,
    },
}

fn main() {}
