//! Drives a consumer: claims parts of its inbox, has each worked on, and lets the stream be read for
//! all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::ahead::Ahead;
use super::begin::Begin;
use super::beside::{Beside, Questions};
use super::consumer::Consumer;
use super::entities::Entities;
use super::handler::Handler;
use super::held::Held;
use super::moving::Moving;
use super::reader::{Open, PAUSE, Reader, is_not_served, pause};
use super::source::Source;
use super::told::Told;
use super::worker::{End, Ended, Heard, Worker};
use crate::error::{Error, Kind, Result};
use crate::integration::IntegrationEvent;
use crate::runtime::{Stop, panic_message};
use crate::store::{
    Advanced, EventStore, InboxClaim, InboxClaimed, InboxEntity, InboxId, InboxPart, Store,
    StreamCursor, Whereabouts,
};

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
    beside: Beside,
    questions: Questions,
    /// Somebody has asked for something that a claim tells.
    news: Arc<Notify>,
    told: Told,
    stop: Stop,
    heard: watch::Sender<Heard>,
    workers: JoinSet<Ended>,
    busy: BTreeMap<u16, Busy>,
    /// Failures in a row of each part, and of claims.
    failing: BTreeMap<u16, u32>,
    failures: u32,
    /// The oldest version from which this one takes over.
    continues: Option<u32>,
    /// Whether others may believe that this instance is at work.
    seen: bool,
    /// Whether the stream was not served when it was read last, as far as anybody knows.
    unserved: bool,
}

/// Why nothing is worked on for a while.
enum Rest<S> {
    /// It is asked to stop.
    Stop,
    /// The inbox is elsewhere.
    Elsewhere,
    /// The stream is not served: others may go on with another version of it.
    Unserved(S),
}

/// Where the inbox was found to be.
enum Found {
    /// Here, and if it is new, it begins there.
    Here(StreamCursor),
    /// Instances of a newer version have it.
    With(u32),
    /// Somewhere else by now.
    Moved,
    /// Others are not done with it.
    Busy,
}

impl<E: IntegrationEvent, H: Handler<E>> Work<E, H> {
    /// The task of this consumer, and its source with the place where it begins.
    pub(super) fn new<S>(
        consumer: Consumer<E, S, H>,
        id: InboxId,
        (beside, questions): (Beside, Questions),
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
            beside,
            questions,
            news: Arc::default(),
            told,
            stop,
            heard: watch::Sender::default(),
            workers: JoinSet::new(),
            busy: BTreeMap::new(),
            failing: BTreeMap::new(),
            failures: 0,
            continues: consumer.continues,
            seen: false,
            // An inbox that nobody can work on is in the way of the older version.
            unserved: consumer.continues.is_some(),
        };
        (work, consumer.source, consumer.begin)
    }

    /// Notified, it looks at once what is asked of the inbox.
    pub(super) fn news(&self) -> Arc<Notify> {
        self.news.clone()
    }

    /// Consumes until it is asked to stop.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub(super) async fn run<S: Source>(mut self, source: S, begin: Begin) -> Result<()> {
        let worked = self.consume(source, begin).await;
        let ended = self.end().await;
        self.release().await;
        worked.and(ended)
    }

    /// Works while the inbox is here, and waits for it while it is elsewhere.
    async fn consume<S: Source>(&mut self, mut source: S, begin: Begin) -> Result<()> {
        while let Some(begin) = self.settle(&mut source, begin).await? {
            self.ahead = Arc::new(Ahead::new(self.id.stream.clone()));
            let (stop, stopped) = watch::channel(false);
            let reader = Reader::new(
                source,
                self.id.clone(),
                self.open.clone(),
                self.ahead.clone(),
                self.told.clone(),
                Stop::new(stopped),
                self.continues.is_some(),
            );
            let mut reader = tokio::spawn(reader.run(self.questions.clone()));
            source = match self.work(&mut reader, begin).await {
                Ok(Rest::Unserved(source)) => {
                    self.unserved = true;
                    source
                }
                Ok(Rest::Elsewhere) => {
                    stop.send_replace(true);
                    let (source, _) = reader.await.map_err(|error| self.died(error))?;
                    source
                }
                stopped => {
                    reader.abort();
                    return stopped.map(drop);
                }
            };
            self.end().await?;
            self.release().await;
        }
        Ok(())
    }

    /// Comes to where the inbox is, or brings it here; answers where a new one begins, or nothing when it
    /// is asked to stop.
    async fn settle<S: Source>(
        &mut self,
        source: &mut S,
        begin: Begin,
    ) -> Result<Option<StreamCursor>> {
        let (store, id) = (self.inbox.clone(), self.id.clone());
        let mut moving = Moving::new(store, id, self.continues, self.open.clone());
        while !self.stop.is_asked() {
            let mut stop = self.stop.clone();
            let found = tokio::select! {
                found = self.find(source, &mut moving, begin) => found,
                () = stop.asked() => return Ok(None),
            };
            let newer = match &found {
                Ok(Found::With(newer)) => Some(*newer),
                _ => None,
            };
            self.told.stands_by(newer);
            match found {
                Ok(found) => {
                    self.failures = 0;
                    self.told.inbox(None);
                    match found {
                        Found::Here(begin) => return Ok(Some(begin)),
                        Found::Moved => {}
                        Found::Busy => self.sleep(PAUSE).await,
                        Found::With(_) => self.sleep(self.turn()).await,
                    }
                }
                Err(error) if error.is_transient() => {
                    // Others go on meanwhile.
                    self.release().await;
                    self.trouble(&error);
                    self.sleep(pause(self.failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Finds out where the inbox is, and takes it over if it may.
    async fn find<S: Source>(
        &mut self,
        source: &mut S,
        moving: &mut Moving<E>,
        begin: Begin,
    ) -> Result<Found> {
        let (stream, store) = (self.id.stream.clone(), self.inbox.clone());
        let versions = store.inbox_versions(&self.id).await?;
        match versions.whereabouts(stream.version, self.continues) {
            Whereabouts::With(newer) => Ok(Found::With(newer)),
            Whereabouts::Beside(older) => Err(Error::new(Kind::TwoInboxes {
                consumer: self.id.consumer.clone(),
                stream: stream.stream,
                older,
                newer: stream.version,
            })),
            Whereabouts::In(other) => {
                let inbox = versions.inboxes.get(&other).cloned().unwrap_or_default();
                let takeover = moving.prepare(source, other, &inbox.parts).await?;
                self.nothing_ahead(other).await?;
                if self.continues.is_some() {
                    // From now on those of older versions stand by.
                    self.seen = true;
                    store
                        .claim_inbox(&self.claims(StreamCursor::default()))
                        .await?;
                }
                match store.take_over_inbox(&takeover).await? {
                    Advanced::Moved => {
                        tracing::info!(inbox = %self.id, from = other, "took the inbox over");
                        Ok(Found::Moved)
                    }
                    Advanced::Fenced => Ok(Found::Busy),
                }
            }
            Whereabouts::Here => {
                let cursor = store.inbox(&self.id).await?;
                if self.unserved {
                    source.read(&stream, cursor, 1, Duration::ZERO).await?;
                    self.unserved = false;
                }
                // Once it has moved, it is decided where it begins.
                match begin == Begin::First || cursor != StreamCursor::default() {
                    true => Ok(Found::Here(StreamCursor::default())),
                    false => begin.find(source, &stream).await.map(Found::Here),
                }
            }
        }
    }

    /// What was handled ahead in another version is passed over there: nobody knows here which events it
    /// became. What is handled ahead from now on raises the epoch, and the takeover is fenced.
    async fn nothing_ahead(&self, version: u32) -> Result<()> {
        let mut other = self.id.clone();
        other.stream.version = version;
        let state = self.inbox.inbox_state(&other).await?;
        let cursors = state.parts.iter().map(|part| part.cursor.position);
        let least = cursors.min().unwrap_or_default();
        let ahead = |entity: &&InboxEntity| entity.until > least;
        match state.entities.iter().find(ahead) {
            None => Ok(()),
            Some(entity) => Err(Error::new(Kind::StillAhead {
                inbox: other.to_string(),
                subject: entity.subject.clone(),
                until: entity.until,
            })),
        }
    }

    async fn work<S: Source>(
        &mut self,
        reader: &mut JoinHandle<(S, Result<()>)>,
        begin: StreamCursor,
    ) -> Result<Rest<S>> {
        let (mut stop, news) = (self.stop.clone(), self.news.clone());
        let mut next = Instant::now();
        while !self.stop.is_asked() {
            tokio::select! {
                () = sleep_until(next) => {
                    next = match self.claim(begin).await {
                        Ok(Whereabouts::Here) => Instant::now() + self.turn(),
                        Ok(_) => return Ok(Rest::Elsewhere),
                        Err(error) if error.is_transient() => {
                            self.trouble(&error);
                            Instant::now() + pause(self.failures)
                        }
                        Err(error) => return Err(error),
                    };
                }
                () = news.notified() => next = Instant::now(),
                ended = &mut *reader => {
                    let (source, read) = ended.map_err(|error| self.died(error))?;
                    return match read {
                        Err(error) if is_not_served(&error) => Ok(Rest::Unserved(source)),
                        read => read.map(|()| Rest::Stop),
                    };
                }
                Some(ended) = self.workers.join_next() => {
                    let sure = self.ended(ended.map_err(|error| self.died(error))?)?;
                    if !sure {
                        next = next.min(Instant::now() + PAUSE);
                    }
                }
                () = stop.asked() => {}
            }
        }
        Ok(Rest::Stop)
    }

    /// How long it is until it looks again what is this instance's.
    fn turn(&self) -> Duration {
        (self.lease / 3).min(Duration::from_secs(1))
    }

    /// Gives back what others may believe to be this instance's.
    async fn release(&mut self) {
        if !std::mem::take(&mut self.seen) {
            return;
        }
        if let Err(error) = self.inbox.release(&self.owner).await {
            tracing::warn!(inbox = %self.id, %error, "others wait until the lease ends");
        }
    }

    fn claims(&self, begin: StreamCursor) -> InboxClaim {
        InboxClaim {
            inbox: self.id.clone(),
            owner: self.owner.clone(),
            lease: self.lease,
            parts: self.parts,
            begin,
            continues: self.continues,
        }
    }

    /// Claims what is this instance's share, and has it worked on, if the inbox is here.
    async fn claim(&mut self, begin: StreamCursor) -> Result<Whereabouts> {
        let at = Instant::now();
        self.seen = true;
        let claimed = self.inbox.claim_inbox(&self.claims(begin)).await?;
        if claimed.whereabouts != Whereabouts::Here {
            return Ok(claimed.whereabouts);
        }
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
        self.told.claimed(&claimed, &busy, at);
        let cursors = new.iter().map(|part| (part.slices.start, part.cursor));
        self.ahead.enter(cursors);
        for part in new {
            self.start(part, &claimed).await;
        }
        self.heard.send_replace(Heard {
            level: claimed.level,
            keys: claimed.keys,
            entities: claimed.entities,
            repairs: claimed.repairs,
            at: Some(at),
        });
        Ok(Whereabouts::Here)
    }

    async fn start(&mut self, part: InboxPart, claimed: &InboxClaimed) {
        let handler = self.handlers.give().await;
        let (stop, stopped) = watch::channel(false);
        let (slice, told) = (part.slices.start, self.told.clone());
        let id = self.id.clone();
        let entities = Entities::new(id.clone(), part.slices.clone(), &claimed.entities);
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
            entities,
            repairs: claimed.repairs.clone(),
            beside: self.beside.clone(),
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
