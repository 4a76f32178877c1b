//! Connections for everything but appends, to the server that takes writes; where the store only
//! reads, to one that answers.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Postgres, Transaction};
use tokio::select;
use tokio::time::{Instant, sleep, timeout};

use super::failure::{Fault, fault, gone};
use super::hosts::{Hosts, Verdict, begin, begin_still};
use super::{failed, read_only};
use crate::error::Result;

/// How long a connection that may be dead has to show that it is not.
const ALIVE: Duration = Duration::from_secs(2);
/// How much longer than the server's own bound a call is waited for.
const GRACE: Duration = Duration::from_secs(5);
/// How often a transaction that waits takes a connection from the readers.
const RECLAIM: Duration = Duration::from_millis(5);
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The connections of one store. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pool: PgPool,
    hosts: Arc<Hosts>,
    /// The server that new connections are made to.
    target: Arc<AtomicUsize>,
    begin: Arc<str>,
    begin_still: Arc<str>,
    ready: Arc<Ready>,
}

/// Connections that have just read, for those who read next. Given back to sqlx's pool, each would
/// be asked whether it lives, which costs as much as a read. Half of the pool at most: the others
/// are for transactions.
#[derive(Debug)]
struct Ready {
    most: usize,
    /// Nothing when the pool is closed.
    kept: Mutex<Option<Vec<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

impl Ready {
    fn kept(&self) -> MutexGuard<'_, Option<Vec<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, connection: PoolConnection<Postgres>) {
        if let Some(kept) = self.kept().as_mut().filter(|kept| kept.len() < self.most) {
            let since = Instant::now();
            kept.push(Kept { connection, since });
        }
    }

    /// The one that read last, if nothing speaks against it.
    fn take(&self, hosts: &Hosts) -> Option<PoolConnection<Postgres>> {
        loop {
            let Kept { connection, since } = self.kept().as_mut()?.pop()?;
            // Others were idle for longer; sqlx's pool looks after each that is dropped.
            if let Verdict::Good = hosts.judge(since.elapsed(), since.elapsed()) {
                return Some(connection);
            }
        }
    }
}

impl Drop for Ready {
    /// Without sqlx's way back, which needs a runtime that may be gone.
    fn drop(&mut self) {
        for Kept { connection, .. } in self.kept().take().into_iter().flatten() {
            drop(connection.detach());
        }
    }
}

impl Pool {
    pub(super) fn new(hosts: &Arc<Hosts>, listens: bool) -> Self {
        let settings = hosts.settings();
        let (admit, judge) = (hosts.clone(), hosts.clone());
        let target = *hosts.moves().borrow();
        let options = PgPoolOptions::new()
            .max_connections(settings.pool_size + u32::from(listens))
            .acquire_timeout(settings.patience)
            // A round trip before every call; `judge` knows when it is needed.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let hosts = admit.clone();
                Box::pin(async move { hosts.admit(connection).await })
            })
            .before_acquire(move |connection, meta| {
                let verdict = judge.judge(meta.age, meta.idle_for);
                Box::pin(async move {
                    match verdict {
                        Verdict::Good => Ok(true),
                        Verdict::Elsewhere => Ok(false),
                        Verdict::Doubtful => match timeout(ALIVE, connection.ping()).await {
                            Ok(alive) => alive.map(|()| true),
                            Err(_) => Err(gone("it did not answer in time")),
                        },
                    }
                })
            });
        Self {
            pool: options.connect_lazy_with(hosts.options(target)),
            hosts: hosts.clone(),
            target: Arc::new(AtomicUsize::new(target)),
            begin: begin(settings).into(),
            begin_still: begin_still(settings).into(),
            ready: Arc::new(Ready {
                most: usize::try_from(settings.pool_size / 2).unwrap_or(0),
                kept: Mutex::new(Some(Vec::new())),
            }),
        }
    }

    /// Connections that are kept for readers, at most.
    pub(super) fn readers(&self) -> usize {
        self.ready.most
    }

    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// A connection for reads.
    pub(super) async fn reader(&self, doing: &'static str) -> Result<Reader> {
        if self.hosts.settings().pgbouncer {
            let begin = || self.begin_before_readers(&self.begin);
            let begun = self.obtain(doing, begin).await;
            return begun.map(Reader::Transaction);
        }
        if let Some(connection) = self.ready.take(&self.hosts) {
            return Ok(Reader::Session(connection));
        }
        let reader = self.obtain(doing, || self.pool.acquire()).await;
        reader.map(Reader::Session)
    }

    /// Keeps a connection that has read for the next reader.
    pub(super) fn keep(&self, reader: Reader) {
        if let Reader::Session(connection) = reader {
            self.ready.put(connection);
        }
    }

    /// A transaction that writes. A dead connection does not begin one, so another one takes its
    /// place.
    pub(super) async fn begin(
        &self,
        doing: &'static str,
    ) -> Result<Transaction<'static, Postgres>> {
        if self.hosts.settings().read_only {
            return Err(read_only(doing));
        }
        let begin = || self.begin_before_readers(&self.begin);
        self.obtain(doing, begin).await
    }

    /// A transaction that sees one moment: that of its first question.
    pub(super) async fn begin_still(
        &self,
        doing: &'static str,
    ) -> Result<Transaction<'static, Postgres>> {
        let begin = || self.begin_before_readers(&self.begin_still);
        self.obtain(doing, begin).await
    }

    /// Begins a transaction; while it waits, connections that only wait for a reader go back.
    async fn begin_before_readers(
        &self,
        begin: &Arc<str>,
    ) -> sqlx::Result<Transaction<'static, Postgres>> {
        if self.pool.num_idle() == 0 {
            drop(self.ready.take(&self.hosts));
        }
        let mut begin = pin!(self.pool.begin_with(AssertSqlSafe(begin.clone())));
        loop {
            select! {
                biased;
                begun = &mut begin => return begun,
                () = sleep(RECLAIM) => drop(self.ready.take(&self.hosts)),
            }
        }
    }

    /// A pool whose new connections lead to the primary.
    pub(super) fn pointed(&self) -> &PgPool {
        self.point(*self.hosts.moves().borrow());
        &self.pool
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    fn point(&self, server: usize) {
        if self.target.swap(server, Ordering::Relaxed) != server {
            self.pool.set_connect_options(self.hosts.options(server));
        }
    }

    /// Tries until the patience ends, and follows the primary meanwhile.
    async fn obtain<T, F>(&self, doing: &'static str, get: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let deadline = Instant::now() + self.hosts.settings().patience;
        let mut moves = self.hosts.moves();
        let mut pause = Duration::ZERO;
        loop {
            self.point(*moves.borrow_and_update());
            let mut getting = pin!(get());
            let got = loop {
                select! {
                    biased;
                    got = &mut getting => break Some(got),
                    _ = moves.changed() => break None,
                    () = self.hosts.look_if_stalled() => {}
                }
            };
            let error = match got {
                Some(Ok(got)) => return Ok(got),
                Some(Err(error)) => error,
                None => continue,
            };
            let lost = fault(&error) == Fault::Connection;
            if lost && Instant::now() < deadline {
                self.hosts.lost();
                sleep(pause).await;
                if !pause.is_zero() {
                    self.hosts.look_again().await;
                }
                pause = (pause * 2).clamp(FIRST_PAUSE, Duration::from_secs(1));
                continue;
            }
            return Err(match self.hosts.trouble() {
                // Says more than that there was no connection.
                Some(trouble) if lost || matches!(error, sqlx::Error::PoolTimedOut) => trouble,
                _ => failed(doing)(error),
            });
        }
    }

    /// Waits for a call's answer no longer than for its server: not when another one became the
    /// primary, nor when the server does not keep its own bound.
    pub(super) async fn watch<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        select! {
            biased;
            answer = call => answer,
            error = self.hosts.gone() => Err(failed(doing)(error)),
        }
    }

    pub(super) async fn close(&self) {
        drop(self.ready.kept().take());
        self.pool.close().await;
    }
}

impl Hosts {
    /// Comes back when a call that is made now need not be waited for any longer.
    pub(super) async fn gone(&self) -> sqlx::Error {
        let mut moves = self.moves();
        let bound = match self.settings().statement_timeout {
            Duration::ZERO => Duration::MAX,
            bound => bound + GRACE,
        };
        match timeout(bound, moves.changed()).await {
            Ok(_) => gone("another server became the primary"),
            Err(_) => gone("the server did not answer in time"),
        }
    }
}

/// A connection that is read with. Behind PgBouncer a transaction, so that the question and its
/// answer have the same session.
pub(super) enum Reader {
    Session(PoolConnection<Postgres>),
    Transaction(Transaction<'static, Postgres>),
}

impl Reader {
    /// Keeps a connection that is lost from going back to the pool, where it would be waited for.
    pub(super) fn give_up(self) {
        if let Self::Session(connection) = self {
            drop(connection.detach());
        }
    }

    /// Makes what was done last.
    pub(super) async fn done(self) -> sqlx::Result<()> {
        match self {
            Self::Session(_) => Ok(()),
            Self::Transaction(tx) => tx.commit().await,
        }
    }
}

impl Deref for Reader {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Session(connection) => connection,
            Self::Transaction(tx) => tx,
        }
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Session(connection) => connection,
            Self::Transaction(tx) => tx,
        }
    }
}

/// Reads on a connection; when it is lost on the way, once more on another: a read changes nothing.
macro_rules! read {
    ($store:ident, $doing:expr, |$connection:ident| $read:expr) => {{
        let mut again = true;
        loop {
            let mut reader = $store.pool.reader($doing).await?;
            let $connection = &mut *reader;
            match $store.pool.watch($doing, $read).await {
                Err(error) if $crate::store::postgres::failure::is_lost(&error) => {
                    reader.give_up();
                    $store.pool.hosts().lost();
                    if !std::mem::take(&mut again) {
                        break Err(error);
                    }
                }
                Ok(read) => {
                    $store.pool.keep(reader);
                    break Ok(read);
                }
                Err(error) => break Err(error),
            }
        }
    }};
}
pub(super) use read;
