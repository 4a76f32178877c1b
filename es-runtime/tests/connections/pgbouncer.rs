//! A PgBouncer that gives each transaction another session, and knows no prepared statements.

use std::collections::HashMap;
use std::sync::Mutex;

use es_runtime::event::LogIdentity;
use es_runtime::store::Table;
use es_runtime::testing::conformance::{Subject, check};
use es_servers::{PgBouncer, Postgres, skip};
use futures_util::future::join_all;

use super::lost::WEAKEN;
use super::*;

/// Fewer sessions than one store has connections.
const FEW: &str = "default_pool_size = 3";

struct Bounced {
    server: Postgres,
    bouncer: PgBouncer,
    urls: Mutex<HashMap<LogIdentity, String>>,
}

impl Bounced {
    fn start() -> Option<Self> {
        let server = Postgres::start();
        match PgBouncer::start(&server, FEW) {
            Ok(bouncer) => Some(Self {
                server,
                bouncer,
                urls: Mutex::default(),
            }),
            Err(why) => {
                skip(&why);
                None
            }
        }
    }

    /// The server's own URL, and the one through the pool.
    fn database(&self) -> (String, String) {
        let url = self.server.database();
        let bounced = self.bouncer.url(&url);
        (url, format!("{bounced}&pgbouncer=true"))
    }
}

impl Subject for Bounced {
    type Store = PostgresStore;

    async fn fresh(&self) -> PostgresStore {
        let (_, url) = self.database();
        let store = store(&url).await;
        self.urls.lock().unwrap().insert(store.identity(), url);
        store
    }

    async fn reopen(&self, store: PostgresStore) -> PostgresStore {
        let url = self.urls.lock().unwrap()[&store.identity()].clone();
        store.close().await;
        super::store(&url).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_laws_behind_pgbouncer() {
    let Some(bounced) = Bounced::start() else {
        return;
    };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    check(&bounced, seed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_are_shared_and_none_is_relied_on() {
    let Some(bounced) = Bounced::start() else {
        return;
    };
    let (url, through) = bounced.database();
    let mut admin = admin(&url).await;
    store(&url).await.close().await;
    run(&mut admin, WEAKEN).await;
    let stores = join_all((0..4).map(|_| store(&through))).await;
    let appends = (0..80).map(|n| {
        let store = stores[n % 4].clone();
        async move {
            let appended = new(store.append(append(&n.to_string())).await.unwrap());
            store.head().await.unwrap();
            appended
        }
    });
    assert_eq!(join_all(appends).await.len(), 80);
    let table = Table {
        name: "balances",
        version: 1,
        columns: &[],
        indexes: &[],
        slices: 1,
    };
    stores[0].prepare_table(&table).await.unwrap();
    let weak = "SELECT count(*) FROM seen WHERE setting <> 'on'";
    assert_eq!(count(&mut admin, weak).await, 0);
    assert_eq!(streams(&stores[1]).await.len(), 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_come_over_a_direct_connection() {
    let Some(bounced) = Bounced::start() else {
        return;
    };
    let (url, through) = bounced.database();
    let writer = store(&through).await;
    let reader = with(&through, |options| {
        let options = options.poll_interval(Duration::from_secs(3600));
        options.listen_url(&url).unwrap()
    })
    .await;
    until(&mut admin(&url).await, LISTENING, 1).await;
    new(writer.append(append("0")).await.unwrap());
    // The poll would come an hour later.
    reader.wait_for_append(Position::START).await;
}
