//! The feed over real HTTP, asked by all kinds of clients.
#![cfg(all(feature = "feed", feature = "client", feature = "sqlite"))]

mod access;
mod basics;
mod caching;
#[path = "../domain/mod.rs"]
mod domain;
mod filled;
mod filters;
mod hostile;
mod limits;
mod mounted;
#[cfg(feature = "gzip")]
mod packed;
mod paging;
mod place;
mod raw;
mod readers;
mod register;
mod sent;
mod torn;

use domain::{Account, AccountEvent, deposit, open, v1, v2};
use es_runtime::feed::Serve;
use es_runtime::{Result, Service, Store};
use reqwest::Response;
use serde_json::Value;

/// A free port.
const ANYWHERE: &str = "127.0.0.1:0";

/// A bank with three events on each version of its stream, and its address.
async fn bank() -> Result<(Service, String)> {
    served(Serve::at(ANYWHERE)).await
}

/// The same, served like this.
async fn served(serve: Serve) -> Result<(Service, String)> {
    let bank = started(serve).await?;
    let address = bank.feed_address().unwrap();
    Ok((bank, format!("http://{address}")))
}

/// The bank alone.
async fn started(serve: Serve) -> Result<Service> {
    let bank = Service::builder("bank")
        .namespace("dk.example")
        .store(Store::connect("memory:").await?)
        .aggregate::<Account>()
        .project::<AccountEvent, v1::Balance>()
        .publish::<Account, v1::Accounts>()
        .publish::<Account, v2::Accounts>()
        .serve(serve)
        .start()
        .await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    bank.execute::<Account>("alice", deposit(5)).await?;
    bank.execute::<Account>("alice", deposit(6)).await?;
    bank.caught_up().await?;
    Ok(bank)
}

async fn get(url: &str) -> Response {
    reqwest::get(url).await.unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers()[name].to_str().unwrap()
}
