//! What a store says of itself.

use es_runtime::Store;
use es_runtime::store::{Durability, Role};
use es_servers::Postgres;

use super::*;

#[tokio::test]
async fn a_server_tells_what_a_commit_waits_for() {
    let primary = Postgres::start();
    let url = primary.database();
    let mut admin = admin(&url).await;
    let store = Store::from(store(&url).await);
    let health = store.health().await;
    assert!(health.reachable, "{health:?}");
    assert_eq!(health.role, Some(Role::Primary));
    assert_eq!(health.durability, Some(Durability::Disk));
    assert_eq!(health.problem, None);
    assert!(
        health.details.contains("synchronous_commit = on"),
        "{health:?}"
    );

    run(
        &mut admin,
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
    )
    .await;
    run(&mut admin, "SELECT pg_reload_conf()").await;
    let Store::Postgres(postgres) = &store else {
        panic!("it is PostgreSQL");
    };
    let replicated = |health: &StoreHealth| health.durability == Some(Durability::Replicated);
    until_health(postgres, "commits wait for a standby", replicated).await;
    let alone = store.health().await;
    let problem = alone.problem.unwrap();
    assert!(
        problem.contains("no synchronous standby is connected"),
        "{problem}"
    );

    let _standby = primary.standby();
    until_health(postgres, "it has a standby", |health| {
        health.problem.is_none()
    })
    .await;
    let health = store.health().await;
    assert_eq!(health.durability, Some(Durability::Replicated));
}

#[tokio::test]
async fn embedded_stores_tell_the_truth_too() {
    let memory = Store::connect("memory:").await.unwrap().health().await;
    assert_eq!(memory.durability, Some(Durability::Process));
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    let store = Store::connect(&url).await.unwrap();
    let health = store.health().await;
    assert_eq!(health.durability, Some(Durability::Disk));
    assert_eq!(health.details, "journal_mode = wal, synchronous = full");
    store.close().await;
    let health = store.health().await;
    assert!(!health.reachable && health.role.is_none(), "{health:?}");
}
