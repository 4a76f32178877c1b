//! A store that only reads, from a hot standby.

use es_runtime::Store;
use es_runtime::store::{Role, StreamQuery, Table};
use es_servers::Postgres;

use super::*;

const READ_ONLY: &str = "&read_only=true&poll_interval=5ms";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_read_from_and_never_written_to() {
    let primary = Postgres::start();
    let url = primary.database();
    let writer = store(&url).await;
    new(writer.append(append("0")).await.unwrap());
    let standby = primary.standby();
    let on_standby = format!("{}{READ_ONLY}", standby.same_database(&url));
    let reader = Store::connect(&on_standby).await.unwrap();
    assert_eq!(reader.identity(), writer.identity());

    // What is appended from now on comes, too, without anybody's news.
    new(writer.append(append("1")).await.unwrap());
    until::until("the standby has it", async || {
        reader.wait_for_append(Position::new(1)).await;
        (reader.head().await.unwrap() == Position::new(2)).then_some(())
    })
    .await;
    let Store::Postgres(postgres) = &reader else {
        panic!("it is PostgreSQL");
    };
    assert_eq!(streams(postgres).await, ["account-0", "account-1"]);
    let stream = StreamId::new("account", "1").unwrap();
    let history = reader.history(&stream, StreamQuery::after(0)).await;
    assert_eq!(history.unwrap().entries.len(), 1);
    let done = reader.outcome(&stream, CommandId::of("1/0")).await.unwrap();
    assert_eq!(done.unwrap().position(), Position::new(2));

    // It is as it should be, and says what it is.
    let health = reader.health().await;
    assert!(health.reachable, "{health:?}");
    assert_eq!((health.role, health.problem), (Some(Role::Standby), None));

    let table = Table {
        name: "balances",
        version: 1,
        columns: &[],
        indexes: &[],
        slices: 1,
    };
    let errors = [
        reader.append(append("2")).await.unwrap_err(),
        reader.begin().await.unwrap_err(),
        reader.prepare_table(&table).await.unwrap_err(),
        reader
            .forget_commands(Timestamp::default(), 9)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), "ES0175", "{error}");
        assert!(!error.is_transient());
    }
    reader.close().await;
    assert_eq!(streams(&writer).await.len(), 2);
}

/// Also the primary may be read from, with the standby in its place when it is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_takes_the_server_that_answers() {
    let mut primary = Postgres::start();
    let url = primary.database();
    let writer = store(&url).await;
    let standby = primary.standby();
    let other = standby.same_database(&url);
    let (_, folder) = other.split_once("?host=").unwrap();
    let both = format!("{url},{folder}{READ_ONLY}");
    let reader = store(&both).await;
    new(writer.append(append("0")).await.unwrap());
    assert_eq!(reader.head().await.unwrap(), Position::new(1));
    assert_eq!(reader.health().await.role, Some(Role::Primary));
    let mut replica = admin(&other).await;
    until(&mut replica, "SELECT count(*) FROM es.event", 1).await;
    primary.crash();
    assert_eq!(streams(&reader).await, ["account-0"]);
    assert_eq!(reader.health().await.role, Some(Role::Standby));
}

#[tokio::test]
async fn a_reader_waits_for_nobody_to_make_the_tables() {
    let server = Postgres::start();
    let url = server.database();
    let reading = format!("{url}{READ_ONLY}");
    let error = Store::connect(&reading).await.unwrap_err();
    assert_eq!(error.code(), "ES0176", "{error}");
    let mut admin = admin(&url).await;
    assert_eq!(
        count(
            &mut admin,
            "SELECT count(*) FROM pg_namespace WHERE nspname = 'es'"
        )
        .await,
        0
    );
    store(&url).await.close().await;
    Store::connect(&reading).await.unwrap();
    run(&mut admin, "INSERT INTO es.schema VALUES (99)").await;
    let error = Store::connect(&reading).await.unwrap_err();
    assert_eq!(error.code(), "ES0111", "{error}");
}
