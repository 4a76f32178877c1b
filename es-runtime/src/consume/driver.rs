//! Drives a consumer: claims parts of its inbox, has each worked on, and lets the stream be read for
//! all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::ahead::Ahead;
use super::begin::Begin;
use super::consumer::Consumer;
use super::handler::Handler;
use super::held::Held;
use super::reader::{Open, PAUSE, Reader, pause};
use super::source::Source;
use super::told::Told;
use super::worker::{End, Ended, Heard, Worker};
use crate::error::{Error, Kind, Result};
use crate::integration::IntegrationEvent;
use crate::runtime::{Stop, panic_message};
use crate::store::{EventStore, InboxClaim, InboxClaimed, InboxId, InboxPart, Store, StreamCursor};

/// The handler of a consumer, and how others like it are made.
struct Handlers<H> {
    one: Arc<Mutex<H>>,
    another: Option<fn(&H) -> H>,
}

impl<H> Handlers<H> {
    /// A handler for a part: one of its own, or, where there is only one, that one in turn.
    async fn give(&self) -> Arc<Mutex<H>> {
        match self.another {
            Some(another) => Arc::new(Mutex::new(another(&*self.one.lock().await))),
            None => self.one.clone(),
        }
    }
}

/// A part that is worked on.
struct Busy {
    part: InboxPart,
    stop: watch::Sender<bool>,
}

/// A consumer's task.
pub(super) struct Work<E, H> {
    inbox: Store,
    id: InboxId,
    /// This instance, as the others see it.
    owner: String,
    lease: Duration,
    attempts: u32,
    parts: Option<u16>,
    handlers: Handlers<H>,
    open: Open<E>,
    ahead: Arc<Ahead<E>>,
    told: Told,
    stop: Stop,
    heard: watch::Sender<Heard>,
    workers: JoinSet<Ended>,
    busy: BTreeMap<u16, Busy>,
    /// Failures in a row of each part, and of claims.
    failing: BTreeMap<u16, u32>,
    failures: u32,
}

impl<E: IntegrationEvent, H: Handler<E>> Work<E, H> {
    /// The task of this consumer, and its source with the place where it begins.
    pub(super) fn new<S>(
        consumer: Consumer<E, S, H>,
        id: InboxId,
        told: Told,
        stop: Stop,
    ) -> (Self, S, Begin) {
        let work = Self {
            inbox: consumer.inbox,
            ahead: Arc::new(Ahead::new(id.stream.clone())),
            id,
            owner: uuid::Uuid::new_v4().simple().to_string(),
            lease: consumer.lease,
            attempts: consumer.attempts,
            parts: consumer.parts,
            handlers: Handlers {
                one: Arc::new(Mutex::new(consumer.handler)),
                another: consumer.another,
            },
            open: Open::new::<H>(consumer.skip_unknown),
            told,
            stop,
            heard: watch::Sender::default(),
            workers: JoinSet::new(),
            busy: BTreeMap::new(),
            failing: BTreeMap::new(),
            failures: 0,
        };
        (work, consumer.source, consumer.begin)
    }

    /// Consumes until it is asked to stop.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub(super) async fn run<S: Source>(mut self, mut source: S, begin: Begin) -> Result<()> {
        let begin = self.begin(&mut source, begin).await?;
        let reader = Reader::new(
            source,
            self.id.clone(),
            self.open.clone(),
            self.ahead.clone(),
            self.told.clone(),
            self.stop.clone(),
        );
        let mut reader = tokio::spawn(reader.run());
        let worked = self.work(&mut reader, begin).await;
        reader.abort();
        let ended = self.end().await;
        if let Err(error) = self.inbox.release(&self.owner).await {
            tracing::warn!(inbox = %self.id, %error, "others wait until the lease ends");
        }
        worked.and(ended)
    }

    /// Where a new inbox begins.
    async fn begin<S: Source>(&mut self, source: &mut S, begin: Begin) -> Result<StreamCursor> {
        let (inbox, id) = (self.inbox.clone(), self.id.clone());
        loop {
            let found = async {
                // Once it has moved, that is decided.
                if begin == Begin::First || inbox.inbox(&id).await? != StreamCursor::default() {
                    return Ok(StreamCursor::default());
                }
                begin.find(source, &id.stream).await
            };
            let mut stop = self.stop.clone();
            let found = tokio::select! {
                found = found => found,
                () = stop.asked() => return Ok(StreamCursor::default()),
            };
            match found {
                Ok(found) => return Ok(found),
                Err(error) if error.is_transient() => {
                    self.trouble(&error);
                    self.sleep(pause(self.failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn work(
        &mut self,
        reader: &mut JoinHandle<Result<()>>,
        begin: StreamCursor,
    ) -> Result<()> {
        let mut stop = self.stop.clone();
        let mut next = Instant::now();
        while !self.stop.is_asked() {
            tokio::select! {
                () = sleep_until(next) => {
                    next = match self.claim(begin).await {
                        Ok(()) => Instant::now() + (self.lease / 3).min(Duration::from_secs(1)),
                        Err(error) if error.is_transient() => {
                            self.trouble(&error);
                            Instant::now() + pause(self.failures)
                        }
                        Err(error) => return Err(error),
                    };
                }
                ended = &mut *reader => return ended.map_err(|error| self.died(error))?,
                Some(ended) = self.workers.join_next() => {
                    let sure = self.ended(ended.map_err(|error| self.died(error))?)?;
                    if !sure {
                        next = next.min(Instant::now() + PAUSE);
                    }
                }
                () = stop.asked() => {}
            }
        }
        Ok(())
    }

    /// Claims what is this instance's share, and has it worked on.
    async fn claim(&mut self, begin: StreamCursor) -> Result<()> {
        let at = Instant::now();
        let claim = InboxClaim {
            inbox: self.id.clone(),
            owner: self.owner.clone(),
            lease: self.lease,
            parts: self.parts,
            begin,
        };
        let claimed = self.inbox.claim_inbox(&claim).await?;
        // Said once: whoever starts later may want another number.
        self.parts = None;
        self.failures = 0;
        self.told.inbox(None);
        let mine = |part: &&InboxPart| part.owner.as_ref() == Some(&self.owner);
        let mine: Vec<_> = claimed.parts.iter().filter(mine).cloned().collect();
        for (slice, busy) in &self.busy {
            let same = |part: &InboxPart| {
                let place = (&part.slices, part.epoch);
                place == (&busy.part.slices, busy.part.epoch)
            };
            if !mine
                .iter()
                .any(|part| part.slices.start == *slice && same(part))
            {
                busy.stop.send_replace(true);
            }
        }
        let new = |part: &InboxPart| !self.busy.contains_key(&part.slices.start);
        let new: Vec<_> = mine.into_iter().filter(new).collect();
        // Of a part that was another's until now, the store knows more than this instance remembers.
        let busy = self.busy.values();
        let busy: Vec<_> = busy.map(|busy| busy.part.slices.clone()).collect();
        self.told.claimed(&claimed, &busy);
        for part in new {
            self.start(part, &claimed).await;
        }
        self.heard.send_replace(Heard {
            level: claimed.level,
            keys: claimed.keys,
            at: Some(at),
        });
        Ok(())
    }

    async fn start(&mut self, part: InboxPart, claimed: &InboxClaimed) {
        let handler = self.handlers.give().await;
        let (stop, stopped) = watch::channel(false);
        let (slice, told) = (part.slices.start, self.told.clone());
        let id = self.id.clone();
        let held = Held::new(id, &part.slices, &claimed.keys, self.attempts, told);
        let worker = Worker {
            inbox: self.inbox.clone(),
            id: self.id.clone(),
            seen: part.cursor,
            since: None,
            handler,
            open: self.open.clone(),
            ahead: self.ahead.clone(),
            held,
            heard: self.heard.subscribe(),
            told: self.told.clone(),
            stop: Stop::new(stopped),
            failures: self.failing.remove(&slice).unwrap_or_default(),
            part: part.clone(),
        };
        self.workers.spawn(worker.run());
        self.busy.insert(slice, Busy { part, stop });
    }

    /// A worker is done: answers whether it knew what it did.
    fn ended(&mut self, ended: Ended) -> Result<bool> {
        self.busy.remove(&ended.part);
        if ended.failures > 0 {
            self.failing.insert(ended.part, ended.failures);
        }
        Ok(matches!(ended.why?, End::Told))
    }

    /// Lets all workers finish the transaction at hand.
    async fn end(&mut self) -> Result<()> {
        for busy in self.busy.values() {
            busy.stop.send_replace(true);
        }
        while let Some(ended) = self.workers.join_next().await {
            self.ended(ended.map_err(|error| self.died(error))?)?;
        }
        Ok(())
    }

    fn died(&self, error: tokio::task::JoinError) -> Error {
        let (worker, reason) = (self.id.consumer.clone(), panic_message(error));
        Error::new(Kind::Stopped { worker, reason })
    }

    fn trouble(&mut self, error: &Error) {
        tracing::warn!(inbox = %self.id, %error, "trying again");
        self.failures = self.failures.saturating_add(1);
        self.told.inbox(Some(error.to_string()));
    }

    async fn sleep(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.asked() => {}
        }
    }
}
