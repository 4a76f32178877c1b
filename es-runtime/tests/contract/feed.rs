//! What the feed says is what the documents say of it.

use es_runtime::feed::Serve;
use es_runtime::{Result, Service, Store};
use serde_json::Value;

use crate::domain::first::{self, Account, AccountCommand, AccountEvent};
use crate::domain::history;

async fn bank() -> Result<Service> {
    served(Serve::at("127.0.0.1:0")).await
}

async fn served(serve: Serve) -> Result<Service> {
    let bank = deployed(Store::connect("memory:").await?, serve).await?;
    let owner = "Alice".to_owned();
    bank.execute::<Account>("alice", AccountCommand::Open { owner })
        .await?;
    let deposit = AccountCommand::Deposit { amount: 5 };
    let mut command = bank.execute::<Account>("alice", deposit);
    command = command.correlation("order-7").actor("teller");
    command.await?;
    bank.caught_up().await?;
    Ok(bank)
}

async fn deployed(store: Store, serve: Serve) -> Result<Service> {
    Service::builder("bank")
        .namespace("dk.example.bank")
        .store(store)
        .aggregate::<Account>()
        .project::<AccountEvent, first::Balance>()
        .publish::<Account, history::Accounts>()
        .serve(serve)
        .start()
        .await
}

async fn events(bank: &Service, version: u32) -> Vec<Value> {
    let address = bank.feed_address().unwrap();
    let url = format!("http://{address}/streams/accounts/v{version}/events");
    let answer = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

#[tokio::test]
async fn real_events_are_what_the_documents_say() -> Result<()> {
    let bank = bank().await?;
    let documents = history::contract().documents()?;
    let official = include_str!("cloudevents.schema.json");
    let official = jsonschema::validator_for(&serde_json::from_str(official).unwrap()).unwrap();
    for version in [1, 2] {
        let events = events(&bank, version).await;
        assert_eq!(events.len(), 2);
        let path = format!("accounts/v{version}/stream.json");
        let schema: Value = serde_json::from_str(&documents[&path]).unwrap();
        let judge = jsonschema::draft7::options().should_validate_formats(true);
        let judge = judge.build(&schema).unwrap();
        for event in &events {
            assert!(judge.is_valid(event), "{event} in {path}");
            assert!(official.is_valid(event), "{event} is no CloudEvent");
            // Everything in the envelope is described.
            let described = &schema["definitions"]["CloudEvent"]["properties"];
            for attribute in event.as_object().unwrap().keys() {
                assert!(
                    described.get(attribute).is_some(),
                    "`{attribute}` is not described"
                );
            }
            let mut other = event.clone();
            other["data"] = Value::Null;
            assert!(!judge.is_valid(&other), "{other}");
        }
    }
    let described = history::contract();
    assert_eq!(bank.undescribed(&described), []);
    assert_eq!(bank.undescribed(&first::contract()).len(), 1);
    bank.shutdown().await
}

async fn get(bank: &Service, path: &str) -> reqwest::Response {
    let address = bank.feed_address().unwrap();
    reqwest::get(format!("http://{address}{path}"))
        .await
        .unwrap()
}

async fn value(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_catalogue_leads_to_the_schemas_that_the_documents_are() -> Result<()> {
    let bank = served(Serve::at("127.0.0.1:0").contract(history::contract())).await?;
    let documents = history::contract().documents()?;
    let document = |path: &str| -> Value { serde_json::from_str(&documents[path]).unwrap() };
    let catalogue = get(&bank, "/streams").await;
    assert_eq!(
        catalogue.headers()["link"],
        "</asyncapi.json>; rel=\"service-desc\""
    );
    let asyncapi = value(get(&bank, "/asyncapi.json").await).await;
    assert_eq!(asyncapi, document("asyncapi.json"));
    for entry in value(catalogue).await.as_array().unwrap() {
        let folder = format!("accounts/v{}", entry["version"]);
        let stream = get(&bank, entry["schema"].as_str().unwrap()).await;
        assert_eq!(stream.headers()["content-type"], "application/schema+json");
        assert_eq!(
            stream.headers()["cache-control"],
            "max-age=31536000, immutable"
        );
        assert_eq!(
            value(stream).await,
            document(&format!("{folder}/stream.json"))
        );
        for (event_type, place) in entry["schemas"].as_object().unwrap() {
            let event = event_type.rsplit('.').nth(1).unwrap();
            let schema = value(get(&bank, place.as_str().unwrap()).await).await;
            assert_eq!(schema, document(&format!("{folder}/{event}.json")));
            // Another revision is not this one.
            let other = place.as_str().unwrap().replace(".json", "0.json");
            assert_eq!(get(&bank, &other).await.status(), 404);
        }
        assert!(entry["schemas"].as_object().unwrap().len() > 1, "{entry}");
    }
    bank.shutdown().await?;
    // Without a contract there is nothing to see.
    let bank = self::bank().await?;
    assert_eq!(get(&bank, "/asyncapi.json").await.status(), 404);
    assert!(value(get(&bank, "/streams").await).await[0]["schemas"].is_null());
    bank.shutdown().await
}

#[tokio::test]
async fn the_address_of_a_schema_outlives_the_release_that_served_it() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let anywhere = || Serve::at("127.0.0.1:0");
    let bank = deployed(store.clone(), anywhere().contract(history::contract())).await?;
    let entry = value(get(&bank, "/streams/accounts/v1").await).await;
    let place = entry["schema"].as_str().unwrap();
    let before = get(&bank, place).await;
    let tag = before.headers()["etag"].clone();
    let before = before.bytes().await.unwrap();
    bank.shutdown().await?;
    // The next release has nothing under this address.
    let bank = deployed(store, anywhere()).await?;
    let after = get(&bank, place).await;
    assert_eq!(after.status(), 200);
    assert_eq!(after.headers()["etag"], tag);
    assert_eq!(
        after.headers()["cache-control"],
        "max-age=31536000, immutable"
    );
    assert_eq!(after.bytes().await.unwrap(), before);
    bank.shutdown().await
}

#[tokio::test]
async fn another_contract_than_the_services_is_not_served() -> Result<()> {
    let other = history::contract().namespace("dk.example.other");
    let start = served(Serve::at("127.0.0.1:0").contract(other)).await;
    let refused = start.err().unwrap();
    assert_eq!(refused.code(), "ES0220", "{refused}");
    Ok(())
}
