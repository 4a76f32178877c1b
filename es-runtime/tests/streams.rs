//! The life of an integration stream while its service runs: nothing is served before it is
//! complete, readers are told of its end before it comes, and nobody waits for it afterwards.
#![cfg(all(feature = "feed", feature = "postgres", feature = "sqlite"))]

mod domain;

use std::time::Duration;

use domain::{Account, deposit, open, v1, v2};
use es_runtime::event::{Position, Timestamp};
use es_runtime::store::{Change, EventStore, Phase, ProjectionId, Reading, StreamVersion};
use es_runtime::{Result, Service, Store};
use es_servers::Postgres;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

fn accounts(version: u32) -> StreamVersion {
    let stream = "accounts".to_owned();
    StreamVersion { stream, version }
}

fn id(version: u32) -> ProjectionId {
    (&accounts(version)).into()
}

/// A bank that publishes version 1, or both.
async fn bank(store: &Store, both: bool) -> Result<(Service, String)> {
    let bank = Service::builder("bank")
        .store(store.clone())
        .heartbeat(Duration::from_millis(20), Duration::from_secs(30))
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>();
    let bank = match both {
        true => bank.publish::<Account, v2::Accounts>(),
        false => bank,
    };
    let bank = bank.serve("127.0.0.1:0").start().await?;
    bank.caught_up().await?;
    let url = format!("http://{}/streams/accounts", bank.feed_address().unwrap());
    Ok((bank, url))
}

async fn events(url: &str, version: u32) -> Response {
    reqwest::get(format!("{url}/v{version}/events"))
        .await
        .unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

async fn count(url: &str, version: u32) -> usize {
    let response = events(url, version).await;
    assert_eq!(response.status(), StatusCode::OK);
    json(response).await.as_array().unwrap().len()
}

async fn phase(store: &Store, version: u32) -> Phase {
    store.projection(&id(version)).await.unwrap().unwrap().phase
}

async fn a_life_while_the_bank_runs(url: &str) -> Result<()> {
    let store = Store::connect(url).await?;
    let (old, _) = bank(&store, false).await?;
    old.execute::<Account>("alice", open("Alice")).await?;
    old.execute::<Account>("alice", deposit(5)).await?;

    // A deploy adds version 2, filled from the first event, while the old release runs.
    let (new, feed) = bank(&store, true).await?;
    old.execute::<Account>("alice", deposit(6)).await?;
    new.caught_up().await?;
    assert_eq!((count(&feed, 1).await, count(&feed, 2).await), (3, 3));
    let told = events(&feed, 1).await;
    assert_eq!(header(&told, "deprecation"), None);

    // A command deprecates version 1: its readers hear of it without a deploy, where they are.
    let sunset: Timestamp = "2999-01-31T00:00:00Z".parse().unwrap();
    let deprecate = |sunset| Change::Deprecate { sunset };
    store
        .change(&id(1), &deprecate(Some(sunset)), "anna")
        .await?;
    let told = events(&feed, 1).await;
    let since = store.projection(&id(1)).await?.unwrap().since;
    let since = format!("@{}", since.as_micros() / 1_000_000);
    assert_eq!(header(&told, "deprecation"), Some(since.clone()));
    assert_eq!(
        header(&told, "sunset").unwrap(),
        "Thu, 31 Jan 2999 00:00:00 GMT"
    );
    let links = told.headers().get_all("link").iter();
    let links: Vec<_> = links.map(|link| link.to_str().unwrap()).collect();
    let successor = "</streams/accounts/v2/events>; rel=\"successor-version\"";
    assert!(links.contains(&successor), "{links:?}");
    let entry = json(reqwest::get(format!("{feed}/v1")).await.unwrap()).await;
    assert_eq!(entry["status"], "deprecated");
    assert_eq!(entry["sunset"], "2999-01-31T00:00:00.000000Z");
    assert_eq!(header(&events(&feed, 2).await, "deprecation"), None);
    // It goes on, and so does the day of its deprecation when another end is announced.
    new.execute::<Account>("alice", deposit(7)).await?;
    new.caught_up().await?;
    assert_eq!(count(&feed, 1).await, 4);
    let past = Some(Timestamp::from_micros(0));
    store.change(&id(1), &deprecate(past), "anna").await?;
    assert_eq!(header(&events(&feed, 1).await, "deprecation"), Some(since));

    // It is not retired under a reader, and is as soon as nobody reads it, while both releases run.
    let reading = |position, via: &str| Reading {
        consumer: "mail".to_owned(),
        stream: accounts(1),
        position: Position::new(position),
        hash: None,
        via: via.to_owned(),
    };
    store.note_consumers(&[reading(4, "feed")]).await?;
    let retire = |quiet| Change::Retire {
        quiet,
        forced: None,
    };
    let refused = store
        .change(&id(1), &retire(Duration::from_hours(1)), "anna")
        .await;
    let refused = refused.unwrap_err();
    assert!(refused.is_refused(), "{refused}");
    assert!(
        refused
            .to_string()
            .contains("`mail` read it by feed up to position 4"),
        "{refused}"
    );
    assert_eq!(phase(&store, 1).await, Phase::Deprecated);
    store
        .change(&id(1), &retire(Duration::ZERO), "anna")
        .await?;
    let gone = events(&feed, 1).await;
    assert_eq!(gone.status(), StatusCode::GONE);
    assert_eq!(json(gone).await["successor"], "/streams/accounts/v2/events");

    // Nobody waits for it: the other version and both releases go on.
    new.execute::<Account>("alice", deposit(8)).await?;
    new.caught_up().await?;
    old.caught_up().await?;
    assert_eq!(count(&feed, 2).await, 5);
    old.shutdown().await?;
    new.shutdown().await?;

    // Whoever still has its code starts, and publishes nothing of it.
    let (again, feed) = bank(&store, true).await?;
    again.execute::<Account>("alice", deposit(9)).await?;
    again.caught_up().await?;
    assert_eq!(events(&feed, 1).await.status(), StatusCode::GONE);
    assert_eq!(count(&feed, 2).await, 6);
    assert_eq!(store.published_head(&accounts(1)).await?.position.get(), 4);
    again.shutdown().await?;
    store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_while_the_bank_runs_in_sqlite() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    a_life_while_the_bank_runs(&url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_while_the_bank_runs_in_postgres() {
    let server = Postgres::start();
    a_life_while_the_bank_runs(&server.database())
        .await
        .unwrap();
}

/// What stands still while it is built is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_before_it_is_complete() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let (bank, _) = bank(&store, false).await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    bank.caught_up().await?;
    store.prepare_stream(&accounts(2)).await?;
    let pause = Change::Pause {
        reason: "the test looks".to_owned(),
    };
    store.change(&id(2), &pause, "test").await?;
    bank.shutdown().await?;

    let both = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .publish::<Account, v2::Accounts>();
    let both = both.serve("127.0.0.1:0").start().await?;
    let feed = format!("http://{}/streams/accounts", both.feed_address().unwrap());
    let early = events(&feed, 2).await;
    assert_eq!(early.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&early, "retry-after").unwrap(), "1");
    assert_eq!(json(early).await["title"], "building");
    assert_eq!(count(&feed, 1).await, 1);
    store.change(&id(2), &Change::Resume, "test").await?;
    both.caught_up().await?;
    assert_eq!(count(&feed, 2).await, 1);
    both.shutdown().await
}
