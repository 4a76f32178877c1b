//! Drives a runner: reads the log, applies pages, waits, and shows how it goes.

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::courtesy::Traffic;
use super::progress::{Estimator, Progress};
use super::runner::{LOOK, Runner, Step};
use crate::error::Result;
use crate::event::{Position, StoredEvents};
use crate::runtime::Stop;
use crate::store::{
    Advance, Advanced, Change, Claim, Claimed, EventStore, LogQuery, Phase, ProjectionId,
    ProjectionState,
};

/// How long a part that is complete waits for the others.
const BEHIND: Duration = Duration::from_millis(50);

/// How a projection or an integration stream is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Where it stands in its life.
    pub phase: Phase,
    /// The last position of the log that it reflects.
    pub cursor: Position,
    /// The epoch in which it stands there.
    pub(crate) epoch: u64,
    /// Whether it works.
    pub health: Health,
    /// How many keys are set aside, since an event failed: their rows stand still.
    pub parked: u64,
    /// How its building goes; nothing once it is built.
    pub progress: Option<Progress>,
}

/// Whether a worker works, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It works.
    Working,
    /// It failed and tries again by itself.
    Retrying {
        /// What failed.
        reason: String,
    },
    /// Somebody stopped it; it goes on when somebody resumes it.
    Paused {
        /// Why.
        reason: String,
    },
    /// Another instance works on it.
    Elsewhere,
    /// It has stopped and needs somebody to look: nothing was skipped.
    Stopped {
        /// Why.
        reason: String,
    },
    /// It was shut down with its service.
    Finished,
}

impl Health {
    /// The one that needs a person sooner.
    pub(crate) fn worse(self, other: Self) -> Self {
        let rank = |health: &Self| match health {
            Self::Stopped { .. } => 5,
            Self::Retrying { .. } => 4,
            Self::Paused { .. } => 3,
            Self::Finished => 2,
            Self::Working => 1,
            Self::Elsewhere => 0,
        };
        if rank(&other) > rank(&self) {
            other
        } else {
            self
        }
    }
}

impl Status {
    /// Whether it is complete and has come as far as `position`.
    pub(crate) fn reflects(&self, position: Position) -> bool {
        self.cursor >= position && self.phase.is_complete()
    }

    /// Whether it will not move any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.health, Health::Stopped { .. } | Health::Finished)
    }

    /// Nothing was done yet.
    pub(crate) fn new(phase: Phase, cursor: Position, epoch: u64) -> Self {
        Self {
            phase,
            cursor,
            epoch,
            health: Health::Working,
            parked: 0,
            progress: None,
        }
    }
}

/// What one projection makes of a page of the log.
pub(crate) trait Work<S: EventStore>: Sized + Send + 'static {
    fn id(&self) -> ProjectionId;

    /// The same for another part; nothing where it cannot be divided.
    fn another(&self) -> Option<Self>;

    /// Makes it known to the store and answers where it stands.
    fn prepare(&mut self, store: &S) -> impl Future<Output = Result<ProjectionState>> + Send;

    /// Makes what is still missing before the version is complete.
    fn complete(&mut self, store: &S) -> impl Future<Output = Result<()>> + Send;

    /// The store told all that must be known before the next page: what was kept in memory counts
    /// no more.
    fn claimed(&mut self, slices: &Range<u16>, claimed: &Claimed);

    /// How many keys are parked.
    fn parked(&self) -> u64 {
        0
    }

    /// Tries a key again that is parked and to be tried, at a cursor that stays where it is;
    /// nothing if there is none.
    fn retry(
        &mut self,
        store: &S,
        advance: Advance,
    ) -> impl Future<Output = Result<Option<Advanced>>> + Send {
        let _ = (store, advance);
        std::future::ready(Ok(None))
    }

    /// Writes what the page makes and moves the cursor, in one transaction.
    fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        page: &StoredEvents,
    ) -> impl Future<Output = Result<Advanced>> + Send;
}

/// One part of a projection, and who works on it here.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its slices of keys.
    pub slices: Range<u16>,
    /// This instance, as the others see it.
    pub owner: String,
    /// How long the part is this instance's without being claimed again.
    pub lease: Duration,
}

/// Runs until `stop` says so, or until it cannot go on.
///
/// A page that is being applied is finished first.
///
/// # Errors
/// Why it cannot go on: nothing was skipped, and it continues there when it is started again.
pub(crate) async fn run<S: EventStore, W: Work<S>>(
    store: S,
    work: W,
    part: Part,
    status: watch::Sender<Status>,
    stop: Stop,
) -> Result<()> {
    let id = work.id();
    let mut driver = Driver {
        store,
        work,
        part,
        status,
        stop,
        runner: Runner::new(),
        page: StoredEvents::new(),
        ahead: None,
        estimator: Estimator::default(),
        traffic: Traffic::default(),
        began: Instant::now(),
        claimed: Instant::now(),
    };
    let mut step = Step::Claim;
    while !driver.stop.is_asked() && step != Step::End {
        step = match driver.take(step).await {
            Ok(next) => next,
            Err(error) => {
                let reason = error.to_string();
                match driver.runner.failed(error) {
                    Ok(next) => {
                        tracing::warn!(projection = %id, %reason, "failed; trying again");
                        let health = Health::Retrying { reason };
                        driver.status.send_modify(|status| status.health = health);
                        next
                    }
                    Err(error) => {
                        driver.note(&reason).await;
                        return Err(error);
                    }
                }
            }
        };
    }
    // Also where nobody waits for the end: who starts next need not wait for the lease.
    if driver.stop.is_asked()
        && let Err(error) = driver.store.release(&driver.part.owner).await
    {
        tracing::warn!(projection = %id, %error, "others wait until the lease ends");
    }
    Ok(())
}

struct Driver<S, W> {
    store: S,
    work: W,
    part: Part,
    status: watch::Sender<Status>,
    stop: Stop,
    runner: Runner,
    page: StoredEvents,
    /// A page that was read while the one before it was applied, with the question to which it is
    /// the answer.
    ahead: Option<((Position, usize), StoredEvents)>,
    estimator: Estimator,
    traffic: Traffic,
    began: Instant,
    /// When the part was claimed last.
    claimed: Instant,
}

impl<S: EventStore, W: Work<S>> Driver<S, W> {
    /// Takes one step and answers the next.
    async fn take(&mut self, step: Step) -> Result<Step> {
        let store = &self.store;
        // Claimed anew before somebody else may take it.
        let step = match step {
            Step::Read { .. } if self.claimed.elapsed() > self.part.lease / 2 => Step::Claim,
            step => step,
        };
        match step {
            Step::Claim => self.claim().await,
            Step::Read { after, limit } => {
                let advance = self.advance(after, after);
                if let Some(retried) = self.work.retry(store, advance).await? {
                    let next = self.runner.applied(after, retried);
                    self.show(Health::Working);
                    return Ok(next);
                }
                self.page = match self.ahead.take() {
                    Some((asked, page)) if asked == (after, limit) => page,
                    _ => read(store, (after, limit)).await?,
                };
                self.runner.read(&self.page)
            }
            Step::Apply { from, to } => self.apply(from, to).await,
            Step::Wait { after } => {
                self.show(Health::Working);
                if self.status.borrow().phase == Phase::Building {
                    self.work.complete(store).await?;
                    let (id, by) = (self.work.id(), &self.part.owner);
                    let lineage = store.change(&id, &Change::Complete, by).await?;
                    let phase = lineage.versions.get(&id.version).map(|state| state.phase);
                    if phase == Some(Phase::Building) {
                        // Another part is behind.
                        return Ok(Step::Rest { time: BEHIND });
                    }
                    tracing::info!(projection = %id, position = %after, ?phase, "built");
                    return Ok(Step::Claim);
                }
                // Also where a lease is shorter than a look: who waits keeps its part.
                let look = LOOK.min(self.part.lease / 2);
                let wait = store.wait_for_append(after);
                let left = look.saturating_sub(self.claimed.elapsed());
                let wait = async { drop(tokio::time::timeout(left, wait).await) };
                wait_or_stop(wait, &mut self.stop).await;
                Ok(self.runner.waited(self.claimed.elapsed() >= look))
            }
            Step::Rest { time } => {
                self.ahead = None;
                wait_or_stop(tokio::time::sleep(time), &mut self.stop).await;
                Ok(Step::Claim)
            }
            Step::End => Ok(Step::End),
        }
    }

    /// Applies the page at hand, and reads the next one meanwhile where there is a long way to go.
    async fn apply(&mut self, from: Position, to: Position) -> Result<Step> {
        let began = Instant::now();
        let (advance, ahead) = (self.advance(from, to), self.runner.ahead(to));
        let applying = self.work.apply(&self.store, advance, &self.page);
        let reading = async { Some((ahead?, read(&self.store, ahead?).await.ok()?)) };
        let (advanced, ahead) = tokio::join!(applying, reading);
        let next = self.runner.applied(to, advanced?);
        // At the end of the log there may be more by then.
        self.ahead = ahead.filter(|(_, page)| !page.is_empty());
        self.show(Health::Working);
        if self.status.borrow().phase == Phase::Building {
            self.tell_progress().await;
            // Nobody waits for it as somebody waits for a command.
            let rest = self.traffic.rest(began.elapsed());
            wait_or_stop(tokio::time::sleep(rest), &mut self.stop).await;
        }
        Ok(next)
    }

    async fn claim(&mut self) -> Result<Step> {
        let claim = Claim {
            projection: self.work.id(),
            slices: self.part.slices.clone(),
            owner: self.part.owner.clone(),
            lease: self.part.lease,
        };
        let asked = Instant::now();
        let claimed = self.store.claim(&claim).await?;
        self.claimed = asked;
        let version = claim.projection.version;
        let next = self.runner.claimed(version, &claimed);
        self.work.claimed(&self.part.slices, &claimed);
        let Some(state) = claimed.lineage.versions.get(&version) else {
            return Ok(next);
        };
        let health = match &state.paused {
            Some(paused) => Health::Paused {
                reason: paused.reason.clone(),
            },
            None if claimed.owned => Health::Working,
            None => Health::Elsewhere,
        };
        // Together: a cursor counts in its epoch alone.
        let now = (state.phase, state.epoch, self.runner.cursor());
        self.status.send_if_modified(|status| {
            let changed = (status.phase, status.epoch, status.cursor) != now;
            (status.phase, status.epoch, status.cursor) = now;
            changed
        });
        self.show(health);
        self.tell_progress().await;
        Ok(next)
    }

    /// Tells how far the building has come, here or in another instance.
    async fn tell_progress(&mut self) {
        let is_building = self.status.borrow().phase == Phase::Building;
        let progress = match is_building {
            true => match self.store.head().await {
                Ok(head) => Some(self.progress(head)),
                // A page that cannot be read says so itself.
                Err(_) => return,
            },
            false => None,
        };
        self.status.send_if_modified(|status| {
            let news = status.progress != progress;
            status.progress = progress;
            news
        });
    }

    fn progress(&mut self, head: Position) -> Progress {
        let at = self.began.elapsed();
        self.traffic.note(at, head);
        self.estimator.note(at, self.runner.cursor(), head)
    }

    fn advance(&self, from: Position, to: Position) -> Advance {
        Advance {
            projection: self.work.id(),
            slice: self.part.slices.start,
            epoch: self.runner.epoch(),
            from,
            to,
        }
    }

    /// Tells everybody why it stands still; if that fails, this process still knows.
    async fn note(&mut self, reason: &str) {
        let at = self.runner.cursor();
        let noted = self.store.note_failure(&self.advance(at, at), reason).await;
        if let Err(error) = noted {
            tracing::warn!(projection = %self.work.id(), %error, "the others do not hear why");
        }
    }

    fn show(&self, health: Health) {
        let (cursor, epoch) = (self.runner.cursor(), self.runner.epoch());
        let parked = self.work.parked();
        self.status.send_if_modified(|status| {
            let before = (status.cursor, status.parked);
            // A cursor counts in its epoch alone, and somebody here may know of a later one.
            if status.epoch == epoch {
                status.cursor = cursor;
            }
            let news = before != (status.cursor, parked) || status.health != health;
            (status.parked, status.health) = (parked, health);
            news
        });
    }
}

/// Reads what is behind a position, so many events at most.
async fn read<S: EventStore>(store: &S, (after, limit): (Position, usize)) -> Result<StoredEvents> {
    let query = LogQuery::after(after).limit(limit);
    Ok(store.read_log(&query).await?.events)
}

async fn wait_or_stop(wait: impl Future<Output = ()>, stop: &mut Stop) {
    tokio::select! {
        () = wait => {}
        () = stop.asked() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::event::SLICES;
    use crate::store::StreamVersion;
    use crate::store::memory::MemoryStore;

    /// Work that does nothing, and counts how often it is told what it must know.
    #[derive(Clone)]
    struct Idle {
        stream: StreamVersion,
        told: Arc<AtomicU32>,
    }

    impl Work<MemoryStore> for Idle {
        fn id(&self) -> ProjectionId {
            (&self.stream).into()
        }

        fn another(&self) -> Option<Self> {
            None
        }

        async fn prepare(&mut self, store: &MemoryStore) -> Result<ProjectionState> {
            store.prepare_stream(&self.stream).await
        }

        async fn complete(&mut self, _: &MemoryStore) -> Result<()> {
            Ok(())
        }

        fn claimed(&mut self, _: &Range<u16>, _: &Claimed) {
            self.told.fetch_add(1, Ordering::Relaxed);
        }

        async fn apply(
            &mut self,
            _: &MemoryStore,
            _: Advance,
            _: &StoredEvents,
        ) -> Result<Advanced> {
            Ok(Advanced::Fenced)
        }
    }

    /// How often a worker is told in a minute in which nothing happens; `change` comes before it.
    async fn told_in_a_minute(change: Option<Change>, elsewhere: bool) -> u32 {
        let store = MemoryStore::new();
        let stream = "s".to_owned();
        let mut work = Idle {
            stream: StreamVersion { stream, version: 1 },
            told: Arc::default(),
        };
        let state = work.prepare(&store).await.unwrap();
        let (id, told) = (work.id(), work.told.clone());
        if let Some(change) = change {
            store.change(&id, &change, "test").await.unwrap();
        }
        let part = |owner: &str| Part {
            slices: 0..SLICES,
            owner: owner.to_owned(),
            lease: Duration::from_secs(5),
        };
        if elsewhere {
            let claim = Claim {
                projection: id,
                slices: 0..SLICES,
                owner: "another".to_owned(),
                lease: Duration::from_hours(1),
            };
            store.claim(&claim).await.unwrap();
        }
        let status = watch::Sender::new(Status::new(state.phase, state.cursor, state.epoch));
        let asked = watch::Sender::new(false);
        let stop = Stop::new(asked.subscribe());
        let running = tokio::spawn(run(store, work, part("this"), status, stop));
        tokio::time::sleep(Duration::from_secs(60)).await;
        asked.send_replace(true);
        running.await.unwrap().unwrap();
        told.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_nothing_to_do_asks_twice_a_second() {
        let reason = "for a while".to_owned();
        let paused = Some(Change::Pause { reason });
        for (change, elsewhere) in [(None, false), (None, true), (paused, false)] {
            let told = told_in_a_minute(change.clone(), elsewhere).await;
            assert!(
                (110..=122).contains(&told),
                "{change:?}, {elsewhere}: {told}"
            );
        }
    }
}
