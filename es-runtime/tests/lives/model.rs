//! Random deploys, kills, appends, promotions, rollbacks, rebuilds and retirements against a model.
//!
//! In memory, each instance has a runtime and a clock of its own, all in one thread, so that a seed
//! is one order of steps; on databases, each has threads of its own. A kill drops an instance where
//! it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use es_runtime::store::{
    Change, EventStore, LifeEntry, Lineage, Phase, ProjectionState, SliceState,
};
use es_runtime::{Error, Service, Store};
use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use crate::bank::{bank, happens, trail};
use crate::check::{rows, view};
use crate::place::Place;
use crate::seeds;

const VERSIONS: u32 = 5;
const INSTANCES: usize = 3;
const LEASE: Duration = Duration::from_millis(40);

/// An instance of some release.
struct Instance {
    runtime: Runtime,
    service: Service,
    versions: Vec<u32>,
}

struct Fleet<'p> {
    place: &'p Place,
    random: Rng,
    instances: Vec<Instance>,
    /// Whoever appends, changes lives, and checks.
    outside: Runtime,
    store: Store,
    /// What was known of the versions after the last step.
    known: BTreeMap<u32, ProjectionState>,
    told: usize,
}

impl<'p> Fleet<'p> {
    fn new(place: &'p Place, seed: u64) -> Self {
        let outside = runtime(place);
        let store = outside.block_on(place.connect());
        Self {
            place,
            random: Rng::with_seed(seed),
            instances: Vec::new(),
            outside,
            store,
            known: BTreeMap::new(),
            told: 0,
        }
    }

    /// Does something, and says what.
    fn step(&mut self) -> String {
        match self.random.u8(..100) {
            0..35 => self.append(),
            35..45 => self.deploy(),
            45..53 => self.leave(true),
            53..57 => self.leave(false),
            57..70 => self.wait(),
            _ => self.change(),
        }
    }

    fn append(&mut self) -> String {
        let account = format!("account {}", self.random.u8(..12));
        let bookings = 1 + self.random.usize(..20);
        let closes = self.random.u8(..8) == 0;
        let append = happens(&self.store, &account, bookings, closes);
        self.outside.block_on(append);
        format!("{bookings} bookings on {account}, closed: {closes}")
    }

    /// Starts an instance of a release that knows some of the versions.
    fn deploy(&mut self) -> String {
        if self.instances.len() == INSTANCES {
            return self.wait();
        }
        let first = 1 + self.random.u32(..VERSIONS);
        let last = (first + self.random.u32(..2)).min(VERSIONS);
        let versions: Vec<_> = (first..=last).collect();
        let runtime = runtime(self.place);
        let start = async {
            let store = self.place.connect().await;
            let bank = bank(&store, &versions).lease(LEASE);
            let bank = bank.heartbeat(Duration::from_millis(20), Duration::from_secs(2));
            bank.start().await.unwrap()
        };
        let service = runtime.block_on(start);
        let what = format!("deployed {versions:?}");
        self.instances.push(Instance {
            runtime,
            service,
            versions,
        });
        what
    }

    /// Ends an instance, which has or has not the time to finish.
    fn leave(&mut self, killed: bool) -> String {
        if self.instances.is_empty() {
            return self.deploy();
        }
        let one = self.random.usize(..self.instances.len());
        let Instance {
            runtime,
            service,
            versions,
        } = self.instances.swap_remove(one);
        if !killed {
            runtime.block_on(service.shutdown()).unwrap();
        }
        end(self.place, runtime);
        format!("{versions:?} left, killed: {killed}")
    }

    /// Gives the instances time, one after the other in a random order.
    fn wait(&mut self) -> String {
        self.random.shuffle(&mut self.instances);
        let mut times = Vec::new();
        for instance in &self.instances {
            let time = Duration::from_millis(self.random.u64(..15));
            instance.runtime.block_on(async { sleep(time).await });
            times.push(time);
        }
        format!("waited {times:?}")
    }

    /// Changes a life, if the rules allow it.
    fn change(&mut self) -> String {
        let version = 1 + self.random.u32(..VERSIONS);
        let reason = || "to see what happens".to_owned();
        let time = Duration::from_millis(self.random.u64(..50));
        let change = match self.random.u8(..20) {
            0..6 => Change::Promote {
                fresh: Duration::ZERO,
                forced: Some(reason()),
            },
            6..9 => Change::RollBack { reason: reason() },
            9..12 => Change::Rebuild { reason: reason() },
            12..14 => Change::Pause { reason: reason() },
            14..17 => Change::Resume,
            17..19 => Change::Hold {
                hold: time,
                lease: time,
            },
            _ => Change::Retire {
                quiet: time,
                forced: self.random.bool().then(reason),
            },
        };
        let change = if self.random.u8(..4) == 0 {
            self.change_and_die(version, change)
        } else {
            let id = trail(version);
            let changed = self.store.change(&id, &change, "the model");
            let changed = self.outside.block_on(changed);
            format!("{change:?} of {version}: {}", outcome(changed))
        };
        let id = trail(version);
        let removed = self.store.remove_rows(&id);
        self.outside.block_on(removed).unwrap();
        change
    }

    /// The same by somebody who is killed after some steps.
    fn change_and_die(&mut self, version: u32, change: Change) -> String {
        let runtime = runtime(self.place);
        let store = runtime.block_on(self.place.connect());
        let steps = self.random.usize(..12);
        let what = format!("{change:?} of {version}, killed after {steps} steps");
        let changed = runtime.spawn(async move {
            let changed = store.change(&trail(version), &change, "somebody").await;
            outcome(changed)
        });
        runtime.block_on(async {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
        });
        drop(changed);
        end(self.place, runtime);
        what
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let Self { outside, store, .. } = self;
        let (lineage, told) = outside.block_on(async {
            for version in 1..=VERSIONS {
                if store.projection(&trail(version)).await.unwrap().is_some() {
                    rows(store, version).await;
                }
            }
            steady(store).await
        });
        let live = lineage.versions.values();
        let live = live.filter(|state| state.phase == Phase::Live).count();
        assert!(live <= 1, "{live} versions are live");
        assert!(told.len() >= self.told, "what was told is gone");
        for (version, state) in &lineage.versions {
            let news = told[self.told..].iter();
            let news: Vec<_> = news.filter(|e| e.projection.version == *version).collect();
            let before = self.known.get(version);
            went_on(*version, before, state, &news);
        }
        for version in self.known.keys() {
            assert!(lineage.versions.contains_key(version), "{version} is gone");
        }
        (self.known, self.told) = (lineage.versions, told.len());
    }

    /// Everybody may go on, and one instance with all versions comes to the end.
    fn finish(mut self) {
        while !self.instances.is_empty() {
            self.leave(false);
        }
        let all: Vec<_> = (1..=VERSIONS).collect();
        let (place, store) = (self.place, &self.store);
        self.outside.block_on(async {
            for version in &all {
                let id = trail(*version);
                store.change(&id, &Change::Resume, "the model").await.ok();
            }
            let bank = bank(&place.connect().await, &all).lease(LEASE);
            let bank = bank.start().await.unwrap();
            bank.caught_up().await.unwrap();
            let head = store.head().await.unwrap();
            for version in &all {
                let state = rows(store, *version).await;
                if state.phase != Phase::Retired {
                    assert_eq!(state.cursor, head, "version {version}");
                    assert!(state.phase.is_complete(), "version {version}: {state:?}");
                }
            }
            bank.shutdown().await.unwrap();
        });
        self.check();
        end(place, self.outside);
    }
}

/// The lineage, what was told of it, and that the view is the live version's, at one moment.
async fn steady(store: &Store) -> (Lineage, Vec<LifeEntry>) {
    loop {
        let before = store.lineage(&trail(1)).await.unwrap();
        let (view, told) = (view(store).await, store.life(&trail(1)).await);
        if store.lineage(&trail(1)).await.unwrap() == before {
            if let Some(view) = view {
                assert_eq!(view, before.live(), "the view");
            }
            return (before, told.unwrap());
        }
    }
}

/// A version's state follows from the one before, and from what was told in between.
fn went_on(
    version: u32,
    before: Option<&ProjectionState>,
    now: &ProjectionState,
    told: &[&LifeEntry],
) {
    let Some(before) = before else { return };
    let what = format!("version {version}: {before:?}\nbecame {now:?}\nby {told:?}");
    assert!(now.epoch >= before.epoch || now.slices.is_empty(), "{what}");
    assert!(
        before.phase != Phase::Retired || now.phase == Phase::Retired,
        "{what}"
    );
    if now.phase != before.phase {
        let last = told.last().map(|entry| entry.phase);
        assert_eq!(last, Some(now.phase), "{what}");
    }
    let rebuilt = told.iter().any(|entry| entry.what == "rebuild");
    let position = |slices: &[SliceState]| -> Vec<_> { slices.iter().map(|s| s.cursor).collect() };
    let (was, is) = (position(&before.slices), position(&now.slices));
    if !rebuilt && now.phase != Phase::Retired {
        let forwards = was.iter().zip(&is).all(|(was, is)| was <= is);
        assert!(forwards && was.len() == is.len(), "{what}");
    }
}

fn outcome(changed: Result<Lineage, Error>) -> String {
    match changed {
        Ok(_) => "done".to_owned(),
        Err(error) if error.is_refused() => format!("refused: {error}"),
        // Nobody has heard of the version yet.
        Err(error) if error.code() == "ES0124" => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

fn runtime(place: &Place) -> Runtime {
    let runtime = match place {
        Place::Memory(_) => Builder::new_current_thread()
            .start_paused(true)
            .enable_all()
            .build(),
        _ => Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build(),
    };
    runtime.unwrap()
}

/// Drops all tasks of an instance where they stand.
fn end(place: &Place, runtime: Runtime) {
    match place {
        Place::Memory(_) => drop(runtime),
        _ => runtime.shutdown_timeout(Duration::from_secs(10)),
    }
}

fn lives(place: &Place, seed: u64, steps: usize) {
    let mut fleet = Fleet::new(place, seed);
    for n in 0..steps {
        let what = fleet.step();
        println!("{n}: {what}");
        fleet.check();
    }
    fleet.finish();
}

#[test]
fn random_lives_in_memory() {
    for seed in seeds(12) {
        lives(&Place::memory(), seed, 120);
    }
}

#[test]
fn random_lives_on_a_file() {
    for seed in seeds(3) {
        lives(&Place::file(), seed, 60);
    }
}

#[test]
fn random_lives_on_a_server() {
    for seed in seeds(2) {
        lives(&Place::server(), seed, 60);
    }
}
