//! Processes: what follows from their events is done once, whoever dies; timers fire once, in order,
//! and never before their time.
#![cfg(all(feature = "postgres", feature = "sqlite", feature = "testing"))]

mod at_rest;
#[path = "../domain/mod.rs"]
mod bank;
mod between;
mod conserved;
mod decisions;
#[path = "../direct/mod.rs"]
mod direct;
mod kills;
mod others;
mod patience;
mod remittance;
mod running;
mod transfer;
#[path = "../until/mod.rs"]
mod until;

use es_runtime::Store;
use tempfile::TempDir;

/// A store in memory and one in a file.
async fn stores() -> Vec<(Store, Option<TempDir>)> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    vec![
        (Store::connect("memory:").await.unwrap(), None),
        (Store::connect(&url).await.unwrap(), Some(folder)),
    ]
}
