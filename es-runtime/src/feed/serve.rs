//! How the feed is served.

use std::sync::Arc;
use std::time::Duration;

use super::access::{Authorize, Guard};
use super::headers::FOREVER;

/// How the feed is served: where, to whom, and how much a client may ask for.
///
/// The law: whatever clients do, what they can take of the process is bounded. What is refused is a
/// problem with a sentence, and 429 and 503 say when to come again.
///
/// ```
/// use std::time::Duration;
/// use es_runtime::feed::Serve;
///
/// let bank = es_runtime::Service::builder("bank").serve(
///     Serve::at("127.0.0.1:8080")
///         .largest_page(500)
///         .longest_wait(Duration::from_secs(20))
///         .waiting(500, 4),
/// );
/// ```
#[derive(Debug)]
pub struct Serve {
    /// Nothing for one without a port of its own.
    pub(super) address: Option<String>,
    pub(super) limits: Limits,
    pub(super) guard: Option<Arc<dyn Guard>>,
    pub(super) documents: super::documents::Documents,
}

/// What a client may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) waiting: usize,
    pub(super) waiting_each: usize,
    pub(super) answers: usize,
    pub(super) page: usize,
    pub(super) wait: Duration,
    pub(super) patience: Duration,
    pub(super) heartbeat: Duration,
    pub(super) lifetime: Duration,
    pub(super) max_age: u64,
}

/// The longest address, and the longest headers, in bytes.
pub(super) const LONGEST_URI: usize = 8 << 10;
pub(super) const LONGEST_HEADERS: usize = 16 << 10;
/// What is read of a request's head before it is given up; longer than both, so that they are
/// refused in words.
pub(super) const LONGEST_HEAD: usize = 64 << 10;

impl Serve {
    /// Listens on `address`; port 0 takes a free one.
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: Some(address.into()),
            limits: Limits {
                connections: 4096,
                waiting: 2048,
                waiting_each: 16,
                answers: 128,
                page: 1000,
                wait: Duration::from_secs(30),
                patience: Duration::from_secs(10),
                heartbeat: Duration::from_secs(15),
                lifetime: Duration::from_hours(1),
                max_age: FOREVER,
            },
            guard: None,
            documents: super::documents::Documents::default(),
        }
    }

    /// Opens no port: [`Service::feed`](crate::Service::feed) is mounted in a server of your own,
    /// behind its layers.
    pub fn mounted() -> Self {
        Self {
            address: None,
            ..Self::at("")
        }
    }

    /// Asks this, before anything of a stream is told. Everybody may read unless something is said.
    pub fn authorize(mut self, authorize: impl Authorize) -> Self {
        self.guard = Some(Arc::new(authorize));
        self
    }

    /// The most events on a page; 1,000 unless something is said. A client that wants more gets so
    /// many.
    pub fn largest_page(mut self, events: usize) -> Self {
        self.limits.page = events.max(1);
        self
    }

    /// The longest that a request may wait for news; 30 seconds unless something is said.
    pub fn longest_wait(mut self, time: Duration) -> Self {
        self.limits.wait = time;
        self
    }

    /// How many requests may wait for news at once, in all and of each consumer; 2,048 and 16 unless
    /// something is said. Those without a name together may be half of all.
    pub fn waiting(mut self, all: usize, each: usize) -> Self {
        self.limits.waiting = all;
        self.limits.waiting_each = each;
        self
    }

    /// How many connections may be open at once; 4,096 unless something is said. One more is told to
    /// come again.
    pub fn connections(mut self, most: usize) -> Self {
        self.limits.connections = most;
        self
    }

    /// How many pages may be under way at once, read or not yet taken by their clients; 128 unless
    /// something is said. It bounds the memory: a page is about a megabyte at most. Others wait.
    pub fn answers(mut self, most: usize) -> Self {
        self.limits.answers = most.max(1);
        self
    }

    /// How long a client may take to send a request's head, to take a part of an answer, or to send
    /// another request over its connection; 10 seconds unless something is said.
    pub fn patience(mut self, time: Duration) -> Self {
        self.limits.patience = time;
        self
    }

    /// How often a stream of server-sent events is kept alive with a comment, and after how long it
    /// ends, to be asked for again; 15 seconds and an hour unless something is said.
    pub fn sent_events(mut self, heartbeat: Duration, lifetime: Duration) -> Self {
        self.limits.heartbeat = heartbeat.max(Duration::from_millis(1));
        self.limits.lifetime = lifetime;
        self
    }

    /// How long caches may keep a full page; for ever unless something is said, since it never
    /// changes. Say something where payloads may be redacted.
    pub fn max_age(mut self, time: Duration) -> Self {
        self.limits.max_age = time.as_secs().min(FOREVER);
        self
    }

    /// Serves the schemas of this contract's events, and its AsyncAPI document. It is the contract of
    /// the service's own streams; mistakes in it come out of `start`.
    #[cfg(feature = "schema")]
    pub fn contract(mut self, contract: crate::schema::Contract) -> Self {
        self.documents.add(contract);
        self
    }
}

impl From<&str> for Serve {
    fn from(address: &str) -> Self {
        Self::at(address)
    }
}

impl From<String> for Serve {
    fn from(address: String) -> Self {
        Self::at(address)
    }
}
