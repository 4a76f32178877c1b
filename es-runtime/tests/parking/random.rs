//! Random notes, random failures that heal, and instances that are killed in between: in the end
//! every row is what the notes say, in their order.

use std::collections::BTreeMap;
use std::time::Duration;

use es_runtime::{Result, Service, Store};
use fastrand::Rng;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::domain::{Noted, Notes, Pages, fail, heal, note, tag};
use crate::until::until;

/// An instance with threads of its own: what it does is dropped wherever it is when it is killed.
struct Instance {
    runtime: Runtime,
    service: Service,
}

impl Instance {
    /// On a store of its own, unless all share one in memory.
    fn start(url: &str, shared: Option<&Store>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (url, shared) = (url.to_owned(), shared.cloned());
        let starting = async move {
            let store = match shared {
                Some(store) => store,
                None => Store::connect(&url).await.unwrap(),
            };
            // So short that the others take over while the test runs.
            Service::builder("notes")
                .store(store)
                .aggregate::<Notes>()
                .project::<Noted, Pages>()
                .lease(Duration::from_millis(50))
                .start()
                .await
                .unwrap()
        };
        // No runtime waits for another one on its own threads.
        let started = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(starting)).join());
        let service = started.unwrap();
        Self { runtime, service }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

async fn random_failures(url: &str, seed: u64) -> Result<()> {
    const KEYS: usize = 6;
    println!("ES_SEED={seed} {url}");
    let mut random = Rng::with_seed(seed);
    let tag = tag();
    let store = Store::connect(url).await?;
    let shared = (url == "memory:").then(|| store.clone());
    let notes = Service::builder("notes").store(store.clone());
    let notes = notes.aggregate::<Notes>().start().await?;
    let start = || Instance::start(url, shared.as_ref());
    let mut instances = vec![start(), start()];
    let mut expected = BTreeMap::<String, String>::new();
    let mut failing = Vec::new();
    for n in 0..150 {
        let who = format!("key {}", random.usize(..KEYS));
        let also = (random.u8(..4) == 0).then(|| format!("key {}", random.usize(..KEYS)));
        let also = also.filter(|also| *also != who);
        let said = match &also {
            Some(also) => format!("{n} for {also}"),
            None => n.to_string(),
        };
        if random.u8(..10) == 0 {
            fail(&tag(&said));
            failing.push(said.clone());
        }
        note(&notes, &who, &tag(&said)).await?;
        for key in std::iter::once(who).chain(also) {
            *expected.entry(key).or_default() += &format!("{said} ");
        }
        match random.u8(..40) {
            0 => {
                let killed = instances.swap_remove(random.usize(..instances.len()));
                instances.push(start());
                killed.kill();
            }
            1..=3 => instances[0].service.retry_parked::<Pages>(None).await?,
            4..=6 if !failing.is_empty() => {
                let healed = failing.swap_remove(random.usize(..failing.len()));
                heal(&tag(&healed));
            }
            _ => {}
        }
    }
    for said in &failing {
        heal(&tag(said));
    }
    let one = &instances[0].service;
    until("nothing waits", async || {
        one.retry_parked::<Pages>(None).await.unwrap();
        one.caught_up().await.unwrap();
        let parked = one.parked::<Pages>(None).await.unwrap();
        parked.is_empty().then_some(())
    })
    .await;
    let rows = one.view::<Pages>().page(None, 100).await?;
    let rows: BTreeMap<_, _> = rows
        .into_iter()
        .map(|(key, row)| (key, row.trail.0))
        .collect();
    assert_eq!(rows, expected);
    instances.into_iter().for_each(Instance::kill);
    notes.shutdown().await
}

fn seed() -> u64 {
    let seed = std::env::var("ES_SEED").ok();
    seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() -> Result<()> {
    for round in 0..5 {
        random_failures("memory:", seed().wrapping_add(round)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_file() -> Result<()> {
    let folder = TempDir::new().unwrap();
    for round in 0..3 {
        let file = folder.path().join(format!("{round}.db"));
        let url = format!("sqlite://{}", file.display());
        random_failures(&url, seed().wrapping_add(round)).await?;
    }
    Ok(())
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() -> Result<()> {
    let server = es_servers::Postgres::start();
    for round in 0..3 {
        random_failures(&server.database(), seed().wrapping_add(round)).await?;
    }
    Ok(())
}
