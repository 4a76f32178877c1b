//! What a consumer is made of.

use std::marker::PhantomData;
use std::time::Duration;

use tokio::sync::watch;

use super::begin::Begin;
use super::beside::Beside;
use super::driver::Work;
use super::handler::Handler;
use super::inbox::Inbox;
use super::running::Running;
use super::source::Source;
use super::told::Told;
use crate::error::{Error, Kind, Result};
use crate::integration::{IntegrationEvent, stream_of};
use crate::runtime::Stop;
use crate::store::{EventStore, InboxId, Store, StreamVersion};

/// How often an event is tried until somebody should look.
const ATTEMPTS: u32 = 8;
/// How long parts stay an instance's own that is not heard of.
const LEASE: Duration = Duration::from_secs(3);

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
    pub(super) inbox: Store,
    pub(super) source: S,
    pub(super) handler: H,
    pub(super) skip_unknown: bool,
    pub(super) begin: Begin,
    pub(super) attempts: u32,
    pub(super) lease: Duration,
    pub(super) parts: Option<u16>,
    pub(super) another: Option<fn(&H) -> H>,
    pub(super) continues: Option<u32>,
    older: Vec<StreamVersion>,
    name: String,
    event: PhantomData<fn() -> E>,
}

impl Consumer {
    /// A consumer of this name, which keeps its cursor and its effects in `inbox`.
    pub fn new(name: impl Into<String>, inbox: Store) -> Self {
        Self {
            inbox,
            source: (),
            handler: (),
            skip_unknown: false,
            begin: Begin::First,
            attempts: ATTEMPTS,
            lease: LEASE,
            parts: Some(1),
            another: None,
            continues: None,
            older: Vec::new(),
            name: name.into(),
            event: PhantomData,
        }
    }

    /// The stream to read, named by its event type, and where.
    pub fn stream<E: IntegrationEvent>(self, mut source: impl Source) -> Consumer<E, impl Source> {
        source.introduce(&self.name);
        self.with(|(), ()| (source, ()))
    }
}

impl<E, S, H> Consumer<E, S, H> {
    /// The same settings, with another source and handler.
    fn with<E2, S2, H2>(self, replace: impl FnOnce(S, H) -> (S2, H2)) -> Consumer<E2, S2, H2> {
        let (source, handler) = replace(self.source, self.handler);
        Consumer {
            inbox: self.inbox,
            source,
            handler,
            skip_unknown: self.skip_unknown,
            begin: self.begin,
            attempts: self.attempts,
            lease: self.lease,
            parts: self.parts,
            another: None,
            continues: None,
            older: self.older,
            name: self.name,
            event: PhantomData,
        }
    }

    /// Passes over events whose type this contract does not know. By default they wait, with their
    /// key, for the release that does.
    pub fn skip_unknown_types(mut self) -> Self {
        self.skip_unknown = true;
        self
    }

    /// Where a consumer begins that is new to the stream; by default at the first event.
    pub fn from(mut self, begin: Begin) -> Self {
        self.begin = begin;
        self
    }

    /// Goes on where this consumer stands in an older version of the stream, if it has read that one: as
    /// soon as the new version is served, its inbox moves over, at an exact point, with the keys that are
    /// set aside. Say it for each version that may still have the inbox.
    ///
    /// The law: of everything that the publisher did, the consumer has what the one version tells of it or
    /// what the other tells, and never both. Instances of the release before stand by meanwhile; when no
    /// newer one is left, they take the inbox back in the same way.
    ///
    /// ```no_run
    /// # use es_runtime::{Store, consume::{Consumer, Feed, Handler}, prelude::*};
    /// # fn run<V1: IntegrationEvent, V2: IntegrationEvent>(inbox: Store, handler: impl Handler<V2>) {
    /// let consumer = Consumer::new("notifications", inbox)
    ///     .stream::<V2>(Feed::http("http://bank:8080"))
    ///     .continues::<V1>()
    ///     .handle(handler);
    /// # }
    /// ```
    pub fn continues<O: IntegrationEvent>(mut self) -> Self {
        self.older.push(stream_of::<O>());
        self
    }

    /// How often an event is tried, with growing pauses, until its key counts as parked: that is
    /// logged as an error and shown in the [`Progress`](super::Progress), since somebody should look.
    /// It is tried on, every few minutes. By default eight times.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long what this instance works on stays its own when it is not heard of; by default three
    /// seconds. Another one goes on then. It saves work alone: no effect depends on it.
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }
}

impl<E: IntegrationEvent, S: Source, H> Consumer<E, S, H> {
    /// What to do with each event.
    pub fn handle<N: Handler<E>>(self, handler: N) -> Consumer<E, S, N> {
        self.with(|source, _| (source, handler))
    }
}

impl<E: IntegrationEvent, S: Source, H: Handler<E> + Clone> Consumer<E, S, H> {
    /// Handles events in so many parts, side by side: each has some of the keys, with a cursor and
    /// transactions of its own, and a clone of the handler. Several instances divide the parts among
    /// them.
    ///
    /// The number may change with a release: the parts come to one position first, by themselves. All
    /// instances work in as many as the one wants that started last.
    pub fn parts(mut self, parts: u16) -> Self {
        self.parts = Some(parts);
        self.another = Some(H::clone);
        self
    }
}

impl<E: IntegrationEvent, S: Source, H: Handler<E>> Consumer<E, S, H> {
    /// Lets the handler prepare, and starts to consume where the inbox stands.
    ///
    /// # Errors
    /// When the inbox cannot be read, or the handler cannot prepare, and when what it
    /// [continues](Self::continues) is no older version of its stream.
    pub async fn start(mut self) -> Result<Running> {
        let id = InboxId {
            consumer: self.name.clone(),
            stream: stream_of::<E>(),
        };
        for older in &self.older {
            if older.stream != id.stream.stream || older.version >= id.stream.version {
                let (consumer, stream) = (self.name.clone(), id.stream.to_string());
                let other = older.to_string();
                return Err(Error::new(Kind::NoPredecessor {
                    consumer,
                    stream,
                    other,
                }));
            }
        }
        self.continues = self.older.iter().map(|older| older.version).min();
        let mut tx = self.inbox.begin().await?;
        tx.take_turns().await?;
        self.handler.prepare(&mut tx).await.map_err(|error| {
            let consumer = id.consumer.clone();
            Error::caused_by(Kind::Unprepared { consumer }, error)
        })?;
        tx.commit().await?;
        let (told, seen) = Told::new();
        told.moved(0, self.inbox.inbox(&id).await?.position);
        let (stop, stopped) = watch::channel(false);
        let (name, attempts) = (self.name.clone(), self.attempts);
        let inbox = Inbox::new(id.clone(), self.inbox.clone());
        let (beside, questions) = Beside::new(&name);
        let asked = (beside.clone(), questions);
        let (work, source, begin) = Work::new(self, id, asked, told, Stop::new(stopped));
        Ok(Running {
            name,
            beside,
            news: work.news(),
            task: tokio::spawn(work.run(source, begin)),
            stop,
            seen,
            attempts,
            inbox,
        })
    }
}
