//! Reading a version of a read model.

use std::marker::PhantomData;
use std::time::Duration;

use super::Service;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::projection::{OutOfRange, Projection};
use crate::store::life::refused;
use crate::store::{EventStore, Phase, ProjectionId, Row};

/// One version of a read model, to read.
///
/// A version that is still being built answers with an error that tells its progress.
#[must_use = "say which rows: `.get(key)` or `.page(…)`"]
pub struct View<'s, P> {
    service: &'s Service,
    after: Position,
    within: Duration,
    row: PhantomData<fn() -> P>,
}

impl<'s, P: Projection> View<'s, P> {
    pub(super) fn new(service: &'s Service) -> Self {
        let (after, within) = (Position::START, Duration::from_secs(5));
        Self {
            service,
            after,
            within,
            row: PhantomData,
        }
    }

    /// Reads only what reflects the log up to `position`, and waits for it: read your own writes
    /// by handing over the receipt of a command.
    pub fn after(mut self, position: impl Into<Position>) -> Self {
        self.after = position.into();
        self
    }

    /// How long [`after`](Self::after) waits; five seconds unless something is said.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = deadline;
        self
    }

    /// The row of `key`.
    ///
    /// # Errors
    /// [`is_building`](Error::is_building) while the version is not complete;
    /// [`is_deadline`](Error::is_deadline) when it did not come far enough in time;
    /// [`is_stopped`](Error::is_stopped) when it will not; [`is_parked`](Error::is_parked) when the
    /// key is set aside at an event that [`after`](Self::after) asks for.
    pub async fn get(self, key: impl Into<String>) -> Result<Option<P>> {
        let key = key.into();
        self.ready().await?;
        self.not_parked(&key).await?;
        let rows = self
            .service
            .inner
            .store
            .read_rows(&P::TABLE, vec![key])
            .await?;
        rows.into_iter()
            .next()
            .map(|(key, row)| typed(&key, row))
            .transpose()
    }

    /// The rows after the key `after`, in the keys' order, at most `limit`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn page(self, after: Option<&str>, limit: usize) -> Result<Vec<(String, P)>> {
        self.ready().await?;
        let rows = self
            .service
            .inner
            .store
            .scan_rows(&P::TABLE, after, limit)
            .await?;
        rows.into_iter()
            .map(|(key, row)| typed(&key, row).map(|row| (key, row)))
            .collect()
    }

    /// Fails if an event of the key that was asked for waits: the row does not reflect it.
    async fn not_parked(&self, key: &str) -> Result<()> {
        let id = ProjectionId::from(&P::TABLE);
        let inner = &self.service.inner;
        // What is known here must be as far as what was asked for.
        let none = inner.workers.reflects(&id, self.after) && inner.workers.none_parked(&id);
        if self.after == Position::START || none {
            return Ok(());
        }
        let waiting = inner.store.parked_events(&id, key, 1).await?;
        match waiting.first() {
            Some(position) if *position <= self.after => {}
            _ => return Ok(()),
        }
        let parked = inner.store.parked(&id, None, usize::MAX).await?;
        let Some(parked) = parked.into_iter().find(|parked| parked.key == key) else {
            return Ok(());
        };
        Err(Error::new(Kind::Parked {
            projection: id.to_string(),
            key: parked.key,
            position: parked.position,
            reason: parked.reason,
        }))
    }

    /// Waits until the version is complete and has come far enough.
    async fn ready(&self) -> Result<()> {
        let store = &self.service.inner.store;
        let id = ProjectionId::from(&P::TABLE);
        let workers = &self.service.inner.workers;
        self.service.inner.reads.add(&id);
        if workers.reflects(&id, self.after) {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + self.within;
        loop {
            let Some(state) = store.projection(&id).await? else {
                let what = format!("the read model `{id}`");
                return Err(Error::new(Kind::Unregistered { what }));
            };
            if state.phase == Phase::Retired {
                let why = "it is retired, and its rows are gone; read a newer version".to_owned();
                return Err(refused(&id, "read", why));
            }
            if state.phase == Phase::Building && self.after == Position::START {
                let (projection, cursor) = (id.to_string(), state.cursor);
                let head = store.head().await?;
                return Err(Error::new(Kind::Building {
                    projection,
                    cursor,
                    head,
                }));
            }
            if state.cursor >= self.after && state.phase.is_complete() {
                return Ok(());
            }
            let moved = workers.moved(&id, &state);
            if tokio::time::timeout_at(deadline, moved).await.is_err() {
                let (projection, wanted) = (id.to_string(), self.after);
                let cursor = state.cursor;
                return Err(Error::new(Kind::Deadline {
                    projection,
                    wanted,
                    cursor,
                }));
            }
            workers.working(&id)?;
        }
    }
}

fn typed<P: Projection>(key: &str, row: Row) -> Result<P> {
    let misfit = |error: OutOfRange| {
        let what = format!("the row `{key}` of `{}`", P::TABLE);
        Error::caused_by(Kind::OutOfRange { what }, error)
    };
    P::from_row(row).map_err(misfit)
}
