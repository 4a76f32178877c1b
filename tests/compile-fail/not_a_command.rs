use es_runtime::prelude::*;

#[derive(Clone, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
struct Account;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual)]
enum AccountEvent {
    Opened,
}

enum AccountCommand {
    Open,
}

fn main() {}
