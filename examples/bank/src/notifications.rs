//! The notifications service: reads what the other services tell the world, over HTTP, and writes to
//! the customers, in a database of its own.
//!
//! It has three consumers, and each reads the stream, and the version of it, that it likes.

use std::path::{Path, PathBuf};

use es_runtime::Store;
use es_runtime::consume::{Consumer, Feed, Handler, HandlerError, Running};
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx::{Connection, query, query_scalar, raw_sql};
use es_runtime::sqlite::{SqliteConnection, sqlx};
use es_runtime::store::Tx;

use crate::accounts::Money;
use crate::accounts::balances::Versions;
use crate::accounts::contract::{v1, v2};
use crate::transfers::contract::Transfers;
use crate::{Result, url};

/// What [`Notify`] writes.
const NOTIFY: &str = "
    CREATE TABLE IF NOT EXISTS customer (
        account TEXT PRIMARY KEY,
        owner   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS notification (
        position INTEGER PRIMARY KEY,
        event    TEXT NOT NULL UNIQUE,
        account  TEXT NOT NULL,
        text     TEXT NOT NULL
    ) STRICT";

/// What [`Warn`] writes.
const WARN: &str = "
    CREATE TABLE IF NOT EXISTS warning (
        position INTEGER PRIMARY KEY,
        account  TEXT NOT NULL,
        balance  INTEGER NOT NULL
    ) STRICT";

/// What [`Explain`] writes.
const EXPLAIN: &str = "
    CREATE TABLE IF NOT EXISTS explanation (
        position INTEGER PRIMARY KEY,
        account  TEXT NOT NULL,
        text     TEXT NOT NULL
    ) STRICT";

/// The service at work.
#[derive(Debug)]
pub struct Notifications {
    /// Its database.
    pub database: PathBuf,
    /// Reads `accounts@2`, where it is there.
    pub notify: Option<Running>,
    /// Reads `accounts@1`, as long as it needs it.
    pub warn: Option<Running>,
    /// Reads `transfers@1`.
    pub explain: Running,
}

impl Notifications {
    /// Starts the service on its database in `data`, reading these versions from the feed of the
    /// accounts, and what becomes of transfers from theirs.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub async fn start(
        data: &Path,
        feed: &str,
        transfers: &str,
        versions: Versions,
    ) -> Result<Self> {
        let database = data.join("notifications.db");
        let inbox = Store::connect(&url(&database)).await?;
        let notify =
            Consumer::new("notify", inbox.clone()).stream::<v2::Accounts>(Feed::http(feed));
        let warn = Consumer::new("warn", inbox.clone()).stream::<v1::Accounts>(Feed::http(feed));
        let explain = Consumer::new("explain", inbox).stream::<Transfers>(Feed::http(transfers));
        Ok(Self {
            database,
            notify: match versions.has_v2() {
                true => Some(notify.handle(Notify).start().await?),
                false => None,
            },
            warn: match versions.has_v1() {
                true => Some(warn.handle(Warn).start().await?),
                false => None,
            },
            explain: explain.handle(Explain).start().await?,
        })
    }

    /// Waits until everything up to these positions of the three streams is handled.
    ///
    /// # Errors
    /// When a consumer has stopped.
    pub async fn reached(&self, v1: Position, v2: Position, transfers: Position) -> Result<()> {
        for (consumer, position) in [(&self.warn, v1), (&self.notify, v2)] {
            if let Some(consumer) = consumer {
                consumer.reached(position).await?;
            }
        }
        Ok(self.explain.reached(transfers).await?)
    }

    /// Runs until the process is asked to stop.
    ///
    /// # Errors
    /// Why a consumer had stopped before.
    pub async fn until_shutdown(self) -> Result<()> {
        let until = async |consumer: Option<Running>| match consumer {
            Some(consumer) => consumer.until_shutdown().await,
            None => Ok(()),
        };
        let explain = until(Some(self.explain));
        tokio::try_join!(until(self.notify), until(self.warn), explain)?;
        Ok(())
    }

    /// Stops after the transactions at hand.
    ///
    /// # Errors
    /// Why a consumer had stopped before.
    pub async fn stop(self) -> Result<()> {
        let all = [self.warn, self.notify, Some(self.explain)];
        for consumer in all.into_iter().flatten() {
            consumer.stop().await?;
        }
        Ok(())
    }
}

/// A connection of one's own, to look around.
pub(crate) async fn connect(database: &Path) -> sqlx::Result<SqliteConnection> {
    SqliteConnection::connect(&url(database)).await
}

/// Tells the customer whatever happens to the account.
struct Notify;

impl Handler<v2::Accounts> for Notify {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        raw_sql(NOTIFY).execute(tx.sqlite()?).await?;
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<v2::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        use v2::Accounts::*;
        let db = tx.sqlite()?;
        let text = match &event.data {
            AccountOpened {
                account,
                owner,
                currency,
            } => {
                let insert = query("INSERT INTO customer (account, owner) VALUES (?, ?)");
                insert.bind(account).bind(owner).execute(&mut *db).await?;
                format!("Welcome, {owner}! Your account is kept in {currency}")
            }
            BalanceChanged {
                account,
                new_balance,
                currency,
            } => {
                let owner = owner(db, account).await?;
                format!("{owner}'s account has now {new_balance} {currency}")
            }
            AccountClosed { account } => format!("Goodbye, {}!", owner(db, account).await?),
        };
        let insert =
            "INSERT INTO notification (position, event, account, text) VALUES (?, ?, ?, ?)";
        let insert = query(insert)
            .bind(i64::try_from(event.position.get())?)
            .bind(&event.id);
        insert.bind(&event.subject).bind(text).execute(db).await?;
        Ok(())
    }
}

async fn owner(db: &mut SqliteConnection, account: &str) -> sqlx::Result<String> {
    let select = query_scalar("SELECT owner FROM customer WHERE account = ?");
    select.bind(account).fetch_one(db).await
}

/// Less than this is worth a warning.
const LOW: Money = Money::units(100);

/// Warns of low balances. It reads version 1, and moves to version 2 when it likes.
struct Warn;

impl Handler<v1::Accounts> for Warn {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        raw_sql(WARN).execute(tx.sqlite()?).await?;
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        if let v1::Accounts::BalanceChanged { account, balance } = &event.data
            && *balance < LOW
        {
            let insert = query("INSERT INTO warning (position, account, balance) VALUES (?, ?, ?)");
            let insert = insert
                .bind(i64::try_from(event.position.get())?)
                .bind(account);
            insert.bind(balance.minor()).execute(tx.sqlite()?).await?;
        }
        Ok(())
    }
}

/// Explains what nothing came of.
struct Explain;

impl Handler<Transfers> for Explain {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        raw_sql(EXPLAIN).execute(tx.sqlite()?).await?;
        Ok(())
    }

    async fn handle(
        &mut self,
        event: &Received<Transfers>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        if let Transfers::TransferFailed { account, why, .. } = &event.data {
            let insert = "INSERT INTO explanation (position, account, text) VALUES (?, ?, ?)";
            let insert = query(insert).bind(i64::try_from(event.position.get())?);
            let insert = insert.bind(account).bind(format!("No transfer: {why}"));
            insert.execute(tx.sqlite()?).await?;
        }
        Ok(())
    }
}
