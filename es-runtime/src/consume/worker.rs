//! Works on one part of an inbox: handles the events of its keys, and moves its cursor with their
//! effects.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::ahead::{Ahead, Opened, Read};
use super::beside::Beside;
use super::entities::{Entities, Passed};
use super::handler::Handler;
use super::held::{Changes, Held, again};
use super::reader::{Open, PAGE, pause};
use super::told::Told;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::{CloudEvent, IntegrationEvent};
use crate::runtime::{Stop, caught, panic_text, without};
use crate::store::{
    Advanced, EventStore, HandlerError, HeldEvent, InboxChange, InboxEntity, InboxId, InboxMove,
    InboxPart, InboxRepair, StillHeld, Store, StreamCursor, Tx, is_away,
};

/// More keys than this are not set aside: what fails then is not about single keys.
const MOST: usize = 1000;
/// Events that wait for a key and are handled in one transaction.
const BATCH: usize = 100;
/// How far a part goes over events of others before it says so to the store, in events and in time.
const FAR: u64 = 1000;
const LONG: Duration = Duration::from_secs(1);

/// Guards, which the tests miss when they are left out.
const BEHIND: &str = "events wait behind the one of their key";
const AWAY: &str = "what is away sets nobody aside";

/// What the claims of this instance tell its workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// No part goes beyond it.
    pub(super) level: Option<Position>,
    pub(super) keys: Vec<crate::store::InboxKey>,
    pub(super) entities: Vec<InboxEntity>,
    pub(super) repairs: Vec<InboxRepair>,
    pub(super) at: Option<Instant>,
}

/// The task of one part.
pub(super) struct Worker<E, H> {
    pub(super) inbox: Store,
    pub(super) id: InboxId,
    pub(super) part: InboxPart,
    /// Its own, or one that all parts have in turn.
    pub(super) handler: Arc<Mutex<H>>,
    pub(super) open: Open<E>,
    pub(super) ahead: Arc<Ahead<E>>,
    pub(super) held: Held,
    pub(super) entities: Entities,
    /// What is to be handled again in this part.
    pub(super) repairs: Vec<InboxRepair>,
    /// The source, for what is not next.
    pub(super) beside: Beside,
    pub(super) heard: watch::Receiver<Heard>,
    pub(super) told: Told,
    pub(super) stop: Stop,
    /// How far the part has come over events of other parts, beyond its cursor, and since when.
    pub(super) seen: StreamCursor,
    pub(super) since: Option<Instant>,
    /// Failures in a row, of whatever is no fault of an event.
    pub(super) failures: u32,
}

/// How a worker ended.
pub(super) struct Ended {
    /// The first slice of its part.
    pub(super) part: u16,
    pub(super) failures: u32,
    pub(super) why: Result<End>,
}

pub(super) enum End {
    /// It was told to.
    Told,
    /// What it believed of the part may be wrong: the store knows.
    Unsure,
}

/// Why events were not handled.
pub(super) enum Failure {
    /// The one at this place could not be.
    Event { index: usize, reason: String },
    /// Each could be, and all of them together could not be committed.
    Together(Error),
    /// Another instance has moved the part, or changed a key.
    Fenced,
    /// It is no fault of any event.
    Away(Error),
    /// More keys would be set aside than single ones.
    TooMany { key: String, reason: String },
}

impl Failure {
    /// What the store said.
    fn of(error: Error) -> Self {
        match is_away(&error) {
            true => Self::Away(error),
            false => Self::Together(error),
        }
    }
}

impl<E: IntegrationEvent, H: Handler<E>> Worker<E, H> {
    /// Works on the part, which has entered what is read ahead, and leaves it.
    pub(super) async fn run(mut self) -> Ended {
        let part = self.part.slices.start;
        self.told.moved(part, self.seen.position);
        let why = self.work().await;
        self.ahead.leave(part);
        Ended {
            part,
            failures: self.failures,
            why,
        }
    }

    async fn work(&mut self) -> Result<End> {
        let (ahead, mut stop) = (self.ahead.clone(), self.stop.clone());
        let mut heard = self.heard.clone();
        let part = self.part.slices.start;
        // After a try of a key it is the others' turn.
        let mut others = false;
        loop {
            if self.stop.is_asked() {
                if let Err(failure) = self.save().await {
                    tracing::debug!(inbox = %self.id, part, ?failure, "its cursor is not kept");
                }
                return Ok(End::Told);
            }
            let news = heard.has_changed().unwrap_or_default();
            let now = heard.borrow_and_update().clone();
            if let Some(at) = now.at.filter(|_| news) {
                self.held.hear(&now.keys, at);
                self.entities.hear(&now.entities);
                self.repairs.clone_from(&now.repairs);
            }
            let due = self.held.due().filter(|_| !others);
            others = due.is_some();
            let asked = self.entities.asked().cloned();
            let repair = self.to_repair();
            let is_asked = asked.is_some() || repair.is_some();
            let done = if let Some(entity) = asked {
                self.handle_ahead(entity).await
            } else if let Some(repair) = repair {
                self.repair(&repair).await
            } else if let Some((key, from, attempts)) = due {
                self.retry(&key, from, attempts).await
            } else {
                let level = now.level.map(|level| level.get());
                let room = level.map(|level| level.saturating_sub(self.seen.position.get()));
                let limit = room.map_or(PAGE, |room| {
                    usize::try_from(room).map_or(PAGE, |room| room.min(PAGE))
                });
                if limit == 0 && self.since.is_some() {
                    // The others wait to see it.
                    self.save().await
                } else {
                    tokio::select! {
                        biased;
                        () = stop.asked() => Ok(()),
                        events = ahead.take(part, self.seen, limit), if limit > 0 => {
                            match events {
                                Ok(events) => self.handle(&events).await,
                                Err(forked) => return Err(forked),
                            }
                        }
                        () = until(self.held.next_due()) => Ok(()),
                        () = until(self.since.map(|since| since + LONG)) => self.save().await,
                        changed = heard.changed() => {
                            // It is looked at next.
                            heard.mark_changed();
                            changed.map_err(|_| Failure::Fenced)
                        }
                    }
                }
            };
            match done {
                // What was handled ahead is told to whoever asked, and to who goes on, by the store.
                Ok(()) if is_asked => return Ok(End::Unsure),
                Ok(()) => self.failures = 0,
                Err(Failure::Fenced) => {
                    tracing::debug!(inbox = %self.id, part, "another instance is at work");
                    return Ok(End::Unsure);
                }
                Err(Failure::Away(error)) if !error.is_transient() => return Err(error),
                Err(Failure::Away(error) | Failure::Together(error)) => {
                    self.trouble(&error);
                    self.pause().await;
                    // The commit may have succeeded before the answer was lost.
                    return Ok(End::Unsure);
                }
                Err(Failure::TooMany { key, reason }) => {
                    let (consumer, most) = (self.id.consumer.clone(), MOST);
                    self.trouble(&Error::new(Kind::Handler {
                        consumer,
                        most,
                        key,
                        reason,
                    }));
                    self.pause().await;
                }
                // `handle` and `retry` know which event it is.
                Err(Failure::Event { reason, .. }) => {
                    self.trouble(&Error::database("handling an event", reason));
                    self.pause().await;
                }
            }
        }
    }

    /// Handles the events of this part's keys, each in order, and moves the cursor over all.
    async fn handle(&mut self, events: &[Arc<Read<E>>]) -> Result<(), Failure> {
        let Some(mut to) = events.last().map(|last| last.cursor) else {
            return Ok(());
        };
        let own = |read: &&Arc<Read<E>>| self.part.slices.contains(&read.slice);
        let own: Vec<_> = events.iter().filter(own).cloned().collect();
        if own.is_empty() {
            return self.pass(to).await;
        }
        let mut events = &own[..];
        let mut failed: Option<(usize, String)> = None;
        loop {
            let failure = match self.attempt(events, to, failed.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            // What comes before is committed with what is set aside; the rest comes next.
            let last = match failure {
                Failure::Event { index, reason } => {
                    failed = Some((index, reason));
                    index
                }
                Failure::Together(error) if failed.is_none() && events.len() == 1 => {
                    failed = Some((0, error.to_string()));
                    0
                }
                // Which of them it is, is found by halves.
                Failure::Together(_) if events.len() > 1 => {
                    failed = None;
                    (events.len() - 1) / 2
                }
                failure => return Err(failure),
            };
            events = &events[..=last];
            to = events[last].cursor;
        }
    }

    /// Goes over events of other parts.
    async fn pass(&mut self, to: StreamCursor) -> Result<(), Failure> {
        self.seen = to;
        self.told.moved(self.part.slices.start, to.position);
        self.since.get_or_insert_with(Instant::now);
        match to.position.get() - self.part.cursor.position.get() >= FAR {
            true => self.save().await,
            false => Ok(()),
        }
    }

    /// Tells the store how far the part has come.
    async fn save(&mut self) -> Result<(), Failure> {
        if self.seen == self.part.cursor {
            return Ok(());
        }
        let tx = self.inbox.begin().await.map_err(Failure::Away)?;
        self.commit(tx, self.seen, Vec::new(), &Passed::default())
            .await
    }

    /// Handles events in one transaction; the one that failed before is set aside.
    async fn attempt(
        &mut self,
        events: &[Arc<Read<E>>],
        to: StreamCursor,
        failed: Option<&(usize, String)>,
    ) -> Result<(), Failure> {
        let handler = self.handler.clone();
        let mut handler = handler.lock().await;
        let mut tx = self.inbox.begin().await.map_err(Failure::Away)?;
        let (mut changes, mut passed) = (Changes::default(), Passed::default());
        for (index, read) in events.iter().enumerate() {
            let (key, position) = (&read.key, read.cursor.position);
            if self.entities.passes(&read.event, position, &mut passed) {
                continue;
            }
            let mut waits = (self.held.has(key) || changes.parks(key)) && !without(BEHIND);
            if !waits {
                let reason = match (&read.opened, failed) {
                    (_, Some((known, reason))) if *known == index => Some(reason),
                    (Opened::Unreadable(reason), _) => Some(reason),
                    (Opened::Passed, _) => None,
                    (Opened::Event(event), _) => {
                        let handled = caught(handler.handle(event, &mut tx)).await;
                        judged(handled).map_err(|failed| failed.at(index))?;
                        None
                    }
                };
                if let Some(reason) = reason {
                    changes.park(key, reason);
                    waits = true;
                }
            }
            if waits {
                let waiting = changes.wait(key, position, &read.event);
                waiting.map_err(Failure::Away)?;
            }
        }
        if let (parked, Some((key, reason))) = changes.parked()
            && self.held.count() + parked > MOST
        {
            let (key, reason) = (key.clone(), reason.clone());
            return Err(Failure::TooMany { key, reason });
        }
        self.commit(tx, to, changes.finish(), &passed).await?;
        handler.committed();
        Ok(())
    }

    /// Tries a key again from its first event on.
    async fn retry(&mut self, key: &str, from: Position, failures: u32) -> Result<(), Failure> {
        let waiting = self.inbox.inbox_events(&self.id, key, BATCH + 1).await;
        let waiting = waiting.map_err(Failure::Away)?;
        if waiting.first().map(|held| held.position) != Some(from) {
            return Err(Failure::Fenced);
        }
        let mut many = waiting.len().min(BATCH);
        let mut known: Option<String> = None;
        loop {
            let (tx, left) = match self.again(&waiting[..many], known.as_deref()).await {
                Ok(tx) if known.is_some() => {
                    let failed = known.clone().map(|reason| (reason, again(failures + 1)));
                    let position = from;
                    (tx, Some(StillHeld { position, failed }))
                }
                Ok(tx) => {
                    let next = waiting.get(many).map(|held| held.position);
                    let still = |position| StillHeld {
                        position,
                        failed: None,
                    };
                    (tx, next.map(still))
                }
                Err(Failure::Event { index: 0, reason }) => {
                    known = Some(reason);
                    continue;
                }
                // What comes before it first.
                Err(Failure::Event { index, .. }) => {
                    many = index;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let key = key.to_owned();
            let retried = InboxChange::Retried { key, from, left };
            let none = Passed::default();
            match self.commit(tx, self.seen, vec![retried], &none).await {
                Err(Failure::Together(error)) if known.is_none() && many == 1 => {
                    known = Some(error.to_string());
                }
                Err(Failure::Together(_)) if known.is_none() => many /= 2,
                Ok(()) => {
                    self.handler.lock().await.committed();
                    return Ok(());
                }
                failed => return failed,
            }
        }
    }

    /// Handles events that waited; none of them where it is known that the first fails.
    async fn again(&mut self, events: &[HeldEvent], known: Option<&str>) -> Result<Tx, Failure> {
        let handler = self.handler.clone();
        let mut handler = handler.lock().await;
        let mut tx = self.inbox.begin().await.map_err(Failure::Away)?;
        if known.is_some() {
            return Ok(tx);
        }
        for (index, held) in events.iter().enumerate() {
            let opened = serde_json::from_str::<CloudEvent>(&held.event)
                .map_err(|error| error.to_string())
                .map(|event| self.open.open(&event, &self.id));
            match opened {
                Ok(Opened::Event(event)) => {
                    let handled = caught(handler.handle(&event, &mut tx)).await;
                    judged(handled).map_err(|failed| failed.at(index))?;
                }
                Ok(Opened::Passed) => {}
                Ok(Opened::Unreadable(reason)) | Err(reason) => {
                    return Err(Failure::Event { index, reason });
                }
            }
        }
        Ok(tx)
    }

    /// Commits what was done, with what the cursor has passed of entities.
    pub(super) async fn commit(
        &mut self,
        tx: Tx,
        to: StreamCursor,
        mut changes: Vec<InboxChange>,
        passed: &Passed,
    ) -> Result<(), Failure> {
        let entities = self.entities.changes(passed, to);
        changes.extend(entities.map_err(Failure::Away)?);
        self.move_to(tx, to, changes).await
    }

    pub(super) async fn move_to(
        &mut self,
        tx: Tx,
        to: StreamCursor,
        changes: Vec<InboxChange>,
    ) -> Result<(), Failure> {
        let step = InboxMove {
            inbox: self.id.clone(),
            slice: self.part.slices.start,
            epoch: self.part.epoch,
            from: self.part.cursor,
            to,
            changes,
        };
        match self
            .inbox
            .commit_inbox(tx, &step)
            .await
            .map_err(Failure::of)?
        {
            Advanced::Moved => {
                (self.part.cursor, self.seen, self.since) = (to, to, None);
                self.part.epoch += u64::from(step.raises());
                self.held.committed(&step.changes);
                self.entities.committed(&step.changes);
                self.told.moved(step.slice, to.position);
                Ok(())
            }
            Advanced::Fenced => Err(Failure::Fenced),
        }
    }

    fn trouble(&mut self, error: &Error) {
        tracing::warn!(inbox = %self.id, %error, "trying again");
        self.failures = self.failures.saturating_add(1);
        let part = self.part.slices.start;
        self.told.part(part, Some(error.to_string()));
    }

    /// Waits, but not longer than until a key is to be tried.
    async fn pause(&mut self) {
        tokio::select! {
            () = sleep(pause(self.failures)) => {}
            () = until(self.held.next_due()) => {}
            () = self.stop.asked() => {}
        }
    }
}

/// Waits until a moment, if there is one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Why a handler did not handle an event.
pub(super) enum Unhandled {
    Away(Error),
    Because(String),
}

impl Unhandled {
    pub(super) fn at(self, index: usize) -> Failure {
        match self {
            Self::Away(error) => Failure::Away(error),
            Self::Because(reason) => Failure::Event { index, reason },
        }
    }
}

pub(super) fn judged(
    handled: Result<Result<(), HandlerError>, Box<dyn std::any::Any + Send>>,
) -> Result<(), Unhandled> {
    match handled {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if crate::store::passes(&*error) && !without(AWAY) => {
            let doing = "handling an event";
            Err(Unhandled::Away(Error::database(doing, error)))
        }
        Ok(Err(error)) => Err(Unhandled::Because(error.to_string())),
        Err(panic) => Err(Unhandled::Because(panic_text(&*panic))),
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event { reason, .. } | Self::TooMany { reason, .. } => f.write_str(reason),
            Self::Together(error) | Self::Away(error) => error.fmt(f),
            Self::Fenced => f.write_str("another instance was faster"),
        }
    }
}
