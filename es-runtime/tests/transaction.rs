//! Appends that end a transaction of the user's, the audit trail, and the typed replay: on every
//! store.
#![cfg(all(feature = "sqlite", feature = "postgres"))]

mod domain;

use domain::{Account, AccountCommand, AccountEvent, deposit, open, withdraw};
use es_runtime::event::{CommandId, Position};
use es_runtime::postgres::{PostgresOptions, PostgresStore, sqlx};
use es_runtime::store::{EventStore, LogQuery, StreamQuery, Tx};
use es_runtime::{Result, Service, Store};
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

const TABLE: &str = "CREATE TABLE iban (number VARCHAR(34) PRIMARY KEY, account VARCHAR(34))";

/// Runs a statement in a transaction of either database.
async fn run(tx: &mut Tx, statement: &str) -> sqlx::Result<()> {
    let statement = AssertSqlSafe(statement.to_owned());
    if let Ok(connection) = tx.sqlite() {
        return sqlx::raw_sql(statement).execute(connection).await.map(drop);
    }
    let connection = tx.postgres().expect("one of the two");
    sqlx::raw_sql(statement).execute(connection).await.map(drop)
}

/// The rows that somebody else sees.
async fn ibans(store: &Store) -> Result<Vec<String>> {
    let mut tx = store.begin().await?;
    let select = "SELECT number FROM iban ORDER BY number";
    Ok(if let Ok(connection) = tx.sqlite() {
        let rows = sqlx::query(select).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    } else {
        let rows = sqlx::query(select).fetch_all(tx.postgres()?).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    })
}

/// A transaction that gives the account a number.
async fn with_iban(store: &Store, number: &str) -> Result<Tx> {
    let mut tx = store.begin().await?;
    let row = format!("INSERT INTO iban VALUES ('{number}', 'a')");
    run(&mut tx, &row).await.unwrap();
    Ok(tx)
}

async fn bank(store: &Store) -> Result<Service> {
    let bank = Service::builder("bank").store(store.clone());
    bank.aggregate::<Account>().start().await
}

/// Every law of `in_transaction`, on one store.
async fn rows_and_events_are_one(store: Store) -> Result<()> {
    let bank = bank(&store).await?;
    let mut tx = store.begin().await?;
    run(&mut tx, TABLE).await.unwrap();
    bank.execute::<Account>("table", open("nobody"))
        .in_transaction(tx)
        .await?;

    // Both, and once.
    let id = CommandId::of("open a");
    for repeated in [false, true] {
        let tx = with_iban(&store, if repeated { "DK2" } else { "DK1" }).await?;
        let command = bank.execute::<Account>("a", open("A")).id(id);
        let receipt = command.in_transaction(tx).await?;
        assert_eq!((receipt.repeated, receipt.version), (repeated, 1));
    }
    assert_eq!(ibans(&store).await?, ["DK1"]);

    // A refusal undoes the rows.
    let tx = with_iban(&store, "DK3").await?;
    let refused = bank
        .execute::<Account>("a", withdraw(1))
        .in_transaction(tx)
        .await;
    assert!(refused.unwrap_err().is_rejected());

    // A command that emits nothing commits them.
    let tx = with_iban(&store, "DK4").await?;
    let nothing = bank
        .execute::<Account>("a", AccountCommand::Empty)
        .in_transaction(tx)
        .await?;
    assert_eq!(nothing.events, 0);
    assert_eq!(ibans(&store).await?, ["DK1", "DK4"]);

    // Rows that the database refuses never let the events through.
    let mut tx = store.begin().await?;
    run(&mut tx, "INSERT INTO iban VALUES ('DK5', 'a')")
        .await
        .unwrap();
    run(&mut tx, "INSERT INTO iban VALUES ('DK1', 'b')")
        .await
        .unwrap_err();
    drop(tx);
    let deposited = bank.execute::<Account>("a", deposit(5)).await?;
    assert_eq!(deposited.version, 2);
    assert_eq!(ibans(&store).await?, ["DK1", "DK4"]);
    bank.shutdown().await
}

/// What a conflict leaves: nothing of the transaction, and an answer at once.
async fn a_conflict_undoes_the_rows(store: Store) -> Result<()> {
    use es_runtime::store::{Append, Appended};
    let bank = bank(&store).await?;
    let mut tx = store.begin().await?;
    run(&mut tx, TABLE).await.unwrap();
    bank.execute::<Account>("a", open("A"))
        .in_transaction(tx)
        .await?;
    let stale = Append {
        stream: "account-a".parse()?,
        expected: 0,
        command_id: CommandId::of("stale"),
        repeatable: true,
        events: Vec::new(),
        metadata: None,
        correlation: None,
        time: es_runtime::event::Timestamp::default(),
        known_instances: None,
    };
    let tx = with_iban(&store, "DK1").await?;
    assert_eq!(tx.append(stale).await?, Appended::Conflict { found: 1 });
    assert_eq!(ibans(&store).await?, [""; 0]);
    bank.shutdown().await
}

/// Who did what, newest first, and what belongs together.
async fn history_says_who_and_why(store: Store) -> Result<()> {
    let bank = bank(&store).await?;
    bank.execute::<Account>("a", open("A"))
        .actor("teller-7")
        .correlation("visit-3")
        .await?;
    bank.execute::<Account>("a", deposit(5))
        .actor("atm-1")
        .await?;
    bank.execute::<Account>("b", open("B"))
        .correlation("visit-3")
        .await?;

    let history = store
        .history(&"account-a".parse()?, StreamQuery::newest())
        .await?;
    assert!(!history.more);
    let history = history.entries;
    let actors: Vec<_> = history
        .iter()
        .map(|entry| entry.metadata.actor.as_deref())
        .collect();
    assert_eq!(actors, [Some("atm-1"), Some("teller-7")]);
    assert_eq!(history[0].event.event_type, "account.deposited");
    assert_eq!(
        history[0].metadata.command.as_ref().unwrap().name,
        "deposit"
    );

    let visit = store
        .history_of_correlation("visit-3", Position::START, 2)
        .await?;
    assert!(!visit.more);
    let streams: Vec<_> = visit
        .entries
        .iter()
        .map(|entry| entry.event.stream.as_str())
        .collect();
    assert_eq!(streams, ["account-a", "account-b"]);
    let first = store.history_of_correlation("visit-3", Position::START, 1);
    assert!(first.await?.more);
    bank.shutdown().await
}

/// Every event of the aggregate once, in order, in pages of any size, and those that come later.
async fn a_replay_skips_nothing(store: Store) -> Result<()> {
    let bank = bank(&store).await?;
    bank.execute::<Account>("a", open("A")).await?;
    let mut replay = store.replay::<AccountEvent>(LogQuery::after(Position::START).limit(3));
    let mut seen = Vec::new();
    for round in 0..4 {
        for amount in 0..5 {
            let amount = round * 5 + amount + 1;
            bank.execute::<Account>("a", deposit(amount)).await?;
        }
        // Given up at any moment, it goes on where it was.
        let given_up = tokio::time::timeout(std::time::Duration::ZERO, replay.next()).await;
        seen.extend(given_up.ok().transpose()?.flatten());
        while let Some(event) = replay.next().await? {
            seen.push(event);
        }
    }
    let amounts = seen.iter().map(|event| match event.data {
        AccountEvent::Deposited { amount } => amount,
        _ => 0,
    });
    assert_eq!(amounts.collect::<Vec<_>>(), (0..=20).collect::<Vec<_>>());
    bank.shutdown().await
}

/// The page ahead is read to its end, whether anybody asks for it or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_is_busy_elsewhere_keeps_no_connection_from_others() -> Result<()> {
    let server = es_servers::Postgres::start();
    let url = server.database();
    let bank = bank(&Store::connect(&url).await?).await?;
    bank.execute::<Account>("a", open("A")).await?;
    for amount in 1..20 {
        bank.execute::<Account>("a", deposit(amount)).await?;
    }
    let one = url.parse::<PostgresOptions>()?.pool_size(1);
    let store = Store::Postgres(PostgresStore::connect_with(one).await?);
    let reading = tokio::spawn(async move {
        let query = LogQuery::after(Position::START).limit(3);
        let mut replay = store.replay::<AccountEvent>(query);
        replay.next().await?.expect("an event");
        // The one connection was asked for the next page.
        store.head().await
    });
    let head = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await;
    assert_eq!(
        head.expect("the connection is free").unwrap()?,
        Position::new(20)
    );
    bank.shutdown().await
}

async fn sqlite(folder: &TempDir) -> Store {
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    Store::connect(&url).await.unwrap()
}

macro_rules! on_every_database {
    ($($law:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() -> es_runtime::Result<()> {
                let folder = tempfile::TempDir::new().unwrap();
                super::$law(super::sqlite(&folder).await).await
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() -> es_runtime::Result<()> {
                let server = es_servers::Postgres::start();
                let store = es_runtime::Store::connect(&server.database()).await?;
                super::$law(store).await
            })*
        }
    };
}

on_every_database! {
    rows_and_events_are_one a_conflict_undoes_the_rows history_says_who_and_why
    a_replay_skips_nothing
}
