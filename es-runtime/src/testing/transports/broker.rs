//! A message broker in memory: the reference for those who write transports, and a broker that tests
//! of a service can switch off.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Reader;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::publish::{Link, Message, Route, Transport};

/// A broker in memory. Clones share it.
///
/// What is sent is on its way until its confirmation is waited for: [`cut`](Self::cut) loses it.
#[derive(Clone, Debug, Default)]
pub struct MemoryBroker {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
    distance: Duration,
}

#[derive(Debug, Default)]
struct State {
    away: bool,
    /// Who has each route.
    holders: HashMap<String, u64>,
    links: u64,
    /// What each reader has still to read, with what it is bound to.
    queues: Vec<(Binding, VecDeque<Vec<u8>>)>,
}

#[derive(Debug)]
enum Binding {
    Route(String),
    Queue(String),
}

impl State {
    fn reach(&mut self, bound: impl Fn(&Binding) -> bool, message: &Message) -> bool {
        let queues = self.queues.iter_mut().filter(|(to, _)| bound(to));
        let arrived = queues.map(|(_, queue)| queue.push_back(message.body.clone()));
        arrived.count() > 0
    }
}

impl MemoryBroker {
    /// A broker without readers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A broker that is so far away: what is sent is on its way for so long.
    pub fn far(distance: Duration) -> Self {
        Self {
            distance,
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who reads what is sent to `address` from now on, `accounts.v2`.
    pub fn reader(&self, address: &str) -> MemoryReader {
        self.bind(Binding::Route(format!("{address}.")))
    }

    /// A queue of its own, which only redelivery reaches.
    pub fn queue(&self, name: &str) -> MemoryReader {
        self.bind(Binding::Queue(name.to_owned()))
    }

    fn bind(&self, binding: Binding) -> MemoryReader {
        let mut state = self.state();
        state.queues.push((binding, VecDeque::new()));
        let (broker, queue) = (self.clone(), state.queues.len() - 1);
        MemoryReader { broker, queue }
    }

    /// Loses all connections, and what is on its way.
    pub fn cut(&self) {
        self.state().holders.clear();
        self.news.notify_waiters();
    }

    /// Lets nobody in until [`come_back`](Self::come_back).
    pub fn go_away(&self) {
        self.state().away = true;
        self.cut();
    }

    /// Takes connections again.
    pub fn come_back(&self) {
        self.state().away = false;
    }
}

/// Reads at a [`MemoryBroker`].
#[derive(Debug)]
pub struct MemoryReader {
    broker: MemoryBroker,
    queue: usize,
}

impl MemoryReader {
    /// What has arrived since this was asked the last time.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let mut state = self.broker.state();
        state.queues[self.queue].1.drain(..).collect()
    }
}

impl Reader for MemoryReader {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let news = self.broker.news.notified();
            let next = self.broker.state().queues[self.queue].1.pop_front();
            if next.is_some() {
                return next;
            }
            timeout(Duration::from_millis(50), news).await.ok()?;
        }
    }
}

/// A connection to a [`MemoryBroker`].
#[derive(Debug)]
pub struct MemoryLink {
    broker: MemoryBroker,
    address: String,
    number: u64,
    under_way: VecDeque<Message>,
}

impl MemoryLink {
    fn lost() -> Error {
        Error::broker("sending", "the connection is lost")
    }

    fn holds(&self, state: &State) -> bool {
        state.holders.get(&self.address) == Some(&self.number)
    }
}

impl MemoryLink {
    /// Lets a few messages arrive, as many as come over a wire at once, and answers the last one.
    fn deliver(&mut self) -> Result<Option<Position>> {
        let (mut last, mut state) = (None, self.broker.state());
        if !self.holds(&state) {
            return Err(Self::lost());
        }
        for message in self.under_way.drain(..self.under_way.len().min(7)) {
            let address = &message.address;
            let bound =
                |to: &Binding| matches!(to, Binding::Route(prefix) if address.starts_with(prefix));
            state.reach(bound, &message);
            last = Some(message.position);
        }
        self.broker.news.notify_waiters();
        Ok(last)
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        let mut state = self.broker.state();
        if self.holds(&state) {
            state.holders.remove(&self.address);
        }
    }
}

impl Transport for MemoryBroker {
    type Link = MemoryLink;

    fn name(&self) -> &str {
        "memory"
    }

    async fn open(&self, route: &Route) -> Result<MemoryLink> {
        let mut state = self.state();
        let address = route.address();
        if state.away {
            return Err(Error::broker("connecting", "the broker is away"));
        }
        if state.holders.contains_key(&address) {
            return Err(Error::held(address));
        }
        state.links += 1;
        let number = state.links;
        state.holders.insert(address.clone(), number);
        Ok(MemoryLink {
            broker: self.clone(),
            address,
            number,
            under_way: VecDeque::new(),
        })
    }

    async fn redeliver(&self, to: &str, messages: Vec<Message>) -> Result<()> {
        let mut state = self.state();
        if state.away {
            return Err(Error::broker("connecting", "the broker is away"));
        }
        let own = |binding: &Binding| matches!(binding, Binding::Queue(name) if name == to);
        for message in &messages {
            if !state.reach(own, message) {
                let to = to.to_owned();
                return Err(Error::new(Kind::NoSuchPlace { to }));
            }
        }
        self.news.notify_waiters();
        Ok(())
    }
}

impl Link for MemoryLink {
    async fn send(&mut self, message: Message) -> Result<()> {
        if !self.holds(&self.broker.state()) {
            return Err(Self::lost());
        }
        self.under_way.push_back(message);
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<Position> {
        if !self.broker.distance.is_zero() {
            sleep(self.broker.distance).await;
        }
        match self.deliver()? {
            Some(position) => Ok(position),
            None => pending().await,
        }
    }

    async fn close(self) {}
}
