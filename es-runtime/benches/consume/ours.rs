//! A consumer as a user writes it.

use std::sync::Arc;
use std::time::Instant;

use es_runtime::Store;
use es_runtime::consume::{Consumer, Handler, HandlerError};
use es_runtime::event::Position;
use es_runtime::integration::Received;
use es_runtime::sqlite::sqlx;
use es_runtime::store::{EventStore, Tx};

use crate::measure::Round;
use crate::stream::{Accounts, Pages};

pub(crate) const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS balance (account TEXT PRIMARY KEY, balance BIGINT NOT NULL)";

pub(crate) const UPSERT: &str = "
    INSERT INTO balance (account, balance) VALUES ($1, $2)
    ON CONFLICT (account) DO UPDATE SET balance = excluded.balance";

#[derive(Clone)]
struct InPostgres;

impl Handler<Accounts> for InPostgres {
    async fn handle(
        &mut self,
        event: &Received<Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let Accounts::BalanceChanged {
            account, balance, ..
        } = &event.data;
        let upsert = sqlx::query(UPSERT).bind(account).bind(balance);
        upsert.execute(tx.postgres()?).await?;
        Ok(())
    }
}

#[derive(Clone)]
struct InSqlite;

impl Handler<Accounts> for InSqlite {
    async fn handle(
        &mut self,
        event: &Received<Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let Accounts::BalanceChanged {
            account, balance, ..
        } = &event.data;
        let upsert = sqlx::query(UPSERT).bind(account).bind(balance);
        upsert.execute(tx.sqlite()?).await?;
        Ok(())
    }
}

pub(crate) async fn in_postgres(
    url: &str,
    name: &str,
    pages: Arc<[Vec<u8>]>,
    events: usize,
    parts: u16,
) -> Round {
    let store = Store::connect(url).await.expect("the store");
    let began = Instant::now();
    let consumer = Consumer::new(name, store.clone()).stream::<Accounts>(Pages(pages));
    let running = consumer.handle(InPostgres).parts(parts).start().await;
    let running = running.expect("a consumer");
    reached(&running, events).await;
    let round = Round::of(events, began.elapsed());
    running.stop().await.expect("a clean end");
    store.close().await;
    round
}

pub(crate) async fn in_sqlite(url: &str, pages: Arc<[Vec<u8>]>, events: usize) -> Round {
    let store = Store::connect(url).await.expect("the store");
    let began = Instant::now();
    let consumer = Consumer::new("bench", store.clone()).stream::<Accounts>(Pages(pages));
    let running = consumer.handle(InSqlite).start().await;
    let running = running.expect("a consumer");
    reached(&running, events).await;
    let round = Round::of(events, began.elapsed());
    running.stop().await.expect("a clean end");
    store.close().await;
    round
}

async fn reached(running: &es_runtime::consume::Running, events: usize) {
    let last = Position::new(events as u64);
    running.reached(last).await.expect("all events");
}
