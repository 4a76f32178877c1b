use std::future::Future;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::CloudEvent;
use crate::store::{StreamCursor, StreamVersion};

/// Where a consumer asks for a stream's events.
///
/// It may answer less than there is, twice, or in the wrong order: the consumer notices. What it
/// must not do is answer for another stream.
pub trait Source: Send + 'static {
    /// Hears the consumer's name once, before the first read: a source that can tells it to the
    /// publisher, who then knows whom a retirement would leave behind.
    fn introduce(&mut self, consumer: &str) {
        let _ = consumer;
    }

    /// The position of the stream's last event, for those who begin [now](super::Begin::Now).
    ///
    /// # Errors
    /// As with [`read`](Self::read); by default, that this source cannot tell.
    fn head(&mut self, stream: &StreamVersion) -> impl Future<Output = Result<Position>> + Send {
        let stream = stream.to_string();
        async { Err(Error::new(Kind::NoHead { stream })) }
    }

    /// The events after a cursor, at most `limit`; waits up to `wait` if there are none yet. The hash
    /// is what the events before it came to: with it, a source can judge what it has.
    ///
    /// # Errors
    /// [`is_transient`](crate::Error::is_transient) when asking again may help; anything else
    /// stops the consumer.
    ///
    /// # Cancel safety
    /// The future may be dropped, and is asked again from another position.
    fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Page>> + Send;
}

/// What a source answered.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Events after the asked position.
    pub events: Vec<CloudEvent>,
}
