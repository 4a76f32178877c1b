//! Two releases of one service on one log: what is written while both run, and what becomes of
//! events that the older one does not know.
#![cfg(all(feature = "postgres", feature = "sqlite", feature = "testing"))]

mod releases;
#[path = "../until/mod.rs"]
mod until;

use std::time::Duration;

use es_runtime::event::{CommandId, Event, StreamId};
use es_runtime::projection::Health;
use es_runtime::store::{EventStore, Knowledge, NewInstance, StreamQuery};
use es_runtime::{Builder, Error, Result, Service, Store};
use releases::after::{deposited, frozen, noted, opened};
use releases::{Card, CardEvent, Cards, Count, Swipe, after, before};
use tempfile::TempDir;
use until::until;

/// So seldom that nobody hears of the others by it.
const NEVER: Duration = Duration::from_hours(1000);

fn service(store: &Store) -> Builder {
    let bank = Service::builder("bank").store(store.clone());
    bank.heartbeat(NEVER, 2 * NEVER)
        .aggregate::<Card>()
        .project::<CardEvent, Cards>()
}

fn old(store: &Store) -> Builder {
    service(store)
        .aggregate::<before::Account>()
        .project::<before::AccountEvent, Count>()
}

fn new(store: &Store) -> Builder {
    service(store)
        .aggregate::<after::Account>()
        .project::<after::AccountEvent, Count>()
}

async fn happens(bank: &Service, id: &str, event: after::AccountEvent) -> Result<()> {
    let happened = bank.execute::<after::Account>(id, after::Happen(vec![event]));
    happened.await.map(drop)
}

/// The last event of an account as it is stored: its version, and its payload.
async fn last(store: &Store, id: &str) -> (u32, String) {
    let stream = StreamId::new("account", id).unwrap();
    let page = store
        .read_stream(&stream, StreamQuery::newest().limit(1))
        .await;
    let page = page.unwrap();
    let event = page.events.last().unwrap();
    (event.schema_version, event.payload.to_owned())
}

fn is_held_back(error: &Error) -> bool {
    assert!(!error.is_transient(), "{error}");
    error.is_held_back() && error.code() == "ES0177"
}

async fn an_old_instance_gets_what_it_reads(store: Store) -> Result<()> {
    let (old, new) = (old(&store).start().await?, new(&store).start().await?);
    happens(&new, "a", opened()).await?;
    assert_eq!(last(&store, "a").await, (1, r#"{"owner":"Anna"}"#.into()));
    happens(&new, "a", deposited("100")).await?;
    assert_eq!(last(&store, "a").await, (1, r#"{"amount":100}"#.into()));
    // Not every payload has its way back, and not every change.
    for (event, why) in [
        (
            deposited("a lot"),
            "`account.deposited` cannot be written as version 1",
        ),
        (noted(), "declare `down`"),
        (frozen(), "it reads no version of the event"),
    ] {
        let error = happens(&new, "a", event).await.unwrap_err();
        assert!(is_held_back(&error), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(why) && text.contains("instance 1 of `bank`"),
            "{text}"
        );
    }
    old.caught_up().await?;
    new.caught_up().await?;
    let read = old.load::<before::Account>("a").await?;
    assert_eq!(read.version(), 2, "what was held back was not written");
    // What is stored is what both decide on.
    let read = new.load::<after::Account>("a").await?;
    assert_eq!(read.state().seen[1], deposited("100"));

    // It ends, and whoever was held back sees it at once.
    old.shutdown().await?;
    happens(&new, "a", noted()).await?;
    happens(&new, "b", opened()).await?;
    let today = (3, r#"{"holder":"Anna","currency":"SEK"}"#.into());
    assert_eq!(last(&store, "b").await, today);
    happens(&new, "b", frozen()).await?;
    new.caught_up().await?;
    let row = new.view::<Count>().get("a").await?;
    assert_eq!(row, Some(Count { events: 3 }));
    new.shutdown().await
}

async fn one_that_starts_is_known_from_then_on(store: Store) -> Result<()> {
    let new = new(&store).start().await?;
    happens(&new, "a", opened()).await?;
    assert_eq!(last(&store, "a").await.0, 3);
    // The read model is past what the old release cannot read.
    new.caught_up().await?;
    let old = old(&store).start().await?;
    // No heartbeat told; the append finds it.
    happens(&new, "a", deposited("100")).await?;
    assert_eq!(last(&store, "a").await.0, 1);
    old.shutdown().await?;
    new.shutdown().await
}

/// A transaction of the user's cannot be repeated for them.
async fn a_transaction_is_told_who_came(store: Store) -> Result<()> {
    let new = new(&store).start().await?;
    let old = old(&store).start().await?;
    let happened = || after::Happen(vec![opened()]);
    let tx = store.begin().await?;
    let error = new
        .execute::<after::Account>("a", happened())
        .in_transaction(tx)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "ES0178", "{error}");
    assert!(error.is_transient());
    assert_eq!(store.head().await?.get(), 0);
    // What it was told is known by then.
    let tx = store.begin().await?;
    new.execute::<after::Account>("a", happened())
        .in_transaction(tx)
        .await?;
    assert_eq!(last(&store, "a").await.0, 1);
    old.shutdown().await?;
    new.shutdown().await
}

/// Back to the old release, and forward again.
async fn what_cannot_be_read_stops_its_readers_and_nobody_else(store: Store) -> Result<()> {
    for (event, code) in [(opened(), "ES0105"), (frozen(), "ES0103")] {
        let id = code.to_lowercase();
        let released = new(&store).start().await?;
        happens(&released, &id, event).await?;
        released.caught_up().await?;
        let seen = store.head().await?;
        released.shutdown().await?;
        // What no read model has seen yet.
        let writer = Service::builder("bank").store(store.clone());
        let writer = writer.aggregate::<after::Account>().start().await?;
        happens(&writer, &id, frozen()).await?;
        writer.shutdown().await?;

        let back = old(&store).start().await?;
        for _ in 0..3 {
            back.execute::<Card>(id.as_str(), Swipe(vec![CardEvent::Issued]))
                .await?;
        }
        let head = store.head().await?;
        let cards = until("the cards are read", async || {
            let cards = back.view::<Cards>().after(head).get(&id).await;
            Some(cards.unwrap())
        });
        assert_eq!(cards.await, Some(Cards { events: 3 }));
        let stopped = until("it has stopped", async || {
            let status = back.status().into_iter();
            let mut counts = status.filter(|(id, _)| id.name == "counts");
            let (_, status) = counts.next().unwrap();
            match status.health {
                Health::Stopped { reason } => Some((reason, status.cursor)),
                _ => None,
            }
        });
        let (reason, cursor) = stopped.await;
        assert!(reason.contains("ES0103"), "{reason}");
        assert!(cursor >= seen, "nothing before was skipped, nor stopped at");
        let error = back.load::<before::Account>(id.as_str()).await.unwrap_err();
        assert!(error.is_unreadable() && error.code() == code, "{error}");
        // Other accounts are as they were, and what is written is what the old release writes.
        let other = before::AccountEvent::Deposited { amount: 1 };
        let other = before::Happen(vec![other]);
        back.execute::<before::Account>(format!("{id}-other"), other)
            .await?;
        assert!(back.shutdown().await.unwrap_err().is_stopped());

        let again = new(&store).start().await?;
        again.caught_up().await?;
        for (id, events) in [(id.clone(), 2), (format!("{id}-other"), 1)] {
            let count = again.view::<Count>().get(&id).await?;
            assert_eq!(count, Some(Count { events }), "{id}");
        }
        again.shutdown().await?;
    }
    Ok(())
}

/// As after a stop of the whole process: the others gave it up, and it comes again.
async fn one_that_was_given_up_registers_again(store: Store) -> Result<()> {
    let old = old(&store)
        .heartbeat(Duration::from_millis(1), NEVER)
        .start()
        .await?;
    let first = store.instances().await?[0].number;
    store.deregister(first).await?;
    until("it is there again", async || {
        let all = store.instances().await.unwrap();
        all.iter()
            .any(|instance| instance.number > first)
            .then_some(())
    })
    .await;
    let new = new(&store).start().await?;
    happens(&new, "a", opened()).await?;
    assert_eq!(last(&store, "a").await.0, 1);
    old.shutdown().await?;
    let left = store.instances().await?;
    assert_eq!(left.len(), 1, "{left:?}");
    new.shutdown().await
}

/// The switch to today's versions needs nobody who is held back: a heartbeat tells.
async fn a_heartbeat_tells_who_left(store: Store) -> Result<()> {
    let old = old(&store).start().await?;
    let new = new(&store)
        .heartbeat(Duration::from_millis(1), NEVER)
        .start()
        .await?;
    happens(&new, "a", opened()).await?;
    assert_eq!(last(&store, "a").await.0, 1);
    old.shutdown().await?;
    until("today's version is written", async || {
        happens(&new, "a", opened()).await.unwrap();
        (last(&store, "a").await.0 == 3).then_some(())
    })
    .await;
    new.shutdown().await
}

macro_rules! on_every_store {
    ($($test:ident)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() -> es_runtime::Result<()> {
                super::$test(es_runtime::Store::connect("memory:").await?).await
            })*
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> es_runtime::Result<()> {
                let folder = super::TempDir::new().unwrap();
                let url = format!("sqlite://{}", folder.path().join("bank.db").display());
                super::$test(es_runtime::Store::connect(&url).await?).await
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> es_runtime::Result<()> {
                let server = es_servers::Postgres::start();
                super::$test(es_runtime::Store::connect(&server.database()).await?).await
            })*
        }
    };
}

on_every_store! {
    an_old_instance_gets_what_it_reads
    one_that_starts_is_known_from_then_on
    a_transaction_is_told_who_came
    what_cannot_be_read_stops_its_readers_and_nobody_else
    one_that_was_given_up_registers_again
    a_heartbeat_tells_who_left
}

/// In virtual time: an instance of the old release that crashed.
#[tokio::test(start_paused = true)]
async fn a_crashed_instance_counts_until_its_time_out() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let mut knows = Knowledge::new();
    knows.add::<before::AccountEvent>();
    assert_eq!(
        knows.version(before::AccountEvent::NAME, "account.opened"),
        Some(1)
    );
    let crashed = NewInstance {
        service: "bank".to_owned(),
        knows,
        timeout: Duration::from_secs(30),
    };
    store.register(&crashed).await?;
    let new = new(&store);
    let new = new.heartbeat(Duration::from_secs(5), Duration::from_secs(30));
    let new = new.start().await?;
    for _ in 0..29 {
        let error = happens(&new, "a", noted()).await.unwrap_err();
        assert!(is_held_back(&error), "{error}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Late once, and late again a heartbeat later.
    tokio::time::sleep(Duration::from_secs(12)).await;
    happens(&new, "a", noted()).await?;
    assert_eq!(last(&store, "a").await.0, 2);
    let repeated = CommandId::of("1");
    let happened = after::Happen(vec![opened()]);
    let happened = new.execute::<after::Account>("b", happened).id(repeated);
    assert!(!happened.await?.repeated);
    new.shutdown().await
}
