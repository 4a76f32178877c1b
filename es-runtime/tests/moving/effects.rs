//! What the consumer did, in its own database, SQLite or PostgreSQL: rows that do not forbid doubles.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use es_runtime::consume::{Handler, HandlerError};
use es_runtime::integration::Received;
use es_runtime::postgres::sqlx::{self as pg};
use es_runtime::sqlite::sqlx;
use es_runtime::store::{EventStore, Tx};
use es_runtime::{Result, Store};

use crate::bank::{MadeOf, v1, v2};

/// One row: of what it was made, and which version told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) version: u32,
    pub(crate) of: MadeOf,
}

type Done = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;
type Act = dyn Fn(MadeOf) -> Done + Send + Sync;

/// Writes a row for each event, of whichever version, and acts.
#[derive(Clone)]
pub(crate) struct Rows {
    database: Store,
    act: Arc<Act>,
}

impl Rows {
    pub(crate) fn acting(
        database: &Store,
        act: impl Fn(&MadeOf) -> Result<(), HandlerError> + Send + Sync + 'static,
    ) -> Self {
        Self::waiting(database, move |of| std::future::ready(act(&of)))
    }

    pub(crate) fn waiting<F: Future<Output = Result<(), HandlerError>> + Send + 'static>(
        database: &Store,
        act: impl Fn(MadeOf) -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            database: database.clone(),
            act: Arc::new(move |of| Box::pin(act(of))),
        }
    }

    pub(crate) fn good(database: &Store) -> Self {
        Self::acting(database, |_| Ok(()))
    }

    async fn make(&self, tx: &mut Tx) -> Result<(), HandlerError> {
        let table = |number| {
            format!(
                "CREATE TABLE IF NOT EXISTS effect (n {number}, account TEXT, source BIGINT, \
                 part BIGINT, version INTEGER)"
            )
        };
        match self.database {
            Store::Postgres(_) => {
                // Two that make it at once are one too many.
                let alone = pg::query("SELECT pg_advisory_xact_lock(1)");
                alone.execute(&mut *tx.postgres()?).await?;
                let table = table("BIGSERIAL PRIMARY KEY");
                let table = pg::query(pg::AssertSqlSafe(table));
                table.execute(tx.postgres()?).await?;
            }
            _ => {
                let table = table("INTEGER PRIMARY KEY");
                let table = sqlx::query(sqlx::AssertSqlSafe(table));
                table.execute(tx.sqlite()?).await?;
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        tx: &mut Tx,
        account: &str,
        version: i32,
        of: &MadeOf,
    ) -> Result<(), HandlerError> {
        const INSERT: &str =
            "INSERT INTO effect (account, source, part, version) VALUES ($1, $2, $3, $4)";
        let (source, part) = (i64::try_from(of.source)?, i64::try_from(of.part)?);
        match self.database {
            Store::Postgres(_) => {
                let insert = pg::query(INSERT).bind(account).bind(source);
                let insert = insert.bind(part).bind(version);
                insert.execute(tx.postgres()?).await?;
            }
            _ => {
                let insert = sqlx::query(INSERT).bind(account).bind(source);
                let insert = insert.bind(part).bind(version);
                insert.execute(tx.sqlite()?).await?;
            }
        }
        (self.act)(of.clone()).await
    }
}

impl Handler<v1::Accounts> for Rows {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        self.make(tx).await
    }

    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let v1::Accounts::Changed { of } = &event.data;
        self.write(tx, &event.subject, 1, of).await
    }
}

impl Handler<v2::Accounts> for Rows {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        self.make(tx).await
    }

    async fn handle(
        &mut self,
        event: &Received<v2::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        let v2::Accounts::Moved { of } = &event.data;
        self.write(tx, &event.subject, 2, of).await
    }
}

/// What was done for each account, in order.
pub(crate) async fn effects(database: &Store) -> Result<BTreeMap<String, Vec<Effect>>> {
    const ALL: &str = "SELECT account, source, part, version FROM effect ORDER BY n";
    let mut tx = database.begin().await?;
    let rows: Vec<(String, i64, i64, i32)> = match database {
        Store::Postgres(_) => {
            let all = pg::query_as(ALL).fetch_all(tx.postgres()?);
            all.await.unwrap()
        }
        _ => sqlx::query_as(ALL).fetch_all(tx.sqlite()?).await.unwrap(),
    };
    let mut effects = BTreeMap::<String, Vec<Effect>>::new();
    for (account, source, part, version) in rows {
        let of = MadeOf {
            source: source.try_into().unwrap(),
            part: part.try_into().unwrap(),
        };
        let version = version.try_into().unwrap();
        let effect = Effect { version, of };
        effects.entry(account).or_default().push(effect);
    }
    Ok(effects)
}
