//! How long a service remembers command ids.
#![cfg(feature = "testing")]

mod domain;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Account, deposit, open};
use es_runtime::event::{Clock, CommandId, Timestamp};
use es_runtime::store::EventStore;
use es_runtime::{Result, Service, Store};

const HOUR: i64 = 3_600_000_000;

#[derive(Clone, Default)]
struct ByHand(Arc<AtomicI64>);

impl ByHand {
    fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for ByHand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

async fn deposited(bank: &Service, id: &str) -> Result<bool> {
    let command = bank.execute::<Account>("alice", deposit(1));
    Ok(!command.id(CommandId::of(id)).await?.repeated)
}

#[tokio::test(start_paused = true)]
async fn commands_are_forgotten_when_they_are_older_than_the_service_keeps_them() -> Result<()> {
    let clock = ByHand::default();
    let store = Store::connect("memory:").await?;
    let bank = || {
        let bank = Service::builder("bank").store(store.clone());
        bank.clock(clock.clone()).aggregate::<Account>()
    };
    let forgetful = bank()
        .forget_commands_after(Duration::from_hours(10))
        .start()
        .await?;
    forgetful.execute::<Account>("alice", open("Alice")).await?;
    assert!(deposited(&forgetful, "old").await?);
    clock.advance(9 * HOUR);
    assert!(deposited(&forgetful, "new").await?);
    // In virtual time: a pass has been, and nothing is old enough.
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(!deposited(&forgetful, "old").await?);
    clock.advance(2 * HOUR);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(
        deposited(&forgetful, "old").await?,
        "eleven hours are too long"
    );
    assert!(!deposited(&forgetful, "new").await?, "two are not");
    let alice = "account-alice".parse()?;
    let events = store
        .read_stream(&alice, es_runtime::store::StreamQuery::after(0))
        .await?;
    assert_eq!(events.events.len(), 4, "events stay");
    forgetful.shutdown().await?;

    // Who says nothing keeps them for ever.
    let bank = bank().start().await?;
    clock.advance(100_000 * HOUR);
    tokio::time::sleep(Duration::from_hours(30)).await;
    assert!(!deposited(&bank, "new").await?);
    bank.shutdown().await
}
