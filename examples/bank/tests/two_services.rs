//! All services in one process, seen from outside: over HTTP and with SQL.

mod common;

use std::path::Path;

use bank::Bank;
use bank::accounts::balances::{Versions, v2};
use bank::accounts::{Account, AccountCommand, AccountEvent, Currency, contract};
use bank::import::{Summary, import};
use common::{audit, sql};
use es_runtime::event::CommandId;
use es_runtime::integration::{CloudEvent, StreamHash, stream_of};
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx::{Row, query, query_as, query_scalar};
use es_runtime::store::EventStore;
use es_runtime::{Service, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const INPUT: &str = "\
type,account,to,amount,currency,text
open,alice,,,DKK,Alice
open,bob,,,DKK,Bob
open,carol,,,EUR,Carol
deposit,alice,,100.00,DKK,Salary
withdraw,bob,,10.00,DKK,Too early
transfer,alice,bob,25.50,DKK,Lunch
transfer,alice,carol,1.00,DKK,The wrong currency
deposit,bob,,20.00,DKK,Found it
close,carol,,,,
";

async fn start(data: &Path, versions: Versions) -> Bank {
    Bank::start(data, "127.0.0.1:0", versions).await.unwrap()
}

async fn import_into(bank: &Bank) -> Summary {
    let file = bank.data.join("input.csv");
    std::fs::write(&file, INPUT).unwrap();
    let summary = import(bank, &file, |_| Ok(())).await.unwrap();
    bank.settle().await.unwrap();
    summary
}

/// A plain GET, as `curl` would.
async fn get(bank: &Bank, path: &str) -> String {
    let address = bank.accounts.feed_address().unwrap();
    let mut http = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: bank\r\nConnection: close\r\n\r\n");
    http.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    http.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{response}");
    body.to_owned()
}

#[tokio::test]
async fn what_happens_is_told_over_http_and_heard() {
    let data = tempfile::tempdir().unwrap();
    let bank = start(data.path(), Versions::Both).await;
    let summary = import_into(&bank).await;
    let refused: Vec<_> = summary.refused.iter().map(|refused| refused.line).collect();
    assert_eq!((summary.accepted, refused), (7, vec![6, 8]));

    let body = get(&bank, "/streams/accounts/v2/events?limit=1000").await;
    let events: Vec<CloudEvent> = serde_json::from_str(&body).unwrap();
    let mut hash = StreamHash::START;
    for event in &events {
        hash = event.proof(hash).unwrap();
        assert_eq!(event.streamhash, hash.to_string());
    }
    let mut db = sql(data.path(), "notifications.db").await;
    let heard: Vec<(String, String)> =
        query_as("SELECT event, account FROM notification ORDER BY position")
            .fetch_all(&mut db)
            .await
            .unwrap();
    let told: Vec<_> = events
        .into_iter()
        .map(|event| (event.id, event.subject))
        .collect();
    assert_eq!(heard, told);
    let last = "SELECT text FROM notification WHERE account = 'bob' ORDER BY position DESC LIMIT 1";
    let last: String = query_scalar(last).fetch_one(&mut db).await.unwrap();
    assert_eq!(last, "Bob's account has now 45.50 DKK");
    bank.shutdown().await.unwrap();
    audit(data.path()).await;
}

#[tokio::test]
async fn importing_a_file_again_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let bank = start(data.path(), Versions::Both).await;
    let first = import_into(&bank).await;
    let head = bank.accounts.store().head().await.unwrap();
    // Bob could withdraw by now what he could not then; the line stays refused all the same.
    let second = import_into(&bank).await;
    assert_eq!(
        second,
        Summary {
            repeated: first.accepted,
            ..first
        }
    );
    assert_eq!(bank.accounts.store().head().await.unwrap(), head);
    bank.shutdown().await.unwrap();
    audit(data.path()).await;
}

#[tokio::test]
async fn a_version_added_later_is_filled_from_the_first_event_and_takes_over() {
    let data = tempfile::tempdir().unwrap();
    let columns = async || {
        let mut db = sql(data.path(), "accounts.db").await;
        query("SELECT * FROM balances LIMIT 1")
            .fetch_one(&mut db)
            .await
            .unwrap()
            .len()
    };
    let bank = start(data.path(), Versions::One).await;
    import_into(&bank).await;
    bank.shutdown().await.unwrap();
    assert_eq!(columns().await, 3, "version 1 is live: key, owner, amount");

    let bank = start(data.path(), Versions::Both).await;
    bank.accounts.caught_up().await.unwrap();
    let alice = bank
        .accounts
        .view::<v2::Balance>()
        .get("alice")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (alice.amount.to_string().as_str(), alice.movements),
        ("74.50", 4)
    );
    assert_eq!(columns().await, 3, "version 2 is built beside the live one");
    let promote = bank.accounts.promote::<v2::Balance>();
    promote.forced("for a test").await.unwrap();
    assert_eq!(columns().await, 6, "version 2 is live");
    bank.shutdown().await.unwrap();
    audit(data.path()).await;
}

#[tokio::test]
async fn a_stream_added_later_is_filled_from_the_first_event() {
    let store = Store::connect("memory:").await.unwrap();
    let service = || {
        Service::builder("bank")
            .store(store.clone())
            .aggregate::<Account>()
    };
    let bank = service()
        .publish::<Account, before::Accounts>()
        .start()
        .await
        .unwrap();
    let open = AccountCommand::Open {
        owner: "Alice".into(),
        currency: Currency::Dkk,
    };
    bank.execute::<Account>("alice", open)
        .id(CommandId::of("1"))
        .await
        .unwrap();
    bank.caught_up().await.unwrap();
    bank.shutdown().await.unwrap();

    let bank = service()
        .publish::<Account, contract::Accounts>()
        .start()
        .await
        .unwrap();
    bank.execute::<Account>("alice", AccountCommand::Close)
        .await
        .unwrap();
    bank.caught_up().await.unwrap();
    let told = async |stream| {
        let events = store.read_published(&stream, Position::START, 10).await;
        let payloads = events.unwrap().into_iter().map(|event| event.payload);
        payloads.collect::<Vec<_>>()
    };
    assert_eq!(
        told(stream_of::<contract::Accounts>()).await,
        [
            r#"{"account":"alice","owner":"Alice","currency":"DKK"}"#,
            r#"{"account":"alice"}"#
        ]
    );
    // Version 1 goes on where the old release left it.
    assert_eq!(
        told(stream_of::<contract::v1::Accounts>()).await,
        [
            r#"{"account":"alice","owner":"Alice"}"#,
            r#"{"account":"alice"}"#
        ]
    );
    bank.shutdown().await.unwrap();
}

/// The contract of the release before, when version 1 was the only one.
mod before {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    pub(super) enum Accounts {
        AccountOpened { account: String, owner: String },
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, _: &Account) -> impl IntoEvents<Self> {
            let account = event.id().to_owned();
            match &event.data {
                AccountEvent::Opened { owner, .. } => Some(Self::AccountOpened {
                    account,
                    owner: owner.clone(),
                }),
                _ => None,
            }
        }
    }
}
