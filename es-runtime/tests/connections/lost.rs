//! Connections that are killed.

use es_runtime::store::{
    Advance, Advanced, Change, InboxId, InboxMove, StreamCursor, StreamVersion, Table,
};
use es_servers::Postgres;

use super::*;

/// Kills every connection to the database but its own.
const KILL: &str = "
    SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_connection_costs_no_read_and_no_append() {
    let server = Postgres::start();
    let url = server.database();
    let store = store(&url).await;
    let mut admin = admin(&url).await;
    for n in 0..5 {
        // Connections are idle when they are killed, and none is tested before its use.
        let reads = (0..4).map(|_| store.head());
        for head in futures_util::future::join_all(reads).await {
            assert_eq!(head.unwrap().get(), 2 * n);
        }
        assert!(count(&mut admin, KILL).await > 0);
        store.head().await.unwrap();
        new(store.append(append(&format!("a{n}"))).await.unwrap());
        assert!(count(&mut admin, KILL).await > 0);
        new(store.append(append(&format!("b{n}"))).await.unwrap());
        store
            .read_log(&LogQuery::after(Position::START))
            .await
            .unwrap();
        assert!(count(&mut admin, KILL).await > 0);
        // A transaction does not begin on a dead connection.
        store.begin().await.unwrap();
        let stream = StreamId::new("account", "none").unwrap();
        store.outcome(&stream, CommandId::random()).await.unwrap();
    }
    assert_eq!(streams(&store).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_waited_for() {
    let mut server = Postgres::start();
    let url = server.database();
    let store = store(&url).await;
    new(store.append(append("0")).await.unwrap());
    for n in 1..4 {
        server.crash();
        let appending = spawn(&store, append(&n.to_string()));
        let reading = tokio::spawn({
            let store = store.clone();
            async move { store.head().await }
        });
        until_health(&store, "it is not reached", |health| !health.reachable).await;
        server.run();
        new(appending.await.unwrap().unwrap());
        reading.await.unwrap().unwrap();
    }
    assert_eq!(streams(&store).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_fails_what_waits_when_the_patience_ends() {
    let mut server = Postgres::start();
    let url = server.database();
    let store = with(&url, |options| options.patience(SOON)).await;
    new(store.append(append("0")).await.unwrap());
    server.crash();
    let appending: Vec<_> = (0..300)
        .map(|n| spawn(&store, append(&format!("a{n}"))))
        .collect();
    for appending in appending {
        let error = appending.await.unwrap().unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(error.code(), "ES0118");
    }
    assert!(store.head().await.unwrap_err().is_transient());
    let health = store.health().await;
    assert!(!health.reachable && health.problem.is_some(), "{health:?}");
    server.run();
    new(store.append(append("1")).await.unwrap());
    assert_eq!(streams(&store).await, ["account-0", "account-1"]);
}

/// The defaults of a database or a user do not weaken an acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_defaults_do_not_matter() {
    let server = Postgres::start();
    let url = server.database();
    let mut admin = admin(&url).await;
    store(&url).await.close().await;
    run(&mut admin, WEAKEN).await;
    let store = store(&url).await;
    new(store.append(append("0")).await.unwrap());
    let table: Table = Table {
        name: "balances",
        version: 1,
        columns: &[],
        indexes: &[],
        slices: 1,
    };
    store.prepare_table(&table).await.unwrap();
    let durable = "SELECT count(*) FROM seen WHERE setting = 'on'";
    assert_eq!(count(&mut admin, durable).await, 2);
}

/// Defaults that nobody should have, and triggers that tell what holds for our transactions.
pub(super) const WEAKEN: &str = "
    DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
      EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable',
                     current_database());
    END $$;
    CREATE TABLE seen (setting text);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO public.seen VALUES (current_setting('synchronous_commit'));
      RETURN NULL;
    END $$;
    CREATE TRIGGER see AFTER INSERT ON es.event FOR EACH STATEMENT EXECUTE FUNCTION see();
    CREATE TRIGGER see AFTER INSERT ON es.projection FOR EACH STATEMENT EXECUTE FUNCTION see();";

/// A service that owns nothing needs what the guide lists, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_owns_nothing_can_write() {
    let server = Postgres::start();
    let url = server.database();
    store(&url).await.close().await;
    let guide = include_str!("../../../docs/guides/postgresql.md");
    let (_, grants) = guide.split_once("```sql\n").unwrap();
    let (grants, _) = grants.split_once("```").unwrap();
    let mut admin = admin(&url).await;
    run(&mut admin, "CREATE ROLE bank LOGIN").await;
    run(&mut admin, grants).await;
    let store = store(&url.replace("tester@", "bank@")).await;
    let stream = StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    };
    let advance = Advance::new(&stream, Position::START, Position::new(1));
    new(store.append(append("0")).await.unwrap());
    // Again, which is answered from the table of commands.
    let again = store.append(append("0")).await.unwrap();
    assert!(matches!(again, Appended::Already(_)));
    store.prepare_stream(&stream).await.unwrap();
    let moved = store.advance_stream(advance, &stream, Vec::new()).await;
    assert_eq!(moved.unwrap(), Advanced::Moved);
    let id = (&stream).into();
    store.change(&id, &Change::Complete, "test").await.unwrap();
    let inbox = InboxId {
        consumer: "ledger".to_owned(),
        stream,
    };
    let (tx, start) = (store.begin().await.unwrap(), StreamCursor::default());
    let moved = store
        .commit_inbox(tx, &InboxMove::new(&inbox, start, start))
        .await;
    assert_eq!(moved.unwrap(), Advanced::Moved);
    assert!(store.health().await.reachable);
}

/// Readers keep connections for each other, and transactions still get all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_leave_their_connections_to_transactions() {
    let server = Postgres::start();
    for size in 1..=4 {
        let url = format!("{}&pool_size={size}&patience=5", server.database());
        let store = store(&url).await;
        let reads = (0..8).map(|_| store.head());
        for head in futures_util::future::join_all(reads).await {
            head.unwrap();
        }
        let mut transactions = Vec::new();
        for _ in 0..size {
            transactions.push(store.begin().await.unwrap());
        }
        drop(transactions);
        store.head().await.unwrap();
        store.close().await;
    }
}
