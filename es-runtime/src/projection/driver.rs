//! Drives a runner: reads the log, applies pages, waits, and shows how it goes.

use std::future::Future;

use tokio::sync::watch;

use super::runner::{Runner, Step};
use crate::error::{Error, Result};
use crate::event::{Position, StoredEvents};
use crate::runtime::Stop;
use crate::store::{Advance, Advanced, EventStore, LogQuery, Phase, ProjectionId, ProjectionState};

/// How a projection or an integration stream is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Where it stands in its life.
    pub phase: Phase,
    /// The last position of the log that it reflects.
    pub cursor: Position,
    /// Whether it works.
    pub health: Health,
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
    /// It has stopped and needs somebody to look: nothing was skipped.
    Stopped {
        /// Why.
        reason: String,
    },
    /// It was shut down with its service.
    Finished,
}

impl Status {
    /// Whether it is complete and has come as far as `position`.
    pub(crate) fn reflects(&self, position: Position) -> bool {
        self.cursor >= position && self.phase != Phase::Building
    }

    /// Whether it will not move any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.health, Health::Stopped { .. } | Health::Finished)
    }
    pub(crate) fn new(state: ProjectionState) -> Self {
        Self {
            phase: state.phase,
            cursor: state.cursor,
            health: Health::Working,
        }
    }
}

/// What one projection makes of a page of the log.
pub(crate) trait Work<S: EventStore>: Send + 'static {
    fn id(&self) -> ProjectionId;

    /// Makes it known to the store and answers where it stands.
    fn prepare(&mut self, store: &S) -> impl Future<Output = Result<ProjectionState>> + Send;

    /// Writes what the page makes and moves the cursor, in one transaction.
    fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        page: &StoredEvents,
    ) -> impl Future<Output = Result<Advanced>> + Send;
}

/// Runs until `stop` says so, or until it cannot go on.
///
/// A page that is being applied is finished first.
///
/// # Errors
/// Why it cannot go on: nothing was skipped, and it continues there when it is started again.
pub(crate) async fn run<S: EventStore, W: Work<S>>(
    store: S,
    mut work: W,
    status: watch::Sender<Status>,
    mut stop: Stop,
) -> Result<()> {
    let id = work.id();
    let mut runner = Runner::at(status.borrow().cursor);
    let mut page = StoredEvents::new();
    let mut step = runner.next();
    while !stop.is_asked() {
        let taken = take(
            &store,
            &mut work,
            &mut runner,
            &status,
            step,
            &mut page,
            &mut stop,
        )
        .await;
        step = match taken {
            Ok(next) => next,
            Err(error) => {
                let reason = error.to_string();
                let next = runner.failed(error)?;
                tracing::warn!(projection = %id, %reason, "failed; trying again");
                status.send_modify(|status| status.health = Health::Retrying { reason });
                next
            }
        };
    }
    Ok(())
}

/// Takes one step and answers the next.
async fn take<S: EventStore, W: Work<S>>(
    store: &S,
    work: &mut W,
    runner: &mut Runner,
    status: &watch::Sender<Status>,
    step: Step,
    page: &mut StoredEvents,
    stop: &mut Stop,
) -> Result<Step> {
    match step {
        Step::Read { after, limit } => {
            let query = LogQuery::after(after).limit(limit);
            *page = store.read_log(&query).await?.events;
            runner.read(page)
        }
        Step::Apply { from, to } => {
            let advance = Advance {
                projection: work.id(),
                from,
                to,
            };
            let advanced = work.apply(store, advance, page).await?;
            let next = runner.applied(to, advanced);
            show(status, runner.cursor());
            Ok(next)
        }
        Step::Wait { after } => {
            show(status, after);
            if status.borrow().phase == Phase::Building {
                let phase = store.finish_building(&work.id()).await?;
                tracing::info!(projection = %work.id(), position = %after, ?phase, "built");
                status.send_modify(|status| status.phase = phase);
            }
            wait_or_stop(store.wait_for_append(after), stop).await;
            Ok(runner.next())
        }
        Step::Reload => reload(store, work.id(), runner).await,
        Step::Retry { after } => {
            wait_or_stop(tokio::time::sleep(after), stop).await;
            reload(store, work.id(), runner).await
        }
    }
}

async fn reload<S: EventStore>(store: &S, id: ProjectionId, runner: &mut Runner) -> Result<Step> {
    let state = store.projection(&id).await?;
    let gone = || Error::database("reading a projection's cursor", "it is gone");
    Ok(runner.reloaded(state.ok_or_else(gone)?.cursor))
}

fn show(status: &watch::Sender<Status>, cursor: Position) {
    status.send_if_modified(|status| {
        let news = status.cursor != cursor || status.health != Health::Working;
        (status.cursor, status.health) = (cursor, Health::Working);
        news
    });
}

async fn wait_or_stop(wait: impl Future<Output = ()>, stop: &mut Stop) {
    tokio::select! {
        () = wait => {}
        () = stop.asked() => {}
    }
}
