//! Who ends while others look at all versions of a read model.

use std::time::Duration;

use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{ColumnDef, ColumnKind, EventStore, Table};
use es_servers::Postgres;
use sqlx::{Connection, PgConnection, query};

use crate::until::until;

fn balances(version: u32) -> Table {
    const AMOUNT: ColumnDef = ColumnDef {
        name: "amount",
        kind: ColumnKind::Integer,
        nullable: false,
    };
    Table {
        name: "balances",
        version,
        columns: &[AMOUNT],
        indexes: &[],
        slices: 1,
    }
}

/// Parts are given up in the order in which they are looked at: whoever waits for the first one holds
/// none of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_given_up_in_order() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    for version in [1, 2] {
        store.prepare_table(&balances(version)).await.unwrap();
    }
    let mut admin = PgConnection::connect(&url).await.unwrap();
    // The second version stands before the first one in the table.
    for version in [2, 1] {
        let own = "UPDATE es.cursor SET owner = 'one', owned_until = now() + interval '1 hour'
                   WHERE version = $1";
        let own = query(own).bind(version).execute(&mut admin).await;
        assert_eq!(own.unwrap().rows_affected(), 1);
    }
    let lock = "SELECT 1 FROM es.cursor WHERE version = $1 FOR UPDATE NOWAIT";
    let mut looks = admin.begin().await.unwrap();
    query(lock).bind(1).execute(&mut *looks).await.unwrap();
    let releasing = tokio::spawn(async move { store.release("one").await });
    let mut watcher = PgConnection::connect(&url).await.unwrap();
    until("somebody waits", async || {
        let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let waits = query(waits).fetch_optional(&mut watcher).await.unwrap();
        waits.map(drop)
    })
    .await;
    let second = query(lock).bind(2).execute(&mut *looks).await;
    second.expect("nobody holds the second version");
    looks.rollback().await.unwrap();
    let released = tokio::time::timeout(Duration::from_secs(60), releasing).await;
    released.expect("it goes on").unwrap().unwrap();
}
