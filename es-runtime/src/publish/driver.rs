//! Drives a relay: claims it, connects, reads the stream, sends, and shows how it goes.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::runner::{Runner, Step, WINDOW};
use super::{Link, Message, Route, Transport};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::projection::Health;
use crate::runtime::Stop;
use crate::store::{
    Advanced, EventStore, Phase, PublishedEvent, RelayClaim, RelayId, RelayMove, RelayState,
};

/// How long a broker may take to answer who connects.
const OPENING: Duration = Duration::from_secs(10);
/// How long a broker may confirm nothing until people are told.
const QUIET: Duration = Duration::from_secs(10);
/// How long a relay that was told to stop waits for what is under way.
const ENDING: Duration = Duration::from_secs(2);
/// Events that are read at once, and ahead of what is sent.
#[allow(clippy::cast_possible_truncation)]
const PAGE: usize = WINDOW as usize;

/// How a relay is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatus {
    /// The last event that the broker is known to have; all before it, too.
    pub cursor: Position,
    /// Whether it works.
    pub health: Health,
}

impl RelayStatus {
    pub(crate) fn new() -> Self {
        Self {
            cursor: Position::START,
            health: Health::Elsewhere,
        }
    }
}

/// The relay of one stream version over one transport.
pub(crate) struct Relay<S, T> {
    pub(crate) store: S,
    pub(crate) transport: T,
    pub(crate) id: RelayId,
    pub(crate) route: Route,
    /// This instance, as the others see it.
    pub(crate) owner: String,
    /// How long the relay is this instance's without being claimed again.
    pub(crate) lease: Duration,
    pub(crate) status: watch::Sender<RelayStatus>,
    pub(crate) stop: Stop,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits for what is under way; for ever where nothing is.
async fn done<T>(under_way: &mut Option<Boxed<T>>) -> T {
    let Some(future) = under_way else {
        return pending().await;
    };
    let answer = future.await;
    *under_way = None;
    answer
}

impl<S: EventStore, T: Transport + Clone> Relay<S, T> {
    /// Runs until it is told to stop, or until it cannot go on.
    ///
    /// # Errors
    /// Why it cannot go on: nothing was skipped, and it continues there when it is started again.
    pub(crate) async fn run(self) -> Result<()> {
        let mut driver = Driver {
            relay: self,
            runner: Runner::default(),
            claimed: Instant::now(),
        };
        let mut step = Step::Claim;
        while !driver.relay.stop.is_asked() && step != Step::End {
            step = match driver.take(step).await {
                Ok(next) => next,
                Err(error) => driver.failed(error).await?,
            };
        }
        // Who starts next need not wait for the lease. All that is the instance's is given back: not
        // where this stream alone has ended.
        let Relay {
            store,
            id,
            owner,
            stop,
            ..
        } = &driver.relay;
        if stop.is_asked()
            && let Err(error) = store.release(owner).await
        {
            tracing::warn!(relay = %id, %error, "others wait until the lease ends");
        }
        Ok(())
    }
}

struct Driver<S, T> {
    relay: Relay<S, T>,
    runner: Runner,
    /// When it was claimed last.
    claimed: Instant,
}

impl<S: EventStore, T: Transport + Clone> Driver<S, T> {
    /// Takes one step and answers the next.
    async fn take(&mut self, step: Step) -> Result<Step> {
        match step {
            Step::Claim => {
                let (asked, claiming) = (Instant::now(), self.claim());
                let (ours, state, phase) = claiming.await?;
                self.claimed = asked;
                let next = self.runner.claimed(ours, &state, phase);
                let is_retrying =
                    matches!(self.relay.status.borrow().health, Health::Retrying { .. });
                self.show(match ours {
                    false => Some(Health::Elsewhere),
                    // Until something is sent.
                    true if is_retrying => None,
                    true => Some(Health::Working),
                });
                Ok(next)
            }
            Step::Rest { time } => {
                tokio::select! {
                    () = sleep(time) => {}
                    () = self.relay.stop.asked() => {}
                }
                Ok(Step::Claim)
            }
            Step::Send => self.connect().await,
            Step::End => Ok(Step::End),
        }
    }

    /// Who is the relay, where its cursor stands, and where the stream version is in its life.
    fn claim(&self) -> Boxed<Result<(bool, RelayState, Phase)>> {
        let Relay {
            store,
            id,
            owner,
            lease,
            ..
        } = &self.relay;
        let claim = RelayClaim {
            relay: id.clone(),
            owner: owner.clone(),
            lease: *lease,
        };
        let store = store.clone();
        Box::pin(async move {
            let stream = (&claim.relay.stream).into();
            let phase = store.projection(&stream).await?;
            let phase = phase.map_or(Phase::Building, |state| state.phase);
            let state = store.claim_relay(&claim).await?;
            Ok((state.owner.as_ref() == Some(&claim.owner), state, phase))
        })
    }

    async fn connect(&mut self) -> Result<Step> {
        let (transport, route) = (self.relay.transport.clone(), self.relay.route.clone());
        let opening = timeout(OPENING, transport.open(&route));
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.relay.stop.asked() => return Ok(Step::Claim),
        };
        let late = || Error::broker("connecting", format!("no answer within {OPENING:?}"));
        let mut link = opened.map_err(|_| late())??;
        // Others may have been the relay while it connected; from now on nobody is.
        let (asked, claiming) = (Instant::now(), self.claim());
        let (ours, state, phase) = claiming.await?;
        if !self.runner.is_still(ours, &state, phase) {
            link.close().await;
            return Ok(Step::Claim);
        }
        self.claimed = asked;
        self.runner.opened(link.has());
        let (cursor, stream) = (self.runner.confirmed_to(), &route.stream);
        let head = self.relay.store.published_head(stream).await?.position;
        if cursor > head {
            let stream = stream.to_string();
            return Err(Error::new(Kind::CursorAhead {
                stream,
                cursor,
                head,
            }));
        }
        let next = self.send(&mut link).await?;
        link.close().await;
        Ok(next)
    }

    /// Sends what the stream has, until it is to stop or somebody else is the relay.
    async fn send(&mut self, link: &mut T::Link) -> Result<Step> {
        let mut page = VecDeque::<Message>::new();
        let mut read_to = self.runner.sent_to();
        let (mut reading, mut waiting) = (None, None);
        let (mut moving, mut renewing) = (None, None);
        let mut heard = Instant::now();
        self.show(Some(Health::Working));
        loop {
            while self.runner.has_room()
                && let Some(message) = page.pop_front()
            {
                let position = message.position;
                if self.runner.in_flight() == 0 {
                    heard = Instant::now();
                }
                tokio::select! {
                    sent = link.send(message) => sent?,
                    () = self.relay.stop.asked() => return self.end(link, moving).await,
                }
                self.runner.sent(position);
            }
            if page.len() < PAGE && reading.is_none() && waiting.is_none() {
                reading = Some(self.read(read_to));
            }
            if moving.is_none()
                && let Some((from, to)) = self.runner.to_move()
            {
                moving = Some(self.advance(from, to));
            }
            let due = self.claimed + self.relay.lease / 2;
            if renewing.is_none() && Instant::now() >= due {
                self.claimed = Instant::now();
                renewing = Some(self.claim());
            }
            tokio::select! {
                to = link.confirmed(), if self.runner.in_flight() > 0 => {
                    self.runner.confirmed(to?);
                    heard = Instant::now();
                    self.show(Some(Health::Working));
                }
                events = done(&mut reading) => {
                    let events = events?;
                    if events.is_empty() {
                        waiting = Some(self.wait(read_to));
                    }
                    for event in events {
                        let (after, found) = (read_to, event.position);
                        if found != after.next() {
                            return Err(Error::new(Kind::BrokenOrder { after, found }));
                        }
                        read_to = found;
                        page.push_back(Message::new(&self.relay.route, event)?);
                    }
                }
                () = done(&mut waiting) => {}
                moved = done(&mut moving) => {
                    let (to, advanced) = moved?;
                    if !self.runner.moved(to, advanced) {
                        return Ok(Step::Claim);
                    }
                    self.show(None);
                }
                renewed = done(&mut renewing) => {
                    let (ours, state, phase) = renewed?;
                    if !self.runner.is_still(ours, &state, phase) {
                        return Ok(Step::Claim);
                    }
                }
                () = sleep_until(due.max(Instant::now())), if renewing.is_none() => {
                    if self.runner.in_flight() > 0 && heard.elapsed() > QUIET {
                        let reason = format!("the broker has confirmed nothing for {QUIET:?}");
                        self.show(Some(Health::Retrying { reason }));
                    }
                }
                () = self.relay.stop.asked() => return self.end(link, moving).await,
            }
        }
    }

    /// Waits for what is under way, for a moment, and keeps how far it came.
    async fn end(&mut self, link: &mut T::Link, mut moving: Option<Moving>) -> Result<Step> {
        let confirming = async {
            while self.runner.in_flight() > 0 {
                let to = link.confirmed().await?;
                self.runner.confirmed(to);
            }
            Ok::<_, Error>(())
        };
        let _ = timeout(ENDING, confirming).await;
        if moving.is_some() {
            let (to, advanced) = done(&mut moving).await?;
            self.runner.moved(to, advanced);
        }
        if let Some((from, to)) = self.runner.rest_to_move() {
            let (to, advanced) = self.advance(from, to).await?;
            self.runner.moved(to, advanced);
            self.show(None);
        }
        Ok(Step::Claim)
    }

    fn read(&self, after: Position) -> Boxed<Result<Vec<PublishedEvent>>> {
        let (store, stream) = (self.relay.store.clone(), self.relay.id.stream.clone());
        Box::pin(async move { store.read_published(&stream, after, PAGE).await })
    }

    fn wait(&self, after: Position) -> Boxed<()> {
        let (store, stream) = (self.relay.store.clone(), self.relay.id.stream.clone());
        Box::pin(async move { store.wait_for_published(&stream, after).await })
    }

    fn advance(&self, from: Position, to: Position) -> Moving {
        let store = self.relay.store.clone();
        let step = RelayMove {
            relay: self.relay.id.clone(),
            epoch: self.runner.epoch(),
            from,
            to,
        };
        Box::pin(async move { Ok((to, store.advance_relay(&step).await?)) })
    }

    /// Tells everybody why nothing goes out, and answers when to try again.
    async fn failed(&mut self, error: Error) -> Result<Step> {
        let (reason, held) = (error.to_string(), error.is_held());
        let next = self.runner.failed(error);
        let Relay { store, id, .. } = &self.relay;
        if held {
            self.show(Some(Health::Elsewhere));
            return next;
        }
        if next.is_ok() {
            tracing::warn!(relay = %id, %reason, "failed; trying again");
            let reason = reason.clone();
            self.show(Some(Health::Retrying { reason }));
        }
        let noting = store.note_relay_failure(id, self.runner.epoch(), &reason);
        if let Err(error) = noting.await {
            tracing::warn!(relay = %id, %error, "the others do not hear why");
        }
        next
    }

    fn show(&self, health: Option<Health>) {
        let cursor = self.runner.cursor();
        self.relay.status.send_if_modified(|status| {
            let before = status.clone();
            status.cursor = cursor;
            if let Some(health) = health {
                status.health = health;
            }
            *status != before
        });
    }
}

type Moving = Boxed<Result<(Position, Advanced)>>;
