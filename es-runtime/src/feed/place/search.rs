//! Looks for the place in one version of a stream that is another version's place, too.

use std::future::Future;

use crate::error::{Error, Result};
use crate::event::Position;
use crate::integration::Place;
use crate::store::{
    EventStore, Phase, ProjectionId, PublishedEvent, PublishedPage, PublishedQuery, StreamCursor,
    StreamVersion,
};

/// Which place is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// In this version,
    pub(super) stream: StreamVersion,
    /// of one who stands in this one
    pub(super) of: StreamVersion,
    /// here,
    pub(super) position: Position,
    /// and has had what was made of so much.
    pub(super) origin: Position,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    At(Place),
    /// Nobody ever published the other version.
    Unknown,
    /// A version is still filled.
    Building(StreamVersion),
    /// A version has come to its end.
    Retired(StreamVersion),
    /// The other version ends before.
    Ahead(Position),
    /// Nobody who stands there has had so much: this is not the log that they read.
    Disagrees,
    /// The version has not come so far yet.
    Behind,
}

/// What is asked of the store.
pub(super) trait Rows: Sync {
    fn page(&self, query: &PublishedQuery) -> impl Future<Output = Result<PublishedPage>> + Send;

    /// Up to which position of the log the version is published.
    fn through(&self, stream: &StreamVersion) -> impl Future<Output = Result<Position>> + Send;
}

impl<S: EventStore> Rows for S {
    async fn page(&self, query: &PublishedQuery) -> Result<PublishedPage> {
        self.query_published(query).await
    }

    async fn through(&self, stream: &StreamVersion) -> Result<Position> {
        let state = self.projection(&ProjectionId::from(stream)).await?;
        Ok(state.map_or(Position::START, |state| state.cursor))
    }
}

/// Finds the place by halves: positions are dense, and what they were made of never goes back. So the
/// published events need no other index, which each of them would have to be written into.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn place<R: Rows>(rows: &R, asked: &Asked) -> Result<Placed> {
    let known = head(rows, &asked.of).await?;
    match known.life.map(|life| life.phase) {
        None => return Ok(Placed::Unknown),
        Some(Phase::Building) => return Ok(Placed::Building(asked.of.clone())),
        // The events of one that is retired are there until somebody removes them.
        Some(Phase::Retired) if known.head < asked.position => {
            return Ok(Placed::Retired(asked.of.clone()));
        }
        Some(_) if known.head < asked.position => return Ok(Placed::Ahead(known.head)),
        Some(_) => {}
    }
    let mut of = StreamCursor::default();
    let (mut until, mut source) = (asked.position, Position::START);
    if asked.position > Position::START {
        let event = at(rows, &asked.of, asked.position).await?;
        source = event.source;
        of = cursor(&event);
    }
    // What is made of one event is published in one transaction, so that the head is never inside.
    let next = loop {
        if until >= known.head {
            break None;
        }
        let next = at(rows, &asked.of, until.next()).await?;
        if next.source != source {
            break Some(next.source);
        }
        until = next.position;
    };
    let origin = source.max(asked.origin);
    let had = match next {
        Some(next) => origin < next,
        None => origin == source || origin <= rows.through(&asked.of).await?,
    };
    if !had {
        return Ok(Placed::Disagrees);
    }
    // Read before the head: up to there all is published.
    let through = rows.through(&asked.stream).await?;
    let known = head(rows, &asked.stream).await?;
    match known.life.map_or(Phase::Building, |life| life.phase) {
        Phase::Building => return Ok(Placed::Building(asked.stream.clone())),
        Phase::Retired => return Ok(Placed::Retired(asked.stream.clone())),
        Phase::Shadow | Phase::Live | Phase::Deprecated if through < origin => {
            return Ok(Placed::Behind);
        }
        Phase::Shadow | Phase::Live | Phase::Deprecated => {}
    }
    let (mut low, mut high) = (StreamCursor::default(), known.head.get());
    while low.position.get() < high {
        let middle = low.position.get() + (high - low.position.get()).div_ceil(2);
        let event = at(rows, &asked.stream, Position::new(middle)).await?;
        match event.source <= origin {
            true => low = cursor(&event),
            false => high = middle - 1,
        }
    }
    Ok(Placed::At(Place {
        of,
        until,
        at: low,
        origin,
    }))
}

async fn head<R: Rows>(rows: &R, stream: &StreamVersion) -> Result<PublishedPage> {
    let nothing = PublishedQuery::after(stream, Position::START).limit(0);
    rows.page(&nothing).await
}

async fn at<R: Rows>(
    rows: &R,
    stream: &StreamVersion,
    position: Position,
) -> Result<PublishedEvent> {
    let before = Position::new(position.get().saturating_sub(1));
    let one = PublishedQuery::after(stream, before).limit(1);
    let page = rows.page(&one).await?;
    let event = page.events.into_iter().next();
    let event = event.filter(|event| event.position == position);
    event.ok_or_else(|| {
        let why = format!("`{stream}` has no event at position {position}, and one behind it");
        Error::database("looking for a place in a stream", why)
    })
}

fn cursor(event: &PublishedEvent) -> StreamCursor {
    StreamCursor {
        position: event.position,
        hash: event.hash,
    }
}
