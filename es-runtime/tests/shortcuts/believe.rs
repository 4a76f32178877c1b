//! When a snapshot is made, and when one is believed.

use std::time::Duration;

use es_runtime::{Builder, Result, Service, Snapshots, Store};

use crate::ledger::{Ledger, LedgerCommand, OnlySo};
use crate::{File, plain, stats, total};

fn every(store: &Store, events: u32) -> Builder {
    plain(store).snapshots::<Ledger>(Snapshots::every(events))
}

/// Adds 1, 2, 3, …: so that each number of events has a total of its own.
async fn add(service: &Service, id: &str, amounts: std::ops::RangeInclusive<i64>) -> Result<()> {
    for amount in amounts {
        service
            .execute::<Ledger>(id, LedgerCommand::Add(amount))
            .await?;
    }
    Ok(())
}

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM es_snapshot WHERE stream = 'ledger-a'";

#[tokio::test]
async fn a_snapshot_is_made_when_it_is_due_and_used_by_the_next_process() -> Result<()> {
    let file = File::new();
    let first = every(&file.store().await, 4).start().await?;
    add(&first, "a", 1..=3).await?;
    first.shutdown().await?;
    assert_eq!(file.number(VERSION).await, 0, "three events are not four");

    let second = every(&file.store().await, 4).start().await?;
    add(&second, "a", 4..=6).await?;
    second.shutdown().await?;
    let kept = file.number(VERSION).await;
    assert!(
        (4..=6).contains(&kept),
        "made at 4, or with what came meanwhile: {kept}"
    );
    assert!(stats(&second).written > 0);

    let third = every(&file.store().await, 4).start().await?;
    assert_eq!(total(&third, "a").await?, (6, 21));
    assert_eq!((stats(&third).used, stats(&third).refused), (1, 0));
    // And a decision is made on it.
    let all = third.execute::<Ledger>("a", LedgerCommand::Take(22)).await;
    assert_eq!(all.unwrap_err().rejection(), Some(&OnlySo(21)));
    let receipt = third
        .execute::<Ledger>("a", LedgerCommand::Take(21))
        .await?;
    assert_eq!((receipt.version, receipt.events), (7, 1));
    third.shutdown().await
}

#[tokio::test]
async fn a_load_that_took_too_long_leaves_a_snapshot() -> Result<()> {
    let file = File::new();
    let store = file.store().await;
    let plain = plain(&store).start().await?;
    add(&plain, "a", 1..=5).await?;
    for (policy, expected) in [
        (Snapshots::slower_than(Duration::from_hours(1)), 0),
        (Snapshots::slower_than(Duration::ZERO), 5),
    ] {
        let slow = crate::plain(&store)
            .snapshots::<Ledger>(policy)
            .start()
            .await?;
        assert_eq!(total(&slow, "a").await?, (5, 15));
        slow.shutdown().await?;
        assert_eq!(file.number(VERSION).await, expected, "{policy:?}");
    }
    Ok(())
}

/// What somebody, a bug or a broken disk may make of a row, each with the real history beside it.
const BROKEN: &[&str] = &[
    // The default state with the real version: decisions on an empty ledger.
    r#"state = '{"total":0,"entries":0}'"#,
    r#"state = '{"total":99,"entries":4}'"#,
    "state = '{}'",
    "state = ''",
    "state = 'null'",
    "state = substr(state, 1, 5)",
    "state = state || ' '",
    "version = version - 1",
    "version = version + 1",
    // Beyond the end of the stream: the log was restored from a backup.
    "version = 1000000",
    "seal = zeroblob(32)",
    "seal = x''",
    // Of another stream, as it is.
    "(version, state, seal) = (SELECT version, state, seal FROM es_snapshot WHERE stream = 'ledger-b')",
];

#[tokio::test]
async fn a_broken_snapshot_is_a_full_load_and_is_replaced() -> Result<()> {
    for broken in BROKEN {
        let file = File::new();
        let first = every(&file.store().await, 4).start().await?;
        add(&first, "a", 1..=4).await?;
        add(&first, "b", 11..=14).await?;
        first.shutdown().await?;
        let good = "SELECT count(*) FROM es_snapshot WHERE version = 4";
        assert_eq!(file.number(good).await, 2);
        file.run(&format!(
            "UPDATE es_snapshot SET {broken} WHERE stream = 'ledger-a'"
        ))
        .await;

        let second = every(&file.store().await, 1000).start().await?;
        assert_eq!(total(&second, "a").await?, (4, 10), "{broken}");
        assert_eq!(total(&second, "b").await?, (4, 50), "{broken}");
        let counted = stats(&second);
        assert_eq!(
            (counted.refused, counted.used, counted.off),
            (1, 1, false),
            "{broken}"
        );
        second.shutdown().await?;

        // Whole again, although no event came that would have made one due.
        let third = every(&file.store().await, 1000).start().await?;
        assert_eq!(total(&third, "a").await?, (4, 10), "{broken}");
        assert_eq!(
            (stats(&third).refused, stats(&third).used),
            (0, 1),
            "{broken}"
        );
        third.shutdown().await?;
    }
    Ok(())
}

/// Restored from a backup, and grown again to the same version with other events.
#[tokio::test]
async fn a_snapshot_of_another_history_is_not_used() -> Result<()> {
    let file = File::new();
    let first = every(&file.store().await, 4).start().await?;
    add(&first, "a", 1..=4).await?;
    first.shutdown().await?;
    file.run(
        "DROP TRIGGER es_event_no_delete; DROP TRIGGER es_command_no_delete;
         DELETE FROM es_event WHERE version > 2;
         DELETE FROM es_command WHERE version > 2",
    )
    .await;
    let other = plain(&file.store().await).start().await?;
    add(&other, "a", 100..=101).await?;

    let second = every(&file.store().await, 1000).start().await?;
    assert_eq!(total(&second, "a").await?, (4, 204));
    assert_eq!((stats(&second).refused, stats(&second).used), (1, 0));
    second.shutdown().await
}

/// The table is an optimisation: without it everything goes on.
#[tokio::test]
async fn without_the_table_all_events_are_read() -> Result<()> {
    let file = File::new();
    let service = every(&file.store().await, 1).start().await?;
    add(&service, "a", 1..=3).await?;
    file.run("DROP TABLE es_snapshot").await;
    add(&service, "a", 4..=6).await?;
    assert_eq!(total(&service, "a").await?, (6, 21));
    service.shutdown().await?;
    assert!(stats(&service).dropped > 0);
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_the_description_is_told_by_start() {
    let store = Store::connect("memory:").await.unwrap();
    let nobody = || Service::builder("ledgers").store(store.clone());
    let snapshots = nobody()
        .snapshots::<Ledger>(Snapshots::every(1))
        .start()
        .await;
    assert_eq!(snapshots.unwrap_err().code(), "ES0124");
    let cache = nobody().cache::<Ledger>(1).start().await;
    assert_eq!(cache.unwrap_err().code(), "ES0124");
    let twice = every(&store, 1)
        .snapshots::<Ledger>(Snapshots::every(2))
        .start()
        .await;
    assert_eq!(twice.unwrap_err().code(), "ES0126");
    let twice = plain(&store)
        .cache::<Ledger>(1)
        .cache::<Ledger>(2)
        .start()
        .await;
    assert_eq!(twice.unwrap_err().code(), "ES0126");
}
