//! The same state in the end, whatever order the messages arrive in.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use es_runtime::integration::verify;
use es_runtime::prelude::*;
use es_runtime::store::{EventStore, PublishedQuery, StreamVersion};
use es_runtime::{Service, Store};
use es_servers::Postgres;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::domain::{
    Aircraft, Fleet, Movements, Report, fleet, memory, reports, service, tower, truth,
};

const SEEDS: u64 = 1000;

/// The first of the seeds; `ES_SEED` says another one.
fn first_seed() -> u64 {
    let seed = env::var("ES_SEED").map(|seed| seed.parse().expect("ES_SEED is a number"));
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

/// Messages that the upstream sends before it is told that they were taken.
const BATCH: usize = 20;

#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn the_process_that_is_killed() {
    let number = |name| env::var(name).unwrap().parse().unwrap();
    let (seed, from) = (
        number("ES_SEED"),
        usize::try_from(number("ES_FROM")).unwrap(),
    );
    let arriving = arriving(&mut fastrand::Rng::with_seed(seed));
    let store = Store::connect(&env::var("ES_URL").unwrap()).await.unwrap();
    let flights = start(&store).await;
    let tower = tower(&flights);
    for batch in arriving[from..].chunks(BATCH) {
        for taken in tower.take_all(batch.to_vec()).await {
            taken.unwrap();
        }
        let mut out = std::io::stdout().lock();
        out.write_all(b"\nack\n")
            .and_then(|()| out.flush())
            .unwrap();
    }
}

/// Sends everything from a message on, until the process that takes it is killed, and answers where
/// the upstream goes on: what it was not told of, it sends again.
async fn live_and_die(url: &str, seed: u64, mut from: usize, random: &mut fastrand::Rng) -> usize {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "arrival::the_process_that_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .envs([
            ("ES_URL", url),
            ("ES_SEED", &seed.to_string()),
            ("ES_FROM", &from.to_string()),
        ])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut left = random.usize(1..8);
    while let Some(line) = lines.next_line().await.unwrap() {
        if line == "ack" {
            from += BATCH;
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    child.start_kill().unwrap();
    let status = child.wait().await.unwrap();
    // It may be through by itself before, and must not have failed.
    assert!(status.success() || status.code().is_none(), "{status}");
    from
}

async fn with_kills(url: &str, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (messages, mut from) = (arriving(&mut random.clone()).len(), 0);
    let mut kills = 0;
    while from < messages {
        from = live_and_die(url, seed, from, &mut random).await;
        kills += 1;
    }
    println!("{kills} kills");
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
async fn nor_on_kills_on_sqlite() {
    let first = first_seed();
    for seed in first..first + 3 {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("flights.db").display());
        with_kills(&url, seed).await;
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn nor_on_kills_on_postgresql() {
    let server = Postgres::start();
    let first = first_seed();
    for seed in first..first + 3 {
        with_kills(&server.database(), seed).await;
    }
}
