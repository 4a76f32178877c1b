//! Two servers, of which one takes writes.

use es_servers::Postgres;

use super::*;

/// The URL that lists both.
fn both(one: &str, two: &str) -> String {
    let (_, folder) = two.split_once("?host=").unwrap();
    format!("{one},{folder}")
}

const SYNCHRONOUS: &str = "ALTER SYSTEM SET synchronous_standby_names = '*'";
const RELOAD: &str = "SELECT pg_reload_conf()";
const SYNC_STANDBYS: &str = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";

async fn make_synchronous(url: &str) -> PgConnection {
    let mut admin = admin(url).await;
    run(&mut admin, SYNCHRONOUS).await;
    run(&mut admin, RELOAD).await;
    until(&mut admin, SYNC_STANDBYS, 1).await;
    admin
}

/// A promoted standby does not wait for one of its own.
async fn stand_alone(url: &str) {
    let mut admin = admin(url).await;
    run(&mut admin, "ALTER SYSTEM RESET synchronous_standby_names").await;
    run(&mut admin, RELOAD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_readers_follow_the_primary() {
    let mut primary = Postgres::start();
    let url = primary.database();
    store(&url).await.close().await;
    let standby = primary.standby();
    let standby_url = standby.same_database(&url);
    make_synchronous(&url).await.close().await.unwrap();
    // The standby is listed first, and is not taken.
    let list = both(&standby_url, &url);
    let writer = store(&list).await;
    let reader = store(&list).await;
    for n in 0..50 {
        new(writer.append(append(&n.to_string())).await.unwrap());
    }
    assert_eq!(reader.head().await.unwrap().get(), 50);

    let during: Vec<_> = (50..80)
        .map(|n| spawn(&writer, append(&n.to_string())))
        .collect();
    primary.kill();
    standby.promote();
    stand_alone(&standby_url).await;
    // What was under way is asked again with its command's id, and is there once.
    for appending in during {
        let appended = appending.await.unwrap().unwrap();
        assert!(matches!(appended, Appended::New(_) | Appended::Already(_)));
    }
    for n in 80..90 {
        new(writer.append(append(&n.to_string())).await.unwrap());
    }
    for store in [&reader, &writer] {
        assert_eq!(streams(store).await.len(), 90);
        store.begin().await.unwrap();
    }

    // The old primary comes back and believes to be one: nobody writes there.
    primary.run();
    new(writer.append(append("90")).await.unwrap());
    let hasty = with(&list, |options| options.patience(SOON)).await;
    new(hasty.append(append("91")).await.unwrap());
    assert!(
        hasty
            .health()
            .await
            .details
            .starts_with(folder(&standby_url))
    );
    drop(standby);
    let error = hasty.append(append("92")).await.unwrap_err();
    assert_eq!(error.code(), "ES0118");
    assert!(
        error.to_string().contains("left behind on timeline 1"),
        "{error}"
    );
    let old = "SELECT count(*) FROM es.event WHERE stream = 'account-92'";
    assert_eq!(count(&mut admin(&url).await, old).await, 0);
}

/// Whoever only reads finds the new primary by itself, also where the old one left no trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_alone_follows_the_primary() {
    let mut primary = Postgres::start();
    let url = primary.database();
    let writer = store(&url).await;
    new(writer.append(append("0")).await.unwrap());
    let standby = primary.standby();
    let standby_url = standby.same_database(&url);
    let mut replica = admin(&standby_url).await;
    let reader = store(&both(&url, &standby_url)).await;
    assert_eq!(reader.head().await.unwrap().get(), 1);
    new(writer.append(append("1")).await.unwrap());
    until(&mut replica, "SELECT count(*) FROM es.event", 2).await;
    primary.crash();
    standby.promote();
    assert_eq!(streams(&reader).await.len(), 2);
    let health = reader.health().await;
    assert!(
        health.details.starts_with(folder(&standby_url)),
        "{health:?}"
    );
    reader.begin().await.unwrap();
}

fn folder(url: &str) -> &str {
    url.split_once("?host=").unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_alone_is_no_place_to_write() {
    let mut primary = Postgres::start();
    let url = primary.database();
    store(&url).await.close().await;
    let standby = primary.standby();
    let list = both(&url, &standby.same_database(&url));
    primary.crash();
    let hasty: PostgresOptions = list.parse().unwrap();
    let error = PostgresStore::connect_with(hasty.patience(SOON))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "ES0118");
    assert!(error.is_transient());
    assert!(error.to_string().contains("is a standby"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_is_never_written_to() {
    let (mut one, two) = (Postgres::start(), Postgres::start());
    let (url, other) = (one.database(), two.database());
    let foreign = store(&other).await;
    new(foreign.append(append("foreign")).await.unwrap());
    let store = with(&both(&url, &other), |options| options.patience(SOON)).await;
    new(store.append(append("0")).await.unwrap());
    one.crash();
    for _ in 0..3 {
        let error = store.append(append("1")).await.unwrap_err();
        assert_eq!(error.code(), "ES0117", "{error}");
        assert!(!error.is_transient());
    }
    let error = store.head().await.unwrap_err();
    assert_eq!(error.code(), "ES0117", "{error}");
    assert_eq!(streams(&foreign).await, ["account-foreign"]);
    // Not even when an empty database takes the place.
    one.run();
    new(store.append(append("1")).await.unwrap());
    let mut admin = admin(&url).await;
    run(&mut admin, "DROP SCHEMA es CASCADE").await;
    let kill = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(count(&mut admin, kill).await > 0);
    let error = store.append(append("2")).await.unwrap_err();
    assert_eq!(error.code(), "ES0117", "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_turns_read_only_is_left_for_another() {
    let primary = Postgres::start();
    let url = primary.database();
    let store = store(&url).await;
    let mut admin = admin(&url).await;
    let own = "SET default_transaction_read_only = off";
    run(&mut admin, own).await;
    new(store.append(append("0")).await.unwrap());
    run(
        &mut admin,
        "ALTER SYSTEM SET default_transaction_read_only = on",
    )
    .await;
    run(&mut admin, RELOAD).await;
    let appending = spawn(&store, append("1"));
    until_health(&store, "it is not reached", |health| !health.reachable).await;
    run(
        &mut admin,
        "ALTER SYSTEM RESET default_transaction_read_only",
    )
    .await;
    run(&mut admin, RELOAD).await;
    new(appending.await.unwrap().unwrap());
}

/// An append whose commit waits for the synchronous standby, and whose connection is then killed,
/// is on one disk alone. It is not acknowledged until the standby has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_answer_waits_for_the_standby_too() {
    let primary = Postgres::start();
    let url = primary.database();
    let store = store(&url).await;
    let mut standby = primary.standby();
    let mut admin = make_synchronous(&url).await;
    // The administrator's own statements wait for nobody.
    run(&mut admin, "SET synchronous_commit = local").await;
    new(store.append(append("0")).await.unwrap());
    standby.crash();
    until(&mut admin, SYNC_STANDBYS, 0).await;
    let appending = spawn(&store, append("1"));
    until(&mut admin, WAITING_FOR_STANDBY, 1).await;
    assert_eq!(count(&mut admin, KILL_WAITING).await, 1);
    // It is asked again, finds what was committed here, and waits.
    until(&mut admin, WAITING_AGAIN, 1).await;
    assert!(!appending.is_finished());
    standby.run();
    let appended = appending.await.unwrap().unwrap();
    assert!(matches!(appended, Appended::Already(_)), "{appended:?}");
    let on_standby = "SELECT count(*) FROM es.event WHERE stream = 'account-1'";
    let mut reader = super::admin(&standby.same_database(&url)).await;
    until(&mut reader, on_standby, 1).await;
}

const WAITING_FOR_STANDBY: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event = 'SyncRep' AND query LIKE '%es.append%'";
const WAITING_AGAIN: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event = 'SyncRep' AND query LIKE '%pg_logical_emit_message%'";
const KILL_WAITING: &str = "
    SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
    WHERE wait_event = 'SyncRep' AND query LIKE '%es.append%'";
