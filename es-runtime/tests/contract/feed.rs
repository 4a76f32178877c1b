//! What the feed says is what the documents say of it.

use es_runtime::{Result, Service, Store};
use serde_json::Value;

use crate::domain::first::{self, Account, AccountCommand, AccountEvent};
use crate::domain::history;

async fn bank() -> Result<Service> {
    let bank = Service::builder("bank")
        .namespace("dk.example.bank")
        .store(Store::connect("memory:").await?)
        .aggregate::<Account>()
        .project::<AccountEvent, first::Balance>()
        .publish::<Account, history::Accounts>()
        .serve("127.0.0.1:0")
        .start()
        .await?;
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
