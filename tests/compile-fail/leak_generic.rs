// The constants of a generic enum are known where it is used; that it is both is told at once.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event, IntegrationEvent)]
#[event(name = "account", dispatch = manual)]
#[integration(stream = "accounts", version = 1)]
enum AccountEvent<T> {
    Opened { owner: T },
}

fn main() {}
