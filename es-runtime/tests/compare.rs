//! A shadow and the live version are compared at one position, and what differs is told.
#![cfg(all(feature = "postgres", feature = "sqlite", feature = "testing"))]

mod domain;
mod until;

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;
use std::time::Duration;

use domain::{Account, AccountCommand, AccountEvent, deposit, open};
use es_runtime::event::Position;
use es_runtime::prelude::*;
use es_runtime::projection::Compared;
use es_runtime::store::{
    Change, Comparison, EventStore, LogQuery, Phase, ProjectionId, ProjectionState,
};
use es_runtime::{Builder, Error, Service, Store};
use es_servers::Postgres;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::task::JoinSet;
use until::until;

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "balances", version = 1)]
struct Old {
    amount: i64,
}

/// It has bugs: it forgets whoever is called `lost`, keeps what is closed of `extra`, and counts
/// deposits that end in 7 one short.
#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "balances", version = 2, slices = 4)]
struct New {
    owner: String,
    amount: i64,
}

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "balances", version = 3)]
struct Next {
    amount: i64,
}

impl From<New> for Old {
    fn from(new: New) -> Self {
        Self { amount: new.amount }
    }
}

impl From<Next> for Old {
    fn from(Next { amount }: Next) -> Self {
        Self { amount }
    }
}

fn folded(row: Option<i64>, event: &AccountEvent) -> Option<i64> {
    match event {
        AccountEvent::Opened { .. } => Some(0),
        AccountEvent::Deposited { amount } => Some(row? + amount),
        AccountEvent::Withdrawn { amount } => Some(row? - amount),
        AccountEvent::Closed => None,
    }
}

fn is_bug(amount: i64) -> bool {
    amount % 10 == 7
}

impl Fold<AccountEvent> for Old {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let amount = folded(row.map(|row| row.amount), &event.data)?;
        Some(Self { amount })
    }
}

impl Fold<AccountEvent> for Next {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let amount = folded(row.map(|row| row.amount), &event.data)?;
        Some(Self { amount })
    }
}

impl Fold<AccountEvent> for New {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        if event.id() == "lost" {
            return None;
        }
        let kept = row.clone().filter(|_| event.id() == "extra");
        let owner = match &event.data {
            AccountEvent::Opened { owner } => owner.clone(),
            _ => row.as_ref()?.owner.clone(),
        };
        let Some(amount) = folded(row.map(|row| row.amount), &event.data) else {
            return kept;
        };
        let amount = match event.data {
            AccountEvent::Deposited { amount: more } if is_bug(more) => amount - 1,
            _ => amount,
        };
        Some(Self { owner, amount })
    }
}

/// One store of each kind, and what must outlive it.
struct Stores {
    server: Postgres,
    folder: TempDir,
}

impl Stores {
    fn start() -> Self {
        let (server, folder) = (Postgres::start(), TempDir::new().unwrap());
        Self { server, folder }
    }

    async fn all(&self) -> Vec<(&'static str, Store)> {
        let file = format!("sqlite://{}", self.folder.path().join("bank.db").display());
        let urls = [
            ("memory", "memory:".to_owned()),
            ("sqlite", file),
            ("postgres", self.server.database()),
        ];
        let mut stores = Vec::new();
        for (kind, url) in urls {
            stores.push((kind, Store::connect(&url).await.unwrap()));
        }
        stores
    }
}

fn bank(store: &Store) -> Builder {
    Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .project::<AccountEvent, Old>()
}

/// Version 1 live, version 2 a shadow.
async fn both(store: &Store, declare: impl Fn(Builder) -> Builder) -> Service {
    let first = bank(store).start().await.unwrap();
    first.caught_up().await.unwrap();
    first.shutdown().await.unwrap();
    let both = declare(bank(store).project::<AccountEvent, New>());
    let both = both.start().await.unwrap();
    both.caught_up().await.unwrap();
    both
}

fn id(version: u32) -> ProjectionId {
    let mut id = ProjectionId::from(&Old::TABLE);
    id.version = version;
    id
}

async fn state(store: &Store, version: u32) -> ProjectionState {
    store.projection(&id(version)).await.unwrap().unwrap()
}

async fn run(bank: &Service, who: &str, commands: impl IntoIterator<Item = AccountCommand>) {
    for command in commands {
        bank.execute::<Account>(who, command).await.unwrap();
    }
}

async fn why<T: std::fmt::Debug>(refused: impl Future<Output = Result<T, Error>>) -> String {
    let error = refused.await.unwrap_err();
    assert!(error.is_refused(), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_is_told_and_keeps_the_version_from_being_promoted() {
    let stores = Stores::start();
    for (kind, store) in stores.all().await {
        println!("{kind}");
        let bank = both(&store, |b| b.compare::<Old, New>()).await;
        for n in 0..30 {
            run(&bank, &format!("a{n}"), [open("A"), deposit(10)]).await;
        }
        bank.caught_up().await.unwrap();
        let same = bank.compare::<New>().await.unwrap();
        assert_eq!((same.keys, same.differing, same.with), (30, 0, 1));
        assert_eq!(same.position, store.head().await.unwrap());
        let text = "with version 1 at position 60: all 30 rows are the same";
        assert_eq!(same.to_string(), text);

        run(&bank, "lost", [open("L")]).await;
        run(&bank, "extra", [open("E"), AccountCommand::Close]).await;
        run(&bank, "a7", [deposit(7)]).await;
        bank.caught_up().await.unwrap();
        let found = bank.compare::<New>().await.unwrap();
        assert_eq!((found.keys, found.differing, found.expected), (32, 3, 0));
        let sample: Vec<_> = found
            .sample
            .iter()
            .map(|d| (&*d.key, d.old.as_deref(), d.new.as_deref()))
            .collect();
        let expected = [
            ("a7", Some("amount 17"), Some("owner \"A\", amount 16")),
            ("extra", None, Some("owner \"E\", amount 0")),
            ("lost", Some("amount 0"), None),
        ];
        assert_eq!(sample, expected);
        assert_eq!(state(&store, 2).await.comparison.as_ref(), Some(&found));

        let refused = why(bank.promote::<New>().into_future()).await;
        assert!(refused.contains("3 of 32 rows differ"), "{refused}");
        bank.promote::<New>().forced("nobody minds").await.unwrap();
        let life = store.life(&id(2)).await.unwrap();
        let told: Vec<_> = life
            .iter()
            .filter(|entry| entry.projection.version == 2)
            .map(|entry| (&*entry.what, entry.reason.as_deref()))
            .collect();
        let three =
            "with version 1 at position 64: 3 of 32 rows differ and should not, 0 as declared";
        let expected = [
            ("complete", None),
            ("compare", told[1].1),
            ("compare", Some(three)),
            ("promote", Some("nobody minds")),
        ];
        assert_eq!(told, expected);

        // Now version 1 is the one that waits, and it is compared the same way.
        let back = bank.compare::<Old>().await.unwrap();
        assert_eq!((back.with, back.differing), (2, 3));
        assert_eq!(back.sample[1].old.as_deref(), Some("owner \"E\", amount 0"));
        let refused = why(bank.compare::<New>()).await;
        assert!(refused.contains("no version is live"), "{refused}");
        bank.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn differences_are_expected_by_declaration() {
    let store = Store::connect("memory:").await.unwrap();
    let declared = |key: &str, old: Option<&Old>, new: Option<&New>| match (old, new) {
        (Some(_), None) if key == "lost" => Compared::Expected,
        (Some(old), Some(new)) if old.amount == new.amount => Compared::Same,
        (Some(old), Some(new)) if old.amount == new.amount + 1 => Compared::Expected,
        _ => Compared::Different,
    };
    let bank = both(&store, |b| b.compare_with::<Old, New>(declared)).await;
    run(&bank, "lost", [open("L")]).await;
    run(&bank, "a", [open("A"), deposit(17)]).await;
    run(&bank, "b", [open("B"), deposit(1)]).await;
    bank.caught_up().await.unwrap();
    let found = bank.compare::<New>().await.unwrap();
    assert_eq!((found.keys, found.expected, found.differing), (3, 2, 0));
    assert!(found.sample.is_empty());
    bank.promote::<New>().await.unwrap();
    bank.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_compared_is_told_when_the_service_starts() {
    let store = Store::connect("memory:").await.unwrap();
    let itself = bank(&store).compare_with::<Old, Old>(|_, _, _| Compared::Same);
    let error = itself.start().await.unwrap_err();
    assert_eq!(error.code(), "ES0192", "{error}");
    let twice = bank(&store)
        .compare::<Old, New>()
        .compare_with::<New, Old>(|_, _, _| Compared::Same);
    let error = twice.start().await.unwrap_err();
    assert!(error.to_string().contains("declared twice"), "{error}");
    let bank = both(&store, |b| b).await;
    let error = bank.compare::<New>().await.unwrap_err();
    let text = "a comparison of `balances@2` is not part of this service";
    assert!(error.to_string().contains(text), "{error}");
    let refused = why(bank.promote::<New>().into_future()).await;
    assert!(refused.contains("declare how"), "{refused}");
    bank.shutdown().await.unwrap();
}

const DAY: Duration = Duration::from_secs(86_400);

/// What version 1 and a right version 2 make of the log up to a position.
async fn model(store: &Store, position: Position) -> (u64, u64) {
    let (mut rows, mut wrong) = (BTreeMap::new(), BTreeSet::new());
    let mut replay = store.replay::<AccountEvent>(LogQuery::after(Position::START));
    while let Some(event) = replay.next().await.unwrap() {
        if event.position > position {
            break;
        }
        let key = event.id().to_owned();
        match event.data {
            AccountEvent::Deposited { amount } if is_bug(amount) => {
                wrong.insert(key.clone());
            }
            AccountEvent::Opened { .. } | AccountEvent::Closed => drop(wrong.remove(&key)),
            _ => {}
        }
        match folded(rows.get(&key).copied(), &event.data) {
            Some(amount) => drop(rows.insert(key, amount)),
            None => drop(rows.remove(&key)),
        }
    }
    (rows.len() as u64, wrong.len() as u64)
}

/// Commands run at full speed; each result is what a model makes of the log up to its position.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn results_are_exact_at_their_position_while_commands_go_on() {
    let seed = std::env::var("ES_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    let stores = Stores::start();
    for (kind, store) in stores.all().await {
        let bank = both(&store, |b| b.compare::<Old, New>()).await;
        let other = bank_of_both(&store).await;
        let mut writers = JoinSet::new();
        let (done, is_done) = tokio::sync::watch::channel(false);
        for n in 0..4 {
            let (bank, is_done) = (bank.clone(), is_done.clone());
            let mut random = Rng::with_seed(seed ^ n);
            writers.spawn(async move {
                let mut commands = 0_u64;
                while !*is_done.borrow() {
                    let who = format!("{n}-{}", random.u8(..40));
                    let command = match random.u8(..10) {
                        0..3 => open("A"),
                        3 => AccountCommand::Close,
                        _ => deposit(random.i64(1..50)),
                    };
                    // Some are refused, by the bank.
                    let receipt = bank.execute::<Account>(&*who, command).await;
                    commands += 1;
                    if let (Ok(receipt), 0) = (receipt, commands % 20) {
                        // A version that cannot keep up is not compared.
                        let view = bank.view::<New>().after(receipt);
                        view.within(DAY).get(&*who).await.unwrap();
                    }
                }
                commands
            });
        }
        let (mut found, mut last) = (Vec::new(), Position::START);
        for _ in 0..8 {
            // Two instances, of which one compares at a time.
            let (one, two) = tokio::join!(bank.compare::<New>(), other.compare::<New>());
            for comparison in [one, two] {
                match comparison {
                    Ok(comparison) => found.push(comparison),
                    // The machine may have much else to do.
                    Err(error) if error.is_refused() => println!("{kind}: {error}"),
                    Err(error) => panic!("{kind}: {error}"),
                }
            }
            let grown = async || Some(store.head().await.unwrap()).filter(|head| *head > last);
            last = until("commands go on", grown).await;
        }
        done.send_replace(true);
        let commands: u64 = writers.join_all().await.into_iter().sum();
        println!("{kind}: {commands} commands, {} comparisons", found.len());
        for comparison in &found {
            let Comparison {
                keys, differing, ..
            } = comparison;
            let expected = model(&store, comparison.position).await;
            assert_eq!((*keys, *differing), expected, "{kind}: {comparison}");
        }
        assert!(found.iter().any(|comparison| comparison.differing > 0));
        bank.caught_up().await.unwrap();
        other.shutdown().await.unwrap();
        bank.shutdown().await.unwrap();
    }
}

async fn bank_of_both(store: &Store) -> Service {
    let builder = bank(store).project::<AccountEvent, New>();
    builder.compare::<Old, New>().start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_died_while_it_compared_holds_nobody_for_long() {
    let stores = Stores::start();
    for (kind, store) in stores.all().await {
        println!("{kind}");
        let bank = both(&store, |b| b.compare::<Old, New>()).await;
        run(&bank, "a", [open("A")]).await;
        bank.caught_up().await.unwrap();
        let held = until("held", async || {
            let hold = Change::Hold {
                hold: Duration::from_millis(200),
                lease: Duration::from_millis(400),
            };
            store.change(&id(2), &hold, "dead").await.ok()
        });
        let held = held.await;
        let at = held.versions[&2].hold.unwrap().at;
        assert_eq!(held.versions[&1].hold.unwrap().at, at);
        // Nobody else holds them, and nobody passes.
        let again = Change::Hold {
            hold: Duration::from_secs(1),
            lease: Duration::from_secs(1),
        };
        let refused = why(store.change(&id(2), &again, "another")).await;
        assert!(refused.contains("somebody compares it"), "{refused}");
        run(&bank, "a", [deposit(1), deposit(2)]).await;
        // They go on by themselves, and so do comparisons.
        bank.caught_up().await.unwrap();
        let found = bank.compare::<New>().await.unwrap();
        assert_eq!(found.position, store.head().await.unwrap());
        bank.shutdown().await.unwrap();
    }
}

/// A future that is dropped, at whatever moment, leaves a result or none, and holds nobody for long.
#[tokio::test]
async fn a_comparison_that_is_given_up_holds_nobody_for_long() {
    let store = Store::connect("memory:").await.unwrap();
    let bank = both(&store, |b| b.compare::<Old, New>()).await;
    run(&bank, "a", [open("A")]).await;
    bank.caught_up().await.unwrap();
    for polls in 1_usize.. {
        let mut left = polls;
        let mut comparing = Box::pin(bank.compare::<New>());
        let ended = std::future::poll_fn(|context| match comparing.as_mut().poll(context) {
            Poll::Ready(compared) => Poll::Ready(Some(compared)),
            Poll::Pending if left == 1 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        });
        let ended = ended.await;
        drop(comparing);
        run(&bank, "a", [deposit(1)]).await;
        bank.caught_up().await.unwrap();
        if let Some(compared) = ended {
            compared.unwrap();
            assert!(polls > 1, "it was never given up");
            break;
        }
        // As after its lease.
        let lease = Duration::ZERO;
        let over = Change::Release { lease };
        store.change(&id(2), &over, "test").await.unwrap();
    }
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_still_is_not_compared_and_it_is_told_why() {
    let stores = Stores::start();
    for (kind, store) in stores.all().await {
        println!("{kind}");
        let bank = both(&store, |b| b.compare::<Old, New>()).await;
        for version in [1, 2] {
            let reason = "we look at it".to_owned();
            let pause = Change::Pause { reason };
            store.change(&id(version), &pause, "test").await.unwrap();
            let refused = why(bank.compare::<New>()).await;
            assert!(refused.contains("stands still: we look at it"), "{refused}");
            let state = state(&store, 2).await;
            assert_eq!((state.hold, state.comparing), (None, None));
            store
                .change(&id(version), &Change::Resume, "test")
                .await
                .unwrap();
        }
        bank.compare::<New>().await.unwrap();
        let refused = why(bank
            .promote::<New>()
            .compared_within(Duration::ZERO)
            .into_future());
        let refused = refused.await;
        assert!(refused.contains("too long ago"), "{refused}");
        bank.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_counts_with_the_version_that_is_live() {
    let store = Store::connect("memory:").await.unwrap();
    let declare = |b: Builder| {
        b.project::<AccountEvent, Next>()
            .compare::<Old, New>()
            .compare::<Old, Next>()
    };
    let bank = both(&store, declare).await;
    bank.compare::<New>().await.unwrap();
    bank.compare::<Next>().await.unwrap();
    bank.promote::<New>().await.unwrap();
    let refused = why(bank.promote::<Next>().into_future()).await;
    let text = "it was compared with version 1, but version 2 is live";
    assert!(refused.contains(text), "{refused}");
    // Begun anew, nothing is like it any more.
    let reason = "a test".to_owned();
    let rebuild = Change::Rebuild { reason };
    store.change(&id(1), &rebuild, "test").await.unwrap();
    assert_eq!(state(&store, 3).await.comparison, None);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_compare_by_themselves() {
    let stores = Stores::start();
    for (kind, store) in stores.all().await {
        println!("{kind}");
        let bank = both(&store, |b| b.compare::<Old, New>()).await;
        let other = bank_of_both(&store).await;
        let compared = async || state(&store, 2).await.comparison;
        let first = until("a shadow is compared", compared).await;
        assert_eq!((first.with, first.differing), (1, 0));
        run(&bank, "lost", [open("L")]).await;
        bank.caught_up().await.unwrap();
        store
            .change(&id(2), &Change::WantComparison, "test")
            .await
            .unwrap();
        let asked = async || {
            let state = state(&store, 2).await;
            state.comparison.filter(|_| !state.comparison_wanted)
        };
        let second = until("somebody asked", asked).await;
        assert_eq!(second.differing, 1);
        assert!(second.began > first.at);
        // The one that is live is nobody's shadow.
        let refused = why(store.change(&id(1), &Change::WantComparison, "test")).await;
        assert!(refused.contains("it is live"), "{refused}");
        assert_eq!(state(&store, 2).await.phase, Phase::Shadow);
        other.shutdown().await.unwrap();
        bank.shutdown().await.unwrap();
    }
}

/// A panic in the service's own code is a reason like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_that_panics_is_told() {
    let store = Store::connect("memory:").await.unwrap();
    let first = bank(&store).start().await.unwrap();
    run(&first, "a", [open("A")]).await;
    first.shutdown().await.unwrap();
    let bank = both(&store, |b| {
        b.compare_with::<Old, New>(|key, _, _| panic!("what is {key}?"))
    });
    let bank = bank.await;
    let refused = why(bank.compare::<New>()).await;
    assert!(refused.contains("it panicked: what is a?"), "{refused}");
    let refused = why(bank.promote::<New>().into_future()).await;
    assert!(refused.contains("what is a?"), "{refused}");
    bank.shutdown().await.unwrap();
}
