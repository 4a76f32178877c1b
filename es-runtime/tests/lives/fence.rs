//! Workers that come too late: a batch that was begun before somebody else took over, or before
//! somebody changed what its worker must know, writes nothing.

use std::time::Duration;

use es_runtime::error::Result;
use es_runtime::projection::{Health, Status};
use es_runtime::store::{Change, EventStore, Phase};
use es_runtime::{Service, Store};

use crate::bank::{Gate, bank, happens, trail};
use crate::check::{rows, state};
use crate::place::Place;
use crate::until::until;

/// Shorter than a worker is suspended here, however fast the machine is.
const LEASE: Duration = Duration::from_millis(50);

fn status(bank: &Service, version: u32) -> Status {
    let own = |(id, status)| (id == trail(version)).then_some(status);
    bank.status().into_iter().find_map(own).unwrap()
}

/// Waits until the worker has done something about its batch.
async fn tried(bank: &Service, version: u32, before: &Status) {
    let tried = async || {
        let now = status(bank, version);
        let news = now.cursor != before.cursor || now.health != before.health;
        news.then_some(())
    };
    until("the late worker tries to commit", tried).await;
}

async fn a_worker_that_wakes_up_late_writes_nothing(place: Place, name: &str) -> Result<()> {
    let (here, there) = (place.connect().await, place.connect().await);
    let mut gate = Gate::before(1, name);
    let late = bank(&here, &[1]).lease(LEASE).start().await?;
    // It knows of all changes.
    late.caught_up().await?;
    happens(&here, name, 3, false).await;
    gate.entered().await;
    let suspended = status(&late, 1);

    let other = bank(&there, &[1]).lease(LEASE).start().await?;
    other.caught_up().await?;
    // Rows that the late batch does not touch: with the cursor put back, they would be made twice.
    let aside = format!("{name}, aside");
    happens(&there, &aside, 3, false).await;
    other.caught_up().await?;
    let seen = rows(&there, 1).await.cursor;
    assert_eq!(seen.get(), 6);

    gate.opens();
    tried(&late, 1, &suspended).await;
    assert_eq!(rows(&here, 1).await.cursor, seen);
    happens(&here, name, 2, false).await;
    happens(&there, &aside, 2, true).await;
    late.caught_up().await?;
    other.caught_up().await?;
    rows(&there, 1).await;
    late.shutdown().await?;
    // The one that is left goes on alone.
    happens(&here, name, 1, true).await;
    other.caught_up().await?;
    assert_eq!(rows(&there, 1).await.cursor.get(), 13);
    other.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_wakes_up_late_in_memory() -> Result<()> {
    a_worker_that_wakes_up_late_writes_nothing(Place::memory(), "late in memory").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_wakes_up_late_on_a_file() -> Result<()> {
    a_worker_that_wakes_up_late_writes_nothing(Place::file(), "late on a file").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_wakes_up_late_on_a_server() -> Result<()> {
    a_worker_that_wakes_up_late_writes_nothing(Place::server(), "late on a server").await
}

async fn change(store: &Store, change: Change) {
    let changed = store.change(&trail(1), &change, "the test").await;
    changed.unwrap();
}

/// The batch that is under way when somebody pauses its version writes nothing.
async fn a_change_is_honoured_by_the_batch_under_way(place: Place, name: &str) -> Result<()> {
    let store = place.connect().await;
    let bank = bank(&place.connect().await, &[1]).start().await?;
    happens(&store, &format!("{name}, first"), 2, false).await;
    bank.caught_up().await?;
    assert_eq!(state(&store, 1).await.phase, Phase::Live);

    let paused = format!("{name}, paused");
    let mut gate = Gate::before(1, &paused);
    happens(&store, &paused, 3, false).await;
    gate.entered().await;
    let suspended = status(&bank, 1);
    let reason = "somebody looks at it".to_owned();
    change(&store, Change::Pause { reason }).await;
    gate.opens();
    tried(&bank, 1, &suspended).await;
    assert_eq!(rows(&store, 1).await.cursor.get(), 2);
    assert!(matches!(status(&bank, 1).health, Health::Paused { .. }));
    change(&store, Change::Resume).await;
    bank.caught_up().await?;
    assert_eq!(rows(&store, 1).await.cursor.get(), 5);
    bank.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_that_knows_too_little_in_memory() -> Result<()> {
    a_change_is_honoured_by_the_batch_under_way(Place::memory(), "told in memory").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_that_knows_too_little_on_a_file() -> Result<()> {
    a_change_is_honoured_by_the_batch_under_way(Place::file(), "told on a file").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_that_knows_too_little_on_a_server() -> Result<()> {
    a_change_is_honoured_by_the_batch_under_way(Place::server(), "told on a server").await
}

/// A version that is begun anew while a batch is under way keeps nothing of it.
async fn a_rebuild_leaves_nothing_of_a_batch(place: Place, name: &str) -> Result<()> {
    let store = place.connect().await;
    let before = bank(&place.connect().await, &[1]).start().await?;
    happens(&store, &format!("{name}, first"), 2, false).await;
    before.caught_up().await?;
    before.shutdown().await?;
    let bank = bank(&place.connect().await, &[1, 2]).start().await?;
    bank.caught_up().await?;
    let waiting = trail(2);
    assert_eq!(state(&store, 2).await.phase, Phase::Shadow);
    let mut gate = Gate::before(2, name);
    happens(&store, name, 3, false).await;
    gate.entered().await;
    let reason = "to see whether anything is left".to_owned();
    let rebuild = Change::Rebuild { reason };
    store.change(&waiting, &rebuild, "the test").await?;
    let suspended = status(&bank, 2);
    gate.opens();
    tried(&bank, 2, &suspended).await;
    rows(&store, 2).await;
    happens(&store, name, 1, true).await;
    bank.caught_up().await?;
    for version in [1, 2] {
        assert_eq!(rows(&store, version).await.cursor.get(), 7);
    }
    bank.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_of_the_time_before_a_rebuild_in_memory() -> Result<()> {
    a_rebuild_leaves_nothing_of_a_batch(Place::memory(), "anew in memory").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_of_the_time_before_a_rebuild_on_a_file() -> Result<()> {
    a_rebuild_leaves_nothing_of_a_batch(Place::file(), "anew on a file").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_batch_of_the_time_before_a_rebuild_on_a_server() -> Result<()> {
    a_rebuild_leaves_nothing_of_a_batch(Place::server(), "anew on a server").await
}
