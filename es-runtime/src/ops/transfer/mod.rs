//! A log as a file.

mod export;
mod file;
mod import;
mod line;

pub use export::{Exported, export};
pub use import::{Imported, import};

use sha2::{Digest, Sha256};

use self::line::Line;
use crate::error::{Error, Kind, Result};
use crate::event::{Position, StoredEvent};
use crate::store::{EventStore, LogQuery};

/// How far an export or import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last position that is done.
    pub position: Position,
    /// Where the file begins: it has what follows.
    pub after: Position,
    /// Where it ends.
    pub head: Position,
}

/// The event at a position, if the log has it.
async fn event_at<S: EventStore>(store: &S, position: Position) -> Result<Option<StoredEvent>> {
    let Some(before) = position.get().checked_sub(1) else {
        return Ok(None);
    };
    let mut events = page(store, Position::new(before), 1).await?;
    Ok(events.pop().filter(|event| event.position == position))
}

/// The events after a position, at most `limit`.
async fn page<S: EventStore>(store: &S, after: Position, limit: usize) -> Result<Vec<StoredEvent>> {
    let page = store.read_log(&LogQuery::after(after).limit(limit)).await?;
    Ok(page.events.to_vec()?)
}

/// An event's line.
fn line_of(event: &StoredEvent) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    let written = Line::Event(event.into()).write(&mut line);
    written.map_err(|error| file_failed("writing a line")(error.into()))?;
    Ok(line)
}

/// The SHA-256 of an event's line: what names an event across stores.
fn fingerprint(event: &StoredEvent) -> Result<String> {
    Ok(hex::encode(Sha256::digest(line_of(event)?)))
}

/// Runs what waits for a disk where nobody else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| file_failed("working on it")(error.into()))?
}

/// Turns a file's error into ours.
fn file_failed(
    doing: impl Into<String>,
) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Error {
    let doing = doing.into();
    |error| Error::caused_by(Kind::File { doing }, error)
}
