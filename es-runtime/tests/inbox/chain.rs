//! A long stream that costs little to make, whose source can be told to lie.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::consume::{Filtered, Page, Source};
use es_runtime::event::Position;
use es_runtime::integration::{CloudEvent, Salt, StreamHash};
use es_runtime::store::{EventStore, PublishedEvent, StreamCursor, StreamVersion};
use es_runtime::{Error, Result};
use fastrand::Rng;

use crate::publisher;

pub(crate) fn accounts() -> StreamVersion {
    StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    }
}

/// The events of these accounts in turns, `n` in all, chained; what happened at some positions may be
/// something else.
pub(crate) async fn events(
    accounts: &[&str],
    n: u64,
    other: impl Fn(u64) -> bool,
) -> Result<Vec<CloudEvent>> {
    let stream = self::accounts();
    let (_bank, upstream) = publisher(accounts, 3).await?;
    let few = upstream
        .read_published(&stream, Position::START, 1000)
        .await?;
    let mut hash = StreamHash::START;
    let event = |position: u64| {
        let turn = usize::try_from(position - 1).unwrap() % accounts.len();
        // Another amount, of the same account.
        let which = accounts.len() * if other(position) { 2 } else { 1 } + turn;
        let template = few[which].clone();
        // The same each time.
        let salt = Salt::from_bytes(u128::from(position).to_be_bytes());
        let position = Position::new(position);
        hash = hash.after(position, &template.event_type, salt, &template.payload);
        let event = PublishedEvent {
            position,
            salt: *salt.as_bytes(),
            hash: *hash.as_bytes(),
            ..template
        };
        CloudEvent::new("bank", &stream, event)
    };
    (1..=n).map(event).collect()
}

/// What a source does to what it was asked for.
type Lie = dyn Fn(&mut Vec<CloudEvent>) + Send + Sync;

/// A source of these events.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) events: Arc<Vec<CloudEvent>>,
    /// It shows nothing beyond, unless it is asked for one subject.
    pub(crate) gate: Arc<AtomicU64>,
    /// What it does to the events of one subject.
    pub(crate) lie: Arc<Lie>,
    /// Where it fails now and then.
    pub(crate) moody: Option<Arc<Mutex<Rng>>>,
}

impl Chain {
    pub(crate) fn of(events: Vec<CloudEvent>) -> Self {
        Self {
            events: Arc::new(events),
            gate: Arc::new(AtomicU64::new(u64::MAX)),
            lie: Arc::new(|_| ()),
            moody: None,
        }
    }

    pub(crate) fn open(&self, until: u64) {
        self.gate.store(until, Ordering::SeqCst);
    }

    fn after(&self, position: Position) -> impl Iterator<Item = &CloudEvent> {
        let many = usize::try_from(position.get()).unwrap();
        self.events.iter().skip(many)
    }

    fn in_the_mood(&self) -> Result<()> {
        let moody = self.moody.as_ref();
        match moody.is_some_and(|random| random.lock().unwrap().u8(..8) == 0) {
            true => Err(Error::database("reading", "the network is away")),
            false => Ok(()),
        }
    }
}

impl Source for Chain {
    async fn head(&mut self, _: &StreamVersion) -> Result<Position> {
        Ok(Position::new(self.events.len() as u64))
    }

    async fn read(
        &mut self,
        _: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        _: Duration,
    ) -> Result<Page> {
        self.in_the_mood()?;
        let gate = Position::new(self.gate.load(Ordering::SeqCst));
        let shown = self.after(after.position);
        let shown = shown.take_while(|event| event.position() <= Some(gate));
        let events = shown.take(limit).cloned().collect();
        Ok(Page { events })
    }

    /// As a feed does, it looks through a part of the stream at once.
    async fn subject(
        &mut self,
        _: &StreamVersion,
        subject: &str,
        after: Position,
        limit: usize,
    ) -> Result<Filtered> {
        self.in_the_mood()?;
        let head = Position::new(self.events.len() as u64);
        let mut checkpoint = Position::new(after.get() + 700).min(head);
        let looked = self.after(after).take(700);
        let own = looked.filter(|event| event.subject == subject);
        let mut events: Vec<_> = own.take(limit).cloned().collect();
        if events.len() == limit {
            checkpoint = events[limit - 1].position().unwrap();
        }
        (self.lie)(&mut events);
        Ok(Filtered {
            events,
            checkpoint,
            head,
        })
    }
}
