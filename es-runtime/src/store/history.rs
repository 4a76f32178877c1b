//! The audit trail: what the log says of who did what, when and why.

use super::{EventStore, Store, StreamPage, StreamQuery};
use crate::error::{Error, Kind, Result};
use crate::event::{Metadata, Position, StoredEvent, StreamId, at};

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

/// A part of the audit trail.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryPage {
    /// What happened, in the order that was asked for.
    pub entries: Vec<HistoryEntry>,
    /// Whether there may be more in that direction: a page ends at its limit, and at several
    /// megabytes. Ask again from its last entry on.
    pub more: bool,
}

impl Store {
    /// What happened to one aggregate, who did it, when and why: for people, with payloads as they
    /// were written.
    ///
    /// ```
    /// # async fn example(store: es_runtime::Store) -> es_runtime::Result<()> {
    /// use es_runtime::store::StreamQuery;
    /// let page = store.history(&"account-alice".parse()?, StreamQuery::newest().limit(20)).await?;
    /// for entry in &page.entries {
    ///     let (event, who) = (&entry.event, &entry.metadata.actor);
    ///     println!("{} {} by {who:?}: {}", event.time, event.event_type, event.payload);
    /// }
    /// if let (true, Some(oldest)) = (page.more, page.entries.last()) {
    ///     println!("… and before: StreamQuery::before({})", oldest.event.version);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds of who and why is not well-formed.
    pub async fn history(&self, stream: &StreamId, query: StreamQuery) -> Result<HistoryPage> {
        page(&self.read_stream(stream, query).await?)
    }

    /// What was done under one correlation, in every stream of this log, after the position
    /// `after`: at most `limit` events, in order. Commands that were sent without a correlation
    /// belong to none.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    pub async fn history_of_correlation(
        &self,
        correlation: &str,
        after: Position,
        limit: usize,
    ) -> Result<HistoryPage> {
        page(&self.read_correlated(correlation, after, limit).await?)
    }
}

fn page(page: &StreamPage) -> Result<HistoryPage> {
    let entry = |event| {
        let undecodable = |error| Error::caused_by(Kind::Undecodable(at(event)), error);
        let metadata = match event.metadata {
            Some(json) => serde_json::from_str(json).map_err(undecodable)?,
            None => Metadata::new(),
        };
        let event = event.to_stored()?;
        Ok(HistoryEntry { event, metadata })
    };
    let entries = page.events.iter().map(entry).collect::<Result<_>>()?;
    let more = page.more;
    Ok(HistoryPage { entries, more })
}
