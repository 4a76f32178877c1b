use std::future::Future;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::{CloudEvent, Place};
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

    /// The events of one subject after a position, at most `limit`, and how far the stream was looked
    /// through for them: for [one entity](super::Running::entity) ahead of the others.
    ///
    /// # Errors
    /// As with [`read`](Self::read); by default, that this source cannot look for one.
    fn subject(
        &mut self,
        stream: &StreamVersion,
        subject: &str,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Filtered>> + Send {
        let (_, _, _, stream) = (subject, after, limit, stream.to_string());
        async { Err(Error::new(Kind::NoFilter { stream })) }
    }

    /// Where in `stream` one goes on who stands at `position` of another version of it, with the
    /// [origin](Place::origin) of their last move, if nothing was read since.
    ///
    /// # Errors
    /// As with [`read`](Self::read); by default, that this source cannot tell.
    fn place(
        &mut self,
        stream: &StreamVersion,
        of: u32,
        position: Position,
        origin: Position,
    ) -> impl Future<Output = Result<Place>> + Send {
        let _ = (of, position, origin);
        let stream = stream.to_string();
        async { Err(Error::new(Kind::NoPlace { stream })) }
    }

    /// The events after a cursor, at most `limit`; waits up to `wait` if there are none yet. Who does not
    /// wait at all asks what there is, of whoever knows. The hash is what the events before it came to:
    /// with it, a source can judge what it has.
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

/// What a source answered of one subject.
#[derive(Clone, Debug, Default)]
pub struct Filtered {
    /// Its events after the asked position, in order.
    pub events: Vec<CloudEvent>,
    /// There are no others up to here.
    pub checkpoint: Position,
    /// Where the stream ended.
    pub head: Position,
}
