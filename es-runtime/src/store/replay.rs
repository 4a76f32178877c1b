//! The log as typed events, page after page, in bounded memory.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use tokio::task::JoinHandle;

use super::{EventStore, LogPage, LogQuery};
use crate::error::{Error, Result};
use crate::event::{Event, Parts, Recorded};

/// Reads the events of one aggregate's streams, in the order of the log: page after page, the next
/// one on its way while this one is decoded.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "account", aggregate = Account)]
/// # enum AccountEvent { Opened }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "account", event = AccountEvent, command = Never, error = std::fmt::Error)]
/// # struct Account;
/// # #[derive(Clone, Command)] #[command(aggregate = Account)] enum Never {}
/// # impl Account { fn on_opened(&mut self) {} }
/// # async fn example(store: es_runtime::Store) -> es_runtime::Result<()> {
/// use es_runtime::store::LogQuery;
/// let mut events = store.replay::<AccountEvent>(LogQuery::after(Position::START).limit(1000));
/// while let Some(event) = events.next().await? {
///     println!("{} {} {:?}", event.position, event.stream, event.data);
/// }
/// # Ok(())
/// # }
/// ```
///
/// The law: it skips nothing. An event of the aggregate that does not decode is an error, again
/// each time it is asked for.
#[derive(Debug)]
pub struct Replay<S, E> {
    store: S,
    /// What is read after the page at hand.
    query: LogQuery,
    page: Option<LogPage>,
    /// Events of the page that were decoded.
    decoded: usize,
    /// What the last of them is today, as far as it was not answered yet.
    parts: Parts<Recorded<E>>,
    ahead: Option<Ahead>,
}

/// A page on its way; dropped, it is given up.
#[derive(Debug)]
struct Ahead(JoinHandle<Result<LogPage>>);

impl Ahead {
    /// The database is asked here and now: a worker keeps the task to itself until the one at hand
    /// waits. From then on the task is driven whoever asks for the page, so that a reader who is
    /// busy elsewhere keeps no connection from others.
    fn new<S: EventStore>(store: &S, query: &LogQuery) -> Self {
        let (store, query) = (store.clone(), query.clone());
        let mut reading = Box::pin(async move { store.read_log(&query).await });
        let mut nobody = Context::from_waker(Waker::noop());
        let begun = match reading.as_mut().poll(&mut nobody) {
            Poll::Ready(page) => Some(page),
            Poll::Pending => None,
        };
        Self(tokio::spawn(async move {
            match begun {
                Some(page) => page,
                None => reading.await,
            }
        }))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<S: EventStore, E: Event> Replay<S, E> {
    /// Reads what `query` asks for; the limit is that of one page. Good ones are 1,000 to 1,500 on
    /// PostgreSQL, which would wait while more are decoded, and 5,000 on SQLite, where each changes
    /// threads.
    pub fn new(store: S, query: LogQuery) -> Self {
        Self {
            store,
            query: query.of(E::NAME),
            page: None,
            decoded: 0,
            parts: Parts::none(),
            ahead: None,
        }
    }

    /// The next event, or nothing when there is none yet: ask again when the log has grown.
    ///
    /// # Errors
    /// When the log cannot be read, or the event cannot be decoded.
    ///
    /// # Cancel safety
    /// A dropped future loses no event.
    pub async fn next(&mut self) -> Result<Option<Recorded<E>>> {
        loop {
            if let Some(event) = self.parts.next() {
                return Ok(Some(event));
            }
            if let Some(event) = self
                .page
                .as_ref()
                .and_then(|page| page.events.get(self.decoded))
            {
                let parts = Recorded::decode(event)?;
                self.decoded += 1;
                match parts.single() {
                    Ok(event) => return Ok(Some(event)),
                    Err(parts) => self.parts = parts,
                }
                continue;
            }
            let page = self.read().await?;
            let before = self.query.position();
            self.query = self.query.from(page.seen);
            self.decoded = 0;
            if page.seen == before {
                self.page = None;
                return Ok(None);
            }
            self.ahead = Some(Ahead::new(&self.store, &self.query));
            self.page = Some(page);
        }
    }

    /// The page after the one at hand.
    async fn read(&mut self) -> Result<LogPage> {
        // Kept where it is, so that a dropped call does not give it up.
        let (store, query) = (&self.store, &self.query);
        let ahead = self.ahead.get_or_insert_with(|| Ahead::new(store, query));
        let page = (&mut ahead.0).await;
        self.ahead = None;
        page.map_err(|error| Error::database("reading the log", error))?
    }
}
