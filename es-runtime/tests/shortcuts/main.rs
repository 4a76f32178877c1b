//! The ways around reading all events, snapshots and the cache: whatever they find, decisions are
//! those of all events.
#![cfg(all(feature = "sqlite", feature = "testing"))]

mod believe;
mod cache;
mod ledger;
mod model;
mod release;

use std::path::PathBuf;

use es_runtime::store::sqlite::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use es_runtime::store::sqlite::sqlx::{AssertSqlSafe, ConnectOptions, query_scalar, raw_sql};
use es_runtime::{Builder, Result, Service, SnapshotStats, Store};
use ledger::Ledger;
use tempfile::TempDir;

/// A database of its own, gone with the test.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("es.db")
    }

    async fn store(&self) -> Store {
        let url = format!("sqlite://{}", self.path().display());
        Store::connect(&url).await.unwrap()
    }

    /// A connection that knows nothing of the store, as that of a person who mends something.
    async fn outside(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        options.connect().await.unwrap()
    }

    async fn run(&self, statements: &str) {
        let statements = AssertSqlSafe(statements.to_owned());
        let mut connection = self.outside().await;
        raw_sql(statements).execute(&mut connection).await.unwrap();
    }

    async fn number(&self, query: &str) -> i64 {
        let query = query_scalar(AssertSqlSafe(query.to_owned()));
        query.fetch_one(&mut self.outside().await).await.unwrap()
    }
}

fn plain(store: &Store) -> Builder {
    Service::builder("ledgers")
        .store(store.clone())
        .aggregate::<Ledger>()
}

fn stats(service: &Service) -> SnapshotStats {
    service.snapshot_stats::<Ledger>().unwrap()
}

async fn total(service: &Service, id: &str) -> Result<(u64, i64)> {
    let loaded = service.load::<Ledger>(id).await?;
    Ok((loaded.version(), loaded.state().total))
}
