use es_runtime::prelude::*;

#[derive(Clone, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
struct Account;

#[derive(Clone, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Clone, Command)]
#[command(dispatch = manual)]
enum AccountCommand {
    Open,
}

fn main() {}
