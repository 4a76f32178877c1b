//! Whether a stream is what was published: its chain, made again from what is stored.

use super::{Salt, StreamHash};
use crate::error::Result;
use crate::event::Position;
use crate::store::{EventStore, PublishedEvent, StreamCursor, StreamVersion};

/// Events that are read at once.
const PAGE: usize = 1000;

/// Where a stream is not what was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breach {
    /// The first position that is wrong; the ones before it are right.
    pub position: Position,
    /// What is wrong there, for people.
    pub why: String,
}

/// Makes the chain of a stream again, behind the position `after` and up to `until`, from what the
/// store holds, and shows the cursor of each position that is right.
///
/// The law: where it finds no breach, the events are those that were published, all of them, each at
/// its place. What stands at `after` is believed; nothing needs to be from the start on.
///
/// ```
/// use es_runtime::event::Position;
/// use es_runtime::integration::{StreamVersion, verify};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> es_runtime::Result<()> {
/// # let store = es_runtime::Store::connect("memory:").await?;
/// let accounts = StreamVersion { stream: "accounts".to_owned(), version: 1 };
/// let mut last = Position::START;
/// let breach = verify(&store, &accounts, Position::START, Position::new(17), |cursor| {
///     last = cursor.position;
/// })
/// .await?;
/// // Nothing was published yet.
/// assert_eq!(breach.unwrap().position, Position::new(1));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the store cannot be read.
pub async fn verify<S: EventStore>(
    store: &S,
    stream: &StreamVersion,
    after: Position,
    until: Position,
    mut right: impl FnMut(StreamCursor),
) -> Result<Option<Breach>> {
    let mut cursor = match believed(store, stream, after).await? {
        Some(cursor) => cursor,
        None => return Ok(Some(missing(after))),
    };
    while cursor.position < until {
        let left = usize::try_from(until.get() - cursor.position.get()).unwrap_or(usize::MAX);
        let page = store.read_published(stream, cursor.position, left.min(PAGE));
        let page = page.await?;
        if page.is_empty() {
            return Ok(Some(missing(cursor.position.next())));
        }
        for event in &page {
            match follows(cursor, event) {
                Ok(next) => cursor = next,
                Err(breach) => return Ok(Some(breach)),
            }
            right(cursor);
        }
    }
    Ok(None)
}

/// What the store says of a position; nothing if it has no such event.
async fn believed<S: EventStore>(
    store: &S,
    stream: &StreamVersion,
    position: Position,
) -> Result<Option<StreamCursor>> {
    let Some(before) = position.get().checked_sub(1) else {
        return Ok(Some(StreamCursor::default()));
    };
    let event = store
        .read_published(stream, Position::new(before), 1)
        .await?;
    let event = event.first().filter(|event| event.position == position);
    Ok(event.map(|event| StreamCursor {
        position,
        hash: event.hash,
    }))
}

fn missing(position: Position) -> Breach {
    let why = "no event is there".to_owned();
    Breach { position, why }
}

/// The cursor after an event, if it is the one that was published next.
fn follows(
    cursor: StreamCursor,
    event: &PublishedEvent,
) -> std::result::Result<StreamCursor, Breach> {
    let position = cursor.position.next();
    if event.position != position {
        return Err(missing(position));
    }
    let salt = Salt::from_bytes(event.salt);
    let before = StreamHash::from_bytes(cursor.hash);
    let made = before.after(position, &event.event_type, salt, &event.payload);
    let stored = StreamHash::from_bytes(event.hash);
    match made == stored {
        true => Ok(StreamCursor {
            position,
            hash: event.hash,
        }),
        false => Err(Breach {
            position,
            why: format!("the event makes the hash {made}, and {stored} was published"),
        }),
    }
}
