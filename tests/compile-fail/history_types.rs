// What rustc says about the functions and defaults of a history, and where.
use es_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Currency {
    Dkk,
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual)]
#[event(split = "account.opened-with-deposit", fields(owner: String), with = count)]
enum AccountEvent {
    Opened { owner: String, #[event(since = 2, default)] currency: Currency },
    Named { owner: String, #[event(since = 2, default = no_currency())] currency: Currency },
    #[event(since = 2, split(name: String => first, last), with = one_name)]
    Renamed { first: String, last: String },
    Deposited { #[event(since = 2, was_type = String, with = count)] amount: Currency },
}

fn no_currency() -> Option<Currency> {
    None
}

fn one_name(name: String) -> String {
    name
}

fn count(text: String) -> usize {
    text.len()
}

fn main() {}
