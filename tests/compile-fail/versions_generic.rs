//! The older versions are types without parameters.
use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "payments", version = 2)]
enum Payments<C> {
    Paid {
        #[integration(since = 2, was = "ccy")]
        currency: C,
    },
}

fn main() {}
