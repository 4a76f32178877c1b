//! A lock that somebody holds: what waits, what is refused, and what a close does.

use es_runtime::store::sqlite::{SqliteStore, sqlx as sqlite};
use es_servers::Postgres;
use tokio::join;

use super::*;

const HOLD: &str = "SELECT pg_advisory_xact_lock(1163084889, 1)";

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_loses_nothing() {
    let server = Postgres::start();
    let url = server.database();
    let store = with(&url, |options| options.queue(4).batch(1)).await;
    let (mut watcher, mut holder) = (admin(&url).await, admin(&url).await);
    let mut held = holder.begin().await.unwrap();
    run(&mut held, HOLD).await;

    let mut taken = vec![spawn(&store, append("0"))];
    until(&mut watcher, WAITING_FOR_LOCK, 1).await;
    taken.extend((1..5).map(|n| spawn(&store, append(&n.to_string()))));
    until_health(&store, "appends wait", |health| health.waiting >= 4).await;
    for _ in 0..3 {
        let error = store.append(append("late")).await.unwrap_err();
        assert!(error.is_overloaded() && error.is_transient(), "{error}");
        assert!(
            error.to_string().starts_with("4 appends wait already"),
            "{error}"
        );
    }
    held.rollback().await.unwrap();
    for (appending, n) in taken.into_iter().zip(1..) {
        let outcome = new(appending.await.unwrap().unwrap());
        assert_eq!(outcome.position().get(), n, "first come, first served");
    }
    // There is room again.
    new(store.append(append("late")).await.unwrap());
    assert_eq!(streams(&store).await.len(), 6);
}

#[tokio::test]
async fn a_close_finishes_what_waits_and_takes_nothing_more() {
    let server = Postgres::start();
    let url = server.database();
    let store = with(&url, |options| options.batch(2)).await;
    let (mut watcher, mut holder) = (admin(&url).await, admin(&url).await);
    let mut held = holder.begin().await.unwrap();
    run(&mut held, HOLD).await;

    let mut taken = vec![spawn(&store, append("0"))];
    until(&mut watcher, WAITING_FOR_LOCK, 1).await;
    taken.extend((1..8).map(|n| spawn(&store, append(&n.to_string()))));
    until_health(&store, "appends wait", |health| health.waiting >= 7).await;
    let closing = async {
        // Two at once, of which one is the second.
        join!(store.close(), store.close());
    };
    let release = async {
        held.rollback().await.unwrap();
    };
    join!(closing, release);
    for appending in taken {
        new(appending.await.unwrap().unwrap());
    }
    let error = store.append(append("late")).await.unwrap_err();
    assert!(error.to_string().contains("the store is closed"), "{error}");
    let events = "SELECT count(*) FROM es.event";
    assert_eq!(count(&mut watcher, events).await, 8);
    until(&mut watcher, OURS, 0).await;
}

const OURS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'es'";

#[tokio::test]
async fn a_dropped_store_finishes_what_waits_and_lets_go() {
    let server = Postgres::start();
    let url = server.database();
    let store = store(&url).await;
    let mut watcher = admin(&url).await;
    let appending: Vec<_> = (0..20)
        .map(|n| spawn(&store, append(&n.to_string())))
        .collect();
    drop(store);
    for appending in appending {
        new(appending.await.unwrap().unwrap());
    }
    until(&mut watcher, OURS, 0).await;
}

#[tokio::test]
async fn an_append_that_is_refused_fails_alone() {
    let server = Postgres::start();
    let url = server.database();
    let store = store(&url).await;
    let (mut watcher, mut holder) = (admin(&url).await, admin(&url).await);
    let mut held = holder.begin().await.unwrap();
    run(&mut held, HOLD).await;
    let first = spawn(&store, append("first"));
    until(&mut watcher, WAITING_FOR_LOCK, 1).await;
    let good: Vec<_> = (0..5)
        .map(|n| spawn(&store, append(&n.to_string())))
        .collect();
    let mut bad = append("bad");
    bad.events[0].payload = "{".to_owned();
    let bad = spawn(&store, bad);
    until_health(&store, "appends wait", |health| health.waiting >= 6).await;
    held.rollback().await.unwrap();
    new(first.await.unwrap().unwrap());
    for good in good {
        new(good.await.unwrap().unwrap());
    }
    let error = bad.await.unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("invalid input syntax for type json"),
        "{error}"
    );
    assert_eq!(streams(&store).await.len(), 6);
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_fails_all_that_wait_without_writing() {
    let server = Postgres::start();
    let url = server.database();
    let store = with(&url, |options| options.statement_timeout(SOON / 4)).await;
    let mut holder = admin(&url).await;
    let mut held = holder.begin().await.unwrap();
    run(&mut held, HOLD).await;
    let waiting: Vec<_> = (0..200)
        .map(|n| spawn(&store, append(&n.to_string())))
        .collect();
    for appending in waiting {
        let error = appending.await.unwrap().unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("statement timeout"), "{error}");
    }
    held.rollback().await.unwrap();
    new(store.append(append("0")).await.unwrap());
    assert_eq!(streams(&store).await, ["account-0"]);
}

#[tokio::test]
async fn sqlite_refuses_at_once_too() {
    use sqlite::{Connection, SqliteConnection};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bank.db");
    let store = SqliteStore::open_with_queue(&file, 3).await.unwrap();
    let url = format!("sqlite://{}", file.display());
    let mut holder = SqliteConnection::connect(&url).await.unwrap();
    let held = holder.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let start = |n: u32| {
        let store = store.clone();
        tokio::spawn(async move { store.append(append(&n.to_string())).await })
    };
    let mut taken = Vec::new();
    // One is with the committer, as soon as it has looked, and three wait.
    for n in 0..4 {
        taken.push(start(n));
        while store.health().await.waiting < n as usize {
            yield_now().await;
        }
        while n == 0 && store.health().await.waiting > 0 {
            yield_now().await;
        }
        if n == 0 {
            // Taken, and not yet in a batch: one turn.
            for _ in 0..100 {
                yield_now().await;
            }
        }
    }
    let error = store.append(append("late")).await.unwrap_err();
    assert!(error.is_overloaded(), "{error}");
    held.rollback().await.unwrap();
    for appending in taken {
        new(appending.await.unwrap().unwrap());
    }
    store.close().await;
    let error = store.append(append("late")).await.unwrap_err();
    assert!(error.to_string().contains("the store is closed"), "{error}");
}
