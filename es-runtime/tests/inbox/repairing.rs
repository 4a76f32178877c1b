//! Ranges whose events are handled again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use es_runtime::consume::{Consumer, Handler, HandlerError, Running, Source};
use es_runtime::event::Position;
use es_runtime::integration::Received;
use es_runtime::sqlite::sqlx::{self, Connection};
use es_runtime::store::Tx;
use es_runtime::{Result, Store};

use tempfile::TempDir;

use crate::chain::{Chain, events};
use crate::domain::v1;
use crate::{Rows, all, effects, file, rows, until};

const ACCOUNTS: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const EVENTS: u64 = 2_500;

/// Writes a row again where it is missing, and remembers what it was given.
#[derive(Clone)]
struct Mending {
    rows: Rows,
    given: Arc<Mutex<Vec<u64>>>,
    /// It never comes to an end with this one.
    hangs_at: u64,
    /// With event 1,250 its source has nothing more behind this one.
    shuts: Option<(Arc<AtomicU64>, u64)>,
}

impl Mending {
    fn new(rows: Rows) -> Self {
        let (given, hangs_at) = (Arc::default(), 0);
        Self {
            rows,
            given,
            hangs_at,
            shuts: None,
        }
    }

    /// What it was given, in whatever order; what was rolled back came again.
    fn given(&self) -> Vec<u64> {
        let given: BTreeSet<_> = self.given.lock().unwrap().iter().copied().collect();
        given.into_iter().collect()
    }

    async fn start(&self, store: &Store, source: impl Source) -> Result<Running> {
        let consumer = Consumer::new("rows", store.clone()).stream::<v1::Accounts>(source);
        let consumer = consumer.handle(self.clone()).attempts(1).parts(3);
        consumer.start().await
    }
}

impl Handler<v1::Accounts> for Mending {
    async fn prepare(&mut self, tx: &mut Tx) -> Result<(), HandlerError> {
        self.rows.prepare(tx).await
    }

    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        self.rows.handle(event, tx).await
    }

    async fn again(
        &mut self,
        event: &Received<v1::Accounts>,
        tx: &mut Tx,
    ) -> Result<(), HandlerError> {
        self.given.lock().unwrap().push(event.position.get());
        if let (1_250, Some((gate, last))) = (event.position.get(), &self.shuts) {
            gate.store(*last, Ordering::SeqCst);
        }
        if event.position.get() == self.hangs_at {
            pending::<()>().await;
        }
        let missing = "INSERT INTO effect (account, position) SELECT $1, $2 \
                       WHERE NOT EXISTS (SELECT 1 FROM effect WHERE position = $2)";
        let insert = sqlx::query(missing).bind(&event.subject);
        let insert = insert.bind(i64::try_from(event.position.get())?);
        insert.execute(tx.sqlite()?).await?;
        Ok(())
    }
}

/// Rows that somebody deletes.
async fn lose(folder: &TempDir, from: i64, to: i64) {
    let url = format!("sqlite://{}", folder.path().join("inbox.db").display());
    let mut sql = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let lose = sqlx::query("DELETE FROM effect WHERE position BETWEEN ? AND ?");
    let lost = lose.bind(from).bind(to).execute(&mut sql).await.unwrap();
    assert!(lost.rows_affected() > 0);
    sql.close().await.unwrap();
}

/// What is there, whichever way it came.
async fn sorted(store: &Store) -> Result<BTreeMap<String, BTreeSet<i64>>> {
    let effects = effects(store).await?.into_iter();
    let sorted = effects.map(|(account, positions)| {
        let once: BTreeSet<_> = positions.iter().copied().collect();
        assert_eq!(once.len(), positions.len(), "{account}: {positions:?}");
        (account, once)
    });
    Ok(sorted.collect())
}

fn whole() -> BTreeMap<String, BTreeSet<i64>> {
    let all = all(&ACCOUNTS, i64::try_from(EVENTS / 5).unwrap());
    let sets = all.into_iter();
    sets.map(|(account, positions)| (account, positions.into_iter().collect()))
        .collect()
}

fn range(from: u64, to: u64) -> std::ops::RangeInclusive<Position> {
    Position::new(from)..=Position::new(to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_handled_again_and_nothing_else() -> Result<()> {
    let chain = Chain::of(events(&ACCOUNTS, EVENTS, |_| false).await?);
    let (store, folder) = file().await?;
    let mending = Mending::new(Rows::good());
    // Two instances, and one of them is asked.
    let one = mending.start(&store, chain.clone()).await?;
    let two = mending.start(&store, chain).await?;
    one.reached(Position::new(EVENTS)).await?;
    let cursor = one.inbox().cursor().await?;
    lose(&folder, 1_210, 1_305).await;
    one.repair(range(1_201, 1_300)).await?;
    assert_eq!(mending.given(), (1_201..=1_300).collect::<Vec<_>>());
    let mut expected = whole();
    for lost in 1_301..=1_305 {
        let account = ACCOUNTS[usize::try_from(lost - 1).unwrap() % 5];
        expected.get_mut(account).unwrap().remove(&lost);
    }
    assert_eq!(sorted(&store).await?, expected);
    two.repair(..).await?;
    assert_eq!(sorted(&store).await?, whole());
    // What a part has passed over, it tells its cursor later.
    assert!(one.inbox().cursor().await?.position >= cursor.position);
    assert!(one.verify(..).await?.agrees());
    one.stop().await?;
    two.stop().await
}

/// A source that was whole when it was verified, and is not any more: the part does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_where_the_source_has_nothing_more() -> Result<()> {
    let chain = Chain::of(events(&ACCOUNTS, EVENTS, |_| false).await?);
    let (store, _folder) = file().await?;
    let mut mending = Mending::new(Rows::good());
    mending.shuts = Some((chain.gate.clone(), 1_500));
    let running = mending.start(&store, chain.clone()).await?;
    running.reached(Position::new(EVENTS)).await?;
    let refused = running.repair(range(1_201, 2_400)).await.unwrap_err();
    assert!(
        refused.to_string().contains("nothing behind position"),
        "{refused}"
    );
    chain.open(u64::MAX);
    running.repair(range(1_501, 2_400)).await?;
    assert_eq!(mending.given(), (1_201..=2_400).collect::<Vec<_>>());
    assert_eq!(sorted(&store).await?, whole());
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_or_was_given_up_is_left_out() -> Result<()> {
    let chain = Chain::of(events(&ACCOUNTS, 100, |_| false).await?);
    let (store, _folder) = file().await?;
    let mending = Mending::new(Rows::acting(|event| match event.position.get() {
        7 | 52 | 8 => Err("told to fail".into()),
        _ => Ok(()),
    }));
    let running = mending.start(&store, chain).await?;
    running.reached(Position::new(100)).await.unwrap_err();
    running
        .inbox()
        .give_up(Position::new(7), "a test", "me")
        .await?;
    // Bob goes on, up to the next one.
    until(async || {
        let keys = running.inbox().set_aside(None).await.unwrap();
        let bob = keys.iter().find(|key| key.key == "bob")?;
        (bob.position.get() == 52).then_some(())
    })
    .await;
    running.repair(..).await?;
    let left_out = |n: &u64| (n % 5 == 2 && (*n == 7 || *n >= 52)) || (n % 5 == 3 && *n >= 8);
    let expected: Vec<_> = (1..=100).filter(|n| !left_out(n)).collect();
    assert_eq!(mending.given(), expected);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_refused_where_it_would_double_or_differ() -> Result<()> {
    let chain = Chain::of(events(&ACCOUNTS, EVENTS, |_| false).await?);
    let (store, _folder) = file().await?;
    let running = rows(&store, chain, Rows::good()).parts(2).start().await?;
    running.reached(Position::new(EVENTS)).await?;
    let refused = running.repair(range(10, 20)).await.unwrap_err();
    assert_eq!(refused.code(), "ES0254");
    assert!(refused.to_string().contains("Handler::again"), "{refused}");
    running.stop().await?;
    assert_eq!(sorted(&store).await?, whole());

    let forked = Chain::of(events(&ACCOUNTS, EVENTS, |n| n == 2_200).await?);
    let mending = Mending::new(Rows::good());
    let running = mending.start(&store, forked).await?;
    let refused = running.repair(range(10, 20)).await.unwrap_err();
    assert!(refused.to_string().contains("differs"), "{refused}");
    assert!(mending.given().is_empty());
    running.stop().await
}

/// An instance that dies, with all that it holds, in the middle of a repair.
fn dies(url: String, chain: Chain) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::connect(&url).await.unwrap();
        let hanging = Mending {
            hangs_at: 1_250,
            ..Mending::new(Rows::good())
        };
        let running = hanging.start(&store, chain).await.unwrap();
        running.reached(Position::new(EVENTS)).await.unwrap();
        let hangs = async {
            until(async || hanging.given().contains(&1_250).then_some(())).await;
        };
        tokio::select! {
            ended = running.repair(range(1_200, 1_299)) => panic!("it hangs, but {ended:?}"),
            () = hangs => {}
        }
    });
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_a_death_ends_it() -> Result<()> {
    let chain = Chain::of(events(&ACCOUNTS, EVENTS, |_| false).await?);
    let (store, folder) = file().await?;
    let mending = Mending::new(Rows::good());
    let running = mending.start(&store, chain.clone()).await?;
    running.reached(Position::new(EVENTS)).await?;
    running.stop().await?;
    lose(&folder, 1_200, 1_299).await;
    let url = format!("sqlite://{}", folder.path().join("inbox.db").display());
    let other = chain.clone();
    tokio::task::spawn_blocking(move || dies(url, other))
        .await
        .unwrap();
    let running = mending.start(&store, chain).await?;
    until(async || (sorted(&store).await.unwrap() == whole()).then_some(())).await;
    running.stop().await
}
