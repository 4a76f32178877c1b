//! What the database itself refuses, whoever asks.

use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::EventStore;
use es_servers::Postgres;
use sqlx::PgConnection;

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
    let call = empty_call(&mut admin).await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let call = format!("BEGIN ISOLATION LEVEL {level}; {call}");
        let call = sqlx::raw_sql(sqlx::AssertSqlSafe(call));
        let error = call.execute(&mut admin).await.unwrap_err().to_string();
        assert!(error.contains("append in READ COMMITTED"), "{error}");
        sqlx::raw_sql("ROLLBACK").execute(&mut admin).await.unwrap();
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
