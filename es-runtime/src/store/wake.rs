//! Waking readers: at once inside the process; between processes the store's own news and a poll
//! interval stand behind it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::StreamVersion;
use crate::event::Position;

/// Heads of the log and of the integration streams, as far as somebody knows.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    log: watch::Sender<Position>,
    streams: watch::Sender<HashMap<StreamVersion, Position>>,
    /// Says nothing, until it is dropped.
    #[cfg(feature = "postgres")]
    end: watch::Sender<()>,
}

impl Heads {
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

    /// Nothing is known any more, which wakes nobody.
    #[cfg(feature = "postgres")]
    pub(crate) fn forget(&self) {
        self.log.send_if_modified(|known| {
            *known = Position::START;
            false
        });
        self.streams.send_if_modified(|known| {
            known.clear();
            false
        });
    }

    /// Follows the heads; both ends when the heads are dropped.
    #[cfg(feature = "postgres")]
    pub(crate) fn follow(
        &self,
    ) -> (
        watch::Receiver<Position>,
        watch::Receiver<HashMap<StreamVersion, Position>>,
    ) {
        (self.log.subscribe(), self.streams.subscribe())
    }

    /// Comes back when the heads are dropped, and sleeps until then: every append makes the log grow.
    #[cfg(feature = "postgres")]
    pub(crate) fn dropped(&self) -> impl Future<Output = ()> + use<> {
        let mut end = self.end.subscribe();
        async move {
            end.changed().await.ok();
        }
    }
}

/// Wakes the readers of this process. What it knows may lag behind the truth, and never leads it:
/// where a server may have taken over that knows less, it is forgotten.
#[derive(Debug)]
pub(crate) struct Wake {
    heads: Heads,
    poll: Duration,
}

impl Wake {
    pub(crate) fn new(poll: Duration) -> Self {
        Self {
            heads: Heads::default(),
            poll,
        }
    }

    pub(crate) fn log_grew(&self, head: Position) {
        self.heads.log_grew(head);
    }

    pub(crate) fn stream_grew(&self, stream: &StreamVersion, head: Position) {
        self.heads.stream_grew(stream, head);
    }

    /// The log may have become shorter: a server that took over need not know its end.
    #[cfg(feature = "postgres")]
    pub(crate) fn forget(&self) {
        self.heads.forget();
    }

    pub(crate) async fn for_log(&self, after: Position) {
        let mut heads = self.heads.log.subscribe();
        // Elapsed or not: the caller looks for itself.
        timeout(self.poll, heads.wait_for(|head| *head > after))
            .await
            .ok();
    }

    pub(crate) async fn for_stream(&self, stream: &StreamVersion, after: Position) {
        let mut heads = self.heads.streams.subscribe();
        let grew = |known: &HashMap<_, _>| known.get(stream).is_some_and(|head| *head > after);
        timeout(self.poll, heads.wait_for(grew)).await.ok();
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    /// A reader beyond the head of a log that lost its end waits, instead of looking for ever.
    #[tokio::test(start_paused = true)]
    async fn what_is_forgotten_wakes_nobody() {
        let wake = Wake::new(Duration::from_secs(1));
        let stream = StreamVersion {
            stream: "accounts".into(),
            version: 1,
        };
        wake.log_grew(Position::new(9));
        wake.stream_grew(&stream, Position::new(9));
        wake.forget();
        let start = tokio::time::Instant::now();
        wake.for_log(Position::new(5)).await;
        wake.for_stream(&stream, Position::new(5)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        wake.log_grew(Position::new(6));
        let start = tokio::time::Instant::now();
        wake.for_log(Position::new(5)).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
