//! Releases of both sides come and go at random, under load: each thing that happened is told once, by
//! one version, and in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use es_runtime::consume::{HandlerError, Running};
use es_runtime::event::Position;
use es_runtime::store::LogQuery;
use es_runtime::{Result, Service, Store};
use es_servers::Postgres;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::bank::{Bank, Wherever, v1, v2};
use crate::domain::{Account, AccountEvent, deposit, open, withdraw};
use crate::effects::{Effect, Rows, effects};
use crate::{new, old, reads_all};

const ACCOUNTS: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];

/// An instance of the consumer, as a process of its own: killed, it does nothing any more.
struct Instance {
    runtime: Runtime,
    running: Running,
}

impl Instance {
    async fn start(
        url: &str,
        feed: Wherever,
        version: u32,
        parts: u16,
        mood: Option<Rng>,
    ) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let url = url.to_owned();
        let running = runtime.spawn(async move {
            let database = Store::connect(&url).await?;
            let rows = moody(&database, mood);
            match version {
                1 => old(&database, feed, rows, parts).await,
                _ => new(&database, feed, rows, parts).await,
            }
        });
        let running = running.await.unwrap()?;
        Ok(Self { runtime, running })
    }

    async fn stop(self) -> Result<()> {
        let stopped = self.running.stop().await;
        self.runtime.shutdown_background();
        stopped
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

/// Fails now and then, and is slow now and then, at random.
fn moody(database: &Store, mood: Option<Rng>) -> Rows {
    let Some(random) = mood else {
        return Rows::good(database);
    };
    let random = Mutex::new(random);
    Rows::waiting(database, move |_| {
        let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
        let (mood, slow) = (random.u8(..80), random.u64(..20));
        async move {
            if mood < 20 {
                tokio::time::sleep(Duration::from_millis(slow)).await;
            }
            match mood {
                0 => Err("in a bad mood".into()),
                1 => Err::<_, HandlerError>(es_runtime::Error::database("x", "away").into()),
                _ => Ok(()),
            }
        }
    })
}

/// Something happens in the bank all the time, whichever release of it is published.
async fn load(store: Store, mut random: Rng, ends: Arc<AtomicBool>) -> Result<()> {
    let writer = Service::builder("bank")
        .store(store)
        .heartbeat(Duration::from_millis(20), Duration::from_secs(30))
        .aggregate::<Account>();
    let writer = writer.start().await?;
    for account in ACCOUNTS {
        writer.execute::<Account>(account, open(account)).await?;
        writer.execute::<Account>(account, deposit(1000)).await?;
    }
    while !ends.load(Ordering::SeqCst) {
        let account = ACCOUNTS[random.usize(..ACCOUNTS.len())];
        let command = match random.u8(..4) {
            0 => withdraw(1),
            _ => deposit(random.i64(1..10)),
        };
        writer.execute::<Account>(account, command).await?;
        tokio::time::sleep(Duration::from_millis(random.u64(..4))).await;
    }
    writer.shutdown().await
}

async fn whatever_happens(url: &str, steps: u32) -> Result<()> {
    let seed = std::env::var("ES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut bank = Bank::new(random.bool()).await?;
    let ends = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(load(bank.store.clone(), random.fork(), ends.clone()));
    let mut running: Vec<Instance> = Vec::new();
    for _ in 0..steps {
        match random.u8(..10) {
            0..=4 if running.len() < 4 => {
                let (version, parts) = (random.u32(1..=2), random.u16(1..4));
                let mood = Some(random.fork());
                let start = Instance::start(url, bank.feed(), version, parts, mood);
                running.push(start.await?);
            }
            5 | 6 if !running.is_empty() => {
                let one = running.swap_remove(random.usize(..running.len()));
                match random.bool() {
                    true => one.stop().await?,
                    false => one.kill(),
                }
            }
            7 | 8 => bank.deploy(random.u8(..3) > 0).await?,
            _ => {}
        }
        if let Some(one) = running.first() {
            let more = one.running.progress().position.get() + random.u64(1..60);
            let reached = one.running.reached(Position::new(more));
            let patience = Duration::from_millis(random.u64(50..700));
            tokio::time::timeout(patience, reached).await.ok();
        }
    }
    ends.store(true, Ordering::SeqCst);
    load.await.unwrap()?;
    // Whatever is held up until an old release is there, or a new one, goes on.
    bank.deploy(true).await?;
    let first = Instance::start(url, bank.feed(), 1, 1, None).await?;
    let last = Instance::start(url, bank.feed(), 2, 2, None).await?;
    for one in running {
        one.stop().await?;
    }
    reads_all(&bank, &last.running, 2).await?;
    first.stop().await?;
    last.stop().await?;
    judge(&bank, &Store::connect(url).await?).await
}

/// Each internal event was told as one version tells it, once, and those of an account in order.
async fn judge(bank: &Bank, database: &Store) -> Result<()> {
    let mut told = effects(database).await?;
    let mut expected = BTreeMap::<String, Vec<Effect>>::new();
    let mut replay = bank
        .store
        .replay::<AccountEvent>(LogQuery::after(Position::START));
    let (mut log, mut moves) = (0, BTreeMap::<u32, u64>::new());
    while let Some(event) = replay.next().await? {
        log += 1;
        let (account, source) = (event.id().to_owned(), event.position.get());
        let mine = told.get_mut(&account).map(|all| {
            let mine = all.iter().take_while(|effect| effect.of.source == source);
            let mine = mine.count();
            all.drain(..mine).collect::<Vec<_>>()
        });
        let mine = mine.unwrap_or_default();
        let many = |version| match version {
            1 => v1::many(&event.data),
            _ => v2::many(&event.data),
        };
        let whole = |version| {
            let parts = (0..many(version)).map(|part| crate::effect(version, source, part));
            mine.iter().cloned().eq(parts)
        };
        assert!(
            whole(1) || whole(2),
            "{source} of {account} was told as {mine:?}"
        );
        let version = mine.first().map_or(0, |effect| effect.version);
        *moves.entry(version).or_default() += 1;
        expected.entry(account).or_default();
    }
    told.retain(|_, left| !left.is_empty());
    assert_eq!(told, BTreeMap::new(), "told twice, or in another order");
    println!("{log} events, by the version that told them (0: neither did): {moves:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_deployed_nothing_is_lost_or_doubled_in_sqlite() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("inbox.db").display());
    whatever_happens(&url, 25).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_deployed_nothing_is_lost_or_doubled_in_postgres() -> Result<()> {
    let server = Postgres::start();
    whatever_happens(&server.database(), 25).await
}
