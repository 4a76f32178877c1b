//! Schemas: what a service publishes and stores, written down, and the code held to it.
//!
//! A service describes itself once, as a [`Contract`]. From it come the JSON Schemas, the AsyncAPI
//! document and the catalogue ([`Contract::documents`]); a [check](Contract::check) compares it with
//! what was released, and a [release](Contract::release) adds what is new. [`command`] offers all
//! of it on the command line of the service's own binary, and [`test!`](crate::schema::test) in
//! `cargo test`.
//!
//! Events derive [`JsonSchema`], which the prelude has:
//!
//! ```
//! use es_runtime::prelude::*;
//!
//! /// What happens to accounts.
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
//! #[cfg_attr(feature = "schema", derive(JsonSchema))]
//! #[integration(stream = "accounts", version = 1)]
//! enum Accounts {
//!     /// An account was opened.
//!     AccountOpened {
//!         /// The customer's name.
//!         owner: String,
//!     },
//! }
//! ```

mod asyncapi;

mod behaviour;
mod catalogue;
mod command;
mod compare;
pub mod compat;
mod contract;
mod document;
mod envelope;
mod export;
mod files;
mod fingerprint;
mod frozen;
mod judge;
mod payload;
mod portable;
mod report;
mod sampler;
mod samples;
mod types;

pub use command::{assert_kept, command};
pub use contract::Contract;
pub(crate) use contract::described;
#[cfg(feature = "testing")]
pub(crate) use contract::payload_schemas;
#[cfg(feature = "feed")]
pub(crate) use export::{documents, events};
pub use report::{Finding, Report, Severity};
pub use sampler::Sampler;
pub use schemars::{self, JsonSchema};

/// Writes a test that holds the code to what was released of it, in one line:
///
/// ```
/// # mod bank { pub fn contract() -> es_runtime::schema::Contract { es_runtime::schema::Contract::service("bank") } }
/// es_runtime::schema::test!(bank::contract());
/// ```
///
/// It reads `es.lock` and `schemas/` beside the `Cargo.toml` of the crate in which it stands, and
/// fails when a schema changed incompatibly, or a behaviour changed without a new version. What is
/// new and not released yet is no error.
#[doc(hidden)]
#[macro_export]
macro_rules! __schema_test {
    ($contract:expr) => {
        #[test]
        fn what_was_released_is_kept() {
            $crate::schema::assert_kept($contract, ::core::env!("CARGO_MANIFEST_DIR"));
        }
    };
}
#[doc(inline)]
pub use __schema_test as test;
