//! Looks at versions that another process keeps up to date, once for all who wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::error::Result;
use crate::event::Position;
use crate::store::{EventStore, ProjectionId, Store, Table};

/// What was seen last, of each version.
#[derive(Default)]
pub(super) struct Looks(Mutex<BTreeMap<ProjectionId, Arc<OneAtATime>>>);

type OneAtATime = tokio::sync::Mutex<Option<(Instant, Look)>>;

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) cursor: Position,
    pub(super) epoch: u64,
}

impl Looks {
    /// Where the version stands, not before this call: whoever comes while somebody looks waits for
    /// the next look, and shares it with all the others.
    ///
    /// # Errors
    /// When there is no such version any more.
    pub(super) async fn look(&self, store: &Store, table: &Table) -> Result<Look> {
        let came = Instant::now();
        let last = {
            let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            looks.entry(table.into()).or_default().clone()
        };
        let mut last = last.lock().await;
        if let Some((began, look)) = *last
            && began >= came
        {
            return Ok(look);
        }
        let began = Instant::now();
        let at = store.read_rows_at(table, Vec::new()).await?;
        let look = Look {
            cursor: at.reflected(),
            epoch: at.epoch,
        };
        *last = Some((began, look));
        Ok(look)
    }
}
