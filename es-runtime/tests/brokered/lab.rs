//! A stream, a broker and a feed that do as they are told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::consume::{
    Broker, Brokered, Consumer, Handler, HandlerError, Page, Running, Source, Subscription,
};
use es_runtime::event::Position;
use es_runtime::integration::{CloudEvent, Received};
use es_runtime::store::{EventStore, StreamCursor, StreamVersion, Tx};
use es_runtime::{Error, Result, Service, Store};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::domain::{Account, deposit, open, v1};

pub(crate) fn seed() -> u64 {
    let named = std::env::var("ES_SEED").ok();
    named.map_or_else(
        || fastrand::u64(..1 << 60),
        |text| text.parse().expect("a seed"),
    )
}

pub(crate) struct Lab {
    all: Vec<CloudEvent>,
    pub(crate) broker: Fake,
    pub(crate) feed: Published,
    inbox: Store,
    seen: Seen,
}

/// A broker that sends what it is told to send.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    listeners: Arc<Mutex<Vec<mpsc::UnboundedSender<Vec<u8>>>>>,
    is_away: Arc<AtomicBool>,
    connected: Arc<watch::Sender<usize>>,
}

pub(crate) struct Listener(mpsc::UnboundedReceiver<Vec<u8>>);

impl Fake {
    /// Sends an event to all that listen.
    pub(crate) fn send(&self, event: &CloudEvent) {
        let body = serde_json::to_vec(event).unwrap();
        let mut listeners = self.listeners.lock().unwrap();
        listeners.retain(|listener| listener.send(body.clone()).is_ok());
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.listeners.lock().unwrap().clear();
    }

    pub(crate) fn away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
        if away {
            self.cut();
        }
    }
}

impl Broker for Fake {
    type Subscription = Listener;

    async fn subscribe(&self, _: &StreamVersion, _: &str) -> Result<Listener> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Error::broker("connecting", "it is away"));
        }
        let (listener, listens) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().push(listener);
        self.connected.send_modify(|connected| *connected += 1);
        Ok(Listener(listens))
    }
}

impl Subscription for Listener {
    async fn next(&mut self) -> Result<Vec<u8>> {
        let cut = || Error::broker("consuming", "the connection was cut");
        self.0.recv().await.ok_or_else(cut)
    }
}

/// A feed of what is published so far.
#[derive(Clone)]
pub(crate) struct Published {
    events: Arc<Vec<CloudEvent>>,
    published: Arc<AtomicUsize>,
    is_away: Arc<AtomicBool>,
    questions: Arc<AtomicUsize>,
    /// To so many questions it answers that there is nothing.
    silent: Arc<AtomicUsize>,
}

impl Published {
    /// How often it was asked.
    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }

    pub(crate) fn away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    /// Answers to the next question that there is nothing.
    pub(crate) fn lie_once(&self) {
        self.silent.store(1, Ordering::SeqCst);
    }

    fn lies(&self) -> bool {
        let lies = |left: usize| left.checked_sub(1);
        let order = Ordering::SeqCst;
        self.silent.fetch_update(order, order, lies).is_ok()
    }
}

impl Source for Published {
    async fn read(
        &mut self,
        _: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let more = async {
            loop {
                let published = self.published.load(Ordering::SeqCst);
                let from = usize::try_from(after.position.get()).unwrap();
                if from < published {
                    return self.events[from..published.min(from + limit)].to_vec();
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Error::database("reading the feed", "it is away"));
        }
        if self.lies() {
            return Ok(Page::default());
        }
        let events = timeout(wait, more).await.unwrap_or_default();
        Ok(Page { events })
    }
}

/// What was handled.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(u64, v1::Accounts)>>>);

impl Handler<v1::Accounts> for Seen {
    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        _: &mut Tx,
    ) -> Result<(), HandlerError> {
        let seen = (event.position.get(), event.data.clone());
        self.0.lock().unwrap().push(seen);
        Ok(())
    }
}

impl Lab {
    /// A stream that will have so many events; none is published yet.
    pub(crate) async fn with(events: usize) -> Result<Self> {
        Self::of("alice", events).await
    }

    /// As [`with`](Self::with), with another account in its history.
    pub(crate) async fn of(account: &str, events: usize) -> Result<Self> {
        let store = Store::connect("memory:").await?;
        let bank = Service::builder("bank")
            .store(store.clone())
            .aggregate::<Account>()
            .publish::<Account, v1::Accounts>()
            .start()
            .await?;
        bank.execute::<Account>(account, open("Alice")).await?;
        for _ in 1..events {
            bank.execute::<Account>(account, deposit(1)).await?;
        }
        bank.caught_up().await?;
        let stream = es_runtime::integration::stream_of::<v1::Accounts>();
        let made = store
            .read_published(&stream, Default::default(), events)
            .await?;
        let made = made
            .into_iter()
            .map(|event| CloudEvent::new("bank", &stream, event));
        let all: Vec<_> = made.collect::<Result<_>>()?;
        assert_eq!(all.len(), events);
        bank.shutdown().await?;
        Ok(Self {
            feed: Published {
                events: Arc::new(all.clone()),
                published: Arc::default(),
                is_away: Arc::default(),
                questions: Arc::default(),
                silent: Arc::default(),
            },
            all,
            broker: Fake::default(),
            inbox: Store::connect("memory:").await?,
            seen: Seen::default(),
        })
    }

    pub(crate) fn events(&self) -> &[CloudEvent] {
        &self.all
    }

    /// From now on the feed has so many events.
    pub(crate) fn publish(&self, events: usize) {
        self.feed.published.store(events, Ordering::SeqCst);
    }

    pub(crate) async fn consumer(&self) -> Result<Running> {
        let source = Brokered::new(self.feed.clone(), self.broker.clone());
        Consumer::new("watcher", self.inbox.clone())
            .stream::<v1::Accounts>(source)
            .handle(self.seen.clone())
            .start()
            .await
    }

    /// Waits until somebody listens to the broker.
    pub(crate) async fn connected(&self) {
        let mut connected = self.broker.connected.subscribe();
        connected
            .wait_for(|connections| *connections > 0)
            .await
            .unwrap();
    }

    /// A consumer that has handled the first event, and listens to a broker that has brought nothing.
    pub(crate) async fn connecting(&self) -> Result<Running> {
        self.publish(1);
        let running = self.consumer().await?;
        running.reached(Position::new(1)).await?;
        self.connected().await;
        Ok(running)
    }

    /// A consumer that has handled the first event and has nothing to do but to listen.
    pub(crate) async fn waiting(&self) -> Result<Running> {
        let running = self.connecting().await?;
        self.broker.send(&self.all[0]);
        // In virtual time: until the question to the feed has been answered that was under way.
        sleep(Duration::from_secs(6)).await;
        Ok(running)
    }

    /// The positions that were handled, in that order.
    pub(crate) fn handled(&self) -> Vec<u64> {
        let seen = self.seen.0.lock().unwrap();
        seen.iter().map(|(position, _)| *position).collect()
    }

    /// The accounts that were opened.
    pub(crate) fn opened(&self) -> Vec<String> {
        let seen = self.seen.0.lock().unwrap();
        let account = |event: &v1::Accounts| match event {
            v1::Accounts::AccountOpened { account } => Some(account.clone()),
            _ => None,
        };
        seen.iter()
            .filter_map(|(_, event)| account(event))
            .collect()
    }
}
