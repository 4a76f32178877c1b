//! The consumer: another service, which keeps what every account has, and notes what it handled.

use std::collections::BTreeMap;
use std::time::Duration;

use es_runtime::consume::{Broker, Consumer, Feed, Handler, HandlerError, Running};
use es_runtime::integration::Received;
use es_runtime::store::{EventStore, Tx};
use es_runtime::{Result, Store, postgres, sqlite};
use fastrand::Rng;

use crate::bank::v1::Accounts;
use crate::liar::Liar;

/// A statement in either database, in words that both understand.
macro_rules! run {
    ($sql:expr, $tx:expr $(, $bind:expr)*) => {
        match $tx.sqlite() {
            Ok(connection) => {
                let query = sqlite::sqlx::query($sql)$(.bind($bind))*;
                query.execute(connection).await?;
            }
            Err(_) => {
                let query = postgres::sqlx::query($sql)$(.bind($bind))*;
                query.execute($tx.postgres()?).await?;
            }
        }
    };
}

macro_rules! ask {
    ($sql:expr, $tx:expr) => {
        match $tx.sqlite() {
            Ok(connection) => sqlite::sqlx::query_as($sql)
                .fetch_all(connection)
                .await
                .unwrap(),
            Err(_) => postgres::sqlx::query_as($sql)
                .fetch_all($tx.postgres().unwrap())
                .await
                .unwrap(),
        }
    };
}

#[derive(Clone)]
struct Ledger;

impl Handler<Accounts> for Ledger {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        let balances = "CREATE TABLE IF NOT EXISTS balance \
                        (account TEXT PRIMARY KEY, amount BIGINT NOT NULL)";
        run!(balances, tx);
        // Nothing forbids doubles. What one account has is written by one transaction after the other.
        let handled = match tx.sqlite() {
            Ok(_) => {
                "CREATE TABLE IF NOT EXISTS handled \
                 (number INTEGER PRIMARY KEY, account TEXT NOT NULL, position BIGINT NOT NULL)"
            }
            Err(_) => {
                "CREATE TABLE IF NOT EXISTS handled \
                 (number BIGSERIAL PRIMARY KEY, account TEXT NOT NULL, position BIGINT NOT NULL)"
            }
        };
        run!(handled, tx);
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let position = i64::try_from(event.position.get())?;
        let note = "INSERT INTO handled (account, position) VALUES ($1, $2)";
        run!(note, tx, event.subject.clone(), position);
        let (account, amount) = match &event.data {
            Accounts::AccountOpened { account } => (account.clone(), 0_i64),
            Accounts::BalanceChanged { account, balance } => (account.clone(), *balance),
        };
        let set = "INSERT INTO balance (account, amount) VALUES ($1, $2) \
                   ON CONFLICT (account) DO UPDATE SET amount = excluded.amount";
        run!(set, tx, account, amount);
        Ok(())
    }
}

/// Starts one that hears of events over a broker, and trusts neither it nor the feed.
pub(crate) async fn start(
    store: &Store,
    feed: &str,
    broker: impl Broker,
    random: Rng,
) -> Result<Running> {
    let feed = Feed::http(feed).with_broker(Liar::new(broker, random));
    Consumer::new("ledger", store.clone())
        .stream::<Accounts>(feed.silence(Duration::from_secs(1)))
        .handle(Ledger)
        .parts(4)
        .lease(Duration::from_secs(1))
        .start()
        .await
}

/// What it has.
pub(crate) struct Held {
    pub(crate) balances: BTreeMap<String, i64>,
    /// The positions that it handled for each account, in order.
    pub(crate) handled: BTreeMap<String, Vec<i64>>,
}

pub(crate) async fn held(store: &Store) -> Held {
    let mut tx = store.begin().await.unwrap();
    let balances: Vec<(String, i64)> = ask!("SELECT account, amount FROM balance", tx);
    let all = "SELECT account, position FROM handled ORDER BY number";
    let rows: Vec<(String, i64)> = ask!(all, tx);
    let mut handled = BTreeMap::<_, Vec<_>>::new();
    for (account, position) in rows {
        handled.entry(account).or_default().push(position);
    }
    Held {
        balances: balances.into_iter().collect(),
        handled,
    }
}
