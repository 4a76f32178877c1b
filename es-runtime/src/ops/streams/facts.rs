//! What is known of a stream version and of its consumers, as people and programs see it.

use std::time::Duration;

use serde::Serialize;

use super::{Now, stream};
use crate::error::Result;
use crate::event::{Position, Timestamp};
use crate::integration::StreamHash;
use crate::ops::projections::facts::{lag, owners, standstill};
use crate::ops::words::between;
use crate::store::{
    ConsumerState, EventStore, Noted, ProjectionId, ProjectionState, Sighting, Store, StreamCursor,
    StreamVersion,
};

/// A consumer, and how far behind the stream's head it is.
pub(super) struct Behind {
    pub(super) known: ConsumerState,
    pub(super) head: Position,
    /// Since when the first event waits that it does not have.
    pub(super) waits: Option<Timestamp>,
}

impl Behind {
    /// The consumers of a stream version.
    pub(super) async fn of(store: &Store, stream: &StreamVersion) -> Result<Vec<Self>> {
        let head = store.published_head(stream).await?.position;
        let mut all = Vec::new();
        for known in store.consumers(Some(stream)).await? {
            let next = store.read_published(stream, known.reading.position, 1);
            let waits = next.await?.first().map(|event| event.recorded);
            all.push(Self { known, head, waits });
        }
        Ok(all)
    }

    /// The events that it does not have. One that is beyond the head has read another stream.
    pub(super) fn events(&self) -> u64 {
        let position = self.known.reading.position.get();
        self.head.get().saturating_sub(position)
    }

    /// For how long the first of them waits.
    pub(super) fn time(&self, now: &Now) -> Duration {
        let waits = self.waits.map(|since| between(since, now.time));
        waits.unwrap_or_default()
    }
}

/// A consumer, as JSON has it. The names of the fields stay.
#[derive(Serialize)]
pub(super) struct Reads<'a> {
    consumer: &'a str,
    stream: String,
    position: Position,
    head: Position,
    lag: u64,
    lag_seconds: u64,
    hash: Option<String>,
    via: &'a str,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

impl<'a> Reads<'a> {
    pub(super) fn of(behind: &'a Behind, now: &Now) -> Self {
        let ConsumerState {
            reading,
            first_seen,
            last_seen,
        } = &behind.known;
        let hash = reading.hash.map(StreamHash::from_bytes);
        Self {
            consumer: &reading.consumer,
            stream: reading.stream.to_string(),
            position: reading.position,
            head: behind.head,
            lag: behind.events(),
            lag_seconds: behind.time(now).as_secs(),
            hash: hash.map(|hash| hash.to_string()),
            via: &reading.via,
            first_seen: *first_seen,
            last_seen: *last_seen,
        }
    }
}

/// A stream version.
pub(super) struct Stream<'a> {
    pub(super) id: &'a ProjectionId,
    pub(super) state: &'a ProjectionState,
    pub(super) head: StreamCursor,
    pub(super) consumers: Vec<Behind>,
}

impl<'a> Stream<'a> {
    pub(super) async fn of(
        store: &Store,
        id: &'a ProjectionId,
        state: &'a ProjectionState,
    ) -> Result<Self> {
        Ok(Self {
            id,
            state,
            head: store.published_head(&stream(id)).await?,
            consumers: Behind::of(store, &stream(id)).await?,
        })
    }
}

/// A stream version, as JSON has it. The names of the fields stay.
#[derive(Serialize)]
pub(super) struct Facts<'a> {
    stream: String,
    name: &'a str,
    version: u32,
    phase: &'static str,
    since: Timestamp,
    sunset: Option<Timestamp>,
    head: Position,
    hash: String,
    cursor: Position,
    lag: u64,
    owners: Vec<&'a str>,
    run: Option<&'a Sighting>,
    read: Option<&'a Sighting>,
    standstill: Option<&'a Noted>,
    consumers: usize,
}

impl<'a> Facts<'a> {
    pub(super) fn of(stream: &'a Stream<'_>, now: &Now) -> Self {
        let Stream {
            id,
            state,
            head,
            consumers,
        } = stream;
        Self {
            stream: id.to_string(),
            name: &id.name,
            version: id.version,
            phase: state.phase.as_str(),
            since: state.since,
            sunset: state.sunset,
            head: head.position,
            hash: StreamHash::from_bytes(head.hash).to_string(),
            cursor: state.cursor,
            lag: lag(state, now),
            owners: owners(state),
            run: state.run.as_ref(),
            read: state.read.as_ref(),
            standstill: standstill(state),
            consumers: consumers.len(),
        }
    }
}
