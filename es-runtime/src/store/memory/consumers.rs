//! Who reads the integration streams, in memory.

use std::collections::BTreeMap;

use crate::event::{Clock, SystemClock};
use crate::store::{ConsumerState, ProjectionId, ProjectionKind, Reading, StreamVersion};

/// What is known of each consumer, by stream and name.
#[derive(Debug, Default)]
pub(super) struct Consumers(BTreeMap<(StreamVersion, String), ConsumerState>);

impl Consumers {
    pub(super) fn note(&mut self, readings: &[Reading]) {
        let now = SystemClock.now();
        for reading in readings {
            let key = (reading.stream.clone(), reading.consumer.clone());
            let new = || ConsumerState {
                reading: reading.clone(),
                first_seen: now,
                last_seen: now,
            };
            let known = self.0.entry(key).or_insert_with(new);
            known.reading = reading.clone();
            known.last_seen = known.last_seen.max(now);
        }
    }

    pub(super) fn list(&self, stream: Option<&StreamVersion>) -> Vec<ConsumerState> {
        let known = self.0.iter();
        let known = known.filter(|((read, _), _)| stream.is_none_or(|stream| read == stream));
        known.map(|(_, consumer)| consumer.clone()).collect()
    }

    /// Those of an integration stream; nothing else has any.
    pub(super) fn of(&self, id: &ProjectionId) -> Vec<ConsumerState> {
        match id.kind {
            ProjectionKind::ReadModel | ProjectionKind::Process => Vec::new(),
            ProjectionKind::Stream => self.list(Some(&StreamVersion {
                stream: id.name.clone(),
                version: id.version,
            })),
        }
    }
}
