//! A table that is polled: rows by the time of their last change.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::aside::Body;
use super::running::{Got, Running, Stopped, Work};
use super::{Adapt, Adapter};
use crate::error::{Error, Kind, Result};
use crate::event::{Position, Timestamp};
use crate::runtime::without;
use crate::store::{
    Advanced, EventStore, HandlerError, InboxId, InboxMove, StreamCursor, StreamVersion,
};

/// Rows that are asked for at once.
const PAGE: usize = 500;

/// The place of a row among all of its table: when it changed last, and its id, which tells those of
/// the same moment apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When the row changed last, by the table's own clock.
    pub time: Timestamp,
    /// The row's id.
    pub id: String,
}

/// A row, as a message.
#[derive(Debug)]
pub struct PolledRow<M> {
    mark: Mark,
    message: Result<M, (String, HandlerError)>,
}

impl<M> PolledRow<M> {
    /// A row that is a message.
    pub fn new(mark: Mark, message: M) -> Self {
        let message = Ok(message);
        Self { mark, message }
    }

    /// A row that cannot be made a message: it is set aside as `text`, which
    /// [`Adapter::decode_with`] may understand after a deploy.
    pub fn unreadable(mark: Mark, text: impl Into<String>, why: impl Into<HandlerError>) -> Self {
        let message = Err((text.into(), why.into()));
        Self { mark, message }
    }
}

/// Reads the rows of a table, in the order of their changes.
///
/// ```
/// use es_runtime::adapt::{Mark, Poll, PolledRow};
/// use es_runtime::event::Timestamp;
/// use es_runtime::sqlite::sqlx::{self, SqlitePool};
/// use es_runtime::store::HandlerError;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Customer { id: String, changed: i64, name: String }
///
/// struct Customers(SqlitePool);
///
/// impl Poll<Customer> for Customers {
///     async fn rows(&mut self, after: &Mark, limit: usize) -> Result<Vec<PolledRow<Customer>>, HandlerError> {
///         let rows = "SELECT id, changed, name FROM customer WHERE (changed, id) > (?, ?)
///                     ORDER BY changed, id LIMIT ?";
///         let rows: Vec<(String, i64, String)> = sqlx::query_as(rows)
///             .bind(after.time.as_micros())
///             .bind(&after.id)
///             .bind(i64::try_from(limit)?)
///             .fetch_all(&self.0)
///             .await?;
///         let row = |(id, changed, name): (String, i64, String)| {
///             let mark = Mark { time: Timestamp::from_micros(changed), id: id.clone() };
///             PolledRow::new(mark, Customer { id, changed, name })
///         };
///         Ok(rows.into_iter().map(row).collect())
///     }
/// }
/// ```
pub trait Poll<M>: Send + 'static {
    /// The first `limit` rows after `after`, by their time and then by their id.
    ///
    /// # Errors
    /// Whatever keeps them from being read: they are asked for again.
    fn rows(
        &mut self,
        after: &Mark,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<PolledRow<M>>, HandlerError>> + Send;
}

/// A table that is polled for what changed.
///
/// The law: a row that is visible at most the overlap after the time that it carries is taken, in
/// every state that a poll sees. What no poll can see is not: a row that is deleted, a state that was
/// replaced before the next poll, and one that is committed later than the overlap: choose one that is
/// longer than the longest transaction, or [`sweep`](Self::sweep) the table from time to time.
pub struct Polled<P> {
    poll: P,
    every: Duration,
    overlap: Duration,
    sweep: Option<Duration>,
}

impl<P> fmt::Debug for Polled<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled")
            .field("every", &self.every)
            .field("overlap", &self.overlap)
            .field("sweep", &self.sweep)
            .finish_non_exhaustive()
    }
}

impl<P> Polled<P> {
    /// Polls every second, with an overlap of five minutes.
    pub fn new(poll: P) -> Self {
        Self {
            poll,
            every: Duration::from_secs(1),
            overlap: Duration::from_mins(5),
            sweep: None,
        }
    }

    /// How long it rests when it has seen all rows.
    pub fn every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    /// How far it looks back each time. Rows that were taken are known by their keys: reading them
    /// again does no harm.
    pub fn overlap(mut self, time: Duration) -> Self {
        self.overlap = time;
        self
    }

    /// Reads the whole table when it starts and so often, for what came later than the overlap.
    pub fn sweep(mut self, every: Duration) -> Self {
        self.sweep = Some(every);
        self
    }

    /// Starts to poll for an adapter, where it stopped. How far it has come is kept in the service's
    /// store. A row's key must change with every change of the row: its id with its time.
    pub fn start<M>(self, adapter: Adapter<M>) -> Running
    where
        M: Adapt,
        P: Poll<M>,
    {
        Running::start(adapter, |work| async move {
            let mut polling = Polling {
                table: self,
                work,
                cursor: StreamCursor::default(),
                seen: BTreeSet::new(),
                swept: None,
            };
            // It ends when somebody asks it to.
            let Err(Stopped) = polling.run().await;
        })
    }
}

struct Polling<P, M: Adapt> {
    table: Polled<P>,
    work: Work<M>,
    /// Its position is the newest time of which all rows are taken, in microseconds.
    cursor: StreamCursor,
    /// The rows that this process took, as far as the overlap meets them again.
    seen: BTreeSet<Mark>,
    swept: Option<Instant>,
}

/// Why a pass ended before the last row.
enum Broken {
    Failed(Error),
    Stopped,
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Stopped> for Broken {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

enum Never {}

impl<P: Poll<M>, M: Adapt> Polling<P, M> {
    async fn run(&mut self) -> Result<Never, Stopped> {
        loop {
            self.work.retry_aside().await?;
            match self.pass().await {
                Ok(()) => {
                    self.work.round();
                    self.work.rest(self.table.every).await?;
                }
                Err(Broken::Failed(error)) => self.work.pause(&error).await?,
                Err(Broken::Stopped) => return Err(Stopped),
            }
        }
    }

    /// Takes all rows from the overlap on, or from the first one.
    async fn pass(&mut self) -> Result<(), Broken> {
        let store = self.work.adapter.service.store().clone();
        self.cursor = store.inbox(&self.inbox()).await?;
        let mut after = self.begin();
        self.seen.retain(|mark| *mark > after);
        let sweeps = self
            .table
            .sweep
            .is_some_and(|every| self.swept.is_none_or(|swept| swept.elapsed() >= every));
        if sweeps {
            after.time = Timestamp::from_micros(i64::MIN);
            self.swept = Some(Instant::now());
        }
        loop {
            let rows = self.table.poll.rows(&after, PAGE).await;
            let rows = rows.map_err(|error| self.failed(error))?;
            let Some(last) = rows.last().map(|row| row.mark.clone()) else {
                return Ok(());
            };
            self.in_order(&after, &rows)?;
            let ended = rows.len() < PAGE;
            let new = rows
                .into_iter()
                .filter(|row| !self.seen.contains(&row.mark));
            let (marks, got): (Vec<_>, Vec<_>) = new.map(|row| self.got(row)).unzip();
            self.work.all(got).await?;
            let window = self.begin();
            self.seen
                .extend(marks.into_iter().filter(|mark| *mark > window));
            self.move_to(last.time).await?;
            if ended {
                return Ok(());
            }
            after = last;
        }
    }

    /// Where a pass begins.
    fn begin(&self) -> Mark {
        let time = i64::try_from(self.cursor.position.get()).unwrap_or(i64::MAX);
        let overlap = match without("rows that commit late are looked for") {
            true => 0,
            false => i64::try_from(self.table.overlap.as_micros()).unwrap_or(i64::MAX),
        };
        let time = Timestamp::from_micros(time.saturating_sub(overlap));
        let id = String::new();
        Mark { time, id }
    }

    fn got(&self, row: PolledRow<M>) -> (Mark, Got<M>) {
        let got = match row.message {
            Ok(message) => Got {
                body: Body::Message(serde_json::to_string(&message).unwrap_or_default()),
                message: Ok(Arc::new(message)),
            },
            Err((text, why)) => {
                let adapter = self.work.adapter.name().to_owned();
                Got {
                    message: Err(Error::caused_by(Kind::UnreadableMessage { adapter }, why)),
                    body: Body::raw(text.as_bytes()),
                }
            }
        };
        (row.mark, got)
    }

    /// Moves the cursor, and never beyond now: a row from the future would hide all others.
    async fn move_to(&mut self, time: Timestamp) -> Result<()> {
        let time = time.min(self.work.adapter.service.now()).as_micros();
        let position = Position::new(u64::try_from(time).unwrap_or(0));
        if position <= self.cursor.position {
            return Ok(());
        }
        let to = StreamCursor {
            position,
            ..self.cursor
        };
        let (store, inbox) = (self.work.adapter.service.store(), self.inbox());
        let tx = store.begin().await?;
        let step = InboxMove::new(&inbox, self.cursor, to);
        match store.commit_inbox(tx, &step).await? {
            Advanced::Moved => self.cursor = to,
            // Another instance polls, too.
            _ => self.cursor = store.inbox(&inbox).await?,
        }
        Ok(())
    }

    fn in_order(&self, after: &Mark, rows: &[PolledRow<M>]) -> Result<()> {
        let marks = rows.iter().map(|row| &row.mark);
        match std::iter::once(after).chain(marks).is_sorted_by(|a, b| a < b) {
            true => Ok(()),
            false => Err(self.failed(
                "the rows are not in the order of their times and ids, or not after the mark that was asked for".into(),
            )),
        }
    }

    fn failed(&self, error: HandlerError) -> Error {
        let adapter = self.work.adapter.name().to_owned();
        Error::caused_by(Kind::Polling { adapter }, error)
    }

    fn inbox(&self) -> InboxId {
        let (stream, version) = ("polled".to_owned(), 1);
        InboxId {
            consumer: format!("adapter {}", self.work.adapter.name()),
            stream: StreamVersion { stream, version },
        }
    }
}
