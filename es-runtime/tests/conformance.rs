//! The laws: both stores keep them, and the suite notices a store that does not.
#![cfg(feature = "testing")]

mod broken;
mod delegate;
#[cfg(feature = "sqlite")]
mod fleet;

use std::time::Duration;

use broken::{BrokenStore, Fault};
use es_runtime::event::{CommandId, Position, StreamId, Timestamp};
use es_runtime::store::memory::MemoryStore;
use es_runtime::store::{Advance, Append, EventStore, NewEvent, PublishedEvent, StreamVersion};
use es_runtime::testing::conformance::{Subject, Violation, check};
use tokio::time::{Instant, timeout};

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

/// What a store wrote itself ends its waiting without the poll interval: in virtual time, in none.
async fn own_news_need_no_poll(store: impl EventStore) {
    let stream = StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    };
    let (from, to) = (Position::START, Position::new(1));
    let advance = Advance::new(&stream, from, to);
    let published = PublishedEvent {
        position: to,
        source: to,
        event_type: "bank.account-opened.v1".to_owned(),
        subject: "a".to_owned(),
        payload: "{}".to_owned(),
        metadata: None,
        time: Timestamp::default(),
        recorded: Timestamp::default(),
        salt: [0; 16],
        hash: [0; 32],
    };
    let append = Append {
        stream: StreamId::new("account", "a").unwrap(),
        expected: 0,
        command_id: CommandId::random(),
        repeatable: true,
        events: vec![NewEvent {
            event_type: "account.opened",
            schema_version: 1,
            min_reader: 1,
            payload: "{}".to_owned(),
        }],
        metadata: None,
        correlation: None,
        time: Timestamp::default(),
        known_instances: None,
    };
    store.append(append).await.unwrap();
    store.prepare_stream(&stream).await.unwrap();
    store
        .advance_stream(advance, &stream, vec![published])
        .await
        .unwrap();
    tokio::time::pause();
    let start = Instant::now();
    store.wait_for_append(Position::START).await;
    store.wait_for_published(&stream, Position::START).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    // Without news the interval ends it.
    store.wait_for_append(to).await;
    assert!(start.elapsed() > Duration::ZERO);
}

#[tokio::test]
async fn what_the_memory_store_wrote_wakes_at_once() {
    own_news_need_no_poll(MemoryStore::new()).await;
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::collections::HashMap;
    use std::marker::PhantomData;
    use std::path::PathBuf;
    use std::sync::Mutex;

    use es_runtime::event::LogIdentity;
    use es_runtime::store::EventStore;
    use es_runtime::store::sqlite::SqliteStore;
    use tempfile::TempDir;

    use super::{Subject, keeps_the_laws, own_news_need_no_poll};
    use crate::fleet::Fleet;

    trait Open: EventStore {
        fn open(file: PathBuf) -> impl Future<Output = Self> + Send;
    }

    impl Open for SqliteStore {
        async fn open(file: PathBuf) -> Self {
            Self::open(file).await.unwrap()
        }
    }

    impl Open for Fleet {
        async fn open(file: PathBuf) -> Self {
            Self::open(&file).await
        }
    }

    /// A file for each log, found again by the log's identity.
    struct Files<S> {
        directory: TempDir,
        files: Mutex<HashMap<LogIdentity, PathBuf>>,
        store: PhantomData<fn() -> S>,
    }

    impl<S> Files<S> {
        fn new() -> Self {
            Self {
                directory: TempDir::new().unwrap(),
                files: Mutex::default(),
                store: PhantomData,
            }
        }
    }

    impl<S: Open> Subject for Files<S> {
        type Store = S;

        async fn fresh(&self) -> S {
            let n = self.files.lock().unwrap().len();
            let file = self.directory.path().join(format!("{n}.db"));
            let store = S::open(file.clone()).await;
            self.files.lock().unwrap().insert(store.identity(), file);
            store
        }

        async fn reopen(&self, store: S) -> S {
            let file = self.files.lock().unwrap()[&store.identity()].clone();
            store.close().await;
            S::open(file).await
        }
    }

    #[tokio::test]
    async fn what_the_sqlite_store_wrote_wakes_at_once() {
        own_news_need_no_poll(Files::<SqliteStore>::new().fresh().await).await;
    }

    #[tokio::test]
    async fn the_sqlite_store_keeps_the_laws_on_one_thread() {
        keeps_the_laws(&Files::<SqliteStore>::new()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_sqlite_store_keeps_the_laws_on_many_threads() {
        keeps_the_laws(&Files::<SqliteStore>::new()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn several_sqlite_stores_on_one_file_keep_the_laws() {
        keeps_the_laws(&Files::<Fleet>::new()).await;
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
const REJECTED: [(Fault, &str); 58] = [
    (Fault::ForgottenSchema, "a schema is kept for ever"),
    (Fault::HastyPage, "a page of a stream tells what it saw"),
    (Fault::LoosePage, "a page of a stream tells what it saw"),
    (
        Fault::ParkedApart,
        "keys are parked with the cursor that passes their events",
    ),
    (
        Fault::ParkedUnfenced,
        "what the mover believes of a parked key is compared",
    ),
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
    (
        Fault::HastyFilter,
        "a filtered reader misses nothing that it asked for",
    ),
    (
        Fault::AlwaysNewConsumers,
        "a consumer is known by what it read last",
    ),
    (
        Fault::HeedlessRetirement,
        "no stream ends under its readers",
    ),
    (Fault::LostCorrelation, "what belongs together is found"),
    (Fault::CutShort, "what belongs together is found"),
    (Fault::DoubledRetry, "a command is accepted once"),
    (
        Fault::DeniedRetry,
        "an append that is sent again is recognised",
    ),
    (Fault::ForgottenCommand, "a command is accepted once"),
    (Fault::ForgottenIdentity, "a log keeps its identity"),
    (Fault::ForgottenCursor, "rows and cursor move together"),
    (Fault::ForgottenRows, "rows and cursor move together"),
    (Fault::Unfenced, "rows and cursor move together"),
    (
        Fault::TwoSteps,
        "a dropped move leaves cursor and rows or neither",
    ),
    (Fault::FormerMoment, "one moment is shown"),
    (
        Fault::SplitRead,
        "rows come with the cursor that they reflect",
    ),
    (
        Fault::SkipsTies,
        "rows are found by their values, in order and once",
    ),
    (
        Fault::UnsortedRange,
        "rows are found by their values, in order and once",
    ),
    (Fault::LooseUnique, "what is unique is held by one row"),
    (Fault::ReplacesHolder, "what is unique is held by one row"),
    (Fault::HastyUnique, "what is unique is held by one row"),
    (Fault::Unproven, "an inbox moves once"),
    (
        Fault::InboxOfBefore,
        "parts of an inbox are divided where all stand",
    ),
    (
        Fault::TakenAsItIs,
        "an inbox moves to another version from where it stands",
    ),
    (
        Fault::HeldApart,
        "what a consumer believes of a key is compared",
    ),
    (
        Fault::HeldUnfenced,
        "what a consumer believes of a key is compared",
    ),
    (
        Fault::AheadUnfenced,
        "what was handled ahead is known to who goes on",
    ),
    (Fault::Unmarked, "an inbox knows the places that it passed"),
    (
        Fault::ForgottenLetters,
        "an event is given up when somebody says so",
    ),
    (Fault::CommandsLeft, "imported history is as it was"),
    (Fault::Renumbered, "imported history continues the log"),
    (
        Fault::ImportInTwoSteps,
        "a dropped import leaves all of its effect or none",
    ),
    (
        Fault::ForgetsTooMuch,
        "only the commands before a moment are forgotten",
    ),
    (
        Fault::HastyLook,
        "nobody writes without knowing who came before",
    ),
    (
        Fault::ForgottenReactions,
        "reactions and cursor move together",
    ),
    (
        Fault::SharedReactions,
        "one worker has a key, and its reactions come in order",
    ),
    (
        Fault::ForgottenTimers,
        "timers move with the cursor, and fire in order",
    ),
    (
        Fault::HastyTimers,
        "timers move with the cursor, and fire in order",
    ),
    (
        Fault::SkipsEqualTimes,
        "timers move with the cursor, and fire in order",
    ),
    (Fault::RelayUnfenced, "one relay at a time moves its cursor"),
    (Fault::RelayForAll, "one relay at a time moves its cursor"),
    (
        Fault::RelayUnnoticed,
        "one relay at a time moves its cursor",
    ),
    (Fault::SharedParts, "the parts of a version are shared"),
    (Fault::Deaf, "waiting ends"),
    (Fault::DeafToStreams, "waiting ends"),
    (Fault::SnapshotsGoBack, "a snapshot never goes back"),
    (Fault::AnyonesSnapshot, "a snapshot is found by who made it"),
    (
        Fault::LooseSnapshot,
        "a snapshot comes with the events from its last one on",
    ),
    (
        Fault::FrozenSnapshot,
        "a snapshot comes with the events from its last one on",
    ),
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
