//! Reactions: each event is reacted to once, whatever is promoted and whoever dies; what is done
//! about it is done at least once, in the order of each key.
#![cfg(all(feature = "postgres", feature = "sqlite", feature = "testing"))]

#[path = "../domain/mod.rs"]
mod bank;
mod deaths;
mod domain;
mod running;
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
