// The parameters of a generic enum are known where it is used: there it is told.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event, IntegrationEvent)]
#[event(name = "account", dispatch = manual)]
#[integration(stream = "accounts", version = 1)]
enum AccountEvent<T> {
    Opened { owner: T },
}

const TYPES: usize = <AccountEvent<String> as IntegrationEvent>::TYPES.len();

fn main() {}
