//! PostgreSQL keeps the laws, also under fire.
#![cfg(all(feature = "postgres", feature = "testing"))]

mod alone;
mod attack;
mod bystanders;
mod controls;
mod disk;
mod gate;
mod law;
mod load;
mod loads;
mod locale;
mod plans;
mod pooled;
mod prepare;
mod processes;
mod refusal;
mod release;
mod restore;
mod row_plans;
mod sabotage;
mod snapshots;
mod standby;
#[path = "../until/mod.rs"]
mod until;
mod view;

use std::collections::HashMap;
use std::sync::Mutex;

use es_runtime::event::LogIdentity;
use es_runtime::postgres::PostgresStore;
use es_runtime::store::EventStore;
use es_runtime::testing::conformance::{Subject, check};
use es_servers::Postgres;

/// Databases on one server, by the log in them.
struct Databases {
    server: Postgres,
    urls: Mutex<HashMap<LogIdentity, String>>,
}

impl Databases {
    fn start() -> Self {
        Self {
            server: Postgres::start(),
            urls: Mutex::default(),
        }
    }
}

impl Subject for Databases {
    type Store = PostgresStore;

    async fn fresh(&self) -> PostgresStore {
        let url = self.server.database();
        let store = PostgresStore::connect(&url).await.unwrap();
        self.urls.lock().unwrap().insert(store.identity(), url);
        store
    }

    async fn reopen(&self, store: PostgresStore) -> PostgresStore {
        let url = self.urls.lock().unwrap()[&store.identity()].clone();
        store.close().await;
        PostgresStore::connect(&url).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_laws() {
    let databases = Databases::start();
    for seed in [1, fastrand::u64(..)] {
        println!("seed {seed}");
        check(&databases, seed).await.unwrap();
    }
}
