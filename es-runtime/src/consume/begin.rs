//! Where a consumer begins that is new to a stream.

use std::time::Duration;

use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::StreamHash;
use crate::store::{StreamCursor, StreamVersion};

/// Where a consumer begins to read. It is decided once: from its first start on, the inbox knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begin {
    /// At the first event that was ever published.
    #[default]
    First,
    /// After the last event that is there at the consumer's first start.
    Now,
    /// After the event at this position.
    After(Position),
}

impl Begin {
    /// Asks the source for the place, with the hash there: what follows is proven from it on.
    pub(super) async fn find<S: Source>(
        self,
        source: &mut S,
        stream: &StreamVersion,
    ) -> Result<StreamCursor> {
        let position = match self {
            Self::First => Position::START,
            Self::Now => source.head(stream).await?,
            Self::After(position) => position,
        };
        let Some(before) = position.get().checked_sub(1).map(Position::new) else {
            return Ok(StreamCursor::default());
        };
        // What came before is not known, and is not asked about.
        let before = StreamCursor {
            position: before,
            ..StreamCursor::default()
        };
        let page = source.read(stream, before, 1, Duration::ZERO).await?;
        let is_it = |event: &&crate::integration::CloudEvent| event.position() == Some(position);
        let Some(event) = page.events.iter().find(is_it) else {
            let url = stream.to_string();
            let why = format!("it has no event at position {position}, after which to begin");
            return Err(Error::new(Kind::Feed { url, why }));
        };
        let hash: StreamHash = event.streamhash.parse().map_err(|error| {
            let why = format!("`{}` has the hash `{}`", event.id, event.streamhash);
            let stream = stream.to_string();
            Error::caused_by(Kind::BadEnvelope { stream, why }, error)
        })?;
        Ok(StreamCursor {
            position,
            hash: *hash.as_bytes(),
        })
    }
}
