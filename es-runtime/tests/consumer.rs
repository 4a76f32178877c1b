//! A consumer against sources that lose, double, reorder and fail, and handlers that fail.
#![cfg(all(feature = "sqlite", feature = "testing"))]

mod direct;
mod domain;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use direct::{Direct, Faults, hostile, no_faults};
use domain::{Account, deposit, open, v1, v2};
use es_runtime::consume::{Consumer, Handler, HandlerError, Page, Running, Source};
use es_runtime::event::Position;
use es_runtime::integration::{CloudEvent, Received};
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx;
use es_runtime::store::{EventStore, InboxMove, StreamCursor, StreamVersion, Tx};
use es_runtime::{Error, Result, Service, Store};
use fastrand::Rng;
use tempfile::TempDir;

/// A publisher with `n` events on `accounts@1` (and as many on `accounts@2`).
async fn publisher(n: i64) -> Result<(Service, Store)> {
    let store = Store::connect("memory:").await?;
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .publish::<Account, v2::Accounts>()
        .start()
        .await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    for amount in 1..n {
        bank.execute::<Account>("alice", deposit(amount)).await?;
    }
    bank.caught_up().await?;
    Ok((bank, store))
}

/// Remembers the positions it was given, in memory.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl<E: Sync> Handler<E> for Seen {
    async fn handle(&mut self, event: &Received<E>, _: &mut Tx) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(event.position.get());
        Ok(())
    }
}

impl Seen {
    fn positions(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

/// Starts a consumer of `accounts@1` with its inbox in memory.
async fn watch(source: impl Source, inbox: &Store, seen: &Seen) -> Result<Running> {
    let consumer = Consumer::new("watcher", inbox.clone()).stream::<v1::Accounts>(source);
    consumer.handle(seen.clone()).start().await
}

#[tokio::test(start_paused = true)]
async fn loss_doubles_and_disorder_converge_to_the_stream() -> Result<()> {
    let (_bank, upstream) = publisher(200).await?;
    for _ in 0..50 {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let (inbox, seen) = (Store::connect("memory:").await?, Seen::default());
        let mut random = Rng::with_seed(seed);
        // Started anew now and then, in the middle of things.
        let mut goal = 0;
        while goal < 200 {
            goal = (goal + random.u64(1..120)).min(200);
            let faults = hostile(random.fork());
            let running = watch(
                Direct {
                    upstream: upstream.clone(),
                    faults,
                },
                &inbox,
                &seen,
            )
            .await?;
            running.reached(Position::new(goal)).await?;
            running.stop().await?;
        }
        assert_eq!(seen.positions(), (1..=200).collect::<Vec<_>>());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_polls_for_what_comes_when_nothing_wakes_it() -> Result<()> {
    let (bank, upstream) = publisher(1).await?;
    let (inbox, seen) = (Store::connect("memory:").await?, Seen::default());
    let running = watch(
        Direct {
            upstream,
            faults: no_faults,
        },
        &inbox,
        &seen,
    )
    .await?;
    running.reached(Position::new(1)).await?;
    bank.execute::<Account>("alice", deposit(1)).await?;
    running.reached(Position::new(2)).await?;
    running.stop().await?;
    assert_eq!(seen.positions(), [1, 2]);
    Ok(())
}

/// What a consumer that cannot go on has handled, and why it stopped.
async fn stops(faults: impl Faults, inbox: &Store) -> Result<(Vec<u64>, Error)> {
    let (_bank, upstream) = publisher(6).await?;
    let seen = Seen::default();
    let running = watch(Direct { upstream, faults }, inbox, &seen).await?;
    let error = running.reached(Position::new(6)).await.unwrap_err();
    assert!(error.is_stopped());
    Ok((seen.positions(), running.stop().await.unwrap_err()))
}

#[tokio::test(start_paused = true)]
async fn a_hole_that_stays_stops_it_before_the_hole() -> Result<()> {
    let lost = |events: &mut Vec<CloudEvent>| {
        events.retain(|event| event.position() != Some(Position::new(4)));
        Ok(())
    };
    let (seen, error) = stops(lost, &Store::connect("memory:").await?).await?;
    assert_eq!((seen, error.code()), (vec![1, 2, 3], "ES0132"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_history_stops_it() -> Result<()> {
    let inbox = Store::connect("memory:").await?;
    let (_bank, upstream) = publisher(3).await?;
    let seen = Seen::default();
    let running = watch(
        Direct {
            upstream,
            faults: no_faults,
        },
        &inbox,
        &seen,
    )
    .await?;
    running.reached(Position::new(3)).await?;
    running.stop().await?;
    // The upstream lost its database and made the same events anew: other salts, other hashes.
    let (more, error) = stops(no_faults, &inbox).await?;
    assert_eq!((more, error.code()), (vec![], "ES0133"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_source_that_repeats_itself_is_trouble_that_shows() -> Result<()> {
    let (_bank, upstream) = publisher(3).await?;
    let (inbox, seen) = (Store::connect("memory:").await?, Seen::default());
    let mut first = None;
    let stuck = move |events: &mut Vec<CloudEvent>| {
        *events = first.get_or_insert_with(|| events.clone()).clone();
        Ok(())
    };
    let running = watch(
        Direct {
            upstream,
            faults: stuck,
        },
        &inbox,
        &seen,
    )
    .await?;
    running.reached(Position::new(3)).await?;
    while running.progress().trouble.is_none() {
        tokio::task::yield_now().await;
    }
    running.stop().await?;
    assert_eq!(seen.positions(), [1, 2, 3]);
    Ok(())
}

/// A contract that does not know `BalanceChanged`.
#[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
enum Narrow {
    AccountOpened { account: String },
}

#[tokio::test(start_paused = true)]
async fn an_unknown_type_waits_for_its_release_unless_it_is_passed_over() -> Result<()> {
    let (_bank, upstream) = publisher(3).await?;
    let (inbox, seen) = (Store::connect("memory:").await?, Seen::default());
    let source = || Direct {
        upstream: upstream.clone(),
        faults: no_faults,
    };
    let consumer = |name: &str| Consumer::new(name, inbox.clone()).stream::<Narrow>(source());
    let running = consumer("narrow").handle(seen.clone()).start().await?;
    let error = running.reached(Position::new(3)).await.unwrap_err();
    assert!(
        error.is_parked() && error.to_string().contains("ES0135"),
        "{error}"
    );
    let keys = running.inbox().set_aside(None).await?;
    assert_eq!((keys[0].position.get(), keys[0].waiting), (2, 2));
    running.stop().await?;
    assert_eq!(seen.positions(), [1], "what comes before it is handled");
    // The release that knows it.
    let newer = Consumer::new("narrow", inbox.clone()).stream::<v1::Accounts>(source());
    let running = newer.handle(seen.clone()).start().await?;
    running.reached(Position::new(3)).await?;
    running.stop().await?;
    assert_eq!(seen.positions(), [1, 2, 3]);
    let passed = Seen::default();
    let running = consumer("passing")
        .skip_unknown_types()
        .handle(passed.clone())
        .start()
        .await?;
    running.reached(Position::new(3)).await?;
    running.stop().await?;
    assert_eq!(passed.positions(), [1]);
    Ok(())
}

/// Writes a row per event, and fails right after where it is told to.
struct Rows<F>(F);

impl<F: FnMut(u64) -> bool + Send + 'static> Handler<v1::Accounts> for Rows<F> {
    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let position = i64::try_from(event.position.get())?;
        let insert = sqlx::query("INSERT INTO effect (position) VALUES (?)").bind(position);
        insert.execute(tx.sqlite()?).await?;
        if (self.0)(event.position.get()) {
            Err("told to fail".into())
        } else {
            Ok(())
        }
    }
}

/// An inbox in a file with a table for effects, which does not forbid doubles.
async fn file() -> Result<(Store, TempDir)> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("inbox.db").display());
    let store = Store::connect(&url).await?;
    let mut tx = store.begin().await?;
    let create = sqlx::query("CREATE TABLE effect (n INTEGER PRIMARY KEY, position INTEGER)");
    create.execute(tx.sqlite()?).await.unwrap();
    let nobody = es_runtime::store::InboxId {
        consumer: "set-up".into(),
        stream: StreamVersion {
            stream: "none".into(),
            version: 1,
        },
    };
    store
        .commit_inbox(
            tx,
            &InboxMove::new(&nobody, Default::default(), Default::default()),
        )
        .await?;
    Ok((store, folder))
}

async fn effects(store: &Store) -> Result<Vec<i64>> {
    let mut tx = store.begin().await?;
    let query = sqlx::query_scalar("SELECT position FROM effect ORDER BY n");
    Ok(query.fetch_all(tx.sqlite()?).await.unwrap())
}

#[tokio::test]
async fn an_effect_is_committed_once_however_often_the_handler_fails() -> Result<()> {
    let (_bank, upstream) = publisher(40).await?;
    let (inbox, _folder) = file().await?;
    let source = Direct {
        upstream,
        faults: no_faults,
    };
    let mut failures = std::collections::HashMap::from([(1, 1), (17, 2), (40, 1)]);
    let handler = Rows(move |position| match failures.get_mut(&position) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    });
    let consumer = Consumer::new("rows", inbox.clone()).stream::<v1::Accounts>(source);
    let running = consumer.handle(handler).start().await?;
    running.reached(Position::new(40)).await?;
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, (1..=40).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_of_a_consumer_have_each_effect_once() -> Result<()> {
    let (_bank, upstream) = publisher(60).await?;
    let (inbox, _folder) = file().await?;
    let start = || {
        // One event a page: many races for the cursor.
        let one = |events: &mut Vec<CloudEvent>| {
            events.truncate(1);
            Ok(())
        };
        let source = Direct {
            upstream: upstream.clone(),
            faults: one,
        };
        let consumer = Consumer::new("rows", inbox.clone()).stream::<v1::Accounts>(source);
        consumer.handle(Rows(|_| false)).start()
    };
    let (one, two) = (start().await?, start().await?);
    tokio::select! {
        reached = one.reached(Position::new(60)) => reached?,
        reached = two.reached(Position::new(60)) => reached?,
    }
    one.stop().await?;
    two.stop().await?;
    assert_eq!(effects(&inbox).await?, (1..=60).collect::<Vec<_>>());
    Ok(())
}

/// Makes its table itself, and fails when told to.
struct Prepared {
    table: &'static str,
}

impl Handler<v1::Accounts> for Prepared {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        sqlx::query("CREATE TABLE IF NOT EXISTS seen (position INTEGER)")
            .execute(tx.sqlite()?)
            .await?;
        sqlx::query(self.table).execute(tx.sqlite()?).await?;
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let position = i64::try_from(event.position.get())?;
        let insert = sqlx::query("INSERT INTO seen (position) VALUES (?)").bind(position);
        insert.execute(tx.sqlite()?).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_prepares_before_the_first_event_or_the_consumer_does_not_start() -> Result<()> {
    let (_bank, upstream) = publisher(3).await?;
    let (inbox, _folder) = file().await?;
    let start = |table| {
        let source = Direct {
            upstream: upstream.clone(),
            faults: no_faults,
        };
        let consumer = Consumer::new("prepared", inbox.clone()).stream::<v1::Accounts>(source);
        consumer.handle(Prepared { table }).start()
    };
    let error = start("CREATE TABLE mistake").await.unwrap_err();
    assert_eq!(error.code(), "ES0138");
    let mut tx = inbox.begin().await?;
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'seen'";
    let tables: i64 = sqlx::query_scalar(tables)
        .fetch_one(tx.sqlite()?)
        .await
        .unwrap();
    assert_eq!(tables, 0, "what it wrote before its mistake is gone");
    drop(tx);
    for _ in 0..2 {
        let running = start("SELECT 1").await?;
        running.reached(Position::new(3)).await?;
        running.stop().await?;
    }
    let mut tx = inbox.begin().await?;
    let seen = sqlx::query_scalar("SELECT position FROM seen ORDER BY rowid");
    let seen: Vec<i64> = seen.fetch_all(tx.sqlite()?).await.unwrap();
    assert_eq!(seen, [1, 2, 3]);
    Ok(())
}

/// The one that finds the cursor moved follows it, and both know where they stand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_stands_by_knows_how_far_the_other_came() -> Result<()> {
    let (_bank, upstream) = publisher(30).await?;
    let (inbox, _folder) = file().await?;
    let start = || {
        let source = Direct {
            upstream: upstream.clone(),
            faults: no_faults,
        };
        let consumer = Consumer::new("rows", inbox.clone()).stream::<v1::Accounts>(source);
        consumer.handle(Rows(|_| false)).start()
    };
    let (one, two) = (start().await?, start().await?);
    one.reached(Position::new(30)).await?;
    two.reached(Position::new(30)).await?;
    one.stop().await?;
    two.stop().await?;
    assert_eq!(effects(&inbox).await?, (1..=30).collect::<Vec<_>>());
    Ok(())
}

/// Answers everything it has, whatever it was asked for.
struct Generous(Direct<Disturb>);

type Disturb = fn(&mut Vec<CloudEvent>) -> Result<()>;

impl Source for Generous {
    async fn read(
        &mut self,
        stream: &StreamVersion,
        _: StreamCursor,
        _: usize,
        wait: Duration,
    ) -> Result<Page> {
        self.0
            .read(stream, StreamCursor::default(), 1000, wait)
            .await
    }
}

#[tokio::test]
async fn a_source_that_answers_too_much_is_handled_once() -> Result<()> {
    let (_bank, upstream) = publisher(9).await?;
    let (inbox, _folder) = file().await?;
    let source = Generous(Direct {
        upstream,
        faults: no_faults,
    });
    let consumer = Consumer::new("rows", inbox.clone()).stream::<v1::Accounts>(source);
    let running = consumer.handle(Rows(|_| false)).start().await?;
    running.reached(Position::new(9)).await?;
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, (1..=9).collect::<Vec<_>>());
    Ok(())
}
