//! One event through five released versions: renamed, retyped, split, filled by a default, and
//! without a field; its variant renamed, others split, merged, dropped and retired. What each
//! release wrote never changes, and the newest reads all of it on every way.
#![cfg(feature = "testing")]

mod golden;
mod property;
mod published;
mod releases;
#[path = "../until/mod.rs"]
mod until;

use es_runtime::event::{Event, Position, Recorded, StoredEvent, StreamId};
use es_runtime::store::{EventStore, LogQuery, StreamQuery};
use es_runtime::{Result, Service, Store};
use golden::{GOLDEN, Golden};
use releases::v5::{Account, AccountEvent, Balance, Currency};
use releases::{v1, v2, v3, v4, v5};

/// Lets a release of the service make its events happen, as it did when it was deployed.
macro_rules! deploy {
    ($store:expr, $release:ident) => {{
        let bank = Service::builder("bank")
            .store($store.clone())
            .aggregate::<$release::Account>()
            .start()
            .await?;
        let happen = $release::Happen($release::happened());
        bank.execute::<$release::Account>(stringify!($release), happen)
            .await?;
        bank.shutdown().await?;
    }};
}

/// One log, on which all releases ran one after the other.
async fn all_releases() -> Result<Store> {
    let store = Store::connect("memory:").await?;
    deploy!(store, v1);
    deploy!(store, v2);
    deploy!(store, v3);
    deploy!(store, v4);
    deploy!(store, v5);
    Ok(store)
}

async fn stored(store: &Store) -> Result<Vec<StoredEvent>> {
    let page = store.read_log(&LogQuery::after(Position::START)).await?;
    Ok(page.events.to_vec()?)
}

fn opened(country: &str) -> AccountEvent {
    AccountEvent::Opened {
        first: "Anna".into(),
        last: "Berg".into(),
        currency: Currency::Dkk,
        country: country.into(),
    }
}

/// What the account of each release is today.
fn today(release: u32) -> Vec<AccountEvent> {
    let mut all = vec![opened(if release == 5 { "SE" } else { "DK" })];
    if release < 4 {
        all.extend([opened("DK"), AccountEvent::Deposited { amount: 500 }]);
        all.push(AccountEvent::Deposited { amount: 250 });
    } else {
        all.push(AccountEvent::Deposited { amount: 500 });
    }
    if release < 5 {
        all.push(AccountEvent::Noted("a good customer".into()));
    }
    all
}

#[tokio::test]
async fn what_was_written_never_changes() -> Result<()> {
    let store = all_releases().await?;
    let written = stored(&store).await?;
    let written: Vec<_> = written.iter().map(Golden::of).collect();
    let text = |golden: &[Golden<'_>]| -> String {
        golden
            .iter()
            .map(|golden| format!("{golden:?}\n"))
            .collect()
    };
    assert_eq!(text(&written), text(GOLDEN));
    Ok(())
}

#[tokio::test]
async fn the_newest_release_loads_what_every_release_wrote() -> Result<()> {
    let store = all_releases().await?;
    let bank = Service::builder("bank")
        .store(store)
        .aggregate::<Account>()
        .start()
        .await?;
    for release in 1..=5 {
        let account = bank.load::<Account>(&format!("v{release}")).await?;
        assert_eq!(account.state().seen, today(release), "release {release}");
    }
    bank.shutdown().await
}

#[tokio::test]
async fn a_read_model_folds_each_part_once() -> Result<()> {
    let store = all_releases().await?;
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .project::<AccountEvent, Balance>()
        .start()
        .await?;
    bank.caught_up().await?;
    for release in 1..=5 {
        let row = bank
            .view::<Balance>()
            .get(&format!("v{release}"))
            .await?
            .unwrap();
        let amount = if release < 4 { 750 } else { 500 };
        let parts = today(release).len();
        assert_eq!(
            (row.amount, usize::try_from(row.events).unwrap()),
            (amount, parts)
        );
        assert_eq!(row.name, "Anna Berg");
    }
    bank.shutdown().await
}

#[tokio::test]
async fn replay_answers_the_parts_in_order_with_one_position() -> Result<()> {
    let store = all_releases().await?;
    let mut replay = store.replay::<AccountEvent>(LogQuery::after(Position::START).limit(3));
    let mut seen = Vec::new();
    while let Some(event) = replay.next().await? {
        seen.push((
            event.stream.id().to_owned(),
            event.version,
            event.part,
            event.data,
        ));
    }
    for release in 1..=5 {
        let of: Vec<_> = seen
            .iter()
            .filter(|(id, ..)| *id == format!("v{release}"))
            .collect();
        assert_eq!(
            of.iter().map(|one| one.3.clone()).collect::<Vec<_>>(),
            today(release)
        );
        let places: Vec<_> = of.iter().map(|one| (one.1, one.2)).collect();
        if release < 4 {
            // The second event is two today; the fourth is none.
            assert_eq!(places, [(1, 0), (2, 0), (2, 1), (3, 0), (5, 0)]);
        }
    }
    Ok(())
}

/// Parts are one event for whoever counts: a version conflict, a cursor, a command's outcome.
#[tokio::test]
async fn a_command_after_parts_continues_the_stream() -> Result<()> {
    let store = all_releases().await?;
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .start()
        .await?;
    let version = bank.load::<Account>("v1").await?.version();
    assert_eq!(version, 5);
    let receipt = bank
        .execute::<Account>(
            "v1",
            v5::Happen(vec![AccountEvent::Deposited { amount: 1 }]),
        )
        .await?;
    assert_eq!(receipt.version, 6);
    bank.shutdown().await
}

#[tokio::test]
async fn a_retired_event_is_never_written() -> Result<()> {
    let store = all_releases().await?;
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .start()
        .await?;
    let noted = v5::Happen(vec![AccountEvent::Noted("again".into())]);
    let refused = bank.execute::<Account>("v1", noted).await.unwrap_err();
    assert_eq!(refused.code(), "ES0146");
    assert!(
        refused.to_string().contains("`account.noted` is retired"),
        "{refused}"
    );
    let page = store
        .read_stream(&StreamId::new("account", "v1")?, StreamQuery::after(0))
        .await?;
    assert_eq!(page.events.len(), 5);
    bank.shutdown().await
}

fn stored_as(event_type: &'static str, version: u32, payload: &str) -> StoredEvent {
    let mut stored = GOLDEN[0].stored();
    (stored.event_type, stored.schema_version) = (event_type.into(), version);
    (stored.min_reader, stored.payload) = (version, payload.into());
    stored
}

fn failure(stored: &StoredEvent) -> es_runtime::Error {
    Recorded::<AccountEvent>::decode(stored)
        .map(|_| ())
        .unwrap_err()
}

#[test]
fn what_does_not_upcast_names_event_version_step_and_reason() {
    let wrong = failure(&stored_as(
        "account.created",
        2,
        r#"{"name":"Anna Berg","currency":"XYZ"}"#,
    ));
    assert!(wrong.is_unreadable());
    assert_eq!(
        wrong.to_string(),
        "version 2 of `account.created` does not become version 3, at version 1 of `account-v1`: \
         correct what the attributes say of that version, which must take every payload that was \
         written: `currency`: no currency is called `XYZ` [ES0147]"
    );
    let missing = failure(&stored_as(
        "account.created",
        1,
        r#"{"ccy":"DKK","note":""}"#,
    ));
    assert!(
        missing
            .to_string()
            .contains("`name`: the payload has no such field [ES0147]"),
        "{missing}"
    );
    let short = failure(&stored_as("account.created", 1, r#"["DKK"]"#));
    assert!(
        short.to_string().contains("the payload is no object"),
        "{short}"
    );
    let newer = failure(&stored_as("account.opened", 6, "{}"));
    assert_eq!(newer.code(), "ES0105");
    let newer = failure(&stored_as("account.opened-with-deposit", 9, "{}"));
    assert_eq!(newer.code(), "ES0105");
    let unknown = failure(&stored_as("account.closed", 1, "{}"));
    assert_eq!(unknown.code(), "ES0103");
}

/// Numbers beyond those of JavaScript and of floats go through the steps as they were written.
#[test]
fn what_no_step_touches_stays_as_it_was_written() {
    let payload = r#"{"cash":170141183460469231731687303715884105727}"#;
    let event = stored_as("account.cash-deposited", 1, payload);
    let parts: Vec<_> = Recorded::<v5::WideEvent>::decode(&event).unwrap().collect();
    assert_eq!(
        parts[0].data,
        v5::WideEvent::Paid {
            amount: i128::MAX,
            by: "cash".into()
        }
    );
}

#[test]
fn every_version_goes_down_as_far_as_it_is_declared() -> Result<()> {
    let event = opened("DK");
    let as_written = |version| {
        AccountEvent::HISTORY
            .older(&event, version)
            .map(|older| (older.name, older.version, older.min_reader, older.payload))
    };
    let all = |json: &str| json.to_owned();
    assert_eq!(as_written(5)?.2, 5);
    let lossy = as_written(4).unwrap_err();
    assert_eq!(lossy.code(), "ES0149");
    assert!(
        lossy.to_string().contains("cannot be written as version 4"),
        "{lossy}"
    );
    // The release before had a way from 4 down to 1.
    let event = v4::AccountEvent::Opened {
        first: "Anna".into(),
        last: "Berg".into(),
        currency: Currency::Dkk,
        note: "x".into(),
    };
    let as_written = |version| {
        v4::AccountEvent::HISTORY
            .older(&event, version)
            .map(|older| (older.name, older.version, older.min_reader, older.payload))
    };
    let three = (
        "account.created",
        3,
        3,
        all(r#"{"currency":"Dkk","name":"Anna Berg","note":"x"}"#),
    );
    assert_eq!(as_written(3)?, three);
    let one = (
        "account.created",
        1,
        1,
        all(r#"{"ccy":"DKK","name":"Anna Berg","note":"x"}"#),
    );
    assert_eq!(as_written(1)?, one);
    Ok(())
}
