//! A read model gets its next version while a service runs, from the first new instance to the
//! retirement of the old version: releases come and go, are killed and suspended, and every read is
//! compared with what was acknowledged.

mod program;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use es_runtime::Store;
use es_runtime::postgres::sqlx::{self, Connection, PgConnection};
use es_runtime::sqlite::sqlx::SqliteConnection;
use es_runtime::store::{Change, EventStore, Lineage, Phase, ProjectionId, ProjectionKind};
use es_servers::{resume_process, suspend_process};
use fastrand::Rng;
use program::{AFTER, BEFORE, Bank, DEADLINE};
use tokio::runtime::Runtime;

const INSTANCES: usize = 3;
const ACCOUNTS: usize = 8;

/// What a slot of the deployment runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Release {
    /// Version 1 of the read model.
    Before,
    /// Versions 1 and 2.
    After,
    /// Version 2.
    Last,
}

impl Release {
    const ALL: [Self; 3] = [Self::Before, Self::After, Self::Last];

    fn versions(self) -> &'static [u32] {
        match self {
            Self::Before => &[1],
            Self::After => &[1, 2],
            Self::Last => &[2],
        }
    }

    fn start(self, url: &str) -> Bank {
        match self {
            Self::Before => Bank::start(&[BEFORE, url]),
            Self::After => Bank::start(&[AFTER, url]),
            Self::Last => Bank::start(&[AFTER, url, "last"]),
        }
    }
}

/// What was deposited on an account, in order. Who holds the turn may add.
#[derive(Default)]
struct Account {
    turn: Mutex<()>,
    deposits: RwLock<Vec<i64>>,
}

impl Account {
    /// Panics unless the row is what the account's first deposits make, of which there are at least
    /// so many.
    fn allows(&self, row: (i64, i64), least: usize, what: &str) {
        let deposits = self.deposits.read().unwrap();
        let (amount, count) = (row.0, usize::try_from(row.1).unwrap());
        assert!(
            (least..=deposits.len()).contains(&count),
            "{what}: {count} deposits are not {least} to {}",
            deposits.len()
        );
        assert_eq!(amount, deposits[..count].iter().sum::<i64>(), "{what}");
    }

    fn count(&self) -> usize {
        self.deposits.read().unwrap().len()
    }
}

/// What the instances share.
struct World {
    url: String,
    accounts: [Account; ACCOUNTS],
    /// The release of each slot, as [`Release::ALL`] has them.
    wanted: [AtomicU8; INSTANCES],
    acknowledged: AtomicU64,
    faults: AtomicU64,
    reads: AtomicU64,
    ended: AtomicBool,
}

impl World {
    fn new(url: String) -> Self {
        Self {
            url,
            accounts: Default::default(),
            wanted: Default::default(),
            acknowledged: AtomicU64::default(),
            faults: AtomicU64::default(),
            reads: AtomicU64::default(),
            ended: AtomicBool::default(),
        }
    }

    fn wants(&self, slot: usize, release: Release) {
        println!("slot {slot} is to run {release:?}");
        self.wanted[slot].store(release as u8, Ordering::SeqCst);
    }

    /// Lets the instances work for so many deposits.
    fn goes_on(&self, deposits: u64) {
        let start = Instant::now();
        let goal = self.acknowledged.load(Ordering::SeqCst) + deposits;
        while self.acknowledged.load(Ordering::SeqCst) < goal {
            assert!(!self.ended.load(Ordering::SeqCst), "somebody failed");
            assert!(start.elapsed() < 2 * DEADLINE, "nothing goes on");
            thread::yield_now();
        }
    }
}

/// Tells the others when this thread panics, so that nobody waits for it.
struct Fails<'w>(&'w World);

impl Drop for Fails<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.ended.store(true, Ordering::SeqCst);
        }
    }
}

/// A slot: one process at a time, and somebody who uses it.
struct Slot<'w> {
    world: &'w World,
    number: usize,
    random: Rng,
    release: Release,
    bank: Bank,
    runtime: Runtime,
    sql: Sql,
}

/// Somebody with a connection of their own, who knows the name without a version.
enum Sql {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Sql {
    async fn connect(url: &str) -> Self {
        if url.starts_with("sqlite") {
            Self::Sqlite(SqliteConnection::connect(url).await.unwrap())
        } else {
            Self::Postgres(PgConnection::connect(url).await.unwrap())
        }
    }

    async fn row(&mut self, account: &str) -> Option<(i64, i64)> {
        const QUERY: &str = "SELECT amount, deposits FROM balances WHERE key = $1";
        let query = match self {
            Self::Sqlite(sql) => {
                sqlx::query_as(QUERY)
                    .bind(account)
                    .fetch_optional(sql)
                    .await
            }
            Self::Postgres(sql) => {
                sqlx::query_as(QUERY)
                    .bind(account)
                    .fetch_optional(sql)
                    .await
            }
        };
        query.unwrap()
    }
}

impl<'w> Slot<'w> {
    fn new(world: &'w World, number: usize, seed: u64) -> Self {
        let runtime = runtime();
        let sql = runtime.block_on(Sql::connect(&world.url));
        let release = Release::Before;
        Self {
            world,
            number,
            random: Rng::with_seed(seed ^ number as u64),
            release,
            bank: release.start(&world.url),
            runtime,
            sql,
        }
    }

    fn run(mut self) {
        let _fails = Fails(self.world);
        while !self.world.ended.load(Ordering::SeqCst) {
            let wanted = self.world.wanted[self.number].load(Ordering::SeqCst);
            let wanted = Release::ALL[usize::from(wanted)];
            if wanted != self.release {
                self.release = wanted;
                self.restart();
            }
            let account = self.random.usize(..ACCOUNTS);
            match self.random.u8(..100) {
                0..55 => self.deposit(account),
                55..75 => self.read(account, 0, 0),
                75..95 => self.read_sql(account),
                95..98 => self.restart(),
                _ => self.suspend(),
            }
        }
    }

    /// Starts another process, and kills this one or lets it end.
    fn restart(&mut self) {
        let before = self.is_replaced();
        if self.random.bool() {
            assert_eq!(before.ends(), "ended");
        }
    }

    /// Starts another process, and answers the one before.
    fn is_replaced(&mut self) -> Bank {
        self.world.faults.fetch_add(1, Ordering::SeqCst);
        let next = self.release.start(&self.world.url);
        std::mem::replace(&mut self.bank, next)
    }

    /// Suspends the process until the others have done something, or a moment if they cannot.
    fn suspend(&mut self) {
        self.world.faults.fetch_add(1, Ordering::SeqCst);
        suspend_process(self.bank.id());
        let start = Instant::now();
        let goal = self.world.acknowledged.load(Ordering::SeqCst) + 5;
        while self.world.acknowledged.load(Ordering::SeqCst) < goal
            && start.elapsed() < Duration::from_millis(500)
        {
            thread::yield_now();
        }
        resume_process(self.bank.id());
    }

    /// Deposits something for sure, whoever dies meanwhile, and reads it in every version.
    fn deposit(&mut self, number: usize) {
        let account = &self.world.accounts[number];
        let _turn = account.turn.lock().unwrap();
        let count = account.count();
        // Its own line, so that the same line again is the same command.
        let amount = i64::try_from(count).unwrap() * 1000 + self.random.i64(1..1000);
        account.deposits.write().unwrap().push(amount);
        let line = format!("deposit account-{number} {amount}");
        let start = Instant::now();
        let position = loop {
            self.bank.is_told(&line);
            if self.random.u8(..25) == 0 {
                drop(self.is_replaced());
                continue;
            }
            let answer = self.bank.hears();
            if let Some(done) = answer.strip_prefix("done ") {
                let (position, _) = done.split_once(' ').unwrap();
                break position.parse().unwrap();
            }
            assert!(answer.starts_with("busy "), "{line}: {answer}");
            assert!(start.elapsed() < DEADLINE, "{line}: {answer}");
        };
        self.world.acknowledged.fetch_add(1, Ordering::SeqCst);
        if self.random.u8(..4) == 0 {
            self.read(number, count + 1, position);
        }
    }

    /// Reads a row in a version that this release knows, as it is after a position: it holds at
    /// least so many deposits.
    fn read(&mut self, number: usize, least: usize, after: u64) {
        let versions = self.release.versions();
        let version = versions[self.random.usize(..versions.len())];
        let line = format!("read account-{number} {version} {after}");
        let what = format!("slot {}, {:?}, {line}", self.number, self.release);
        let start = Instant::now();
        loop {
            let answer = self.bank.told(&line);
            let building = version == 2 && after == 0 && answer.starts_with("error ES0120");
            if building {
                return;
            }
            if answer.starts_with("busy ") && start.elapsed() < DEADLINE {
                continue;
            }
            let row = answer
                .strip_prefix("row ")
                .and_then(|row| row.split_once(' '));
            let Some((amount, count)) = row else {
                panic!("{what}: {answer}");
            };
            let row = (amount.parse().unwrap(), count.parse().unwrap());
            self.world.accounts[number].allows(row, least, &what);
            self.world.reads.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }

    /// Reads the row behind the name without a version.
    fn read_sql(&mut self, number: usize) {
        let name = format!("account-{number}");
        let row = self.runtime.block_on(self.sql.row(&name));
        let row = row.unwrap_or_else(|| panic!("{name} has no row"));
        self.world.accounts[number].allows(row, 0, "the view");
        self.world.reads.fetch_add(1, Ordering::SeqCst);
    }
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap()
}

/// The person who migrates.
struct Operator<'w> {
    world: &'w World,
    runtime: Runtime,
    store: Store,
}

impl<'w> Operator<'w> {
    fn new(world: &'w World) -> Self {
        let runtime = runtime();
        let store = runtime.block_on(Store::connect(&world.url)).unwrap();
        Self {
            world,
            runtime,
            store,
        }
    }

    fn phase(&self, version: u32) -> Option<Phase> {
        let state = self
            .runtime
            .block_on(self.store.projection(&balances(version)));
        state.unwrap().map(|state| state.phase)
    }

    fn waits_for(&self, version: u32, phase: Phase) {
        let start = Instant::now();
        while self.phase(version) != Some(phase) {
            assert!(
                start.elapsed() < DEADLINE,
                "version {version} is never {phase}"
            );
            self.world.goes_on(1);
        }
        println!("version {version} is {phase}");
    }

    fn tries(&self, version: u32, change: &Change) -> es_runtime::Result<Lineage> {
        let start = Instant::now();
        loop {
            let id = balances(version);
            let changed = self.store.change(&id, change, "the operator");
            match self.runtime.block_on(changed) {
                Err(error) if error.is_transient() && start.elapsed() < DEADLINE => {}
                changed => return changed,
            }
        }
    }

    /// Promotes version 2, once somebody has compared it with the live one.
    fn promotes(&self) {
        let promote = Change::Promote {
            fresh: Duration::from_mins(15),
            forced: None,
        };
        let start = Instant::now();
        let lineage = loop {
            match self.tries(2, &promote) {
                Ok(lineage) => break lineage,
                Err(error) => assert!(error.is_refused() && start.elapsed() < DEADLINE, "{error}"),
            }
            self.world.goes_on(1);
        };
        let found = lineage.versions[&2].comparison.as_ref().unwrap();
        println!("version 2 is live: {found:?}");
        assert_eq!((found.with, found.differing, found.expected), (1, 0, 0));
        assert_eq!(found.keys, ACCOUNTS as u64);
        assert_eq!(lineage.live(), Some(2));
    }
}

fn balances(version: u32) -> ProjectionId {
    ProjectionId {
        kind: ProjectionKind::ReadModel,
        name: "balances".to_owned(),
        version,
    }
}

/// The way of a version from its first instance to the retirement of the one before.
fn migrates(world: &World, random: &mut Rng) {
    let _fails = Fails(world);
    let operator = Operator::new(world);
    let some = |random: &mut Rng| random.u64(5..25);
    let reason = "it was promoted to see how that goes".to_owned();
    let roll_back = Change::RollBack { reason };
    world.goes_on(some(random));

    // The deploy begins, and the next version is built beside the load.
    let first = random.usize(..INSTANCES);
    world.wants(first, Release::After);
    operator.waits_for(2, Phase::Shadow);
    world.goes_on(some(random));
    operator.promotes();
    world.goes_on(some(random));

    // The deploy is taken back, in the middle of it; the version is, too.
    let second = (first + 1) % INSTANCES;
    world.wants(second, Release::After);
    world.goes_on(some(random));
    world.wants(first, Release::Before);
    world.goes_on(some(random));
    let lineage = operator.tries(2, &roll_back).unwrap();
    assert_eq!(lineage.live(), Some(1));
    assert_eq!(operator.phase(2), Some(Phase::Shadow));
    world.goes_on(some(random));

    // Forward again, to the end.
    operator.promotes();
    world.goes_on(some(random));
    for slot in 0..INSTANCES {
        world.wants(slot, Release::After);
        world.goes_on(some(random));
    }
    let retire = |quiet| Change::Retire {
        quiet,
        forced: None,
    };
    let refused = operator.tries(1, &retire(Duration::from_hours(1)));
    assert!(refused.unwrap_err().is_refused(), "somebody runs it");
    for slot in 0..INSTANCES {
        world.wants(slot, Release::Last);
        world.goes_on(some(random));
    }
    let start = Instant::now();
    while let Err(error) = operator.tries(1, &retire(Duration::from_millis(500))) {
        assert!(error.is_refused() && start.elapsed() < DEADLINE, "{error}");
        world.goes_on(1);
    }
    let old = balances(1);
    let removed = operator.store.remove_rows(&old);
    operator.runtime.block_on(removed).unwrap();
    println!("version 1 is retired");
    world.goes_on(some(random));
    world.ended.store(true, Ordering::SeqCst);
}

fn a_whole_migration(url: String) {
    let seed = std::env::var("ES_SEED").map_or_else(|_| fastrand::u64(..), |s| s.parse().unwrap());
    println!("seed {seed}");
    let world = World::new(url);
    let mut bank = Release::Before.start(&world.url);
    for number in 0..ACCOUNTS {
        bank.does(&format!("open account-{number} Anna"));
    }
    assert_eq!(bank.told("caught-up"), "caught up");
    thread::scope(|scope| {
        for number in 0..INSTANCES {
            let slot = Slot::new(&world, number, seed);
            scope.spawn(|| slot.run());
        }
        drop(bank);
        scope.spawn(|| migrates(&world, &mut Rng::with_seed(seed)));
    });

    let mut bank = Release::Last.start(&world.url);
    assert_eq!(bank.told("caught-up"), "caught up");
    assert_eq!(bank.told("health"), "well");
    let runtime = runtime();
    let mut sql = runtime.block_on(Sql::connect(&world.url));
    for (account, number) in world.accounts.iter().zip(0..) {
        let (name, all) = (format!("account-{number}"), account.count());
        let row = runtime.block_on(sql.row(&name)).unwrap();
        account.allows(row, all, &name);
        let (amount, count) = row;
        assert_eq!(
            bank.told(&format!("read {name} 2 0")),
            format!("row {amount} {count}")
        );
        assert_eq!(
            bank.told(&format!("balance {name}")),
            format!("balance {amount}")
        );
    }
    assert_eq!(bank.ends(), "ended");
    let numbers = [&world.acknowledged, &world.reads, &world.faults];
    let [acknowledged, reads, faults] = numbers.map(|number| number.load(Ordering::SeqCst));
    println!("{acknowledged} deposits, {reads} reads, {faults} kills, ends and suspensions");
}

#[test]
fn a_whole_migration_on_a_file() {
    let folder = tempfile::tempdir().unwrap();
    a_whole_migration(format!("sqlite://{}/bank.db", folder.path().display()));
}

#[test]
fn a_whole_migration_on_a_server() {
    let server = es_servers::Postgres::start();
    a_whole_migration(server.database());
}
