//! Waking readers inside the process; between processes the poll interval stands behind it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::StreamVersion;
use crate::event::Position;

/// The newest heads that this process knows of. They may lag behind the truth, never lead it.
#[derive(Debug)]
pub(crate) struct Wake {
    log: watch::Sender<Position>,
    streams: watch::Sender<HashMap<StreamVersion, Position>>,
    poll: Duration,
}

impl Wake {
    pub(crate) fn new(poll: Duration) -> Self {
        let (log, streams) = Default::default();
        Self { log, streams, poll }
    }

    pub(crate) fn log_grew(&self, head: Position) {
        self.log
            .send_if_modified(|known| std::mem::replace(known, head.max(*known)) < head);
    }

    pub(crate) fn stream_grew(&self, stream: &StreamVersion, head: Position) {
        self.streams
            .send_if_modified(|known| match known.get_mut(stream) {
                Some(position) => std::mem::replace(position, head.max(*position)) < head,
                None => known.insert(stream.clone(), head).is_none(),
            });
    }

    pub(crate) async fn for_log(&self, after: Position) {
        let mut heads = self.log.subscribe();
        // Elapsed or not: the caller looks for itself.
        timeout(self.poll, heads.wait_for(|head| *head > after))
            .await
            .ok();
    }

    pub(crate) async fn for_stream(&self, stream: &StreamVersion, after: Position) {
        let mut heads = self.streams.subscribe();
        let grew = |known: &HashMap<_, _>| known.get(stream).is_some_and(|head| *head > after);
        timeout(self.poll, heads.wait_for(grew)).await.ok();
    }
}
