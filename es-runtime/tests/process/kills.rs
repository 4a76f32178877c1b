//! A bank whose instances die at any moment, whose clock jumps, and whose accounts open and close:
//! at every quiet point no money is lost, and none was made.

use std::env;
use std::time::Duration;

use es_runtime::event::CommandId;
use es_runtime::store::memory::MemoryStore;
use es_runtime::testing::SimulatedClock;
use es_runtime::{Service, Store};
use es_servers::Postgres;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::at_rest::account;
use crate::bank::{Account, AccountCommand, deposit, open};
use crate::conserved::check;
use crate::patience::{AGAIN, PATIENCE};
use crate::running::{noon, start};
use crate::transfer::{Transfer, TransferInput, request};

const LIVES: usize = 12;
/// More than anything here takes, also on a machine with much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Where the log is, for one life of the bank after the other.
pub(crate) enum Place {
    Memory(MemoryStore),
    Url(String),
}

impl Place {
    pub(crate) async fn store(&self) -> Store {
        match self {
            Self::Memory(store) => Store::Memory(store.clone()),
            Self::Url(url) => Store::connect(url).await.unwrap(),
        }
    }
}

pub(crate) fn seed() -> u64 {
    let given = env::var("ES_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    seed
}

/// Something that people do; what is refused is no event.
async fn happen(bank: &Service, random: &mut Rng, number: &mut u64) {
    let (one, other) = (account(random), account(random));
    match random.u8(..12) {
        0 => drop(bank.execute::<Account>(one, AccountCommand::Close).await),
        1 | 2 => drop(bank.execute::<Account>(&one, open(&one)).await),
        3 | 4 => drop(
            bank.execute::<Account>(one, deposit(random.i64(1..100)))
                .await,
        ),
        5..9 => {
            *number += 1;
            let id = format!("t{number}");
            let asked = bank.execute::<Transfer>(&id, request(&one, &other, random.i64(1..100)));
            asked.id(CommandId::of(&id)).await.ok();
        }
        _ => {
            let id = format!("t{}", random.u64(0..=*number));
            drop(bank.execute::<Transfer>(id, TransferInput::Accept).await);
        }
    }
}

/// A life of the bank: people do things while time passes, and in the midst of it everything stops.
/// The last one comes to rest.
fn live(place: &Place, clock: &SimulatedClock, random: &mut Rng, number: &mut u64, last: bool) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let store = place.store().await;
        let instances = if random.bool() { 2 } else { 1 };
        let mut bank = Vec::new();
        for _ in 0..instances {
            bank.push(start(&store, clock).await.unwrap());
        }
        for _ in 0..random.usize(1..25) {
            let one = random.usize(..bank.len());
            happen(&bank[one], random, number).await;
            match random.u8(..6) {
                0 => clock.turn(PATIENCE / 3),
                1 => sleep(Duration::from_millis(random.u64(..5))).await,
                _ => {}
            }
        }
        if random.u8(..4) == 0 {
            clock.turn(AGAIN);
        }
        if last {
            for bank in &bank {
                timeout(DEADLINE, bank.settled())
                    .await
                    .expect("it comes to rest")
                    .unwrap();
            }
            check(&store, &bank[0]).await;
        }
        // Those that are forgotten run until the runtime is gone, in the midst of whatever it is.
        bank.into_iter().for_each(std::mem::forget);
    });
    runtime.shutdown_background();
}

fn conserved(place: &Place, lives: usize) {
    let mut random = Rng::with_seed(seed());
    let (clock, mut number) = (noon(), 0);
    for life in 0..lives {
        let rests = life + 1 == lives || random.u8(..4) == 0;
        live(place, &clock, &mut random, &mut number, rests);
    }
}

#[test]
fn no_money_is_lost_in_memory() {
    for _ in 0..5 {
        conserved(&Place::Memory(MemoryStore::new()), LIVES);
    }
}

#[test]
fn no_money_is_lost_in_sqlite() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    conserved(&Place::Url(url), LIVES);
}

#[test]
fn no_money_is_lost_in_postgres() {
    let server = Postgres::start();
    conserved(&Place::Url(server.database()), LIVES);
}
