//! The file itself: its versions, its identity, and what nobody may do to it.

use std::sync::Arc;

use es_runtime::aggregate::Fingerprint;
use es_runtime::event::{Position, Timestamp};
use es_runtime::store::EventStore;
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::sqlite::sqlx;
use sqlx::sqlite::SqliteConnection;
use tokio::task::JoinSet;

use crate::{File, accepted, append, log, number, run, stream};

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let file = File::new();
    file.open().await.close().await;
    let newer = "INSERT INTO es_schema (version) VALUES (99)";
    run(&mut file.outside().await, newer).await.unwrap();
    let error = SqliteStore::open(file.path()).await.unwrap_err();
    assert_eq!(error.code(), "ES0111", "{error}");
    assert!(!error.is_transient(), "trying again does not help");
}

#[tokio::test]
async fn new_files_have_small_pages_and_others_keep_theirs() {
    let (new, old) = (File::new(), File::new());
    of_the_release_before(&old).await;
    for (file, page) in [(new, 2048), (old, 4096)] {
        let store = file.open().await;
        accepted(&store, append("a", 0, "a", 1)).await;
        store.close().await;
        let size = number(&mut file.outside().await, "PRAGMA page_size").await;
        assert_eq!(size, page);
    }
}

/// A file as the release before snapshots left it, with an event in it.
async fn of_the_release_before(file: &File) -> SqliteConnection {
    std::fs::write(file.path(), []).unwrap();
    let mut old = file.outside().await;
    run(&mut old, "PRAGMA journal_mode = WAL").await.unwrap();
    run(
        &mut old,
        include_str!("../../src/store/sqlite/migrations/1.sql"),
    )
    .await
    .unwrap();
    let more = "CREATE TABLE es_schema (version INTEGER PRIMARY KEY) STRICT;
                INSERT INTO es_schema (version) VALUES (1);
                INSERT INTO es_log (id, identity) VALUES (1, x'0102030405060708090a0b0c0d0e0f10')";
    run(&mut old, more).await.unwrap();
    old_append(&mut old).await.unwrap();
    old
}

/// Appends an event to `account-old` as the release before does.
async fn old_append(old: &mut SqliteConnection) -> sqlx::Result<()> {
    let append = "
        BEGIN IMMEDIATE;
        INSERT INTO es_event (position, stream, version, slice, type, schema_version, min_reader,
                              command_id, payload, metadata, occurred_at)
        SELECT (SELECT coalesce(max(position), 0) + 1 FROM es_event), 'account-old',
               (SELECT coalesce(max(version), 0) + 1 FROM es_event WHERE stream = 'account-old'),
               7, 'account.deposited', 1, 1, randomblob(16), '{}', NULL, 1;
        INSERT INTO es_command (stream, command_id, first_position, count, version, at)
        SELECT stream, command_id, position, 1, version, occurred_at FROM es_event
        WHERE position = (SELECT max(position) FROM es_event);
        COMMIT";
    run(old, append).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tables_of_the_release_before_are_brought_forward_while_it_runs() {
    for round in 0..5 {
        let file = Arc::new(File::new());
        let mut old = of_the_release_before(&file).await;
        let openers = (0..6).map(|_| SqliteStore::open(file.path()));
        let openers = openers.collect::<JoinSet<_>>();
        for _ in 0..10 {
            old_append(&mut old).await.unwrap();
        }
        let stores = openers.join_all().await;
        let stores: Vec<_> = stores
            .into_iter()
            .map(|store| store.expect("opening"))
            .collect();
        old_append(&mut old).await.unwrap();
        for store in &stores {
            assert_eq!(log(store).await.len(), 12, "round {round}");
            assert_eq!(store.identity(), stores[0].identity());
        }
        let known = SqliteStore::schema(file.path()).await.unwrap().known;
        let versions = "SELECT count(*) = max(version) FROM es_schema";
        assert_eq!(number(&mut old, versions).await, 1);
        let newest = "SELECT max(version) FROM es_schema";
        assert_eq!(number(&mut old, newest).await, known);
        // Both write on, each at the place after the other's.
        assert_eq!(
            accepted(&stores[0], append("new", 0, "new", 1))
                .await
                .first
                .get(),
            13
        );
        old_append(&mut old).await.unwrap();
        let fingerprint = Fingerprint::from_bytes([1; 16]);
        let found = stores[1]
            .read_snapshot(&stream("old"), fingerprint, 99)
            .await
            .unwrap();
        assert_eq!((found.0, found.1.events.len()), (None, 13));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_first_openers_agree_on_one_log() {
    for round in 0..10 {
        let file = File::new();
        let openers = (0..8).map(|_| SqliteStore::open(file.path()));
        let stores = openers.collect::<JoinSet<_>>().join_all().await;
        let mut stores = stores.into_iter().map(|store| store.expect("opening"));
        let first = stores.next().unwrap();
        accepted(&first, append("a", 0, "a", 1)).await;
        for other in stores {
            assert_eq!(other.identity(), first.identity(), "round {round}");
            assert_eq!(other.head().await.unwrap(), Position::new(1));
        }
    }
}

/// SQLite refuses at once to switch a file to WAL that somebody writes, whatever its patience.
#[tokio::test]
async fn an_opener_waits_for_who_writes_the_new_file() {
    let file = File::new();
    std::fs::write(file.path(), []).unwrap();
    let mut writer = file.outside().await;
    run(
        &mut writer,
        "CREATE TABLE mine (n INTEGER); BEGIN IMMEDIATE",
    )
    .await
    .unwrap();
    let opening = tokio::spawn(SqliteStore::open(file.path()));
    // It works for some while, in which the opener has come and was sent away.
    for _ in 0..2000 {
        assert_eq!(number(&mut writer, "SELECT count(*) FROM mine").await, 0);
    }
    run(&mut writer, "COMMIT").await.unwrap();
    opening.await.unwrap().unwrap();
}

/// As in a rolling deploy: the last one to close tidies up while the next one opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_come_and_go_on_one_file() {
    const TASKS: u64 = 4;
    const ROUNDS: u64 = 12;
    let file = Arc::new(File::new());
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let file = file.clone();
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                let store = file.open().await;
                let append = append(&task.to_string(), round, &format!("{task}/{round}"), 1);
                assert_eq!(accepted(&store, append).await.version, round + 1);
                store.close().await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(log(&file.open().await).await.len() as u64, TASKS * ROUNDS);
}

#[tokio::test]
async fn events_are_never_changed() {
    let file = File::new();
    let store = file.open().await;
    accepted(&store, append("a", 0, "a", 2)).await;
    let before = log(&store).await;
    for change in [
        "UPDATE es_event SET payload = '{}'",
        "DELETE FROM es_event WHERE position = 2",
        "UPDATE OR REPLACE es_event SET position = 1 WHERE position = 2",
        "REPLACE INTO es_event SELECT position, stream, version, slice, 'other', schema_version,
             min_reader, command_id, payload, metadata, occurred_at FROM es_event",
        "INSERT OR REPLACE INTO es_event SELECT 2, 'account-b', version, slice, 'other', schema_version,
             min_reader, command_id, payload, metadata, occurred_at FROM es_event LIMIT 1",
        "INSERT OR REPLACE INTO es_event SELECT 3, stream, version, slice, 'other', schema_version,
             min_reader, command_id, payload, metadata, occurred_at FROM es_event LIMIT 1",
        // Nor is one left out, or put before another.
        "INSERT INTO es_event SELECT 3, stream, 4, slice, type, schema_version,
             min_reader, command_id, payload, metadata, occurred_at FROM es_event LIMIT 1",
        "INSERT INTO es_event SELECT 0, stream, 3, slice, type, schema_version,
             min_reader, command_id, payload, metadata, occurred_at FROM es_event LIMIT 1",
    ] {
        // By another program, and by a consumer in its transaction.
        let error = run(&mut file.outside().await, change).await;
        let error = error.expect_err(change).to_string();
        assert!(error.contains("events are never"), "{change}: {error}");
        let mut tx = store.begin().await.unwrap();
        run(tx.sqlite().unwrap(), change).await.expect_err(change);
        drop(tx);
        assert_eq!(
            format!("{:?}", log(&store).await),
            format!("{before:?}"),
            "{change}"
        );
    }
}

#[tokio::test]
async fn accepted_commands_are_never_changed_and_only_forgotten() {
    let file = File::new();
    let store = file.open().await;
    accepted(&store, append("a", 0, "a", 2)).await;
    let commands = "SELECT count(*) FROM es_command";
    let everything = "DELETE FROM es_command";
    for change in [
        "UPDATE es_command SET count = 0",
        everything,
        "REPLACE INTO es_command SELECT stream, command_id, first_position, 0, version, at,
             correlation FROM es_command",
    ] {
        let error = run(&mut file.outside().await, change).await;
        let error = error.expect_err(change).to_string();
        assert!(error.contains("accepted commands are"), "{change}: {error}");
        assert_eq!(number(&mut file.outside().await, commands).await, 1);
    }
    // Nothing older than the mark is left, and what is younger is kept.
    let forgotten = store.forget_commands(Timestamp::from_micros(1), 10).await;
    assert_eq!(forgotten.unwrap(), 0);
    let error = run(&mut file.outside().await, everything).await;
    error.expect_err(everything);
    let forgotten = store.forget_commands(Timestamp::from_micros(2), 10).await;
    assert_eq!(forgotten.unwrap(), 1);
    assert_eq!(log(&store).await.len(), 2);
}

#[tokio::test]
async fn every_commit_is_on_disk_and_readers_do_not_wait() {
    const FULL: i64 = 2;
    let store = File::new();
    let store = store.open().await;
    let mut tx = store.begin().await.unwrap();
    let writer = tx.sqlite().unwrap();
    assert_eq!(number(writer, "PRAGMA synchronous").await, FULL);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(writer)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    // A writer is at work, and the log can be read.
    assert_eq!(store.head().await.unwrap(), Position::START);
}

/// What is read in a write is the newest: the lock comes before the first look.
#[tokio::test]
async fn a_write_begins_with_the_lock() {
    let file = File::new();
    let store = file.open().await;
    let mut other = file.outside().await;
    run(&mut other, "PRAGMA busy_timeout = 0").await.unwrap();
    let tx = store.begin().await.unwrap();
    let locked = run(&mut other, "BEGIN IMMEDIATE").await.unwrap_err();
    assert!(
        locked.to_string().contains("database is locked"),
        "{locked}"
    );
    drop(tx);
    // A deferred one is refused in the middle of its work: why the store does not begin so.
    run(&mut other, "BEGIN; SELECT max(position) FROM es_event")
        .await
        .unwrap();
    accepted(&store, append("a", 0, "a", 1)).await;
    let late = run(&mut other, "UPDATE es_log SET floor = 0")
        .await
        .unwrap_err();
    assert!(late.to_string().contains("database is locked"), "{late}");
}
