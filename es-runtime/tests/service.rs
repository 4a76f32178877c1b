//! A service from command to row: idempotency, retries, read your writes, versions, metadata.
#![cfg(all(feature = "sqlite", feature = "testing"))]

mod domain;

use domain::{Account, AccountCommand, AccountEvent, Refused, deposit, open, v1, v2, withdraw};
use es_runtime::event::{Clock, CommandId, Position, StreamId, Timestamp};
use es_runtime::integration::{Salt, StreamHash};
use es_runtime::prelude::*;
use es_runtime::projection::Health;
use es_runtime::store::{
    Append, EventStore, NewEvent, Phase, ProjectionId, StreamQuery, StreamVersion, Table,
};
use es_runtime::{Builder, Result, Service, Store};
use futures_util::future::join_all;
use tempfile::TempDir;

/// A store in memory and one in a file: what holds for a service holds on both.
async fn stores() -> Vec<(Store, Option<TempDir>)> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    vec![
        (Store::connect("memory:").await.unwrap(), None),
        (Store::connect(&url).await.unwrap(), Some(folder)),
    ]
}

fn bank(store: &Store) -> Builder {
    Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
}

fn both_versions(builder: Builder) -> Builder {
    builder
        .project::<AccountEvent, v1::Balance>()
        .project::<AccountEvent, v2::Balance>()
        .publish::<Account, v1::Accounts>()
        .publish::<Account, v2::Accounts>()
}

fn accounts(version: u32) -> StreamVersion {
    StreamVersion {
        stream: "accounts".into(),
        version,
    }
}

fn phase_of(service: &Service, table: &Table) -> Phase {
    let id = ProjectionId::from(table);
    service
        .status()
        .into_iter()
        .find(|(known, _)| *known == id)
        .unwrap()
        .1
        .phase
}

#[tokio::test]
async fn a_command_becomes_rows_and_public_events() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = both_versions(bank(&store)).start().await?;
        bank.execute::<Account>("alice", open("Alice")).await?;
        let receipt = bank.execute::<Account>("alice", deposit(100)).await?;
        let row = bank
            .view::<v1::Balance>()
            .after(receipt)
            .get("alice")
            .await?;
        assert_eq!(row, Some(v1::Balance { amount: 100 }));
        let row = bank
            .view::<v2::Balance>()
            .after(receipt)
            .get("alice")
            .await?
            .unwrap();
        assert_eq!(
            (row.owner.as_str(), row.amount, row.movements),
            ("Alice", 100, 1)
        );

        bank.execute::<Account>("alice", AccountCommand::Close)
            .await?;
        bank.caught_up().await?;
        assert_eq!(bank.view::<v1::Balance>().get("alice").await?, None);
        let payloads = |events: Vec<es_runtime::store::PublishedEvent>| -> Vec<String> {
            events.into_iter().map(|event| event.payload).collect()
        };
        let one = payloads(
            store
                .read_published(&accounts(1), Position::START, 10)
                .await?,
        );
        let changed = |balance| format!(r#"{{"account":"alice","balance":{balance}}}"#);
        assert_eq!(
            one,
            [
                r#"{"account":"alice"}"#.to_owned(),
                changed(100),
                changed(0)
            ]
        );
        assert_eq!(store.published_head(&accounts(2)).await?.position.get(), 4);
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_command_answers_with_the_first_outcome() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = bank(&store).start().await?;
        let id = CommandId::of("input.csv:1");
        let opened = bank
            .execute::<Account>("alice", open("Alice"))
            .id(id)
            .await?;
        bank.execute::<Account>("alice", deposit(1)).await?;
        // The decision alone would refuse it now: the account is open.
        let again = bank
            .execute::<Account>("alice", open("Alice"))
            .id(id)
            .await?;
        assert!(!opened.repeated && again.repeated);
        assert_eq!(
            (again.position, again.version, again.events),
            (opened.position, 1, 1)
        );

        let id = CommandId::of("input.csv:2");
        let paid = bank.execute::<Account>("alice", deposit(5)).id(id).await?;
        let again = bank.execute::<Account>("alice", deposit(5)).id(id).await?;
        assert_eq!((again.position, again.repeated), (paid.position, true));
        assert_eq!(bank.load::<Account>("alice").await?.state().balance, 6);

        // Nothing to do is an outcome, too: it stays so although there would be something now.
        let id = CommandId::of("input.csv:3");
        bank.execute::<Account>("alice", AccountCommand::Empty)
            .await?;
        let nothing = bank
            .execute::<Account>("alice", AccountCommand::Empty)
            .id(id)
            .await?;
        bank.execute::<Account>("alice", deposit(7)).await?;
        let again = bank
            .execute::<Account>("alice", AccountCommand::Empty)
            .id(id)
            .await?;
        assert_eq!((nothing.events, again.events, again.repeated), (0, 0, true));
        assert_eq!(
            (again.position, again.version),
            (nothing.position, nothing.version)
        );
        assert_eq!(bank.load::<Account>("alice").await?.state().balance, 7);
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_carries_the_aggregates_own_reason() -> Result<()> {
    let bank = bank(&Store::connect("memory:").await?).start().await?;
    let id = CommandId::of("x");
    let error = bank
        .execute::<Account>("bob", withdraw(1))
        .id(id)
        .await
        .unwrap_err();
    assert!(error.is_rejected());
    assert_eq!(error.rejection::<Refused>(), Some(&Refused::NotOpen));
    let text = error.to_string();
    assert_eq!(
        text,
        "`account-bob` rejected `withdraw`: the account is not open [ES0102]"
    );
    // A refused command is no accepted one: the same id may succeed later.
    bank.execute::<Account>("bob", open("Bob")).await?;
    bank.execute::<Account>("bob", deposit(1)).await?;
    assert!(
        !bank
            .execute::<Account>("bob", withdraw(1))
            .id(id)
            .await?
            .repeated
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_on_one_account_are_made_one_after_the_other() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = bank(&store).start().await?;
        bank.execute::<Account>("shared", open("All")).await?;
        bank.execute::<Account>("shared", deposit(40)).await?;
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let bank = bank.clone();
            callers.spawn(async move {
                let (mut paid, mut refused) = (0, 0);
                for _ in 0..8 {
                    match bank.execute::<Account>("shared", withdraw(1)).await {
                        Ok(_) => paid += 1,
                        Err(error) if error.is_rejected() => refused += 1,
                        // Others were faster twenty times: not paid, and the caller knows.
                        Err(error) => assert!(error.is_conflict(), "{error}"),
                    }
                }
                (paid, refused)
            });
        }
        let results = callers.join_all().await;
        let paid: i64 = results.iter().map(|(paid, _)| paid).sum();
        let balance = bank.load::<Account>("shared").await?.state().balance;
        assert_eq!(balance, 40 - paid, "every payment counts once");
        assert!((0..=40).contains(&paid));
    }
    Ok(())
}

#[tokio::test]
async fn a_version_that_comes_later_is_filled_from_the_first_event() -> Result<()> {
    for (store, _folder) in stores().await {
        let old = bank(&store)
            .project::<AccountEvent, v1::Balance>()
            .publish::<Account, v1::Accounts>()
            .start()
            .await?;
        for n in 0..30 {
            let name = format!("a{}", n % 3);
            old.execute::<Account>(name.as_str(), open("A")).await.ok();
            old.execute::<Account>(name.as_str(), deposit(n)).await?;
        }
        old.caught_up().await?;
        old.shutdown().await?;

        let new = both_versions(bank(&store)).start().await?;
        new.caught_up().await?;
        assert_eq!(phase_of(&new, &v1::Balance::TABLE), Phase::Live);
        assert_eq!(phase_of(&new, &v2::Balance::TABLE), Phase::Shadow);
        let one = new.view::<v1::Balance>().page(None, 10).await?;
        let two = new.view::<v2::Balance>().page(None, 10).await?;
        let amounts: Vec<_> = two.iter().map(|(key, row)| (key, row.amount)).collect();
        assert_eq!(
            one.iter()
                .map(|(k, row)| (k, row.amount))
                .collect::<Vec<_>>(),
            amounts
        );
        assert_eq!(store.published_head(&accounts(2)).await?.position.get(), 33);
        let refused = new.promote::<v2::Balance>().await.unwrap_err();
        assert!(refused.is_refused(), "{refused}");
        new.promote::<v2::Balance>()
            .forced("compared above")
            .await?;
        let states = store.projections().await?;
        let live = states
            .iter()
            .find(|(id, s)| id.name == "balances" && s.phase == Phase::Live);
        assert_eq!(live.unwrap().0.version, 2);
        new.shutdown().await?;
    }
    Ok(())
}

/// The mapping needs the aggregate's state, which a fresh process must find in the log.
#[tokio::test]
async fn a_stream_goes_on_with_the_right_state_after_a_restart() -> Result<()> {
    for (store, _folder) in stores().await {
        for round in 0..4 {
            let bank = bank(&store)
                .publish::<Account, v1::Accounts>()
                .start()
                .await?;
            bank.execute::<Account>("alice", open("Alice")).await.ok();
            bank.execute::<Account>("alice", deposit(10)).await?;
            bank.caught_up().await?;
            bank.shutdown().await?;
            let events = store
                .read_published(&accounts(1), Position::START, 100)
                .await?;
            let last = events.last().unwrap();
            assert_eq!(
                last.payload,
                format!(r#"{{"account":"alice","balance":{}}}"#, (round + 1) * 10)
            );
        }
        let mut hash = StreamHash::START;
        for (event, n) in store
            .read_published(&accounts(1), Position::START, 100)
            .await?
            .iter()
            .zip(1..)
        {
            assert_eq!(event.position.get(), n);
            hash = hash.after(
                event.position,
                &event.event_type,
                Salt::from_bytes(event.salt),
                &event.payload,
            );
            assert_eq!(hash.as_bytes(), &event.hash, "the chain breaks at {n}");
        }
    }
    Ok(())
}

/// An append past the aggregate: what a newer binary, or a mistake, leaves in the log.
async fn append(
    store: &Store,
    stream: &str,
    version: u64,
    event_type: &'static str,
    payload: &str,
) {
    let event = NewEvent {
        event_type,
        schema_version: 1,
        min_reader: 1,
        payload: payload.into(),
    };
    let append = Append {
        stream: stream.parse().unwrap(),
        expected: version,
        command_id: CommandId::random(),
        repeatable: true,
        events: vec![event],
        metadata: None,
        correlation: None,
        time: Timestamp::default(),
        known_instances: None,
    };
    store.append(append).await.unwrap();
}

#[tokio::test]
async fn a_stream_of_several_pages_is_loaded_whole() -> Result<()> {
    const EVENTS: u64 = 5_000;
    for (store, _folder) in stores().await {
        let bank = bank(&store).start().await?;
        bank.execute::<Account>("alice", open("Alice")).await?;
        let payloads: Vec<_> = (1..EVENTS)
            .map(|n| format!(r#"{{"amount":{n}}}"#))
            .collect();
        let deposits = (1..).zip(&payloads).map(|(version, payload)| {
            append(
                &store,
                "account-alice",
                version,
                "account.deposited",
                payload,
            )
        });
        join_all(deposits).await;
        let alice = bank.load::<Account>("alice").await?;
        assert_eq!(alice.version(), EVENTS);
        let all: u64 = (1..EVENTS).sum();
        assert_eq!(alice.state().balance.cast_unsigned(), all);
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_stops_visibly_and_skips_nothing() -> Result<()> {
    for (event_type, payload, code) in [
        ("account.frozen", "{}", "ES0103"),
        ("account.deposited", r#"{"amount":"much"}"#, "ES0104"),
    ] {
        for (store, _folder) in stores().await {
            let bank = both_versions(bank(&store)).start().await?;
            bank.execute::<Account>("alice", open("Alice")).await?;
            bank.caught_up().await?;
            append(&store, "account-alice", 1, event_type, payload).await;
            // Another aggregate's events are nobody's business here.
            append(&store, "customer-alice", 0, "customer.moved", "?").await;
            let error = bank.caught_up().await.unwrap_err();
            assert!(
                error.is_stopped() && error.to_string().contains(code),
                "{error}"
            );
            for (id, status) in bank.status() {
                let Health::Stopped { reason } = &status.health else {
                    continue;
                };
                assert!(reason.contains(code), "{id}: {reason}");
                assert_eq!(status.cursor.get(), 1, "{id} went past the event");
            }
            let error = bank
                .execute::<Account>("alice", deposit(1))
                .await
                .unwrap_err();
            assert_eq!(error.code(), code, "a decision on half a history");
            assert!(error.is_unreadable());
            assert!(bank.shutdown().await.unwrap_err().is_stopped());
        }
    }
    Ok(())
}

#[derive(Clone, Debug, Projection)]
#[projection(name = "fragile", version = 1)]
struct Fragile {}

impl Fold<AccountEvent> for Fragile {
    fn fold(_: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        assert!(event.version < 2, "cannot count to two");
        None
    }
}

#[tokio::test]
async fn a_fold_that_panics_has_a_reason_and_harms_nobody_else() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = both_versions(bank(&store))
        .project::<AccountEvent, Fragile>()
        .start()
        .await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    let receipt = bank.execute::<Account>("alice", deposit(1)).await?;
    assert!(
        bank.view::<v1::Balance>()
            .after(receipt)
            .get("alice")
            .await?
            .is_some()
    );
    let error = bank
        .view::<Fragile>()
        .after(receipt)
        .get("alice")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it panicked: cannot count to two"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn reading_what_is_not_there_says_so() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = bank(&store).start().await?;
    assert_eq!(
        bank.view::<v1::Balance>()
            .get("a")
            .await
            .unwrap_err()
            .code(),
        "ES0124"
    );
    // Known to the store, but nobody here builds it.
    store.prepare_table(&v1::Balance::TABLE).await?;
    let error = bank.view::<v1::Balance>().get("a").await.unwrap_err();
    assert!(error.is_building(), "{error}");
    bank.execute::<Account>("a", open("A")).await?;
    let within = std::time::Duration::from_millis(30);
    let view = bank
        .view::<v1::Balance>()
        .after(Position::new(1))
        .within(within);
    assert!(view.get("a").await.unwrap_err().is_deadline());
    Ok(())
}

#[tokio::test]
async fn mistakes_of_the_builder_come_out_of_start() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let twice = [
        bank(&store).aggregate::<Account>(),
        bank(&store)
            .project::<AccountEvent, Fragile>()
            .project::<AccountEvent, Fragile>(),
        bank(&store)
            .publish::<Account, v1::Accounts>()
            .publish::<Account, v1::Accounts>(),
    ];
    for builder in twice {
        assert_eq!(builder.start().await.unwrap_err().code(), "ES0126");
    }
    assert_eq!(
        Service::builder("bank").start().await.unwrap_err().code(),
        "ES0124"
    );
    let unregistered = Service::builder("bank").store(store).start().await?;
    let error = unregistered
        .execute::<Account>("a", open("A"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "ES0124");
    Ok(())
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-01-01T12:00:00.000000Z".parse().unwrap()
    }
}

#[tokio::test]
async fn every_event_says_who_why_and_when() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = bank(&store)
            .clock(Noon)
            .record_commands::<Account>()
            .publish::<Account, v1::Accounts>()
            .start()
            .await?;
        let id = CommandId::of("request 1");
        let command = bank.execute::<Account>("alice", open("Alice")).id(id);
        command
            .actor("teller-7")
            .correlation("visit-3")
            .causation("request-1")
            .await?;
        bank.caught_up().await?;

        let stream: StreamId = "account-alice".parse()?;
        let page = store.read_stream(&stream, StreamQuery::after(0)).await?;
        let stored = page.events.last().unwrap();
        assert_eq!((stored.command_id, stored.time), (Some(id), Noon.now()));
        let metadata: serde_json::Value = serde_json::from_str(stored.metadata.unwrap()).unwrap();
        let expected = serde_json::json!({
            "actor": "teller-7",
            "correlation": "visit-3",
            "causation": "request-1",
            "command": { "name": "open", "body": { "Open": { "owner": "Alice" } } },
        });
        assert_eq!(metadata, expected);

        let published = store
            .read_published(&accounts(1), Position::START, 1)
            .await?
            .remove(0);
        assert_eq!(
            (published.time, published.recorded),
            (Noon.now(), Noon.now())
        );
        let told: serde_json::Value = serde_json::from_str(&published.metadata.unwrap()).unwrap();
        let cause = store.identity().event_id(Position::new(1)).to_string();
        let expected = serde_json::json!({ "correlation": "visit-3", "causation": cause });
        assert_eq!(told, expected, "the actor and the command stay inside");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_nobody_holds_any_more_stops() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = both_versions(bank(&store)).start().await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    bank.caught_up().await?;
    drop(bank);
    // Its tasks end one after the other; none of them spins meanwhile.
    let tasks = tokio::runtime::Handle::current().metrics();
    while tasks.num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn after_its_shutdown_a_service_says_so() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = both_versions(bank(&store)).start().await?;
    bank.execute::<Account>("alice", open("Alice")).await?;
    bank.caught_up().await?;
    bank.shutdown().await?;
    bank.shutdown().await?;
    // What has come far enough is still read; what will not come is an error, not a wait.
    bank.caught_up().await?;
    let receipt = bank.execute::<Account>("alice", deposit(1)).await?;
    let error = bank.caught_up().await.unwrap_err();
    assert!(
        error.to_string().contains("the service was shut down"),
        "{error}"
    );
    let view = bank.view::<v1::Balance>().after(receipt);
    assert!(view.get("alice").await.unwrap_err().is_stopped());
    Ok(())
}

#[tokio::test]
async fn the_status_follows_a_promotion() -> Result<()> {
    let bank = both_versions(bank(&Store::connect("memory:").await?))
        .start()
        .await?;
    bank.caught_up().await?;
    bank.promote::<v2::Balance>().forced("for a test").await?;
    assert_eq!(phase_of(&bank, &v2::Balance::TABLE), Phase::Live);
    assert_eq!(phase_of(&bank, &v1::Balance::TABLE), Phase::Deprecated);
    // One that was live needs no proof to become it again.
    bank.promote::<v1::Balance>().await?;
    assert_eq!(phase_of(&bank, &v1::Balance::TABLE), Phase::Live);
    bank.roll_back::<v1::Balance>("for a test").await?;
    assert_eq!(phase_of(&bank, &v2::Balance::TABLE), Phase::Live);
    assert_eq!(phase_of(&bank, &v1::Balance::TABLE), Phase::Shadow);
    Ok(())
}
