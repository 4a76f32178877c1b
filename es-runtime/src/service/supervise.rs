//! The workers of a service: started, watched, stopped.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::projection::{Health, Part, Status, Work, run};
use crate::runtime::{Stop, panic_message};
use crate::store::{Lineage, Phase, ProjectionId, Store};

/// The tasks of a service.
pub(super) struct Workers {
    /// This instance, as others see it at its work.
    owner: String,
    lease: Duration,
    stop: watch::Sender<bool>,
    /// The parts of each projection.
    projections: BTreeMap<ProjectionId, Vec<watch::Sender<Status>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    pub(super) fn new(owner: String, lease: Duration) -> Self {
        Self {
            owner,
            lease,
            stop: watch::Sender::new(false),
            projections: BTreeMap::new(),
            tasks: Mutex::default(),
        }
    }

    /// This instance, as others see it at its work.
    pub(super) fn owner(&self) -> &str {
        &self.owner
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

    /// Prepares a projection and starts a task for each of its parts.
    pub(super) async fn start<W: Work<Store>>(&mut self, store: &Store, mut work: W) -> Result<()> {
        let id = work.id();
        let state = work.prepare(store).await?;
        let mut parts = Vec::new();
        let mut work = Some(work);
        for slice in &state.slices {
            let Some(own) = work.take() else { break };
            work = own.another();
            let status = watch::Sender::new(Status::new(state.phase, slice.cursor, state.epoch));
            parts.push(status.clone());
            let part = Part {
                slices: slice.slices.clone(),
                owner: self.owner.clone(),
                lease: self.lease,
            };
            self.watch(
                id.clone(),
                run(store.clone(), own, part, status.clone(), self.stop()),
                status,
            );
        }
        if parts.is_empty() {
            tracing::warn!(projection = %id, "is retired: its code can be removed");
            let mut status = Status::new(state.phase, state.cursor, state.epoch);
            status.health = Health::Finished;
            parts.push(watch::Sender::new(status));
        }
        self.projections.insert(id, parts);
        Ok(())
    }

    /// Runs the work in a task of its own, so that a panic in a fold becomes a reason, too.
    fn watch<F>(&self, id: ProjectionId, work: F, status: watch::Sender<Status>)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
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
    }

    pub(super) fn status(&self) -> Vec<(ProjectionId, Status)> {
        let status = |(id, parts): (&ProjectionId, &Parts)| Some((id.clone(), whole(parts)?));
        self.projections.iter().filter_map(status).collect()
    }

    /// How a projection of one part goes.
    pub(super) fn watched(&self, id: &ProjectionId) -> Option<watch::Receiver<Status>> {
        let first = self.projections.get(id)?.first()?;
        Some(first.subscribe())
    }

    /// The versions whose code this instance has.
    pub(super) fn ids(&self) -> Vec<ProjectionId> {
        self.projections.keys().cloned().collect()
    }

    /// The epoch in which a projection of this process is known to be complete and to have come
    /// this far.
    pub(super) fn reflects(&self, id: &ProjectionId, position: Position) -> Option<u64> {
        let mut known = None;
        for part in self.projections.get(id)? {
            let part = part.borrow();
            let same = known.is_none_or(|known| known == part.epoch);
            if !same || !part.reflects(position) {
                return None;
            }
            known = Some(part.epoch);
        }
        known
    }

    /// Whether none of its keys is known to be parked.
    pub(super) fn none_parked(&self, id: &ProjectionId) -> bool {
        let parts = self.projections.get(id).into_iter().flatten();
        parts.map(|part| part.borrow().parked).sum::<u64>() == 0
    }

    /// Returns when the projection is known to have moved on from `cursor` or to have stopped, and
    /// after `pause`: another process may be the one that moves it, which shows in the store alone.
    pub(super) async fn moved(&self, id: &ProjectionId, cursor: Position, pause: Duration) {
        let slowest = self.projections.get(id).into_iter().flatten();
        let Some(status) = slowest.min_by_key(|part| part.borrow().cursor) else {
            return tokio::time::sleep(pause).await;
        };
        let news = |status: &Status| status.has_ended() || status.cursor > cursor;
        tokio::time::timeout(pause, status.subscribe().wait_for(news))
            .await
            .ok();
    }

    /// Fails with the reason if the projection will not move any more.
    pub(super) fn working(&self, id: &ProjectionId) -> Result<()> {
        let parts = self.projections.get(id).into_iter().flatten();
        for part in parts {
            let reason = match part.borrow().health.clone() {
                Health::Stopped { reason } => reason,
                Health::Finished => "the service was shut down".to_owned(),
                _ => continue,
            };
            let worker = id.to_string();
            return Err(Error::new(Kind::Stopped { worker, reason }));
        }
        Ok(())
    }

    /// Notes what the store says of the phases, after somebody changed them.
    pub(super) fn note(&self, id: &ProjectionId, lineage: &Lineage) {
        for (version, state) in &lineage.versions {
            let id = ProjectionId {
                version: *version,
                ..id.clone()
            };
            for part in self.projections.get(&id).into_iter().flatten() {
                part.send_if_modified(|status| {
                    let news = status.epoch < state.epoch;
                    if news {
                        (status.phase, status.epoch) = (state.phase, state.epoch);
                        // It may have been begun anew.
                        status.cursor = state.cursor;
                    }
                    news
                });
            }
        }
    }

    /// Waits until every projection is complete and has come as far as `position`.
    pub(super) async fn reached(&self, position: Position) -> Result<()> {
        for (id, parts) in &self.projections {
            for part in parts {
                let there =
                    |status: &Status| status.reflects(position) || status.phase == Phase::Retired;
                let ended = |status: &Status| status.has_ended() || there(status);
                part.subscribe().wait_for(ended).await.ok();
                if !there(&part.borrow()) {
                    self.working(id)?;
                }
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
        let failed = |part: &watch::Sender<Status>| part.borrow().health != Health::Finished;
        let failed = self
            .projections
            .iter()
            .find(|(_, parts)| parts.iter().any(failed));
        failed.map_or(Ok(()), |(id, _)| self.working(id))
    }
}

type Parts = Vec<watch::Sender<Status>>;

/// All parts as one: as far as the slowest has come, as well as the worst of them does.
fn whole(parts: &Parts) -> Option<Status> {
    let parts = parts.iter().map(|part| part.borrow().clone());
    parts.reduce(|one, other| {
        let (slowest, faster) = match one.cursor <= other.cursor {
            true => (one, other),
            false => (other, one),
        };
        Status {
            parked: slowest.parked + faster.parked,
            health: slowest.health.worse(faster.health),
            ..slowest
        }
    })
}
