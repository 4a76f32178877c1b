//! What the database itself refuses, whoever asks.

use es_runtime::event::{Position, StoredEvent, Timestamp};
use es_runtime::postgres::{PostgresOptions, PostgresStore, sqlx};
use es_runtime::store::{EventStore, Segment};
use es_servers::Postgres;
use sqlx::PgConnection;

use crate::alone::CALL as ALONE;
use crate::gate::admin;
use crate::load::{append, stream};

/// The call that the store makes.
pub(crate) const CALL: &str = "es.append_1";

/// The call for no append at all, which answers with the head of the log.
pub(crate) async fn empty_call(admin: &mut PgConnection) -> String {
    let arguments = "SELECT pronargs FROM pg_proc WHERE oid = $1::regproc";
    let arguments = sqlx::query_scalar(arguments).bind(CALL).fetch_one(admin);
    let arguments: i16 = arguments.await.unwrap();
    let nothing = vec!["'{}'"; usize::from(arguments.unsigned_abs())];
    format!("SELECT head FROM {CALL}({})", nothing.join(", "))
}

#[tokio::test]
async fn a_serializable_session_cannot_append_on_an_old_snapshot() {
    let server = Postgres::start();
    let url = server.database();
    PostgresStore::connect(&url).await.unwrap();
    let mut admin = admin(&url).await;
    let alone = format!("SELECT {ALONE}(NULL, NULL)");
    for call in [empty_call(&mut admin).await, alone] {
        for level in ["REPEATABLE READ", "SERIALIZABLE"] {
            let call = format!("BEGIN ISOLATION LEVEL {level}; {call}");
            let call = sqlx::raw_sql(sqlx::AssertSqlSafe(call));
            let error = call.execute(&mut admin).await.unwrap_err().to_string();
            assert!(error.contains("append in READ COMMITTED"), "{error}");
            sqlx::raw_sql("ROLLBACK").execute(&mut admin).await.unwrap();
        }
    }
}

#[tokio::test]
async fn events_are_never_changed_or_deleted() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    store.append(append(&stream("a"), 0, "1", 1)).await.unwrap();
    let mut admin = admin(&url).await;
    for statement in [
        "UPDATE es.event SET payload = '{}'",
        "DELETE FROM es.event",
        "TRUNCATE es.event",
    ] {
        let error = sqlx::raw_sql(statement)
            .execute(&mut admin)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("never changed or deleted"),
            "{statement}: {error}"
        );
    }
}

/// The connection of an import that ends in the midst of its rows is of use to the next one.
#[tokio::test]
async fn an_import_that_ends_at_a_bad_row_leaves_nothing_and_holds_nobody_up() {
    let server = Postgres::start();
    let options: PostgresOptions = server.database().parse().unwrap();
    let store = PostgresStore::connect_with(options.pool_size(1)).await;
    let store = store.unwrap();
    let event = |n: u64| StoredEvent {
        position: Position::new(n),
        stream: stream(n),
        version: 1,
        event_type: "account.deposited".to_owned(),
        schema_version: 1,
        min_reader: 1,
        command_id: None,
        payload: format!("\"{}\"", "x".repeat(1000)),
        metadata: None,
        time: Timestamp::default(),
    };
    let good = Segment {
        after: Position::START,
        events: (1..=1000).map(event).collect(),
        commands: Vec::new(),
    };
    let mut bad = good.clone();
    bad.events[900].time = Timestamp::from_micros(i64::MIN);
    for _ in 0..3 {
        let error = store.import(bad.clone()).await.unwrap_err();
        assert!(error.to_string().contains("the time"), "{error}");
        assert_eq!(store.head().await.unwrap(), Position::START);
    }
    store.import(good).await.unwrap();
    assert_eq!(store.head().await.unwrap(), Position::new(1000));
}
