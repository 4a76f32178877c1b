//! What a consumer is made of, and the handle to one at work.

use std::marker::PhantomData;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::driver::Work;
use super::handler::Handler;
use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::{IntegrationEvent, stream_of};
use crate::runtime::Stop;
use crate::store::{Advanced, EventStore, InboxId, Store, StreamCursor};

/// A consumer of one stream of another service: says who it is and where it keeps its inbox.
///
/// ```no_run
/// # use es_runtime::{Store, consume::{Consumer, Feed, Handler, HandlerError}, prelude::*, store::Tx};
/// # #[derive(Clone, Serialize, Deserialize, IntegrationEvent)]
/// # #[integration(stream = "accounts", version = 1)]
/// # enum Accounts { Opened }
/// # struct Notify;
/// # impl Handler<Accounts> for Notify {
/// #     async fn handle(&mut self, _: &Received<Accounts>, _: &mut Tx) -> Result<(), HandlerError> { Ok(()) }
/// # }
/// # async fn run() -> es_runtime::Result<()> {
/// let inbox = Store::connect("sqlite://notifications.db").await?;
/// let consumer = Consumer::new("notifications", inbox)
///     .stream::<Accounts>(Feed::http("http://bank:8080"))
///     .handle(Notify)
///     .start()
///     .await?;
/// consumer.until_shutdown().await
/// # }
/// ```
///
/// The law: the cursor and the effects of the handler are committed together, in the stream's
/// order; a duplicate is dropped, a hole is asked for again, and nothing is skipped.
#[derive(Debug)]
pub struct Consumer<E = (), S = (), H = ()> {
    name: String,
    pub(super) inbox: Store,
    pub(super) source: S,
    pub(super) handler: H,
    pub(super) skip_unknown: bool,
    event: PhantomData<fn() -> E>,
}

impl Consumer {
    /// A consumer of this name, which keeps its cursor and its effects in `inbox`.
    pub fn new(name: impl Into<String>, inbox: Store) -> Self {
        let (source, handler, event) = ((), (), PhantomData);
        Self {
            name: name.into(),
            inbox,
            source,
            handler,
            skip_unknown: false,
            event,
        }
    }

    /// The stream to read, named by its event type, and where.
    pub fn stream<E: IntegrationEvent>(self, mut source: impl Source) -> Consumer<E, impl Source> {
        let Self {
            name,
            inbox,
            skip_unknown,
            ..
        } = self;
        source.introduce(&name);
        Consumer {
            name,
            inbox,
            source,
            handler: (),
            skip_unknown,
            event: PhantomData,
        }
    }
}

impl<E: IntegrationEvent, S: Source, H> Consumer<E, S, H> {
    /// What to do with each event.
    pub fn handle<N: Handler<E>>(self, handler: N) -> Consumer<E, S, N> {
        let Self {
            name,
            inbox,
            source,
            skip_unknown,
            event,
            ..
        } = self;
        Consumer {
            name,
            inbox,
            source,
            handler,
            skip_unknown,
            event,
        }
    }

    /// Passes over events whose type this contract does not know, instead of stopping at them.
    pub fn skip_unknown_types(mut self) -> Self {
        self.skip_unknown = true;
        self
    }
}

impl<E: IntegrationEvent, S: Source, H: Handler<E>> Consumer<E, S, H> {
    /// Lets the handler prepare, and starts to consume where the inbox stands.
    ///
    /// # Errors
    /// When the inbox cannot be read, or the handler cannot prepare.
    pub async fn start(mut self) -> Result<Running> {
        let id = InboxId {
            consumer: self.name.clone(),
            stream: stream_of::<E>(),
        };
        let cursor = self.prepare(&id).await?;
        let (progress, seen) = watch::channel(Progress {
            position: cursor.position,
            trouble: None,
        });
        let (stop, stopped) = watch::channel(false);
        let name = id.consumer.clone();
        let work = Work::new(self, id, cursor, progress, Stop::new(stopped));
        Ok(Running {
            name,
            task: tokio::spawn(work.run()),
            stop,
            seen,
        })
    }

    /// Commits what the handler prepares, and answers where the inbox stands. Started again at
    /// once if another instance moves it meanwhile.
    async fn prepare(&mut self, id: &InboxId) -> Result<StreamCursor> {
        loop {
            let mut tx = self.inbox.begin().await?;
            let cursor = self.inbox.inbox(id).await?;
            self.handler.prepare(&mut tx).await.map_err(|error| {
                let consumer = id.consumer.clone();
                Error::caused_by(Kind::Unprepared { consumer }, error)
            })?;
            if self.inbox.commit_inbox(tx, id, cursor, cursor).await? == Advanced::Moved {
                return Ok(cursor);
            }
        }
    }
}

/// How far a consumer has come, and what is in its way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The last position whose effects are committed.
    pub position: Position,
    /// What failed last, while it is tried again.
    pub trouble: Option<String>,
}

/// A consumer at work.
#[derive(Debug)]
pub struct Running {
    name: String,
    task: JoinHandle<Result<()>>,
    stop: watch::Sender<bool>,
    seen: watch::Receiver<Progress>,
}

impl Running {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.seen.borrow().clone()
    }

    /// Waits until it has handled everything up to `position`.
    ///
    /// # Errors
    /// When it has stopped before; [`stop`](Self::stop) tells why.
    pub async fn reached(&self, position: Position) -> Result<()> {
        let there = |progress: &Progress| progress.position >= position;
        let ended = |_| {
            let reason = "its task has ended; `stop()` tells why".to_owned();
            Error::new(Kind::Stopped {
                worker: self.name.clone(),
                reason,
            })
        };
        self.seen
            .clone()
            .wait_for(there)
            .await
            .map(drop)
            .map_err(ended)
    }

    /// Finishes the transaction at hand and stops.
    ///
    /// # Errors
    /// Why it had stopped before, if it had: nothing was skipped.
    pub async fn stop(self) -> Result<()> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Runs until the process is asked to stop (Ctrl-C, SIGTERM), or until it cannot go on.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub async fn until_shutdown(mut self) -> Result<()> {
        tokio::select! {
            () = crate::runtime::asked_to_stop() => self.stop().await,
            ended = &mut self.task => ended.map_err(|error| panicked(&self.name, error))?,
        }
    }

    async fn ended(self) -> Result<()> {
        self.task
            .await
            .map_err(|error| panicked(&self.name, error))?
    }
}

fn panicked(name: &str, error: tokio::task::JoinError) -> Error {
    let (worker, reason) = (name.to_owned(), crate::runtime::panic_message(error));
    Error::new(Kind::Stopped { worker, reason })
}
