//! The feed over real HTTP, asked by a plain client and by our consumer.

use std::time::Instant;

use es_runtime::consume::{Consumer, Feed, Handler, HandlerError};
use es_runtime::event::Position;
use es_runtime::integration::{CloudEvent, Received, StreamHash};
use es_runtime::store::{EventStore, InboxId, InboxMove, StreamCursor, StreamVersion, Tx};
use es_runtime::{Result, Service, Store};
use reqwest::StatusCode;
use serde_json::Value;

use crate::domain::{Account, deposit, v1, v2};
use crate::{bank, get, header, json};

#[tokio::test]
async fn the_catalogue_tells_every_version_and_its_head() -> Result<()> {
    let (bank, url) = bank().await?;
    let streams = json(get(&format!("{url}/streams")).await).await;
    let entry = |version: u32| {
        let mut entry = serde_json::json!({
            "stream": "accounts", "version": version, "status": "live", "first": 1, "head": 3,
            "events": format!("/streams/accounts/v{version}/events"),
        });
        if version == 1 {
            entry["successor"] = "/streams/accounts/v2".into();
        }
        entry
    };
    assert_eq!(streams, serde_json::json!([entry(1), entry(2)]));
    let one = json(get(&format!("{url}/streams/accounts/v2")).await).await;
    assert_eq!(one, entry(2));
    bank.shutdown().await
}

#[tokio::test]
async fn pages_are_cloud_events_that_prove_themselves() -> Result<()> {
    let (bank, url) = bank().await?;
    let events = format!("{url}/streams/accounts/v1/events");
    let response = get(&format!("{events}?limit=2")).await;
    assert_eq!(
        header(&response, "content-type"),
        "application/cloudevents-batch+json"
    );
    assert_eq!(header(&response, "stream-head"), "3");
    assert_eq!(
        header(&response, "cache-control"),
        "max-age=31536000, immutable"
    );
    let next = "</streams/accounts/v1/events?after=2&limit=2>; rel=\"next\"";
    assert_eq!(header(&response, "link"), next);
    let body = response.bytes().await.unwrap();
    let page: Vec<CloudEvent> = serde_json::from_slice(&body).unwrap();
    let mut hash = StreamHash::START;
    for event in &page {
        hash = event.proof(hash).unwrap();
        assert_eq!(event.streamhash, hash.to_string());
    }
    let second: Value = serde_json::from_slice::<Vec<Value>>(&body)
        .unwrap()
        .remove(1);
    for (attribute, value) in [
        ("specversion", "1.0"),
        ("id", "accounts.v1-2"),
        ("source", "urn:es:bank:accounts:v1"),
        ("type", "dk.example.balance-changed.v1"),
        ("subject", "alice"),
        ("sequence", "00000000000000000002"),
    ] {
        assert_eq!(second[attribute], value, "{attribute}");
    }
    assert_eq!(
        second["data"],
        serde_json::json!({ "account": "alice", "balance": 5 })
    );

    let rest = get(&format!("{events}?lastEventId=accounts.v1-2")).await;
    assert_eq!(header(&rest, "cache-control"), "no-cache");
    assert_eq!(json(rest).await.as_array().unwrap().len(), 1);
    assert_eq!(
        json(get(&format!("{events}?after=3")).await).await,
        serde_json::json!([])
    );
    bank.shutdown().await
}

#[tokio::test]
async fn wrong_questions_get_problems_that_say_what_is_wrong() -> Result<()> {
    let (bank, url) = bank().await?;
    for (path, status, detail) in [
        (
            "/streams/accounts/v1/events?after=x",
            400,
            "`after` is a whole number, not `x`",
        ),
        (
            "/streams/accounts/v1/events?limit=-1",
            400,
            "`limit` is a whole number, not `-1`",
        ),
        (
            "/streams/accounts/v1/events?after=99",
            409,
            "ends at 3 and the cursor is 99",
        ),
        (
            "/streams/accounts/v3/events",
            404,
            "there is no stream `accounts` v3 here",
        ),
        (
            "/streams/nothing/v1",
            404,
            "there is no stream `nothing` v1 here",
        ),
        ("/", 404, "there is nothing at this address"),
    ] {
        let response = get(&format!("{url}{path}")).await;
        assert_eq!(
            response.status(),
            StatusCode::from_u16(status).unwrap(),
            "{path}"
        );
        assert_eq!(
            header(&response, "content-type"),
            "application/problem+json",
            "{path}"
        );
        let problem = json(response).await;
        assert_eq!(problem["status"], status, "{path}");
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{path}: {problem}"
        );
    }
    bank.shutdown().await
}

#[tokio::test]
async fn a_stream_that_is_still_built_is_not_served() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let unbuilt = StreamVersion {
        stream: "accounts".into(),
        version: 1,
    };
    store.prepare_stream(&unbuilt).await?;
    // An event that stops the stream before it is complete.
    let event = es_runtime::store::NewEvent {
        event_type: "account.unknown",
        schema_version: 1,
        min_reader: 1,
        payload: "{}".into(),
    };
    let append = es_runtime::store::Append {
        stream: "account-a".parse()?,
        expected: 0,
        command_id: es_runtime::event::CommandId::of("x"),
        repeatable: true,
        events: vec![event],
        metadata: None,
        correlation: None,
        time: es_runtime::event::Timestamp::default(),
        known_instances: None,
    };
    store.append(append).await?;
    let bank = Service::builder("bank")
        .store(store)
        .publish::<Account, v1::Accounts>()
        .serve("127.0.0.1:0")
        .start()
        .await?;
    bank.caught_up().await.unwrap_err();
    let url = format!(
        "http://{}/streams/accounts/v1/events",
        bank.feed_address().unwrap()
    );
    let response = get(&url).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), "1");
    Ok(())
}

#[tokio::test]
async fn a_long_poll_answers_when_something_happens() -> Result<()> {
    let (bank, url) = bank().await?;
    let asked = Instant::now();
    let poll = tokio::spawn(async move {
        json(
            get(&format!(
                "{url}/streams/accounts/v1/events?after=3&wait=20000"
            ))
            .await,
        )
        .await
    });
    bank.execute::<Account>("alice", deposit(1)).await?;
    let events = poll.await.unwrap();
    assert_eq!(events[0]["data"]["balance"], 12);
    assert!(
        asked.elapsed().as_secs() < 15,
        "the answer came with the event"
    );
    bank.shutdown().await
}

/// Keeps nothing: these tests look at the cursor.
pub(crate) struct Nothing;

impl<E: Sync> Handler<E> for Nothing {
    async fn handle(&mut self, _: &Received<E>, _: &mut Tx) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_consumer_follows_and_survives_the_feeds_restart() -> Result<()> {
    let (old, url) = bank().await?;
    let inbox = Store::connect("memory:").await?;
    let consumer = Consumer::new("watcher", inbox).stream::<v2::Accounts>(Feed::http(&url));
    let running = consumer.handle(Nothing).start().await?;
    running.reached(Position::new(3)).await?;
    old.shutdown().await?;
    let new = Service::builder("bank")
        .namespace("dk.example")
        .store(old.store().clone())
        .aggregate::<Account>()
        .publish::<Account, v2::Accounts>()
        .serve(url.trim_start_matches("http://"))
        .start()
        .await?;
    new.execute::<Account>("alice", deposit(1)).await?;
    running.reached(Position::new(4)).await?;
    running.stop().await?;
    new.shutdown().await
}

#[tokio::test]
async fn a_cursor_beyond_the_head_stops_the_consumer() -> Result<()> {
    let (bank, url) = bank().await?;
    let inbox = Store::connect("memory:").await?;
    let stream = StreamVersion {
        stream: "accounts".into(),
        version: 1,
    };
    let id = InboxId {
        consumer: "watcher".into(),
        stream,
    };
    let ahead = StreamCursor {
        position: Position::new(9),
        hash: [1; 32],
    };
    let tx = inbox.begin().await?;
    inbox
        .commit_inbox(tx, &InboxMove::new(&id, StreamCursor::default(), ahead))
        .await?;
    let consumer = Consumer::new("watcher", inbox).stream::<v1::Accounts>(Feed::http(url));
    let running = consumer.handle(Nothing).start().await?;
    assert_eq!(running.until_shutdown().await.unwrap_err().code(), "ES0131");
    bank.shutdown().await
}
