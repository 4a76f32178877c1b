//! What an inbox keeps: keys that are set aside while others go on, parts that are worked on side by
//! side, and where it began.
#![cfg(all(feature = "sqlite", feature = "testing"))]

mod begin;
mod chain;
#[path = "../direct/mod.rs"]
mod direct;
#[path = "../domain/mod.rs"]
mod domain;
mod entity;
mod failing;
mod parts;
mod repairing;
mod verifying;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use direct::{Direct, Faults, no_faults};
use domain::{Account, deposit, open, v1};
use es_runtime::consume::{Consumer, Handler, HandlerError, Source};
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx;
use es_runtime::store::Tx;
use es_runtime::{Result, Service, Store};
use tempfile::TempDir;

/// A publisher with `n` events of each of these accounts, one after the other.
async fn publisher(accounts: &[&str], n: i64) -> Result<(Service, Store)> {
    let store = Store::connect("memory:").await?;
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .start()
        .await?;
    for turn in 0..n {
        for account in accounts {
            let command = match turn {
                0 => open(account),
                amount => deposit(amount),
            };
            bank.execute::<Account>(*account, command).await?;
        }
    }
    bank.caught_up().await?;
    Ok((bank, store))
}

fn source(upstream: &Store) -> Direct<impl Faults> {
    Direct {
        upstream: upstream.clone(),
        faults: no_faults,
    }
}

/// Asks until there is an answer, while the time that is paused goes on.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came");
}

/// What the handler does beside its row.
type Act = dyn Fn(&Received<v1::Accounts>) -> Result<(), HandlerError> + Send + Sync;

/// Writes a row for each event, which does not forbid doubles, and acts.
#[derive(Clone)]
struct Rows(Arc<Act>);

impl Rows {
    fn acting(
        act: impl Fn(&Received<v1::Accounts>) -> Result<(), HandlerError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(act))
    }

    fn good() -> Self {
        Self::acting(|_| Ok(()))
    }

    fn failing_at(position: u64) -> Self {
        Self::acting(move |event| match event.position.get() == position {
            true => Err("told to fail".into()),
            false => Ok(()),
        })
    }
}

impl Handler<v1::Accounts> for Rows {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        let table = "CREATE TABLE IF NOT EXISTS effect (n INTEGER PRIMARY KEY, account TEXT, \
                     position INTEGER)";
        sqlx::query(table).execute(tx.sqlite()?).await?;
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let insert = sqlx::query("INSERT INTO effect (account, position) VALUES (?, ?)")
            .bind(&event.subject)
            .bind(i64::try_from(event.position.get())?);
        insert.execute(tx.sqlite()?).await?;
        (self.0)(event)
    }
}

fn rows(
    inbox: &Store,
    source: impl Source,
    handler: Rows,
) -> Consumer<v1::Accounts, impl Source, Rows> {
    let consumer = Consumer::new("rows", inbox.clone()).stream::<v1::Accounts>(source);
    consumer.handle(handler)
}

/// An inbox in a file.
async fn file() -> Result<(Store, TempDir)> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("inbox.db").display());
    Ok((Store::connect(&url).await?, folder))
}

/// What was done for each account, in order.
async fn effects(store: &Store) -> Result<BTreeMap<String, Vec<i64>>> {
    use es_runtime::store::EventStore;
    let mut tx = store.begin().await?;
    let query = sqlx::query_as("SELECT account, position FROM effect ORDER BY n");
    let rows: Vec<(String, i64)> = query.fetch_all(tx.sqlite()?).await.unwrap();
    let mut effects = BTreeMap::<String, Vec<i64>>::new();
    for (account, position) in rows {
        effects.entry(account).or_default().push(position);
    }
    Ok(effects)
}

/// What must have been done for each of these accounts, whose events come in turns.
fn all(accounts: &[&str], n: i64) -> BTreeMap<String, Vec<i64>> {
    let step = i64::try_from(accounts.len()).unwrap();
    let of = |(first, account): (i64, &&str)| {
        let positions = (0..n).map(|turn| turn * step + first).collect();
        ((*account).to_owned(), positions)
    };
    (1..).zip(accounts).map(of).collect()
}
