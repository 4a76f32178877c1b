// What one attribute says of a change.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual)]
#[event(split = "account.opened-with-deposit")]
enum AccountEvent {
    Opened { #[event(since = 1)] owner: String },
    Named { #[event(default)] owner: String, #[event(since = 2)] note: String },
    #[event(since = 2, removed(note: String), with = String::new)]
    Raised { #[event(since = 2, was = "by", default)] by: i64 },
    Lowered { #[event(since = 2, was = "by")] by: i64 },
    Moved(#[event(since = 2, default)] String),
    #[event(since = 2, name = "account.noted")]
    Noted,
}

fn main() {}
