//! The log as typed events, page after page, in bounded memory.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{EventStore, LogPage, LogQuery};
use crate::error::Result;
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
/// let mut events = store.replay::<AccountEvent>(LogQuery::after(Position::START).limit(5000));
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
struct Ahead {
    reading: Pin<Box<dyn Future<Output = Result<LogPage>> + Send>>,
    page: Option<Result<LogPage>>,
}

impl Ahead {
    fn new<S: EventStore>(store: &S, query: &LogQuery) -> Self {
        let (store, query) = (store.clone(), query.clone());
        Self {
            reading: Box::pin(async move { store.read_log(&query).await }),
            page: None,
        }
    }

    /// Asks the database, which goes to work. A task that was spawned for it would not begin before
    /// the one at hand waits: a worker keeps what was spawned last to itself.
    fn begin(mut self) -> Self {
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(page) = self.reading.as_mut().poll(&mut nobody) {
            self.page = Some(page);
        }
        self
    }

    async fn page(&mut self) -> Result<LogPage> {
        match self.page.take() {
            Some(page) => page,
            None => self.reading.as_mut().await,
        }
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ahead")
    }
}

impl<S: EventStore, E: Event> Replay<S, E> {
    /// Reads what `query` asks for; the limit is that of one page.
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
                self.parts = Recorded::decode(event)?;
                self.decoded += 1;
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
            self.ahead = Some(Ahead::new(&self.store, &self.query).begin());
            self.page = Some(page);
        }
    }

    /// The page after the one at hand.
    async fn read(&mut self) -> Result<LogPage> {
        // Kept where it is, so that a dropped call does not give it up.
        let (store, query) = (&self.store, &self.query);
        let ahead = self.ahead.get_or_insert_with(|| Ahead::new(store, query));
        let page = ahead.page().await;
        self.ahead = None;
        page
    }
}
