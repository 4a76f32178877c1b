//! Tells who runs the code of which versions, and who reads them: nothing is retired under somebody.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::error::Result;
use crate::runtime::Stop;
use crate::store::{EventStore, ProjectionId, Store};

/// The versions that this instance read since it told of it last.
#[derive(Debug, Default)]
pub(super) struct Reads(Mutex<BTreeSet<ProjectionId>>);

impl Reads {
    /// Notes that somebody read the version here.
    pub(super) fn add(&self, id: &ProjectionId) {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !reads.contains(id) {
            reads.insert(id.clone());
        }
    }

    fn take(&self) -> Vec<ProjectionId> {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *reads).into_iter().collect()
    }
}

/// This instance, the versions whose code it has, and those that it reads.
pub(super) struct Sightings {
    pub(super) store: Store,
    pub(super) who: String,
    pub(super) run: Vec<ProjectionId>,
    pub(super) reads: Arc<Reads>,
}

impl Sightings {
    /// Tells all that was not told yet.
    pub(super) async fn tell(&self) -> Result<()> {
        let read = self.reads.take();
        let told = self.store.note_seen(&self.who, &self.run, &read).await;
        if told.is_err() {
            read.iter().for_each(|id| self.reads.add(id));
        }
        told
    }

    /// Tells it again and again, and a last time at the end.
    pub(super) async fn run(self, every: Duration, mut stop: Stop) {
        while !stop.is_asked() {
            tokio::select! {
                () = sleep(every) => {}
                () = stop.asked() => {}
            }
            if let Err(error) = self.tell().await {
                tracing::warn!(%error, "nobody hears which versions are run and read here");
            }
        }
    }
}
