//! Consumers that move from one version of a stream to another, and back, over HTTP: whatever runs and
//! whatever is served meanwhile, nothing is lost and nothing comes twice.
#![cfg(all(
    feature = "client",
    feature = "feed",
    feature = "postgres",
    feature = "sqlite",
    feature = "testing"
))]

mod ahead;
mod bank;
#[path = "../domain/mod.rs"]
mod domain;
mod effects;
mod fence;
mod keys;
mod steps;
mod torture;

use std::time::Duration;

use bank::{Bank, Wherever, v1, v2};
use effects::{Effect, Rows};
use es_runtime::consume::{Consumer, Progress, Running};
use es_runtime::event::Position;
use es_runtime::store::{EventStore, StreamVersion};
use es_runtime::{Result, Store};
use tempfile::TempDir;

const LEASE: Duration = Duration::from_millis(300);

fn accounts(version: u32) -> StreamVersion {
    let stream = "accounts".to_owned();
    StreamVersion { stream, version }
}

/// An instance of the release that reads version 1.
async fn old(database: &Store, feed: Wherever, rows: Rows, parts: u16) -> Result<Running> {
    let consumer = Consumer::new("rows", database.clone()).stream::<v1::Accounts>(feed);
    let consumer = consumer.lease(LEASE).attempts(1000).handle(rows);
    consumer.parts(parts).start().await
}

/// An instance of the release that reads version 2.
async fn new(database: &Store, feed: Wherever, rows: Rows, parts: u16) -> Result<Running> {
    let consumer = Consumer::new("rows", database.clone()).stream::<v2::Accounts>(feed);
    let consumer = consumer.continues::<v1::Accounts>();
    let consumer = consumer.lease(LEASE).attempts(1000).handle(rows);
    consumer.parts(parts).start().await
}

/// An inbox in a file.
async fn file() -> Result<(Store, TempDir)> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("inbox.db").display());
    Ok((Store::connect(&url).await?, folder))
}

/// Waits until the stream version is published as far as the log is, and the consumer has read it.
async fn reads_all(bank: &Bank, running: &Running, version: u32) -> Result<()> {
    bank.service().caught_up().await?;
    let head = bank.store.published_head(&accounts(version)).await?;
    reached(running, head.position).await
}

async fn reached(running: &Running, position: Position) -> Result<()> {
    let reached = tokio::time::timeout(Duration::from_secs(60), running.reached(position));
    match reached.await {
        Ok(reached) => reached,
        Err(_) => panic!("not at {position}: {:?}", running.progress()),
    }
}

/// Asks until the progress is as it must become.
async fn tells(running: &Running, is: impl Fn(&Progress) -> bool) {
    let began = std::time::Instant::now();
    while !is(&running.progress()) {
        let late = began.elapsed() > Duration::from_secs(60);
        assert!(!late, "{:?}", running.progress());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn effect(version: u32, source: u64, part: u64) -> Effect {
    let of = bank::MadeOf { source, part };
    Effect { version, of }
}
