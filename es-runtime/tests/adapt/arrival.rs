//! The same state in the end, whatever order the messages arrive in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use es_runtime::integration::verify;
use es_runtime::prelude::*;
use es_runtime::store::{EventStore, PublishedQuery, StreamVersion};
use es_runtime::{Service, Store};
use es_servers::Postgres;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::domain::{
    Aircraft, Fleet, Movements, Report, fleet, memory, reports, service, tower, truth,
};

const SEEDS: u64 = 1000;

/// The first of the seeds; `ES_SEED` says another one.
fn first_seed() -> u64 {
    let seed = std::env::var("ES_SEED").map(|seed| seed.parse().expect("ES_SEED is a number"));
    let seed = seed.unwrap_or(1);
    println!("ES_SEED={seed}");
    seed
}

/// The messages as they arrive: any of them doubled, and late by nothing, a little or a lot.
fn arriving(random: &mut fastrand::Rng) -> Vec<Report> {
    let all = reports();
    let most = [1, 10, all.len()][random.usize(..3)];
    let mut arriving: Vec<(usize, u32, Report)> = Vec::new();
    for (n, report) in all.into_iter().enumerate() {
        let times = 1 + usize::from(random.u8(..3) == 0) + usize::from(random.u8(..9) == 0);
        for _ in 0..times {
            arriving.push((n + random.usize(..most), random.u32(..), report.clone()));
        }
    }
    arriving.sort_by_key(|(when, tie, _)| (*when, *tie));
    arriving.into_iter().map(|(.., report)| report).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_does_not_depend_on_the_order_of_arrival() {
    let first = first_seed();
    let truth = Arc::new(truth());
    let messages = reports().len() as u64;
    let mut running = JoinSet::new();
    for half in 0..2 {
        let truth = truth.clone();
        running.spawn(async move {
            for seed in (first..first + SEEDS).filter(|seed| seed % 2 == half) {
                let mut random = fastrand::Rng::with_seed(seed);
                let flights = service(&memory().await).start().await.unwrap();
                let tower = tower(&flights);
                let arriving = arriving(&mut random);
                if random.bool() {
                    for report in &arriving {
                        tower.take(report).await.unwrap();
                    }
                } else {
                    for taken in tower.take_all(arriving).await {
                        taken.unwrap();
                    }
                }
                let (fleet, stored) = fleet(&flights).await;
                assert_eq!(fleet, *truth, "seed {seed}");
                assert_eq!(stored, messages, "messages in the log, seed {seed}");
                flights.shutdown().await.unwrap();
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

/// Everything that the stream says, in its order: what a consumer makes of it.
async fn told(store: &Store) -> Fleet {
    let (stream, version) = ("aircraft".to_owned(), 1);
    let stream = StreamVersion { stream, version };
    let mut fleet = Fleet::new();
    let mut position = 0;
    loop {
        let query = PublishedQuery::after(&stream, Position::new(position));
        let page = store.query_published(&query).await.unwrap();
        if page.events.is_empty() {
            break;
        }
        for event in &page.events {
            position += 1;
            assert_eq!(event.position.get(), position, "positions are dense");
            let said: HashMap<String, serde_json::Value> =
                serde_json::from_str(&event.payload).unwrap();
            let aircraft: &mut Aircraft = fleet.entry(event.subject.clone()).or_default();
            match said.get("airport") {
                Some(airport) => aircraft.airport = airport.as_str().unwrap().to_owned(),
                None => {
                    aircraft.flights += 1;
                    aircraft.miles += said["miles"].as_i64().unwrap();
                }
            }
        }
    }
    let (first, last) = (Position::START, Position::new(position));
    let breach = verify(store, &stream, first, last, |_| {}).await.unwrap();
    assert!(breach.is_none(), "{breach:?}");
    fleet
}

/// Sends everything until all of it is taken; every now and then the service dies in the middle of it,
/// and the upstream begins again.
async fn with_deaths(url: &str, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let arriving = arriving(&mut random);
    let mut from = 0;
    while from < arriving.len() {
        let store = Store::connect(url).await.unwrap();
        let flights = start(&store).await;
        let tower = tower(&flights);
        let life = Duration::from_millis(random.u64(1..300));
        let living = async {
            for batch in arriving[from..].chunks(20) {
                for taken in tower.take_all(batch.to_vec()).await {
                    taken.unwrap();
                }
                // Here the upstream learns that it was taken.
                from += batch.len();
            }
        };
        // Dropped wherever it is.
        timeout(life, living).await.ok();
        drop((flights, tower));
        store.close().await;
    }
    let store = Store::connect(url).await.unwrap();
    let flights = start(&store).await;
    let (fleet, stored) = fleet(&flights).await;
    assert_eq!(fleet, truth(), "seed {seed}");
    assert_eq!(stored, reports().len() as u64, "seed {seed}");
    flights.caught_up().await.unwrap();
    assert_eq!(
        told(&store).await,
        truth(),
        "what consumers see, seed {seed}"
    );
    flights.shutdown().await.unwrap();
}

async fn start(store: &Store) -> Service {
    let flights = service(store).publish::<Aircraft, Movements>();
    flights.start().await.unwrap()
}

#[tokio::test]
async fn nor_on_deaths_on_sqlite() {
    let first = first_seed();
    for seed in first..first + 3 {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("flights.db").display());
        with_deaths(&url, seed).await;
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn nor_on_deaths_on_postgresql() {
    let server = Postgres::start();
    let first = first_seed();
    for seed in first..first + 3 {
        with_deaths(&server.database(), seed).await;
    }
}
