//! The laws: both stores keep them, and the suite notices a store that does not.
#![cfg(feature = "testing")]

mod broken;

use std::time::Duration;

use broken::{BrokenStore, Fault};
use es_runtime::store::memory::MemoryStore;
use es_runtime::testing::conformance::{Subject, Violation, check};
use tokio::time::timeout;

/// Fixed seeds, so that a failure is one for everybody, and one that nobody has tried.
fn seeds() -> [u64; 4] {
    [1, 2, 3, fastrand::u64(..)]
}

async fn keeps_the_laws(subject: &impl Subject) {
    for seed in seeds() {
        println!("seed {seed}");
        let checked = timeout(Duration::from_secs(60), check(subject, seed)).await;
        checked.expect("it hangs").unwrap();
    }
}

struct Memory;

impl Subject for Memory {
    type Store = MemoryStore;

    async fn fresh(&self) -> MemoryStore {
        MemoryStore::new()
    }

    async fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store
    }
}

#[tokio::test]
async fn the_memory_store_keeps_the_laws_on_one_thread() {
    keeps_the_laws(&Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_the_laws_on_many_threads() {
    keeps_the_laws(&Memory).await;
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::collections::HashMap;
    use std::path::PathBuf;
    use std::sync::Mutex;

    use es_runtime::event::LogIdentity;
    use es_runtime::store::EventStore;
    use es_runtime::store::sqlite::SqliteStore;
    use tempfile::TempDir;

    use super::{Subject, keeps_the_laws};

    struct Sqlite {
        directory: TempDir,
        files: Mutex<HashMap<LogIdentity, PathBuf>>,
    }

    impl Sqlite {
        fn new() -> Self {
            let (directory, files) = (TempDir::new().unwrap(), Mutex::default());
            Self { directory, files }
        }
    }

    impl Subject for Sqlite {
        type Store = SqliteStore;

        async fn fresh(&self) -> SqliteStore {
            let n = self.files.lock().unwrap().len();
            let file = self.directory.path().join(format!("{n}.db"));
            let store = SqliteStore::open(&file).await.unwrap();
            self.files.lock().unwrap().insert(store.identity(), file);
            store
        }

        async fn reopen(&self, store: SqliteStore) -> SqliteStore {
            let file = self.files.lock().unwrap()[&store.identity()].clone();
            store.close().await;
            SqliteStore::open(file).await.unwrap()
        }
    }

    #[tokio::test]
    async fn the_sqlite_store_keeps_the_laws_on_one_thread() {
        keeps_the_laws(&Sqlite::new()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_sqlite_store_keeps_the_laws_on_many_threads() {
        keeps_the_laws(&Sqlite::new()).await;
    }
}

struct Broken(Fault);

impl Subject for Broken {
    type Store = BrokenStore;

    async fn fresh(&self) -> BrokenStore {
        BrokenStore::new(self.0)
    }

    async fn reopen(&self, store: BrokenStore) -> BrokenStore {
        store.restart().await
    }
}

#[tokio::test(start_paused = true)]
async fn the_wrapper_without_a_fault_keeps_the_laws() {
    keeps_the_laws(&Broken(Fault::None)).await;
}

/// The law under which each fault is rejected: the one that it breaks, and no other.
const REJECTED: [(Fault, &str); 14] = [
    (
        Fault::LateCommit,
        "a reader that has seen a position has seen every one below",
    ),
    (
        Fault::Reordered,
        "a reader that has seen a position has seen every one below",
    ),
    (Fault::TornRead, "no reader sees a part of an append"),
    (
        Fault::TornWrite,
        "what is acknowledged is in the log, whole and at its place",
    ),
    (
        Fault::TornByDrop,
        "a dropped append leaves all of its events or none",
    ),
    (Fault::DoubledRetry, "a command is accepted once"),
    (Fault::ForgottenCommand, "a command is accepted once"),
    (Fault::ForgottenIdentity, "a log keeps its identity"),
    (Fault::ForgottenCursor, "rows and cursor move together"),
    (Fault::ForgottenRows, "rows and cursor move together"),
    (Fault::Unfenced, "rows and cursor move together"),
    (
        Fault::TwoSteps,
        "a dropped move leaves cursor and rows or neither",
    ),
    (Fault::Unproven, "an inbox moves once"),
    (Fault::Deaf, "waiting ends"),
];

/// Virtual time: nobody waits for the store that never wakes anybody.
#[tokio::test(start_paused = true)]
async fn a_store_that_breaks_a_law_is_rejected_under_its_name() {
    for (fault, law) in REJECTED {
        for seed in seeds() {
            println!("{fault:?}, seed {seed}");
            let violation: Violation = check(&Broken(fault), seed).await.unwrap_err();
            println!("  {violation}");
            assert_eq!(violation.law(), law, "{fault:?}: {violation}");
        }
    }
}
