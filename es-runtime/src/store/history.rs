//! The audit trail: what the log says of who did what, when and why.

use super::{EventStore, Store, StreamQuery};
use crate::error::{Error, Kind, Result};
use crate::event::{Metadata, Position, StoredEvent, StoredEvents, StreamId, at};

/// An event with who caused it, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The event, its payload as JSON.
    pub event: StoredEvent,
    /// Who asked, what it belongs to, and the command, with its content where the service
    /// [records commands](crate::Builder::record_commands).
    pub metadata: Metadata,
}

impl Store {
    /// What happened to one aggregate, who did it, when and why: for people, with payloads as they
    /// were written. There may be fewer than were asked for where they are large: ask again from
    /// the last one on, until nothing comes.
    ///
    /// ```
    /// # async fn example(store: es_runtime::Store) -> es_runtime::Result<()> {
    /// use es_runtime::store::StreamQuery;
    /// for entry in store.history(&"account-alice".parse()?, StreamQuery::newest().limit(20)).await? {
    ///     let (event, who) = (&entry.event, &entry.metadata.actor);
    ///     println!("{} {} by {who:?}: {}", event.time, event.event_type, event.payload);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds of who and why is not well-formed.
    pub async fn history(
        &self,
        stream: &StreamId,
        query: StreamQuery,
    ) -> Result<Vec<HistoryEntry>> {
        entries(&self.read_stream(stream, query).await?.events)
    }

    /// What was done under one correlation, in every stream of this log, after the position
    /// `after`: at most `limit` events, in order. Commands that were sent without a correlation
    /// belong to none. Ask again from the last position on, until nothing comes.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    pub async fn history_of_correlation(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>> {
        entries(&self.read_correlated(correlation, after, limit).await?)
    }
}

fn entries(events: &StoredEvents) -> Result<Vec<HistoryEntry>> {
    let entry = |event| {
        let undecodable = |error| Error::caused_by(Kind::Undecodable(at(event)), error);
        let metadata = match event.metadata {
            Some(json) => serde_json::from_str(json).map_err(undecodable)?,
            None => Metadata::new(),
        };
        let event = event.to_stored()?;
        Ok(HistoryEntry { event, metadata })
    };
    events.iter().map(entry).collect()
}
