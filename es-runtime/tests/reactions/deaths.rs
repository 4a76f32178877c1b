//! Instances of two releases die at any moment, while somebody promotes and rolls back: in the end
//! each event has been enqueued once.

use std::collections::BTreeSet;
use std::env;
use std::process::Stdio;
use std::time::{Duration, Instant};

use es_runtime::prelude::*;
use es_runtime::store::{Change, EventStore, LogQuery, ProjectionId, ReactionClaim};
use es_runtime::{Attempt, Builder, Retry, Service, Store};
use es_servers::Postgres;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::domain::{Account, AccountCommand, AccountEvent, Notice, One, Two, deposit, open};
use crate::until::until;

const ACCOUNTS: usize = 7;

/// Nobody outside listens, so that what was enqueued can be counted.
fn nobody<P>(bank: Builder) -> Builder
where
    P: React<AccountEvent, Reaction = Notice>,
{
    bank.project::<AccountEvent, P>()
        .react::<AccountEvent, P>(|_: Notice, _: Attempt| async { Err("not now".into()) })
}

/// One of the two releases.
async fn instance(store: &Store, newer: bool) -> es_runtime::Result<Service> {
    let bank = Service::builder("bank")
        .store(store.clone())
        .lease(Duration::from_millis(60))
        .retry(
            Retry::default()
                .first(Duration::from_hours(1))
                .longest(Duration::from_hours(1)),
        )
        .aggregate::<Account>();
    let bank = nobody::<One>(bank);
    let bank = if newer { nobody::<Two>(bank) } else { bank };
    bank.start().await
}

#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn the_process_that_is_killed() {
    let store = Store::connect(&env::var("ES_URL").unwrap()).await.unwrap();
    let newer = env::var("ES_NEWER").is_ok();
    // Another one may hold the database for a moment.
    let bank = until("it starts", async || instance(&store, newer).await.ok()).await;
    bank.until_shutdown().await.ok();
}

fn spawn(url: &str, newer: bool) -> Child {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--ignored", "--exact", "deaths::the_process_that_is_killed"])
        .env("ES_URL", url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if newer {
        child.env("ES_NEWER", "1");
    }
    child.spawn().unwrap()
}

async fn happen(bank: &Service, random: &mut Rng) {
    let account = format!("account {}", random.usize(..ACCOUNTS));
    let command = match random.u8(..8) {
        0 => AccountCommand::Close,
        1 | 2 => open(&account),
        _ => deposit(random.i64(1..100)),
    };
    // Some are refused; that is no event.
    bank.execute::<Account>(account, command).await.ok();
}

/// Somebody changes the life of a version, and does not always live to see it.
async fn operate(store: &Store, random: &mut Rng) {
    let version = random.u32(1..=2);
    let id = ProjectionId {
        version,
        ..ProjectionId::from(&One::TABLE)
    };
    let reason = "the test says so".to_owned();
    let change = match random.u8(..10) {
        0..5 => Change::Promote {
            fresh: Duration::ZERO,
            forced: Some(reason),
        },
        5..7 => Change::RollBack { reason },
        7 => Change::Rebuild { reason },
        8 => Change::Pause { reason },
        _ => Change::Resume,
    };
    let patience = Duration::from_micros(random.u64(..4000));
    match random.bool() {
        true => drop(timeout(patience, store.change(&id, &change, "test")).await),
        false => drop(store.change(&id, &change, "test").await),
    }
    // Nobody stands still for long.
    if change.clone()
        == (Change::Pause {
            reason: String::new(),
        })
        || random.bool()
    {
        store.change(&id, &Change::Resume, "test").await.ok();
    }
}

/// The events after this position, with the keys that they touch.
async fn happened(store: &Store, mut after: Position) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    loop {
        let query = LogQuery::after(after).limit(1000);
        let page = store.read_log(&query).await.unwrap().events;
        for event in page.iter() {
            let account = event.stream.strip_prefix("account-").unwrap();
            all.push((event.position.get(), account.to_owned()));
            after = event.position;
        }
        if page.iter().next().is_none() {
            return all;
        }
    }
}

/// All reactions that wait, by the position of their event and their key.
async fn enqueued(store: &Store) -> Vec<(u64, String)> {
    store.retry_reactions("balances", None).await.unwrap();
    let claim = ReactionClaim {
        projection: "balances".to_owned(),
        version: 9,
        owner: "the test".to_owned(),
        lease: Duration::from_secs(60),
        keys: 1000,
        each: 1_000_000,
    };
    let keys = store.claim_reactions(&claim).await.unwrap();
    let all = keys.into_iter().flat_map(|key| key.reactions);
    let mut all: Vec<_> = all.map(|r| (r.id.position.get(), r.id.key)).collect();
    all.sort();
    all
}

/// Lets processes of both releases live and die for a while, and counts then.
async fn each_event_is_enqueued_once(url: &str, seed: u64) {
    println!("ES_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let store = Store::connect(url).await.unwrap();
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>();
    let bank = bank.start().await.unwrap();
    for _ in 0..10 {
        happen(&bank, &mut random).await;
    }
    // Declared: from here on it is reacted to.
    let history = store.head().await.unwrap().get();
    instance(&store, false)
        .await
        .unwrap()
        .shutdown()
        .await
        .unwrap();
    let mut children = vec![spawn(url, false), spawn(url, true), spawn(url, true)];
    let (began, mut deaths) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(8) || deaths < 4 {
        for _ in 0..random.usize(..20) {
            happen(&bank, &mut random).await;
        }
        operate(&store, &mut random).await;
        if random.u8(..12) == 0 {
            let child = random.usize(..children.len());
            children[child].kill().await.unwrap();
            deaths += 1;
            children[child] = spawn(url, random.u8(..3) > 0);
        }
        // Time for the others, as long as a disk takes; nothing depends on it.
        sleep(Duration::from_millis(random.u64(..30))).await;
    }
    for mut child in children {
        child.kill().await.unwrap();
    }
    let last = until("one lives on", async || instance(&store, true).await.ok()).await;
    for version in 1..=2 {
        let id = ProjectionId {
            version,
            ..ProjectionId::from(&One::TABLE)
        };
        store.change(&id, &Change::Resume, "test").await.unwrap();
    }
    timeout(Duration::from_secs(60), last.caught_up())
        .await
        .expect("it stands still")
        .unwrap();
    last.shutdown().await.unwrap();
    let happened = happened(&store, Position::new(history)).await;
    let enqueued = enqueued(&store).await;
    let (all, found): (BTreeSet<_>, BTreeSet<_>) =
        (happened.iter().collect(), enqueued.iter().collect());
    assert!(
        all == found,
        "seed {seed}: {:?} and {:?}",
        all.difference(&found),
        found.difference(&all)
    );
    assert_eq!(enqueued.len(), happened.len());
    println!("{} events, {deaths} deaths", happened.len());
    bank.shutdown().await.unwrap();
    store.close().await;
}

fn seed() -> u64 {
    let given = env::var("ES_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(..))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_enqueued_once_in_a_file() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    each_event_is_enqueued_once(&url, seed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_enqueued_once_on_a_server() {
    let server = Postgres::start();
    each_event_is_enqueued_once(&server.database(), seed()).await;
}
