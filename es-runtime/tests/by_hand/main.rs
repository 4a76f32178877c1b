//! Projections written by hand in SQL: exactly once, also when instances are killed; what keeps
//! failing is parked; their tables live as those of read models do.
#![cfg(all(feature = "sqlite", feature = "postgres", feature = "testing"))]

mod domain;
#[path = "../until/mod.rs"]
mod until;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::{Booked, Books, Failures, Flow, book, table};
use es_runtime::event::Position;
use es_runtime::projection::{Health, SqlProjection};
use es_runtime::store::{Change, EventStore, Phase, ProjectionId};
use es_runtime::{Builder, Result, Service, Store};
use es_servers::Postgres;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use until::until;

/// A database of each kind, with what it lives in.
fn databases() -> Vec<(String, Box<dyn std::any::Any>)> {
    let folder = TempDir::new().unwrap();
    let file = format!("sqlite://{}", folder.path().join("books.db").display());
    let server = Postgres::start();
    vec![
        (file, Box::new(folder)),
        (server.database(), Box::new(server)),
    ]
}

fn books(store: &Store, failures: &Arc<Failures>) -> Builder {
    Service::builder("books")
        .store(store.clone())
        .aggregate::<Books>()
        .project_sql::<Booked, Flow<1>>(Flow(failures.clone()))
        .lease(Duration::from_millis(100))
}

async fn reached(books: &Service, position: Position) {
    let id = Flow::<1>::id();
    until("it has come so far", async || {
        let state = books.store().projection(&id).await.unwrap().unwrap();
        (state.cursor >= position).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_its_effect_once_and_the_view_follows() -> Result<()> {
    for (url, _home) in databases() {
        let store = Store::connect(&url).await?;
        let books = books(&store, &Arc::default()).start().await?;
        for (who, amount) in [("alice", 5), ("bob", 7), ("alice", -2)] {
            book(&books, who, amount).await?;
        }
        books.caught_up().await?;
        let expected = BTreeMap::from([("alice".to_owned(), (3, 2)), ("bob".to_owned(), (7, 1))]);
        assert_eq!(table(&store, "flow_v1").await, expected);
        // Live, and the view stands for it.
        assert_eq!(table(&store, "flow").await, expected);
        books.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_failing_is_parked_after_five_attempts() -> Result<()> {
    for (url, _home) in databases() {
        let store = Store::connect(&url).await?;
        let failures = Arc::<Failures>::default();
        let books = books(&store, &failures).start().await?;
        book(&books, "alice", 5).await?;
        failures.fails.lock().unwrap().insert(-1);
        book(&books, "alice", -1).await?;
        let last = book(&books, "alice", 4).await?;
        book(&books, "bob", 7).await?;
        books.caught_up().await?;
        assert_eq!(failures.failed.load(Ordering::Relaxed), 5);
        let expected = BTreeMap::from([("alice".to_owned(), (5, 1)), ("bob".to_owned(), (7, 1))]);
        assert_eq!(table(&store, "flow_v1").await, expected);
        let id = Flow::<1>::id();
        let parked = store.parked(&id, None, 10).await?;
        let told = (&*parked[0].key, parked[0].position.get(), parked[0].waiting);
        assert_eq!(told, ("alice", 2, last.position.get() - 1));
        assert!(
            parked[0].reason.contains("it wrote, and failed"),
            "{parked:?}"
        );

        failures.fails.lock().unwrap().clear();
        let retry = Change::RetryParked { key: None };
        store.change(&id, &retry, "somebody").await?;
        until("nothing is parked", async || {
            let parked = store.parked(&id, None, 10).await.unwrap();
            parked.is_empty().then_some(())
        })
        .await;
        assert_eq!(table(&store, "flow_v1").await["alice"], (8, 3));
        books.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_fails_for_a_while_is_tried_again() -> Result<()> {
    for (url, _home) in databases() {
        let store = Store::connect(&url).await?;
        let failures = Arc::<Failures>::default();
        // Its table is locked away from it for three attempts.
        failures.heals_after.store(3, Ordering::Relaxed);
        failures.fails.lock().unwrap().insert(-1);
        let books = books(&store, &failures).start().await?;
        for amount in [1, -1, 2] {
            book(&books, "alice", amount).await?;
        }
        books.caught_up().await?;
        assert_eq!(table(&store, "flow_v1").await["alice"], (2, 3));
        assert_eq!(failures.failed.load(Ordering::Relaxed), 3);
        let (_, status) = books.status().remove(0);
        assert_eq!((status.health, status.parked), (Health::Working, 0));
        // A panic is a failure like any other.
        failures.panics.store(true, Ordering::Relaxed);
        book(&books, "bob", 1).await?;
        books.caught_up().await?;
        let parked = store.parked(&Flow::<1>::id(), None, 10).await?;
        assert!(
            parked[0].reason.contains("it panicked: never bob"),
            "{parked:?}"
        );
        books.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_live_side_by_side_and_go() -> Result<()> {
    for (url, _home) in databases() {
        let store = Store::connect(&url).await?;
        let first = books(&store, &Arc::default()).start().await?;
        book(&first, "alice", 5).await?;
        first.caught_up().await?;
        first.shutdown().await?;
        let both = books(&store, &Arc::default());
        let both = both.project_sql::<Booked, Flow<2>>(Flow(Arc::default()));
        let both = both.start().await?;
        both.caught_up().await?;
        let (one, two) = (Flow::<1>::id(), Flow::<2>::id());
        let phase = async |id: &ProjectionId| store.projection(id).await.unwrap().unwrap().phase;
        assert_eq!(
            (phase(&one).await, phase(&two).await),
            (Phase::Live, Phase::Shadow)
        );
        // What a version makes is ten times its number here.
        let promote = Change::Promote {
            fresh: Duration::ZERO,
            forced: Some("hand-written ones are not compared".to_owned()),
        };
        store.change(&two, &promote, "somebody").await?;
        let last = book(&both, "alice", 1).await?;
        both.caught_up().await?;
        reached(&both, last.position).await;
        assert_eq!(table(&store, "flow").await["alice"], (12, 2));
        assert_eq!(table(&store, "flow_v1").await["alice"], (6, 2));

        let rebuild = Change::Rebuild {
            reason: "to see it".to_owned(),
        };
        store.change(&one, &rebuild, "somebody").await?;
        until("it is built anew", async || {
            let built = phase(&one).await != Phase::Building;
            built.then_some(())
        })
        .await;
        assert_eq!(table(&store, "flow_v1").await["alice"], (6, 2));
        both.shutdown().await?;
        let retire = Change::Retire {
            quiet: Duration::ZERO,
            forced: Some("it is over".to_owned()),
        };
        store.change(&one, &retire, "somebody").await?;
        store.remove_rows(&one).await?;
        assert!(
            domain::rows(&store, "flow_v1").await.is_err(),
            "its table is there"
        );
        assert_eq!(table(&store, "flow").await["alice"], (12, 2));
    }
    Ok(())
}

#[tokio::test]
async fn mistakes_come_out_of_start_and_leave_nothing() -> Result<()> {
    let memory = Store::connect("memory:").await?;
    let refused = books(&memory, &Arc::default()).start().await;
    assert_eq!(refused.unwrap_err().code(), "ES0115");
    for (url, _home) in databases() {
        let store = Store::connect(&url).await?;
        let forgets = Service::builder("books").store(store.clone());
        let forgets = forgets.project_sql::<Booked, domain::Forgets>(domain::Forgets);
        let error = forgets.start().await.unwrap_err();
        assert_eq!(error.code(), "ES0187", "{error}");
        assert!(
            error.to_string().contains("no table `forgotten_v1`"),
            "{error}"
        );
        assert!(store.projections().await?.is_empty());
    }
    Ok(())
}

/// An instance with threads of its own: what it does is dropped wherever it is when it is killed.
fn instance(url: &str) -> (Runtime, Service) {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
    let starting = async {
        let store = Store::connect(url).await.unwrap();
        books(&store, &Arc::default()).start().await.unwrap()
    };
    let started = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(starting)).join());
    let service = started.unwrap();
    (runtime, service)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_and_their_deaths_lose_and_double_nothing() -> Result<()> {
    let seed = std::env::var("ES_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    for (url, _home) in databases() {
        println!("ES_SEED={seed} {url}");
        let mut random = Rng::with_seed(seed);
        let store = Store::connect(&url).await?;
        let writer = Service::builder("books").store(store.clone());
        let writer = writer.aggregate::<Books>().start().await?;
        let mut instances = vec![instance(&url), instance(&url)];
        let mut expected = BTreeMap::<String, (i64, i64)>::new();
        let mut last = Position::START;
        for _ in 0..200 {
            let who = format!("key {}", random.u8(..5));
            let amount = random.i64(0..100);
            last = book(&writer, &who, amount).await?.position;
            let entry = expected.entry(who).or_default();
            (entry.0, entry.1) = (entry.0 + amount, entry.1 + 1);
            if random.u8(..25) == 0 {
                let (killed, _) = instances.swap_remove(random.usize(..2));
                killed.shutdown_background();
                instances.push(instance(&url));
            }
        }
        reached(&instances[0].1, last).await;
        assert_eq!(table(&store, "flow_v1").await, expected);
        instances
            .into_iter()
            .for_each(|(runtime, _)| runtime.shutdown_background());
        writer.shutdown().await?;
    }
    Ok(())
}
