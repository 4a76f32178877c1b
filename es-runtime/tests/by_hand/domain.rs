//! Bookings, and a hand-written projection of them: what flowed for each, and how often.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use es_runtime::prelude::*;
use es_runtime::projection::{Apply, SqlProjection};
use es_runtime::sqlite::sqlx::{self, AssertSqlSafe, Row};
use es_runtime::store::{EventStore, HandlerError, Tx};
use es_runtime::{Receipt, Result, Service, Store};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "books", aggregate = Books)]
pub(crate) enum Booked {
    Booked { amount: i64 },
}

#[derive(Clone, Debug, Serialize, Command)]
#[command(aggregate = Books)]
pub(crate) enum Book {
    Book { amount: i64 },
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "books", event = Booked, command = Book, error = Infallible)]
pub(crate) struct Books;

impl Books {
    fn book(&self, amount: i64) -> std::result::Result<Booked, Infallible> {
        Ok(Booked::Booked { amount })
    }

    fn on_booked(&mut self, _: &i64) {}
}

pub(crate) async fn book(books: &Service, who: &str, amount: i64) -> Result<Receipt> {
    books.execute::<Books>(who, Book::Book { amount }).await
}

/// What fails, and how often it did.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Amounts.
    pub(crate) fails: Mutex<BTreeSet<i64>>,
    pub(crate) failed: AtomicU32,
    /// After so many failures it works; 0 for never.
    pub(crate) heals_after: AtomicU32,
    /// Whether bookings of `bob` panic.
    pub(crate) panics: AtomicBool,
}

/// What flowed, `V` times as much as was booked.
pub(crate) struct Flow<const V: u32>(pub(crate) Arc<Failures>);

impl<const V: u32> SqlProjection for Flow<V> {
    const NAME: &'static str = "flows";
    const VERSION: u32 = V;
    const TABLES: &'static [&'static str] = &["flow"];

    async fn create(tx: &mut Tx) -> std::result::Result<(), HandlerError> {
        let create = format!(
            "CREATE TABLE flow_v{V} (who TEXT PRIMARY KEY, amount BIGINT NOT NULL, times BIGINT NOT NULL)"
        );
        run(tx, create).await
    }
}

impl<const V: u32> Apply<Booked> for Flow<V> {
    async fn apply(
        &self,
        event: &Recorded<Booked>,
        tx: &mut Tx,
    ) -> std::result::Result<(), HandlerError> {
        let Booked::Booked { amount } = event.data;
        let more = amount * i64::from(V);
        run(
            tx,
            format!(
                "INSERT INTO flow_v{V} VALUES ('{}', {more}, 1) ON CONFLICT (who)
                 DO UPDATE SET amount = flow_v{V}.amount + {more}, times = flow_v{V}.times + 1",
                event.id()
            ),
        )
        .await?;
        let Failures {
            fails,
            failed,
            heals_after,
            panics,
        } = &*self.0;
        assert!(
            !panics.load(Ordering::Relaxed) || event.id() != "bob",
            "never bob"
        );
        if fails.lock().unwrap().contains(&amount) {
            let times = failed.load(Ordering::Relaxed);
            if times == 0 || times != heals_after.load(Ordering::Relaxed) {
                failed.fetch_add(1, Ordering::Relaxed);
                // As the database says it: what it wrote before is to go, too.
                run(tx, "SELECT nothing FROM nowhere".to_owned())
                    .await
                    .unwrap_err();
                return Err("it wrote, and failed".into());
            }
        }
        Ok(())
    }
}

/// Says that it makes a table, and does not.
pub(crate) struct Forgets;

impl SqlProjection for Forgets {
    const NAME: &'static str = "forgets";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["forgotten"];

    async fn create(_: &mut Tx) -> std::result::Result<(), HandlerError> {
        Ok(())
    }
}

impl Apply<Booked> for Forgets {
    async fn apply(
        &self,
        _: &Recorded<Booked>,
        _: &mut Tx,
    ) -> std::result::Result<(), HandlerError> {
        Ok(())
    }
}

async fn run(tx: &mut Tx, statement: String) -> std::result::Result<(), HandlerError> {
    if let Ok(sqlite) = tx.sqlite() {
        sqlx::query(AssertSqlSafe(statement))
            .execute(sqlite)
            .await?;
    } else {
        let postgres = tx.postgres()?;
        sqlx::query(AssertSqlSafe(statement))
            .execute(postgres)
            .await?;
    }
    Ok(())
}

type Rows = BTreeMap<String, (i64, i64)>;

/// What a table or view holds.
pub(crate) async fn rows(store: &Store, table: &str) -> std::result::Result<Rows, HandlerError> {
    let query = AssertSqlSafe(format!("SELECT who, amount, times FROM {table}"));
    let mut tx = store.begin().await?;
    if let Ok(sqlite) = tx.sqlite() {
        let rows = sqlx::query(query).fetch_all(sqlite).await?;
        return Ok(rows
            .iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2))))
            .collect());
    }
    let rows = sqlx::query(query).fetch_all(tx.postgres()?).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))))
        .collect())
}

pub(crate) async fn table(store: &Store, table: &str) -> Rows {
    rows(store, table).await.unwrap()
}
