//! Relays of services, over a broker in memory.

use std::time::Duration;

use es_runtime::event::Position;
use es_runtime::projection::Health;
use es_runtime::publish::{RelayStatus, Route, redeliver};
use es_runtime::store::{Change, EventStore, RelayClaim, RelayId, RelayMove, StreamVersion};
use es_runtime::testing::transports::{MemoryBroker, MemoryReader};
use es_runtime::{Builder, Result, Service, Store};
use tokio::time::{sleep, timeout};

use crate::broken::{Broken, Fault};
use crate::domain::{Account, deposit, open, v1, v2};

fn accounts(version: u32) -> StreamVersion {
    StreamVersion {
        stream: "accounts".into(),
        version,
    }
}

fn bank(store: &Store) -> Builder {
    Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .publish::<Account, v2::Accounts>()
}

async fn deposits(bank: &Service, count: usize) -> Result<()> {
    for _ in 0..count {
        bank.execute::<Account>("alice", deposit(1)).await?;
    }
    Ok(())
}

/// The positions of what has arrived.
fn places(reader: &mut MemoryReader) -> Vec<u64> {
    let place = |body: Vec<u8>| {
        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
        event["sequence"].as_str().unwrap().parse().unwrap()
    };
    reader.take().into_iter().map(place).collect()
}

async fn all(bank: &Service) {
    bank.caught_up().await.unwrap();
    let relayed = timeout(Duration::from_secs(60), bank.relayed()).await;
    relayed.expect("the broker gets all").unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_version_goes_out_from_its_first_event() -> Result<()> {
    let (store, broker) = (Store::connect("memory:").await?, MemoryBroker::new());
    let (mut v1, mut v2) = (broker.reader("accounts.v1"), broker.reader("accounts.v2"));
    let first = bank(&store).start().await?;
    first.execute::<Account>("alice", open("Alice")).await?;
    deposits(&first, 2000).await?;
    first.shutdown().await?;

    // The relay comes later, and so do some events.
    let bank = bank(&store).relay(broker.clone()).start().await?;
    deposits(&bank, 5).await?;
    all(&bank).await;
    let expected: Vec<u64> = (1..=2006).collect();
    assert_eq!(places(&mut v1), expected);
    assert_eq!(places(&mut v2), expected);
    for (id, status) in bank.relays() {
        assert_eq!(id.transport, "memory");
        assert_eq!(
            (status.cursor.get(), status.health),
            (2006, Health::Working)
        );
    }
    bank.shutdown().await?;
    // What was confirmed is known to the next one.
    let states = store.relays().await?;
    assert_eq!(states.len(), 2);
    assert!(
        states
            .iter()
            .all(|state| state.position.get() == 2006 && state.owner.is_none())
    );
    Ok(())
}

/// What goes out is what the feed would serve: the envelope of the stored event.
#[tokio::test(start_paused = true)]
async fn what_goes_out_is_the_stored_event() -> Result<()> {
    let (store, broker) = (Store::connect("memory:").await?, MemoryBroker::new());
    let mut reader = broker.reader("accounts.v2");
    let bank = bank(&store).relay(broker).start().await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    all(&bank).await;
    let stored = store
        .read_published(&accounts(2), Position::START, 10)
        .await?;
    let envelope =
        es_runtime::integration::CloudEvent::new("bank", &accounts(2), stored[0].clone())?;
    let [body] = &reader.take()[..] else {
        panic!("one event");
    };
    assert_eq!(*body, serde_json::to_vec(&envelope).unwrap());
    bank.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_holds_up_no_command_and_gets_all() -> Result<()> {
    let (store, broker) = (Store::connect("memory:").await?, MemoryBroker::new());
    let mut reader = broker.reader("accounts.v1");
    broker.go_away();
    let bank = bank(&store).relay(broker.clone()).start().await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    deposits(&bank, 9).await?;
    bank.caught_up().await?;
    let retrying = async {
        loop {
            let (_, status) = &bank.relays()[0];
            if let Health::Retrying { reason } = &status.health {
                return reason.clone();
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    let reason = timeout(Duration::from_secs(60), retrying).await.unwrap();
    assert!(
        reason.contains("the broker is away") && reason.contains("ES0200"),
        "{reason}"
    );
    // Others hear it, too.
    let noted = store.relays().await?[0].failure.clone().unwrap();
    assert_eq!(noted.reason, reason);

    // As long as it is so.
    for _ in 0..100 {
        sleep(Duration::from_millis(777)).await;
        let (_, status) = &bank.relays()[0];
        assert!(
            matches!(status.health, Health::Retrying { .. }),
            "{status:?}"
        );
    }
    broker.come_back();
    all(&bank).await;
    assert_eq!(places(&mut reader), (1..=10).collect::<Vec<_>>());
    assert_eq!(bank.relays()[0].1.health, Health::Working);
    assert_eq!(store.relays().await?[0].failure, None);
    bank.shutdown().await
}

/// Connections that are lost again and again, with events on their way.
#[tokio::test(start_paused = true)]
async fn what_was_not_confirmed_is_sent_again() -> Result<()> {
    let broker = MemoryBroker::far(Duration::from_millis(2));
    let store = Store::connect("memory:").await?;
    let mut reader = broker.reader("accounts.v1");
    let bank = bank(&store).relay(broker.clone()).start().await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    for n in 0..50 {
        deposits(&bank, 20).await?;
        // More is sent, and some of it is confirmed, by then.
        sleep(Duration::from_millis(n % 7 * 2)).await;
        broker.cut();
        // Until it is there again.
        sleep(Duration::from_millis(100)).await;
    }
    all(&bank).await;
    let found = places(&mut reader);
    let mut unique = Vec::new();
    for place in &found {
        if !unique.contains(place) {
            unique.push(*place);
        }
    }
    assert_eq!(unique, (1..=1001).collect::<Vec<_>>());
    // Back to the first that was not confirmed, and never a jump ahead.
    assert!(
        found.windows(2).all(|two| two[1] <= two[0] + 1),
        "{found:?}"
    );
    bank.shutdown().await
}

/// Of two instances one sends; the other one goes on when it is gone.
#[tokio::test(start_paused = true)]
async fn another_instance_goes_on() -> Result<()> {
    let (store, broker) = (Store::connect("memory:").await?, MemoryBroker::new());
    let mut reader = broker.reader("accounts.v1");
    let one = bank(&store).relay(broker.clone()).start().await?;
    one.execute::<Account>("alice", open("Alice")).await?;
    all(&one).await;
    let other = bank(&store).relay(broker.clone()).start().await?;
    deposits(&one, 10).await?;
    // It sees how far the other one is.
    all(&other).await;
    let elsewhere = |(_, status): &(_, RelayStatus)| status.health == Health::Elsewhere;
    assert!(other.relays().iter().all(elsewhere));
    one.shutdown().await?;
    deposits(&other, 10).await?;
    all(&other).await;
    assert_eq!(places(&mut reader), (1..=21).collect::<Vec<_>>());
    other.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn a_retired_version_goes_out_no_more() -> Result<()> {
    let (store, broker) = (Store::connect("memory:").await?, MemoryBroker::new());
    let (mut v1, mut v2) = (broker.reader("accounts.v1"), broker.reader("accounts.v2"));
    let bank = bank(&store).relay(broker.clone()).start().await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    all(&bank).await;
    let retire = Change::Retire {
        quiet: Duration::ZERO,
        forced: Some("nobody reads it".to_owned()),
    };
    store
        .change(&(&accounts(1)).into(), &retire, "a person")
        .await?;
    deposits(&bank, 3).await?;
    let ended = async {
        while bank.relays()[0].1.health != Health::Finished {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), ended).await.unwrap();
    let reached = async {
        while bank.relays()[1].1.cursor.get() < 4 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), reached).await.unwrap();
    assert_eq!(
        (places(&mut v1), places(&mut v2)),
        (vec![1], vec![1, 2, 3, 4])
    );
    // The version's own end is the reason why it stops.
    bank.shutdown().await.ok();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn two_transports_have_cursors_of_their_own() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let (memory, other) = (MemoryBroker::new(), Broken::new(Fault::None));
    let (mut one, mut two) = (
        memory.reader("accounts.v1"),
        other.broker.reader("accounts.v1"),
    );
    other.broker.go_away();
    let bank = bank(&store)
        .relay(memory)
        .relay(other.clone())
        .start()
        .await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    deposits(&bank, 4).await?;
    bank.caught_up().await?;
    let first = async {
        while places(&mut one) != [1, 2, 3, 4, 5] {
            sleep(Duration::from_secs(3600)).await;
        }
    };
    timeout(Duration::from_secs(7200), first).await.unwrap();
    assert_eq!(two.take().len(), 0);
    other.broker.come_back();
    all(&bank).await;
    assert_eq!(places(&mut two), [1, 2, 3, 4, 5]);
    bank.shutdown().await
}

/// A database that was restored: new events would go out under the ids of old ones.
#[tokio::test(start_paused = true)]
async fn a_cursor_beyond_the_head_stops_the_relay() -> Result<()> {
    let (store, broker) = (Store::connect("memory:").await?, MemoryBroker::new());
    let mut reader = broker.reader("accounts.v1");
    let first = bank(&store).start().await?;
    first.execute::<Account>("alice", open("Alice")).await?;
    first.caught_up().await?;
    first.shutdown().await?;
    let relay = RelayId {
        transport: "memory".to_owned(),
        stream: accounts(1),
    };
    let (owner, lease) = ("somebody".to_owned(), Duration::from_secs(60));
    let claim = RelayClaim {
        relay,
        owner,
        lease,
    };
    let held = store.claim_relay(&claim).await?;
    let (from, to) = (Position::START, Position::new(7));
    let (relay, epoch) = (held.relay, held.epoch);
    let step = RelayMove {
        relay,
        epoch,
        from,
        to,
    };
    store.advance_relay(&step).await?;
    store.release(&claim.owner).await?;

    let bank = bank(&store).relay(broker).start().await?;
    let stopped = async {
        loop {
            if let Health::Stopped { reason } = &bank.relays()[0].1.health {
                return reason.clone();
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let reason = timeout(Duration::from_secs(60), stopped).await.unwrap();
    assert!(reason.contains("ES0131"), "{reason}");
    assert_eq!(
        store.relays().await?[0].failure.as_ref().unwrap().reason,
        reason
    );
    // The other version goes on.
    while bank.relays()[1].1.cursor.get() < 1 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(places(&mut reader).len(), 0);
    bank.shutdown().await
}

#[tokio::test(start_paused = true)]
async fn some_events_are_sent_again_to_one_consumer() -> Result<()> {
    let (store, broker) = (Store::connect("memory:").await?, MemoryBroker::new());
    let mut reader = broker.reader("accounts.v2");
    let mut mail = broker.queue("mail");
    let bank = bank(&store).relay(broker.clone()).start().await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    deposits(&bank, 1999).await?;
    all(&bank).await;
    assert_eq!(places(&mut reader).len(), 2000);
    let route = Route::new("bank", accounts(2));
    let range = |from, to| Position::new(from)..=Position::new(to);
    let some = [range(17, 17), range(3, 1502)];
    let sent = redeliver(&store, &route, &some, &broker, "mail").await?;
    assert_eq!(sent, 1501);
    let expected: Vec<u64> = std::iter::once(17).chain(3..=1502).collect();
    assert_eq!(places(&mut mail), expected);
    assert!(places(&mut reader).is_empty());
    // What is not there is known before anything is sent.
    for wrong in [range(1, 2001), range(0, 4), range(2001, 2001)] {
        let both = [range(1, 2), wrong];
        let wrong = redeliver(&store, &route, &both, &broker, "mail").await;
        assert_eq!(wrong.unwrap_err().code(), "ES0205");
    }
    assert!(places(&mut mail).is_empty());
    let nowhere = redeliver(&store, &route, &some, &broker, "nobody").await;
    assert_eq!(nowhere.unwrap_err().code(), "ES0204");
    bank.shutdown().await
}

#[tokio::test]
async fn mistakes_come_out_of_start() {
    let store = Store::connect("memory:").await.unwrap();
    let broker = MemoryBroker::new();
    let twice = bank(&store)
        .relay(broker.clone())
        .relay(broker)
        .start()
        .await;
    assert_eq!(twice.unwrap_err().code(), "ES0126");
}
