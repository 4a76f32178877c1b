// How changes stand to each other.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual)]
enum AccountEvent {
    Deposited { amount: i64, #[event(since = 3, default)] reference: String },
    Withdrawn { #[event(since = 3, was = "sum")] #[event(since = 2, was = "cents")] amount: i64 },
    #[event(since = 2, removed(#[event(since = 2, default)] note: String))]
    Opened { owner: String },
    #[event(since = 2, split(name: String => first), with = first_name)]
    Named { owner: String },
    Renamed { #[event(since = 2, was = "last")] first: String, last: String },
    #[event(since = 2, removed(note: String))]
    Noted { by: String, #[event(since = 3, default)] note: Option<i64> },
}

fn main() {}
