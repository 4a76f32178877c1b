//! What must hold of a bank's data, whatever happened to it.
#![allow(dead_code, reason = "every test uses its part")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use bank::accounts::balances::{v1, v2};
use bank::accounts::{Account, AccountEvent, Money, contract};
use bank::transfers::TransferEvent;
use bank::transfers::contract::Transfers;
use es_runtime::Store;
use es_runtime::event::{Metadata, StoredEvent};
use es_runtime::integration::{CloudEvent, StreamHash, stream_of};
use es_runtime::prelude::*;
use es_runtime::sqlite::SqliteConnection;
use es_runtime::sqlite::sqlx::{Connection, query_as};
use es_runtime::store::{EventStore, LogQuery, RowQuery};
use serde_json::{Value, json};

pub(crate) async fn accounts(data: &Path) -> Store {
    let url = format!("sqlite://{}", data.join("accounts.db").display());
    Store::connect(&url).await.unwrap()
}

/// A connection of one's own to one of the databases.
pub(crate) async fn sql(data: &Path, database: &str) -> SqliteConnection {
    let url = format!("sqlite://{}", data.join(database).display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// The whole log.
pub(crate) async fn log(store: &Store) -> Vec<StoredEvent> {
    let everything = LogQuery::after(Position::START).limit(1_000_000);
    let page = store.read_log(&everything).await.unwrap();
    page.events.to_vec().unwrap()
}

/// Compares everything that is derived with a fold of the log by the plain domain code.
pub(crate) async fn audit(data: &Path) {
    let store = accounts(data).await;
    let log = log(&store).await;
    for (event, n) in log.iter().zip(1..) {
        assert_eq!(event.position, Position::new(n), "the log is dense");
    }
    let events: Vec<_> = log
        .iter()
        .filter(|event| event.stream.aggregate() == Account::NAME)
        .map(decode)
        .collect();
    assert_eq!(
        rows::<v1::Balance>(&store).await,
        fold(&events),
        "balances@1"
    );
    assert_eq!(
        rows::<v2::Balance>(&store).await,
        fold(&events),
        "balances@2"
    );
    let one = published::<contract::v1::Accounts>(&store).await;
    let two = published::<contract::v2::Accounts>(&store).await;
    let mapped = mapped(&events);
    let older: Vec<_> = mapped.iter().cloned().map(older).collect();
    assert_eq!(one, older, "accounts@1");
    assert_eq!(two, mapped, "accounts@2");
    notified(data, &one, &two).await;
    transferred(data, &store).await;
    store.close().await;
}

/// Every transfer is over, did what it says that it did, each step once, and nothing else moved money
/// between accounts.
async fn transferred(data: &Path, accounts: &Store) {
    let url = format!("sqlite://{}", data.join("transfers.db").display());
    let transfers = Store::connect(&url).await.unwrap();
    let mut moved = BTreeMap::<String, Vec<&str>>::new();
    let mut replay = accounts.replay::<AccountEvent>(LogQuery::after(Position::START));
    while let Some(event) = replay.next().await.unwrap() {
        let step = match event.data {
            AccountEvent::Sent { .. } => "sent",
            AccountEvent::Received { .. } => "received",
            AccountEvent::Returned(_) => "returned",
            _ => continue,
        };
        let actor = event.metadata.actor.unwrap();
        let (transfer, _) = actor["booking-".len()..].rsplit_once('.').unwrap();
        moved.entry(transfer.to_owned()).or_default().push(step);
    }
    let mut phases = BTreeMap::new();
    let mut replay = transfers.replay::<TransferEvent>(LogQuery::after(Position::START));
    while let Some(event) = replay.next().await.unwrap() {
        phases.insert(event.id().to_owned(), event.data);
    }
    for (id, last) in phases {
        let expected: &[&str] = match last {
            TransferEvent::Completed => &["sent", "received"],
            TransferEvent::Returned => &["sent", "returned"],
            TransferEvent::Refused { .. } => &[],
            other => panic!("transfer {id} is not over: {other:?}"),
        };
        assert_eq!(moved.remove(&id).unwrap_or_default(), expected, "{id}");
    }
    assert!(moved.is_empty(), "moved by nobody: {moved:?}");
    // The customers hear of all that failed.
    let head = published::<Transfers>(&transfers).await;
    let failed = head
        .iter()
        .zip(1i64..)
        .filter_map(|((_, _, event), n)| match event {
            Transfers::TransferFailed { account, why, .. } => {
                Some((n, account.clone(), format!("No transfer: {why}")))
            }
            _ => None,
        });
    let mut db = sql(data, "notifications.db").await;
    let select = "SELECT position, account, text FROM explanation ORDER BY position";
    let rows: Vec<(i64, String, String)> = query_as(select).fetch_all(&mut db).await.unwrap();
    same("explanations", &rows, &failed.collect::<Vec<_>>());
    transfers.close().await;
}

/// A stored event, by way of the enum's own `Deserialize`.
fn decode(stored: &StoredEvent) -> Recorded<AccountEvent> {
    let known = AccountEvent::TYPES
        .iter()
        .find(|known| known.name == stored.event_type)
        .unwrap();
    Recorded {
        data: tagged(known.variant, &stored.payload),
        position: stored.position,
        stream: stored.stream.clone(),
        version: stored.version,
        part: 0,
        time: stored.time,
        command_id: stored.command_id,
        metadata: Metadata::new(),
    }
}

fn tagged<T: serde::de::DeserializeOwned>(variant: &str, payload: &str) -> T {
    let payload: Value = serde_json::from_str(payload).unwrap();
    // A variant without fields is written `{}`.
    let unit = serde_json::from_value(json!(variant));
    unit.or_else(|_| serde_json::from_value(json!({ variant: payload })))
        .unwrap()
}

type Rows<P> = BTreeMap<String, P>;

async fn rows<P: Projection>(store: &Store) -> Rows<P> {
    let rows = store.query_rows(&P::TABLE, &RowQuery::all()).await.unwrap();
    rows.into_iter()
        .map(|(key, row)| (key, P::from_row(row).unwrap()))
        .collect()
}

fn fold<P: Fold<AccountEvent>>(events: &[Recorded<AccountEvent>]) -> Rows<P> {
    let mut rows = Rows::new();
    for event in events {
        for key in P::keys(event) {
            let row = P::fold(rows.remove(&key), event);
            rows.extend(row.map(|row| (key, row)));
        }
    }
    rows
}

/// An integration event with the position of its cause and the account.
type Told<I> = (Position, String, I);

/// The whole stream, its numbers and its chain checked.
async fn published<I: IntegrationEvent>(store: &Store) -> Vec<Told<I>> {
    let stream = stream_of::<I>();
    let events = store
        .read_published(&stream, Position::START, 1_000_000)
        .await
        .unwrap();
    let (mut hash, mut told) = (StreamHash::START, Vec::new());
    for (event, n) in events.into_iter().zip(1..) {
        assert_eq!(event.position, Position::new(n), "{stream} is dense");
        let (source, subject) = (event.source, event.subject.clone());
        let cloud = CloudEvent::new("bank", &stream, event).unwrap();
        hash = cloud.proof(hash).unwrap();
        assert_eq!(cloud.streamhash, hash.to_string(), "{stream} is chained");
        let named = |name| format!("bank.{name}.v{}", I::VERSION) == cloud.event_type;
        let known = I::TYPES.iter().find(|known| named(known.name)).unwrap();
        told.push((source, subject, tagged(known.variant, cloud.data.get())));
    }
    let head = store.published_head(&stream).await.unwrap();
    assert_eq!(
        StreamHash::from_bytes(head.hash),
        hash,
        "the head of {stream}"
    );
    told
}

fn mapped<I: Publish<Account>>(events: &[Recorded<AccountEvent>]) -> Vec<Told<I>> {
    let (mut accounts, mut told) = (BTreeMap::<&str, Account>::new(), Vec::new());
    for event in events {
        let account = accounts.entry(event.id()).or_default();
        account.evolve(&event.data);
        let made = I::publish(event, account).into_events();
        told.extend(
            made.into_iter()
                .map(|made| (event.position, event.id().to_owned(), made)),
        );
    }
    told
}

/// What version 1 tells of an event of version 2.
fn older((position, subject, event): Told<contract::v2::Accounts>) -> Told<contract::v1::Accounts> {
    use contract::{v1::Accounts as One, v2::Accounts as Two};
    let event = match event {
        Two::AccountOpened { account, owner, .. } => One::AccountOpened { account, owner },
        Two::BalanceChanged {
            account,
            new_balance: balance,
            ..
        } => One::BalanceChanged { account, balance },
        Two::AccountClosed { account } => One::AccountClosed { account },
    };
    (position, subject, event)
}

/// The other service has handled every event of both streams exactly once, in order.
async fn notified(
    data: &Path,
    one: &[Told<contract::v1::Accounts>],
    two: &[Told<contract::v2::Accounts>],
) {
    let mut db = sql(data, "notifications.db").await;
    let select = "SELECT position, event, account FROM notification ORDER BY position";
    let rows: Vec<(i64, String, String)> = query_as(select).fetch_all(&mut db).await.unwrap();
    let events = two.iter().zip(1i64..);
    let expected =
        events.map(|((_, account, _), n)| (n, format!("accounts.v2-{n}"), account.clone()));
    same("notifications", &rows, &expected.collect::<Vec<_>>());

    let select = "SELECT position, account, balance FROM warning ORDER BY position";
    let rows: Vec<(i64, String, i64)> = query_as(select).fetch_all(&mut db).await.unwrap();
    let low = |((_, _, event), n): (&Told<contract::v1::Accounts>, i64)| match event {
        contract::v1::Accounts::BalanceChanged { account, balance }
            if *balance < Money::units(100) =>
        {
            Some((n, account.clone(), balance.minor()))
        }
        _ => None,
    };
    let expected = one.iter().zip(1i64..).filter_map(low);
    same("warnings", &rows, &expected.collect::<Vec<_>>());
}

/// As `assert_eq`, but shows the first difference alone.
fn same<T: PartialEq + Debug>(what: &str, found: &[T], expected: &[T]) {
    let differ = found
        .iter()
        .zip(expected)
        .find(|(found, expected)| found != expected);
    assert!(differ.is_none(), "{what}: {differ:?}");
    assert_eq!(found.len(), expected.len(), "{what}");
}
