//! A broker as the fast path, and a feed as the truth.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::broker::{Broker, Subscription};
use super::detector::Detector;
use super::source::{Filtered, Page, Source};
use super::window::{Found, Window};
use crate::error::{Error, Result};
use crate::event::Position;
use crate::integration::{CloudEvent, Place};
use crate::runtime::{backoff, without};
use crate::store::{StreamCursor, StreamVersion};

/// After how long the feed is asked again whether there is news.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a hole that the feed has not either is waited for, before it is looked at again.
const MOMENT: Duration = Duration::from_millis(500);
/// Messages on their way from the connection. More are dropped, and read from the feed.
const ON_THE_WAY: usize = 1_000;
/// Between two attempts to connect.
const FIRST: Duration = Duration::from_millis(200);
const SLOWEST: Duration = Duration::from_secs(30);

/// A source that hears of events over a broker, and reads from a feed what the broker does not bring.
///
/// ```no_run
/// # #[cfg(all(feature = "client", feature = "rabbitmq"))]
/// # fn source() -> impl es_runtime::consume::Source {
/// use es_runtime::consume::Feed;
/// use es_runtime::publish::RabbitMq;
///
/// let broker = RabbitMq::at("amqp://guest:guest@rabbitmq/%2f").exchange("bank");
/// Feed::http("http://bank:8080").with_broker(broker)
/// # }
/// ```
///
/// The law: the first event comes from the feed, and every other one does, too, or follows the one
/// before it by position *and by the hash of the stream*. A message that is lost, doubled, out of order, changed, or of
/// another history costs a question to the feed and nothing else; so does a broker that is away. While
/// the broker brings what comes next, the feed may be away. A broker that has brought nothing yet since it
/// was connected is not relied on: whoever sends to it may be away.
///
/// A queue at the broker is made for each process and goes with it: nothing is lost with it that the
/// feed does not have.
#[derive(Debug)]
pub struct Brokered<B, F> {
    broker: Arc<B>,
    feed: F,
    consumer: String,
    silence: Duration,
    window: Window,
    /// The task that listens, since the first read.
    listening: Option<Listening>,
    /// Where the broker has taken over from the feed, as far as anybody knows: it brings all that
    /// follows. What was answered is not in the window any more, and is the feed's again.
    caught_up: Option<Position>,
    /// When the feed was asked last.
    asked: Instant,
}

#[derive(Debug)]
struct Listening {
    stream: StreamVersion,
    news: mpsc::Receiver<News>,
    /// Whether the broker has brought something since the connection was made: before that, whoever
    /// sends to it may be away.
    brings: bool,
    /// Ends with this.
    _task: JoinSet<()>,
}

/// What the listening task tells.
#[derive(Debug)]
enum News {
    Event(Box<CloudEvent>),
    /// What is published from now on does not come over it.
    Lost,
}

impl<B: Broker, F: Source> Brokered<B, F> {
    /// Events come over `broker`; what it does not bring is read from `feed`.
    pub fn new(feed: F, broker: B) -> Self {
        Self {
            broker: Arc::new(broker),
            feed,
            consumer: String::new(),
            silence: SILENCE,
            window: Window::default(),
            listening: None,
            caught_up: None,
            asked: Instant::now(),
        }
    }

    /// How long nothing is asked of the feed, whatever the broker brings: five seconds unless something
    /// is said. A message that gets lost, and is followed by none, comes so late; and so often the
    /// publisher hears who reads, and whom it would leave behind.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    fn listening(&mut self, stream: &StreamVersion) -> &mut Listening {
        if self.listening.as_ref().is_some_and(|l| l.stream != *stream) {
            (self.listening, self.window, self.caught_up) = (None, Window::default(), None);
        }
        self.listening.get_or_insert_with(|| {
            let (tell, news) = mpsc::channel(ON_THE_WAY);
            let (broker, stream) = (self.broker.clone(), stream.clone());
            let listen = listen(broker, stream.clone(), self.consumer.clone(), tell);
            let mut task = JoinSet::new();
            task.spawn(listen);
            Listening {
                stream,
                news,
                brings: without("a broker that has brought nothing is not relied on"),
                _task: task,
            }
        })
    }

    /// What the window has for a reader at `after`.
    fn look(&mut self, stream: &StreamVersion, after: StreamCursor, limit: usize) -> Found {
        // Any history fits nothing: the first event is the feed's.
        let is_first = after.position == Position::START;
        if is_first && !without("a history begins with what the feed says") {
            return Found::Nothing;
        }
        self.window
            .take(Detector::new(stream.clone(), after), limit)
    }

    /// What the broker tells next, unless it is silent for too long.
    async fn news(&mut self, at_most: Duration) -> Option<News> {
        let patience = self.silence.saturating_sub(self.asked.elapsed());
        let patience = patience.min(at_most);
        let listening = self.listening.as_mut()?;
        timeout(patience, listening.news.recv()).await.ok()?
    }

    fn answer(&mut self, events: Vec<CloudEvent>) -> Page {
        if let Some(last) = events.last().and_then(CloudEvent::position) {
            self.caught_up = self.caught_up.and(Some(last));
        }
        Page { events }
    }

    /// Takes a piece of news.
    fn hear(&mut self, news: News) {
        if let Some(listening) = &mut self.listening {
            listening.brings = matches!(news, News::Event(_));
        }
        match news {
            News::Event(event) => self.window.offer(*event),
            News::Lost => self.caught_up = None,
        }
    }
}

impl<B: Broker, F: Source> Source for Brokered<B, F> {
    fn introduce(&mut self, consumer: &str) {
        consumer.clone_into(&mut self.consumer);
        self.feed.introduce(consumer);
    }

    async fn head(&mut self, stream: &StreamVersion) -> Result<Position> {
        self.feed.head(stream).await
    }

    async fn subject(
        &mut self,
        stream: &StreamVersion,
        subject: &str,
        after: Position,
        limit: usize,
    ) -> Result<Filtered> {
        self.feed.subject(stream, subject, after, limit).await
    }

    async fn place(
        &mut self,
        stream: &StreamVersion,
        of: u32,
        position: Position,
        origin: Position,
    ) -> Result<Place> {
        self.feed.place(stream, of, position, origin).await
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        let deadline = Instant::now() + wait;
        self.caught_up = self.caught_up.filter(|from| after.position >= *from);
        loop {
            while let Ok(news) = self.listening(stream).news.try_recv() {
                self.hear(news);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let hears = self.listening(stream).brings && after.position > Position::START;
            let due = self.asked.elapsed() >= self.silence && !without("silence is no proof");
            let found = match due {
                true => Found::Nothing,
                false => self.look(stream, after, limit),
            };
            let pause = match found {
                Found::Next(events) => return Ok(self.answer(events)),
                Found::Nothing => Duration::ZERO,
                Found::Hole => {
                    self.caught_up = None;
                    MOMENT
                }
                Found::Lie => {
                    tracing::warn!(%stream, position = %after.position.next(),
                        "the broker brought an event that does not follow; the feed is asked");
                    self.caught_up = None;
                    Duration::ZERO
                }
            };
            // Who does not wait wants to know what there is now, and takes no silence for it.
            if due || self.caught_up.is_none() || !hears || wait.is_zero() {
                // Without a broker that brings something it is the feed that waits for news.
                let patience = if hears { pause } else { self.silence };
                self.asked = Instant::now();
                let read = self.feed.read(stream, after, limit, patience.min(left));
                let page = match read.await {
                    Ok(page) => page,
                    Err(error) if due && hears && error.is_transient() => continue,
                    // What comes next may come over the broker.
                    Err(error) if hears && error.is_transient() => match self.news(left).await {
                        Some(news) => {
                            self.hear(news);
                            continue;
                        }
                        None => return Err(error),
                    },
                    Err(error) => return Err(error),
                };
                let nothing_more = hears && pause.is_zero() && page.events.is_empty();
                self.caught_up = nothing_more.then_some(after.position);
                if !page.events.is_empty() || left.is_zero() {
                    return Ok(self.answer(page.events));
                }
                continue;
            }
            if let Some(news) = self.news(left).await {
                self.hear(news);
            }
            if left.is_zero() {
                return Ok(Page::default());
            }
        }
    }
}

/// Connects for ever, and tells what comes, until nobody wants to know.
async fn listen<B: Broker>(
    broker: Arc<B>,
    stream: StreamVersion,
    consumer: String,
    tell: mpsc::Sender<News>,
) {
    let mut failures = 0;
    while !tell.is_closed() {
        let lost = match broker.subscribe(&stream, &consumer).await {
            Ok(subscription) => {
                failures = 0;
                let lost = until_lost(subscription, &stream, &tell).await;
                if tell.send(News::Lost).await.is_err() {
                    return;
                }
                lost
            }
            Err(error) => Some(error),
        };
        let Some(error) = lost else { return };
        tracing::warn!(consumer, %stream, %error, "the broker is away; the feed is read meanwhile");
        sleep(backoff(FIRST, failures, SLOWEST)).await;
        failures += 1;
    }
}

/// Tells what comes, until the connection is lost, or nobody wants to know.
async fn until_lost(
    mut subscription: impl Subscription,
    stream: &StreamVersion,
    tell: &mpsc::Sender<News>,
) -> Option<Error> {
    loop {
        let body = match subscription.next().await {
            Ok(body) => body,
            Err(error) => return Some(error),
        };
        match serde_json::from_slice(&body) {
            // Where there is no room, the feed has it.
            Ok(event) => drop(tell.try_send(News::Event(event))),
            Err(error) => tracing::warn!(%stream, %error, "a message is no CloudEvent"),
        }
        if tell.is_closed() {
            return None;
        }
    }
}
