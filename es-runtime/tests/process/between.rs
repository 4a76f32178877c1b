//! Two services, each with its log, that speak in streams: whatever dies, every event is an input
//! once, and no money is lost between them.

use std::time::Duration;

use es_runtime::consume::{Consumer, Running};
use es_runtime::event::CommandId;
use es_runtime::integration::{IntegrationEvent, stream_of};
use es_runtime::prelude::*;
use es_runtime::store::memory::MemoryStore;
use es_runtime::store::{EventStore, InboxId, InboxMove, StreamCursor};
use es_runtime::testing::SimulatedClock;
use es_runtime::{Builder, Result, Retry, Service, Store};
use es_servers::Postgres;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::at_rest::{account, all, balances, between, remittances};
use crate::bank::{Account, AccountCommand, AccountEvent, deposit, open};
use crate::direct::{Direct, hostile, no_faults};
use crate::kills::{DEADLINE, Place, seed};
use crate::patience::{AGAIN, PATIENCE};
use crate::remittance::{Booking, Bookings, Phase, Remittance, RemittanceInput, Requests};
use crate::running::noon;
use crate::stores;
use crate::until::until;

fn builder(name: &str, store: &Store, clock: &SimulatedClock) -> Builder {
    let retry = Retry::default()
        .first(Duration::from_millis(1))
        .longest(Duration::from_millis(20));
    Service::builder(name)
        .store(store.clone())
        .clock(clock.clone())
        .lease(Duration::from_millis(100))
        .retry(retry)
}

async fn accounts(store: &Store, clock: &SimulatedClock) -> Result<Service> {
    builder("accounts", store, clock)
        .aggregate::<Account>()
        .process::<Booking>()
        .inputs::<Booking>()
        .publish::<Booking, Bookings>()
        .start()
        .await
}

async fn transfers(store: &Store, clock: &SimulatedClock) -> Result<Service> {
    builder("transfers", store, clock)
        .process::<Remittance>()
        .inputs::<Remittance>()
        .publish::<Remittance, Requests>()
        .start()
        .await
}

/// Brings what `upstream` publishes as `E` to the aggregates `A` of a service.
async fn bring<E: IntegrationEvent, A: Receives<E>>(
    service: &Service,
    upstream: &Store,
    random: Option<Rng>,
) -> Result<Running> {
    let upstream = upstream.clone();
    let consumer = Consumer::new("inputs", service.store().clone());
    let consumer = consumer.lease(Duration::from_millis(100));
    match random {
        Some(random) => {
            let faults = hostile(random);
            let consumer = consumer.stream::<E>(Direct { upstream, faults });
            consumer
                .handle(service.inputs::<A>()?)
                .parts(3)
                .start()
                .await
        }
        None => {
            let faults = no_faults;
            let consumer = consumer.stream::<E>(Direct { upstream, faults });
            consumer.handle(service.inputs::<A>()?).start().await
        }
    }
}

fn request(from: &str, to: &str, amount: i64) -> RemittanceInput {
    let (from, to) = (from.to_owned(), to.to_owned());
    RemittanceInput::Request { from, to, amount }
}

async fn head<E: IntegrationEvent>(service: &Service) -> Result<Position> {
    let head = service.store().published_head(&stream_of::<E>()).await?;
    Ok(head.position)
}

#[tokio::test]
async fn a_transfer_between_two_services() -> Result<()> {
    for ((one, _folder), (other, _other)) in stores().await.into_iter().zip(stores().await) {
        let clock = noon();
        let (bank, transfers) = (
            accounts(&one, &clock).await?,
            transfers(&other, &clock).await?,
        );
        let asked = bring::<Requests, Booking>(&bank, &other, None).await?;
        let answered = bring::<Bookings, Remittance>(&transfers, &one, None).await?;
        for account in ["alice", "bob"] {
            bank.execute::<Account>(account, open(account)).await?;
        }
        bank.execute::<Account>("alice", deposit(100)).await?;
        let phase = async |id: &str| {
            until("it ends", async || {
                let transfer = transfers.load::<Remittance>(id).await.unwrap();
                let phase = transfer.state().phase;
                let ended = matches!(phase, Phase::Done | Phase::Failed | Phase::Returned);
                ended.then_some(phase)
            })
            .await
        };
        let asks = transfers.execute::<Remittance>("t1", request("alice", "bob", 30));
        asks.correlation("visit-3").await?;
        assert_eq!(phase("t1").await, Phase::Done);
        transfers
            .execute::<Remittance>("t2", request("alice", "bob", 300))
            .await?;
        assert_eq!(phase("t2").await, Phase::Failed);
        transfers
            .execute::<Remittance>("t3", request("alice", "nobody", 10))
            .await?;
        assert_eq!(phase("t3").await, Phase::Returned);
        let balance = async |account: &str| -> Result<i64> {
            Ok(bank.load::<Account>(account).await?.state().balance)
        };
        assert_eq!((balance("alice").await?, balance("bob").await?), (70, 30));
        // Why it happened is known on both sides, to the event of the other service.
        let events = one
            .read_correlated("visit-3", Position::START, 99)
            .await?
            .events;
        let withdrawn = events.to_vec()?.into_iter();
        let withdrawn = withdrawn.filter(|event| event.event_type == "account.withdrawn");
        assert_eq!(withdrawn.count(), 1);
        let booked = all::<crate::remittance::BookingEvent>(&one).await?;
        let causation = booked[0].metadata.causation.as_deref();
        assert_eq!(causation, Some("requests.v1-1"));
        asked.stop().await?;
        answered.stop().await?;
        bank.shutdown().await?;
        transfers.shutdown().await?;
    }
    Ok(())
}

/// What a consumer begins anew, also under another name, is repeated, and counts once.
#[tokio::test]
async fn an_event_is_an_input_once() -> Result<()> {
    for (store, _folder) in stores().await {
        let clock = noon();
        let other = Store::connect("memory:").await?;
        let (bank, transfers) = (
            accounts(&store, &clock).await?,
            transfers(&other, &clock).await?,
        );
        bank.execute::<Account>("alice", open("alice")).await?;
        bank.execute::<Account>("alice", deposit(100)).await?;
        for n in 0..20 {
            let id = format!("t{n}");
            transfers
                .execute::<Remittance>(id, request("alice", "bob", 1))
                .await?;
        }
        transfers.caught_up().await?;
        let last = head::<Requests>(&transfers).await?;
        for name in ["one", "another"] {
            let upstream = Direct {
                upstream: other.clone(),
                faults: no_faults,
            };
            let consumer = Consumer::new(name, store.clone()).stream::<Requests>(upstream);
            let consumer = consumer.handle(bank.inputs::<Booking>()?).start().await?;
            consumer.reached(last).await?;
            let settled = timeout(DEADLINE, bank.settled()).await;
            settled.expect("what is an input again does nothing")?;
            consumer.stop().await?;
        }
        let alice = bank.load::<Account>("alice").await?;
        assert_eq!(alice.state().balance, 80);
        bank.shutdown().await?;
        transfers.shutdown().await?;
    }
    Ok(())
}

/// An input is there with the cursor that passed its event, and not without.
#[tokio::test]
async fn inputs_are_committed_with_the_cursor_or_not_at_all() -> Result<()> {
    use es_runtime::consume::Handler;
    let server = Postgres::start();
    let postgres = Store::connect(&server.database()).await?;
    let mut places = stores().await;
    places.push((postgres, None));
    for (store, _folder) in places {
        let bank = accounts(&store, &noon()).await?;
        bank.shutdown().await?;
        let mut inputs = bank.inputs::<Booking>()?;
        let inbox = InboxId {
            consumer: "inputs".to_owned(),
            stream: stream_of::<Requests>(),
        };
        let at = |n: u8| StreamCursor {
            position: Position::new(n.into()),
            hash: [n; 32],
        };
        let begun = StreamCursor::default();
        let waiting = async || {
            let waiting = store
                .reaction_queues("inputs:booking", None, 9)
                .await
                .unwrap();
            waiting.iter().map(|waits| waits.pending).sum::<u64>()
        };
        // The second one comes from where the inbox does not stand any more, the third is dropped.
        for (n, from, commits, expected) in [
            (1, begun, true, 1),
            (2, begun, true, 1),
            (3, at(1), false, 1),
            (4, at(1), true, 2),
        ] {
            let debit = Requests::Debit {
                booking: "t1.1".to_owned(),
                account: "alice".to_owned(),
                amount: 5,
            };
            let event = Received::example("t1", n, debit);
            let mut tx = store.begin().await?;
            inputs.handle(&event, &mut tx).await.unwrap();
            if commits {
                let step = InboxMove::new(&inbox, from, at(u8::try_from(n).unwrap()));
                store.commit_inbox(tx, &step).await?;
            } else {
                drop(tx);
            }
            assert_eq!(waiting().await, expected, "after the event at {n}");
        }
        // They wait in the order in which they came; what nobody wants any more is given up.
        let first = store.reaction_queues("inputs:booking", None, 9).await?;
        assert!(
            store
                .drop_reaction(&first[0].first, "a test", "karin")
                .await?
        );
        let then = store.reaction_queues("inputs:booking", None, 9).await?;
        assert!(then[0].first.position > first[0].first.position);
        let told = store
            .life(&es_runtime::store::ProjectionId::process("booking"))
            .await?;
        assert!(
            told.iter().any(|entry| entry.what == "drop reaction"),
            "{told:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_inbox_elsewhere_is_refused() -> Result<()> {
    let (store, clock) = (Store::connect("memory:").await?, noon());
    let bank = accounts(&store, &clock).await?;
    let elsewhere = Store::connect("memory:").await?;
    let upstream = Direct {
        upstream: elsewhere.clone(),
        faults: no_faults,
    };
    let consumer = Consumer::new("inputs", elsewhere).stream::<Requests>(upstream);
    let error = consumer
        .handle(bank.inputs::<Booking>()?)
        .start()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ES0263"), "{error}");
    assert_eq!(bank.inputs::<Account>().unwrap_err().code(), "ES0124");
    bank.shutdown().await?;
    let nobody = builder("bank", &store, &clock).inputs::<Booking>();
    assert_eq!(nobody.start().await.unwrap_err().code(), "ES0124");
    let twice = builder("bank", &store, &clock)
        .inputs::<Booking>()
        .inputs::<Booking>();
    assert_eq!(twice.start().await.unwrap_err().code(), "ES0126");
    Ok(())
}

/// A service that runs, and dies with its runtime.
struct Side {
    runtime: Runtime,
    service: Service,
    consumer: Running,
}

impl Side {
    fn accounts(places: &Places, clock: &SimulatedClock, random: &mut Rng) -> Self {
        let (runtime, random) = (Runtime::new().unwrap(), random.fork());
        let (service, consumer) = runtime.block_on(async {
            let (own, upstream) = (
                places.accounts.store().await,
                places.transfers.store().await,
            );
            let service = accounts(&own, clock).await.unwrap();
            let consumer = bring::<Requests, Booking>(&service, &upstream, Some(random)).await;
            (service, consumer.unwrap())
        });
        Self {
            runtime,
            service,
            consumer,
        }
    }

    fn transfers(places: &Places, clock: &SimulatedClock, random: &mut Rng) -> Self {
        let (runtime, random) = (Runtime::new().unwrap(), random.fork());
        let (service, consumer) = runtime.block_on(async {
            let (own, upstream) = (
                places.transfers.store().await,
                places.accounts.store().await,
            );
            let service = transfers(&own, clock).await.unwrap();
            let consumer = bring::<Bookings, Remittance>(&service, &upstream, Some(random)).await;
            (service, consumer.unwrap())
        });
        Self {
            runtime,
            service,
            consumer,
        }
    }

    /// It ends in the midst of whatever it is.
    fn die(self) {
        std::mem::forget(self.service);
        std::mem::forget(self.consumer);
        self.runtime.shutdown_background();
    }
}

/// Where the two logs are.
struct Places {
    accounts: Place,
    transfers: Place,
}

const LIVES: usize = 10;

fn conserved(places: &Places) {
    let mut random = Rng::with_seed(seed());
    let (clock, mut number) = (noon(), 0);
    let mut accounts = Side::accounts(places, &clock, &mut random);
    let mut transfers = Side::transfers(places, &clock, &mut random);
    for life in 0..LIVES {
        if random.bool() {
            accounts.die();
            accounts = Side::accounts(places, &clock, &mut random);
        }
        if random.bool() {
            transfers.die();
            transfers = Side::transfers(places, &clock, &mut random);
        }
        for _ in 0..random.usize(1..25) {
            happen(&accounts, &transfers, &mut random, &mut number);
            match random.u8(..8) {
                0 => clock.turn(PATIENCE / 3),
                1 => std::thread::yield_now(),
                2 => {
                    let pause = Duration::from_millis(random.u64(..5));
                    accounts.runtime.block_on(async { sleep(pause).await });
                }
                _ => {}
            }
        }
        if random.u8(..4) == 0 {
            clock.turn(AGAIN);
        }
        if life + 1 == LIVES || random.u8(..4) == 0 {
            rest(&accounts, &transfers);
            check(&accounts, &transfers);
        }
    }
    accounts.die();
    transfers.die();
}

/// Something that people do; what is refused is no event.
fn happen(accounts: &Side, transfers: &Side, random: &mut Rng, number: &mut u64) {
    let (one, other, amount) = (account(random), account(random), random.i64(1..100));
    let bank = &accounts.service;
    match random.u8(..10) {
        0 => drop(
            accounts
                .runtime
                .block_on(async { bank.execute::<Account>(one, AccountCommand::Close).await }),
        ),
        1 | 2 => drop(
            accounts
                .runtime
                .block_on(async { bank.execute::<Account>(&one, open(&one)).await }),
        ),
        3 | 4 => drop(
            accounts
                .runtime
                .block_on(async { bank.execute::<Account>(one, deposit(amount)).await }),
        ),
        _ => {
            *number += 1;
            let id = format!("t{number}");
            transfers.runtime.block_on(async {
                let asks = transfers
                    .service
                    .execute::<Remittance>(&id, request(&one, &other, amount));
                asks.id(CommandId::of(&id)).await.ok();
            });
        }
    }
}

/// Waits until nothing is left to do on either side.
fn rest(accounts: &Side, transfers: &Side) {
    let heads = || {
        let bank = accounts.runtime.block_on(accounts.service.store().head());
        let other = transfers.runtime.block_on(transfers.service.store().head());
        (bank.unwrap(), other.unwrap())
    };
    let settled = |side: &Side| {
        let settled = async { timeout(DEADLINE, side.service.settled()).await };
        let settled = side.runtime.block_on(settled);
        settled.expect("it comes to rest").unwrap();
    };
    let reached = |side: &Side, position: Position| {
        let reached = async { timeout(DEADLINE, side.consumer.reached(position)).await };
        let reached = side.runtime.block_on(reached);
        reached.expect("it hears of it").unwrap();
    };
    loop {
        let before = heads();
        settled(transfers);
        reached(
            accounts,
            transfers
                .runtime
                .block_on(head::<Requests>(&transfers.service))
                .unwrap(),
        );
        settled(accounts);
        reached(
            transfers,
            accounts
                .runtime
                .block_on(head::<Bookings>(&accounts.service))
                .unwrap(),
        );
        settled(transfers);
        if heads() == before {
            return;
        }
    }
}

/// What both sides have is looked at together.
fn check(accounts: &Side, transfers: &Side) {
    let (bank, other) = (&accounts.service, &transfers.service);
    let (events, inside) = accounts.runtime.block_on(async {
        let events = all::<AccountEvent>(bank.store()).await.unwrap();
        (events, balances(bank).await.values().sum())
    });
    let transfers = transfers.runtime.block_on(remittances(other));
    between(&events, inside, transfers);
}

#[test]
fn no_money_is_lost_between_two_services_in_memory() {
    let place = || Place::Memory(MemoryStore::new());
    let (accounts, transfers) = (place(), place());
    conserved(&Places {
        accounts,
        transfers,
    });
}

#[test]
fn no_money_is_lost_between_two_services_in_sqlite() {
    let folder = TempDir::new().unwrap();
    let place = |name: &str| Place::Url(format!("sqlite://{}", folder.path().join(name).display()));
    let (accounts, transfers) = (place("accounts.db"), place("transfers.db"));
    conserved(&Places {
        accounts,
        transfers,
    });
}

#[test]
fn no_money_is_lost_between_two_services_in_postgres() {
    let server = Postgres::start();
    let place = || Place::Url(server.database());
    let (accounts, transfers) = (place(), place());
    conserved(&Places {
        accounts,
        transfers,
    });
}
