//! The table of snapshots: brought to databases of the release before while that runs, and written
//! without waiting for the disk.

use std::time::Duration;

use es_runtime::aggregate::Fingerprint;
use es_runtime::event::{StreamId, Timestamp};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{EventStore, Snapshot};
use es_servers::Postgres;
use sqlx::{Connection, PgConnection, raw_sql};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An event of `account-old`, as a program with SQL of its own would write it.
const OLD_EVENT: &str = "
    INSERT INTO es.event (position, stream, version, slice, type, schema_version, min_reader,
                          command_id, payload, metadata, occurred_at)
    SELECT coalesce(max(position), 0) + 1, 'account-old', coalesce(max(version), 0) + 1, 7,
           'account.deposited', 1, 1, NULL, '{}', NULL, now()
    FROM es.event";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tables_of_the_release_before_are_brought_forward_while_it_runs() {
    let server = Postgres::start();
    let url = server.database();
    let mut old = PgConnection::connect(&url).await.unwrap();
    let before = [
        "CREATE SCHEMA es; CREATE TABLE es.schema (version bigint PRIMARY KEY)",
        include_str!("../../src/store/postgres/migrations/1.sql"),
        "INSERT INTO es.schema (version) VALUES (1)",
        OLD_EVENT,
    ];
    for statements in before {
        raw_sql(statements).execute(&mut old).await.unwrap();
    }
    // The old release is in the middle of an append, and no starter waits for it.
    raw_sql("BEGIN").execute(&mut old).await.unwrap();
    raw_sql(OLD_EVENT).execute(&mut old).await.unwrap();
    let starters = (0..6).map(|_| {
        let url = url.clone();
        async move { PostgresStore::connect(&url).await }
    });
    let starters = starters.collect::<JoinSet<_>>().join_all();
    let stores = timeout(Duration::from_secs(20), starters)
        .await
        .expect("nobody waits");
    let stores: Vec<_> = stores
        .into_iter()
        .map(|store| store.expect("starting"))
        .collect();
    raw_sql("COMMIT").execute(&mut old).await.unwrap();
    raw_sql(OLD_EVENT).execute(&mut old).await.unwrap();
    let newest = "SELECT max(version) FROM es.schema HAVING max(version) = count(*)";
    let newest: i64 = sqlx::query_scalar(newest)
        .fetch_one(&mut old)
        .await
        .unwrap();
    assert_eq!(newest, PostgresStore::schema(&url).await.unwrap().known);
    let stream = StreamId::new("account", "old").unwrap();
    for store in &stores {
        let of = Fingerprint::from_bytes([1; 16]);
        let (snapshot, events) = store.read_snapshot(&stream, of, 99).await.unwrap();
        assert_eq!((snapshot, events.events.len()), (None, 3));
        assert_eq!(store.identity(), stores[0].identity());
    }
    raw_sql("INSERT INTO es.schema (version) VALUES (99)")
        .execute(&mut old)
        .await
        .unwrap();
    let future = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(future.code(), "ES0111", "{future}");
}

/// A snapshot's commit does not wait for the disk, and no other commit of its connection is hasty.
#[tokio::test]
async fn only_snapshots_are_written_in_haste() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut outside = PgConnection::connect(&url).await.unwrap();
    let spy = "
        CREATE TABLE spied (setting text);
        CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO spied VALUES (current_setting('synchronous_commit'));
          RETURN NULL;
        END $$;
        CREATE TRIGGER spy AFTER INSERT OR DELETE ON es.snapshot
          FOR EACH STATEMENT EXECUTE FUNCTION spy()";
    raw_sql(spy).execute(&mut outside).await.unwrap();
    let snapshot = Snapshot {
        stream: StreamId::new("account", "a").unwrap(),
        fingerprint: Fingerprint::from_bytes([1; 16]),
        version: 1,
        state: "{}".to_owned(),
        seal: [0; 32],
        time: Timestamp::default(),
    };
    let (stream, of) = (snapshot.stream.clone(), snapshot.fingerprint);
    for _ in 0..20 {
        store.write_snapshots(vec![snapshot.clone()]).await.unwrap();
        store.remove_snapshot(&stream, of, 1).await.unwrap();
    }
    let spied = "SELECT array_agg(DISTINCT setting ORDER BY setting) FROM spied";
    let spied: Vec<String> = sqlx::query_scalar(spied)
        .fetch_one(&mut outside)
        .await
        .unwrap();
    assert_eq!(spied, ["off", "on"]);
    let hasty = "SELECT count(*) FROM spied WHERE setting = 'off'";
    let hasty: i64 = sqlx::query_scalar(hasty)
        .fetch_one(&mut outside)
        .await
        .unwrap();
    assert_eq!(hasty, 20, "as many as were written");
}
