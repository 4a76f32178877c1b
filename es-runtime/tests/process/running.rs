//! Transfers in a service, by a clock that is turned by hand.

use std::time::Duration;

use es_runtime::event::Clock;
use es_runtime::prelude::*;
use es_runtime::store::{EventStore, Timer};
use es_runtime::testing::SimulatedClock;
use es_runtime::{Result, Retry, Service, Store};

use crate::at_rest::all;
use crate::bank::{Account, AccountCommand, AccountEvent, deposit, open};
use crate::patience::{AGAIN, PATIENCE};
use crate::stores;
use crate::transfer::{Phase, Transfer, TransferEvent, TransferInput, request};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn noon() -> SimulatedClock {
    SimulatedClock::new("2026-01-01T12:00:00Z".parse().unwrap())
}

pub(crate) async fn start(store: &Store, clock: &SimulatedClock) -> Result<Service> {
    let retry = Retry::default()
        .first(Duration::from_millis(1))
        .longest(Duration::from_millis(20));
    Service::builder("bank")
        .store(store.clone())
        .clock(clock.clone())
        .lease(Duration::from_millis(100))
        .retry(retry)
        .aggregate::<Account>()
        .process::<Transfer>()
        .start()
        .await
}

/// Two accounts, with 100 in the first.
async fn accounts(bank: &Service) -> Result<()> {
    for account in ["alice", "bob"] {
        bank.execute::<Account>(account, open(account)).await?;
    }
    bank.execute::<Account>("alice", deposit(100)).await?;
    Ok(())
}

async fn balances(bank: &Service) -> Result<(i64, i64)> {
    let (alice, bob) = (
        bank.load::<Account>("alice").await?,
        bank.load::<Account>("bob").await?,
    );
    Ok((alice.state().balance, bob.state().balance))
}

async fn phase(bank: &Service, id: &str) -> Result<Phase> {
    Ok(bank.load::<Transfer>(id).await?.state().phase)
}

#[tokio::test]
async fn money_arrives() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let bank = start(&store, &clock).await?;
        accounts(&bank).await?;
        let asked = bank.execute::<Transfer>("t1", request("alice", "bob", 30));
        asked.correlation("visit-3").await?;
        bank.settled().await?;
        assert_eq!(balances(&bank).await?, (70, 0));
        assert_eq!(phase(&bank, "t1").await?, Phase::Held);
        bank.execute::<Transfer>("t1", TransferInput::Accept)
            .await?;
        bank.settled().await?;
        assert_eq!(balances(&bank).await?, (70, 30));
        assert_eq!(phase(&bank, "t1").await?, Phase::Done);
        assert_eq!(bank.next_timer().await?, None);
        // The log tells who did it and why.
        let all = all::<AccountEvent>(&store).await?;
        let taken = all
            .iter()
            .find(|e| matches!(e.data, AccountEvent::Withdrawn { .. }));
        let why = &taken.unwrap().metadata;
        assert_eq!(why.actor.as_deref(), Some("transfer-t1"));
        assert_eq!(why.correlation.as_deref(), Some("visit-3"));
        assert!(why.causation.is_some());
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_comes_back_with_its_reason() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = start(&store, &noon()).await?;
        accounts(&bank).await?;
        bank.execute::<Transfer>("t1", request("alice", "bob", 130))
            .await?;
        bank.settled().await?;
        assert_eq!(phase(&bank, "t1").await?, Phase::Failed);
        let all = all::<TransferEvent>(&store).await?;
        let why = "30 short".to_owned();
        assert_eq!(all[1].data, TransferEvent::NotTaken { why });
        bank.shutdown().await?;
    }
    Ok(())
}

/// Somebody who was slow sends a command that was refused meanwhile, when it would be accepted.
#[tokio::test]
async fn a_refusal_is_final() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = start(&store, &noon()).await?;
        accounts(&bank).await?;
        bank.execute::<Transfer>("t1", request("alice", "bob", 130))
            .await?;
        bank.settled().await?;
        let refused = store.read_empty_commands(Position::START, None, 10).await?;
        assert_eq!(refused.len(), 1, "a refusal is kept");
        bank.execute::<Account>("alice", deposit(100)).await?;
        let again = AccountCommand::Withdraw { amount: 130 };
        let late = bank
            .execute::<Account>("alice", again)
            .id(refused[0].command_id)
            .await?;
        assert!(late.repeated && late.events == 0);
        assert_eq!(balances(&bank).await?, (200, 0));
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn money_that_nobody_accepts_goes_back_in_time_and_not_before() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let bank = start(&store, &clock).await?;
        accounts(&bank).await?;
        bank.execute::<Transfer>("t1", request("alice", "bob", 30))
            .await?;
        clock.advance(&bank, PATIENCE - SECOND).await?;
        assert_eq!(phase(&bank, "t1").await?, Phase::Held);
        clock.advance(&bank, SECOND).await?;
        assert_eq!(phase(&bank, "t1").await?, Phase::Returned);
        assert_eq!(balances(&bank).await?, (100, 0));
        let late = bank.execute::<Transfer>("t1", TransferInput::Accept).await;
        assert!(late.unwrap_err().is_rejected());
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn money_whose_accounts_are_closed_waits_until_one_is_open() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let bank = start(&store, &clock).await?;
        accounts(&bank).await?;
        bank.execute::<Transfer>("t1", request("alice", "bob", 30))
            .await?;
        bank.settled().await?;
        for account in ["alice", "bob"] {
            bank.execute::<Account>(account, AccountCommand::Close)
                .await?;
        }
        bank.execute::<Transfer>("t1", TransferInput::Accept)
            .await?;
        clock.advance(&bank, AGAIN * 3).await?;
        assert_eq!(phase(&bank, "t1").await?, Phase::Stuck);
        bank.execute::<Account>("alice", open("alice")).await?;
        clock.advance(&bank, AGAIN).await?;
        assert_eq!(phase(&bank, "t1").await?, Phase::Returned);
        bank.shutdown().await?;
    }
    Ok(())
}

/// When each transfer timed out, in the order of the log.
async fn timed_out(store: &Store) -> Result<Vec<(String, Timestamp)>> {
    let all = all::<TransferEvent>(store).await?;
    let timed_out = all
        .iter()
        .filter(|event| event.data == TransferEvent::TimedOut);
    Ok(timed_out
        .map(|event| (event.id().to_owned(), event.time))
        .collect())
}

#[tokio::test]
async fn timers_fire_in_order_also_after_a_time_in_which_nothing_ran() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let bank = start(&store, &clock).await?;
        accounts(&bank).await?;
        // The last come first in the alphabet, and two are due at one moment.
        for id in ["d", "c", "b", "a"] {
            bank.execute::<Transfer>(id, request("alice", "bob", 1))
                .await?;
            bank.settled().await?;
            if id != "c" {
                clock.turn(SECOND);
            }
        }
        bank.shutdown().await?;
        clock.turn(PATIENCE * 10);
        let (one, two) = (start(&store, &clock).await?, start(&store, &clock).await?);
        one.settled().await?;
        let order: Vec<_> = timed_out(&store)
            .await?
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(order, ["d", "b", "c", "a"]);
        assert_eq!(balances(&one).await?, (100, 0));
        one.shutdown().await?;
        two.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn time_that_passes_stops_at_each_timer() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let clock = noon();
    let bank = start(&store, &clock).await?;
    accounts(&bank).await?;
    let began = clock.now();
    for id in ["b", "a"] {
        bank.execute::<Transfer>(id, request("alice", "bob", 1))
            .await?;
        clock.advance(&bank, SECOND).await?;
    }
    clock.advance(&bank, PATIENCE * 2).await?;
    let at = |id: &str, after: Duration| (id.to_owned(), began + after);
    let expected = [at("b", PATIENCE), at("a", PATIENCE + SECOND)];
    assert_eq!(timed_out(&store).await?, expected);
    bank.shutdown().await
}

#[tokio::test]
async fn a_timer_that_was_set_before_its_process_ran_again_is_there() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let bank = start(&store, &clock).await?;
        accounts(&bank).await?;
        bank.execute::<Transfer>("t1", request("alice", "bob", 30))
            .await?;
        bank.settled().await?;
        let timers = store.timers("transfer", None, 10).await?;
        let [
            Timer {
                place, attempts: 0, ..
            },
        ] = &timers[..]
        else {
            panic!("one timer waits: {timers:?}");
        };
        assert_eq!((&*place.key, &*place.name), ("t1", "patience"));
        assert_eq!(place.due, clock.now() + PATIENCE);
        bank.shutdown().await?;
    }
    Ok(())
}
