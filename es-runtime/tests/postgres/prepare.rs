//! Instances of a consumer that start at the same moment, and make the same tables.

use std::time::Duration;

use es_runtime::consume::{Consumer, Handler, HandlerError, Page, Source};
use es_runtime::integration::Received;
use es_runtime::postgres::sqlx;
use es_runtime::prelude::*;
use es_runtime::store::{StreamCursor, StreamVersion, Tx};
use es_runtime::{Result, Store};
use es_servers::Postgres;
use tokio::task::JoinSet;

#[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
enum Accounts {
    AccountOpened { account: String },
}

struct Tables;

impl Handler<Accounts> for Tables {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        for table in [
            "CREATE TABLE IF NOT EXISTS letter (account TEXT)",
            "CREATE TABLE IF NOT EXISTS address (account TEXT)",
        ] {
            sqlx::query(table).execute(tx.postgres()?).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, _: &Received<Accounts>, _: &mut Tx) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// A stream without events.
struct Nothing;

impl Source for Nothing {
    async fn read(
        &mut self,
        _: &StreamVersion,
        _: StreamCursor,
        _: usize,
        wait: Duration,
    ) -> Result<Page> {
        tokio::time::sleep(wait).await;
        Ok(Page::default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_start_together_make_their_tables_once() -> Result<()> {
    let server = Postgres::start();
    for _ in 0..5 {
        let url = server.database();
        // The tables of our own are there.
        let first = Store::connect(&url).await?;
        let mut starting = JoinSet::new();
        for _ in 0..8 {
            let store = first.clone();
            starting.spawn(async move {
                let consumer = Consumer::new("letters", store).stream::<Accounts>(Nothing);
                consumer.handle(Tables).start().await
            });
        }
        for running in starting.join_all().await {
            running?.stop().await?;
        }
    }
    Ok(())
}
