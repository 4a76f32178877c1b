//! The workers of a service: started, watched, stopped.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::projection::{Health, Status, Work, run};
use crate::runtime::{Stop, panic_message};
use crate::store::{ProjectionId, ProjectionState, Store};

/// How often a version that another process keeps up to date is looked at.
const POLL: Duration = Duration::from_millis(20);

/// The tasks of a service.
pub(super) struct Workers {
    stop: watch::Sender<bool>,
    projections: BTreeMap<ProjectionId, watch::Sender<Status>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    pub(super) fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            projections: BTreeMap::new(),
            tasks: Mutex::default(),
        }
    }

    /// Tells a task when to stop.
    pub(super) fn stop(&self) -> Stop {
        Stop::new(self.stop.subscribe())
    }

    /// Adds a task that watches [`stop`](Self::stop) itself.
    pub(super) fn add(&self, task: JoinHandle<()>) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task);
    }

    /// Prepares a projection and starts its task.
    pub(super) async fn start<W: Work<Store>>(&mut self, store: &Store, mut work: W) -> Result<()> {
        let id = work.id();
        let status = watch::Sender::new(Status::new(work.prepare(store).await?));
        let work = run(store.clone(), work, status.clone(), self.stop());
        self.projections.insert(id.clone(), status.clone());
        // A task of its own around the work, so that a panic in a fold becomes a reason, too.
        let work = tokio::spawn(work);
        self.add(tokio::spawn(async move {
            let health = match work.await {
                Ok(Ok(())) => Health::Finished,
                Ok(Err(error)) => Health::Stopped {
                    reason: error.to_string(),
                },
                Err(error) => Health::Stopped {
                    reason: panic_message(error),
                },
            };
            if let Health::Stopped { reason } = &health {
                tracing::error!(projection = %id, %reason, "stopped");
            }
            status.send_modify(|status| status.health = health);
        }));
        Ok(())
    }

    pub(super) fn status(&self) -> Vec<(ProjectionId, Status)> {
        let status = |(id, status): (&ProjectionId, &watch::Sender<Status>)| {
            (id.clone(), status.borrow().clone())
        };
        self.projections.iter().map(status).collect()
    }

    /// Whether a projection of this process is known to be complete and to have come this far.
    pub(super) fn reflects(&self, id: &ProjectionId, position: Position) -> bool {
        self.projections
            .get(id)
            .is_some_and(|status| status.borrow().reflects(position))
    }

    /// Returns when the projection may have moved on from `state`, or has stopped.
    pub(super) async fn moved(&self, id: &ProjectionId, state: ProjectionState) {
        let Some(status) = self.projections.get(id) else {
            return tokio::time::sleep(POLL).await;
        };
        let news = |status: &Status| {
            status.has_ended() || status.cursor > state.cursor || status.phase != state.phase
        };
        // Another process may be the one that moves it: its cursor shows in the store alone.
        tokio::time::timeout(POLL, status.subscribe().wait_for(news))
            .await
            .ok();
    }

    /// Fails with the reason if the projection will not move any more.
    pub(super) fn working(&self, id: &ProjectionId) -> Result<()> {
        let reason = match self
            .projections
            .get(id)
            .map(|status| status.borrow().health.clone())
        {
            Some(Health::Stopped { reason }) => reason,
            Some(Health::Finished) => "the service was shut down".to_owned(),
            _ => return Ok(()),
        };
        Err(Error::new(Kind::Stopped {
            worker: id.to_string(),
            reason,
        }))
    }

    /// Notes what the store says of the phases, after a promotion changed them.
    pub(super) fn note(&self, states: &[(ProjectionId, ProjectionState)]) {
        for (id, state) in states {
            if let Some(status) = self.projections.get(id) {
                status.send_modify(|status| status.phase = state.phase);
            }
        }
    }

    /// Waits until every projection is complete and has come as far as `position`.
    pub(super) async fn reached(&self, position: Position) -> Result<()> {
        for (id, status) in &self.projections {
            let there = |status: &Status| status.reflects(position);
            let ended = |status: &Status| status.has_ended() || there(status);
            status.subscribe().wait_for(ended).await.ok();
            if !there(&status.borrow()) {
                self.working(id)?;
            }
        }
        Ok(())
    }

    pub(super) async fn shutdown(&self) -> Result<()> {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(
                    reason = panic_message(error),
                    "a task of the service failed"
                );
            }
        }
        let failed = |status: &Status| status.health != Health::Finished;
        let failed = self
            .projections
            .iter()
            .find(|(_, status)| failed(&status.borrow()));
        failed.map_or(Ok(()), |(id, _)| self.working(id))
    }
}
