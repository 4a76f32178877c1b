//! Shows every inbox.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Refusal;
use super::args::Asked;
use super::find::{all, name};
use super::keys::{all_dead, all_set_aside};
use crate::event::Position;
use crate::integration::StreamHash;
use crate::ops::words::{columns, number};
use crate::store::{EventStore, InboxId, Store};

const TITLES: [&str; 8] = [
    "INBOX",
    "POSITION",
    "PARTS",
    "WORKERS",
    "SET ASIDE",
    "WAITING",
    "DEAD",
    "AHEAD",
];

/// An inbox, as JSON has it. The names of the fields stay.
#[derive(Serialize)]
struct Known {
    inbox: String,
    consumer: String,
    stream: String,
    version: u32,
    /// Every event up to here was handled, or waits for its key.
    position: Position,
    hash: String,
    /// Where it began, as far as that is known.
    began: Option<Position>,
    parts: u64,
    workers: u64,
    set_aside: u64,
    waiting: u64,
    dead_letters: u64,
    /// Entities that were handled ahead of the others, or are asked for.
    ahead: u64,
}

impl Known {
    async fn of(store: &Store, id: &InboxId) -> Result<Self, Refusal> {
        let (state, cursor) = (store.inbox_state(id).await?, store.inbox(id).await?);
        let keys = all_set_aside(store, id).await?;
        let workers = state.parts.iter().filter_map(|part| part.owner.as_ref());
        Ok(Self {
            inbox: name(id),
            consumer: id.consumer.clone(),
            stream: id.stream.stream.clone(),
            version: id.stream.version,
            position: cursor.position,
            hash: StreamHash::from_bytes(cursor.hash).to_string(),
            began: state.marks.first().map(|mark| mark.position),
            parts: state.parts.len() as u64,
            workers: workers.collect::<BTreeSet<_>>().len() as u64,
            set_aside: keys.len() as u64,
            waiting: keys.iter().map(|key| key.waiting).sum(),
            dead_letters: all_dead(store, id).await?.len() as u64,
            ahead: state.entities.len() as u64,
        })
    }

    fn line(&self) -> Vec<String> {
        let Self {
            parts,
            workers,
            set_aside,
            waiting,
            dead_letters,
            ahead,
            ..
        } = self;
        let numbers = [parts, workers, set_aside, waiting, dead_letters, ahead];
        let mut line = vec![self.inbox.clone(), number(self.position.get())];
        line.extend(numbers.map(|count| number(*count)));
        line
    }
}

pub(super) async fn list(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let mut known = Vec::new();
    for id in all(store, asked).await? {
        known.push(Known::of(store, &id).await?);
    }
    if asked.json {
        let lines = known.iter().map(serde_json::to_string);
        let lines: Vec<_> = lines.collect::<Result<_, _>>()?;
        return Ok(lines.into_iter().map(|line| line + "\n").collect());
    }
    if known.is_empty() {
        return Ok("no consumer has an inbox in this database\n".to_owned());
    }
    let mut lines = vec![TITLES.map(str::to_owned).to_vec()];
    lines.extend(known.iter().map(Known::line));
    Ok(columns(&lines, &[1, 2, 3, 4, 5, 6, 7]))
}
