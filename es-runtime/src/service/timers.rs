//! Fires the timers of a process, in order, each once.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::processes::{read, tell};
use super::reactions::Retry;
use super::{Inner, Service};
use crate::error::{Error, Result};
use crate::event::{Clock, StreamId, Timestamp};
use crate::process::{Process, Task, What};
use crate::projection::{Health, Status};
use crate::runtime::{Stop, panic_message, without};
use crate::store::{EventStore, ProjectionId, Store, Timer, TimerPlace};

/// Timers that are read at once, and noted at once when they have fired.
const AT_ONCE: usize = 100;
/// How often somebody looks whether the process is this instance's to run.
const LOOK: Duration = Duration::from_millis(500);
/// How often somebody looks whether the process has come as far as the log.
const GLANCE: Duration = Duration::from_millis(5);

/// Fires the timers of a process until it is told to stop.
pub(super) struct Firing<P> {
    store: Store,
    clock: Arc<dyn Clock>,
    service: Weak<Inner>,
    status: Option<watch::Receiver<Status>>,
    bell: Arc<Notify>,
    retry: Retry,
    stop: Stop,
    /// The processes whose timers could not fire: how often, and when they are tried again.
    failing: HashMap<String, (u32, Instant)>,
    of: PhantomData<fn() -> P>,
}

/// When it is looked again.
enum Next {
    /// When there is news, and then.
    At(Instant),
    /// When there is news, by the service's clock then, and in real time then.
    Due(Timestamp, Instant),
}

impl<P: Process> Firing<P> {
    pub(super) fn new(inner: &Arc<Inner>, bell: Arc<Notify>, retry: Retry) -> Self {
        Self {
            store: inner.store.clone(),
            clock: inner.clock.clone(),
            service: Arc::downgrade(inner),
            status: inner.workers.watched(&ProjectionId::process(P::NAME)),
            bell,
            retry,
            stop: inner.workers.stop(),
            failing: HashMap::new(),
            of: PhantomData,
        }
    }

    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        while !stop.is_asked() {
            let next = match self.look().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(process = P::NAME, %error, "timers wait");
                    Next::At(Instant::now() + LOOK)
                }
            };
            let (clock, bell) = (self.clock.clone(), self.bell.clone());
            let time = async {
                match next {
                    Next::At(at) => tokio::time::sleep_until(at).await,
                    Next::Due(due, at) => drop(timeout_at(at, clock.until(due)).await),
                }
            };
            tokio::select! {
                () = time => {}
                () = bell.notified() => {}
                () = stop.asked() => {}
            }
        }
    }

    /// Fires what is due, if that is this instance's to do.
    async fn look(&mut self) -> Result<Next> {
        let soon = Instant::now() + LOOK;
        let Some(status) = self.status.as_ref().map(|status| status.borrow().clone()) else {
            return Ok(Next::At(soon));
        };
        let (mut after, mut again) = (None::<TimerPlace>, soon);
        if status.health != Health::Working {
            return Ok(Next::At(soon));
        }
        // By now a timer may be cancelled at a position that the process has not come to. Whatever
        // was cancelled before this moment stands at or before the head.
        let now = self.clock.now();
        let parked = match status.parked {
            0 => Vec::new(),
            _ => {
                self.store
                    .parked(&ProjectionId::process(P::NAME), None, usize::MAX)
                    .await?
            }
        };
        let mut first = true;
        loop {
            let timers = self.store.timers(P::NAME, after.as_ref(), AT_ONCE).await?;
            let Some(last) = timers.last() else {
                return Ok(Next::At(again));
            };
            after = Some(last.place.clone());
            let due = timers.partition_point(|timer| timer.place.due <= now);
            if due > 0 && first && !without("timers wait for the log") {
                let head = self.store.head().await?;
                if !status.phase.is_complete() || self.cursor() < head {
                    return Ok(Next::At(Instant::now() + GLANCE));
                }
            }
            first = false;
            let mut fired = Vec::new();
            for timer in &timers[..due] {
                if self.stop.is_asked() {
                    break;
                }
                let stream = StreamId::new(P::NAME, &timer.place.key);
                let is_parked = |stream: StreamId| parked.iter().any(|p| p.key == stream.as_str());
                if stream.is_ok_and(is_parked) {
                    continue;
                }
                match self.failing.get(&timer.place.key) {
                    Some((_, at)) if *at > Instant::now() => {
                        again = again.min(*at);
                        continue;
                    }
                    _ => {}
                }
                match self.fire(timer).await {
                    Ok(()) => {
                        self.failing.remove(&timer.place.key);
                        fired.push(timer.clone());
                    }
                    Err(reason) => again = again.min(self.failed(timer, &reason).await),
                }
            }
            if !fired.is_empty() {
                self.store.finish_timers(P::NAME, &fired).await?;
            }
            if let Some(next) = timers.get(due) {
                return Ok(Next::Due(next.place.due, again));
            }
        }
    }

    fn cursor(&self) -> crate::event::Position {
        let status = self.status.as_ref();
        status
            .map(|status| status.borrow().cursor)
            .unwrap_or_default()
    }

    /// One attempt, in a task of its own, so that a panic is a reason, too.
    async fn fire(&self, timer: &Timer) -> Result<(), String> {
        let Some(inner) = self.service.upgrade() else {
            return Err("the service is gone".to_owned());
        };
        let (service, timer) = (Service { inner }, timer.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let Task { why, what, .. } = read("a timer", P::NAME, &timer.payload)?;
            let What::Tell { input } = what else {
                return Ok(());
            };
            let input = read("an input", P::NAME, input.get())?;
            let id = timer.command_id;
            tell::<P>(&service, &timer.place.key, id, input, why).await
        });
        match task.join_next().await {
            Some(Ok(done)) => done.map_err(|error: Error| error.to_string()),
            Some(Err(error)) => Err(panic_message(error)),
            None => Err("it was cancelled".to_owned()),
        }
    }

    /// Notes why a timer could not fire, and answers when it is tried again. The later ones of the
    /// same process wait.
    async fn failed(&mut self, timer: &Timer, reason: &str) -> Instant {
        let TimerPlace { key, name, .. } = &timer.place;
        tracing::warn!(process = P::NAME, %key, timer = %name, %reason, "a timer could not fire");
        if let Err(error) = self.store.note_timer_failure(P::NAME, timer, reason).await {
            tracing::warn!(process = P::NAME, %error, "the others do not hear why");
        }
        let (failures, _) = self
            .failing
            .get(key)
            .copied()
            .unwrap_or((0, Instant::now()));
        let at = Instant::now() + self.retry.pause(failures + 1);
        self.failing.insert(key.clone(), (failures + 1, at));
        at
    }
}
