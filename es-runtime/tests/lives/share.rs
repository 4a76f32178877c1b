//! A version whose keys are divided: several instances build it together, and some of them die.

use std::collections::BTreeMap;
use std::time::Duration;

use es_runtime::Store;
use es_runtime::store::{EventStore, Phase};
use fastrand::Rng;

use crate::bank::{bank, happens, slices};
use crate::check::rows;
use crate::model::{end, runtime};
use crate::place::Place;
use crate::seeds;
use crate::until::until;

/// Every fourth version is divided.
const DIVIDED: u32 = 4;
/// Here somebody dies.
const LEASE: Duration = Duration::from_millis(40);
/// Here nobody does: no machine is too slow to renew it, and who goes gives back what is theirs.
const LONG_LEASE: Duration = Duration::from_secs(30);

/// Each part meets each event once and in order, whoever has it.
fn built_by_several_that_die(place: &Place, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let outside = runtime(place);
    let store = outside.block_on(place.connect());
    outside.block_on(async {
        for n in 0..60 {
            happens(&store, &format!("account {}", n % 23), 25, n % 7 == 6).await;
        }
    });
    let start = |random: &mut Rng| {
        let runtime = runtime(place);
        let service = runtime.block_on(async {
            let store = place.connect().await;
            bank(&store, &[DIVIDED]).lease(LEASE).start().await.unwrap()
        });
        // Time for some of the work.
        let time = Duration::from_millis(random.u64(..30));
        runtime.block_on(async { tokio::time::sleep(time).await });
        (runtime, service)
    };
    let mut running: Vec<_> = (0..3).map(|_| start(&mut random)).collect();
    for _ in 0..8 {
        let (runtime, service) = running.swap_remove(random.usize(..running.len()));
        if random.bool() {
            runtime.block_on(service.shutdown()).unwrap();
        }
        end(place, runtime);
        drop(service);
        outside.block_on(happens(&store, "another", 3, random.bool()));
        running.push(start(&mut random));
        let parts = outside.block_on(rows(&store, DIVIDED)).slices;
        assert_eq!(parts.len(), usize::from(slices(DIVIDED)));
    }
    // The last one is left with all of it, after the leases of the others.
    while running.len() > 1 {
        end(place, running.remove(0).0);
    }
    let (runtime, service) = running.remove(0);
    runtime.block_on(service.caught_up()).unwrap();
    outside.block_on(async {
        let head = store.head().await.unwrap();
        let state = rows(&store, DIVIDED).await;
        assert!(
            state.slices.iter().all(|slice| slice.cursor == head),
            "{state:?}"
        );
        assert_eq!(state.phase, Phase::Live);
    });
    runtime.block_on(service.shutdown()).unwrap();
    end(place, runtime);
    end(place, outside);
}

#[test]
fn a_divided_version_in_memory() {
    for seed in seeds(10) {
        built_by_several_that_die(&Place::memory(), seed);
    }
}

#[test]
fn a_divided_version_on_a_file() {
    for seed in seeds(2) {
        built_by_several_that_die(&Place::file(), seed);
    }
}

#[test]
fn a_divided_version_on_a_server() {
    for seed in seeds(1) {
        built_by_several_that_die(&Place::server(), seed);
    }
}

/// How many parts each instance has.
async fn shared(store: &Store) -> BTreeMap<Option<String>, usize> {
    let mut shared = BTreeMap::new();
    for slice in rows(store, DIVIDED).await.slices {
        *shared.entry(slice.owner).or_default() += 1;
    }
    shared
}

/// Who comes gets a share, and who goes leaves theirs to the others.
async fn shared_evenly(place: &Place) {
    let store = place.connect().await;
    for n in 0..20 {
        happens(&store, &format!("account {n}"), 5, false).await;
    }
    let start = || async {
        let store = place.connect().await;
        bank(&store, &[DIVIDED])
            .lease(LONG_LEASE)
            .start()
            .await
            .unwrap()
    };
    let parts = usize::from(slices(DIVIDED));
    let mut running = vec![start().await];
    let evenly = async |instances: usize| {
        until("the parts are shared", async || {
            let shared = shared(&store).await;
            let fair = |parts_of: &usize| parts_of.abs_diff(parts / instances) <= 1;
            let all = shared.len() == instances && !shared.contains_key(&None);
            (all && shared.values().all(fair)).then_some(())
        })
        .await;
    };
    evenly(1).await;
    running.push(start().await);
    evenly(2).await;
    running.push(start().await);
    evenly(3).await;
    happens(&store, "account 3", 5, false).await;
    running.remove(0).shutdown().await.unwrap();
    evenly(2).await;
    happens(&store, "account 4", 5, false).await;
    let head = store.head().await.unwrap();
    for service in &running {
        until("each row is there", async || {
            let state = rows(&store, DIVIDED).await;
            (state.cursor == head).then_some(())
        })
        .await;
        service.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_share_the_parts_in_memory() {
    shared_evenly(&Place::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_share_the_parts_on_a_file() {
    shared_evenly(&Place::file()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_share_the_parts_on_a_server() {
    shared_evenly(&Place::server()).await;
}
