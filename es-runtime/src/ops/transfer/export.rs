//! A log into a file.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use tokio::sync::mpsc;

use super::file::{Opened, Target};
use super::line::{Account, FORMAT, Header, Line};
use super::{Progress, blocking, event_at, file_failed, fingerprint, line_of, page};
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use crate::store::{AcceptedCommand, EventStore};

/// Events that are read at once.
const PAGE: u64 = 4096;
/// Commands without events that are read at once.
const EMPTY: usize = 512;

/// What an export has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Events in the file.
    pub events: u64,
    /// Accepted commands in the file.
    pub commands: u64,
    /// The position of its last event; the next file goes on after it.
    pub position: Position,
}

/// Writes what a log keeps after the position `after` to a file, up to the head at the beginning:
/// events, and accepted commands. A name that ends in `.zst` makes a compressed file.
///
/// An interrupted export goes on when it is asked for again: the whole part of the file stays, and
/// the file ends where it was meant to. Memory does not grow with the log. `now` is noted in the
/// file.
///
/// # Errors
/// When the file is there already and is not a part of this export, when `after` is beyond the
/// head or within a command, or when the store or the disk fails; what is whole is kept then.
///
/// # Cancel safety
/// A dropped future leaves a part of the file, and the next call goes on with it.
pub async fn export<S: EventStore>(
    store: &S,
    file: impl AsRef<Path>,
    after: Position,
    now: Timestamp,
    progress: impl FnMut(Progress),
) -> Result<Exported> {
    let path = file.as_ref().to_owned();
    let name = path.display().to_string();
    let refused = |why| {
        Err(Error::new(Kind::NotContinuable {
            file: name.clone(),
            why,
        }))
    };
    let head = store.head().await?;
    if after > head {
        return refused(format!("the log ends at position {head}, before {after}"));
    }
    let previous = event_at(store, after).await?;
    if let Some(begin) = within(store, previous.as_ref()).await? {
        return refused(format!(
            "position {after} is within a command; begin after {begin}"
        ));
    }
    let header = Header {
        format: FORMAT,
        identity: store.identity(),
        after,
        previous: previous.as_ref().map(fingerprint).transpose()?,
        head,
        time: now,
    };
    let opened = blocking(move || Target::open(&path, header)).await?;
    let Opened {
        target,
        header,
        last,
    } = opened;
    if !last.is_empty() && !is_at(store, target.account().position, &last).await? {
        return refused("its events are not those of the log any more; take another file".into());
    }

    let begin = target.account().clone();
    let (pages, received) = mpsc::channel(2);
    let writer = blocking(move || write(target, received));
    let reader = read(store, &begin, &header, pages, progress);
    // Both at once: one of them waits for the disk, the other for the database.
    let (read, written) = tokio::join!(reader, writer);
    // A writer that failed is the reason of a reader that found nobody to read for.
    let written = written?;
    read?;
    let gone = || file_failed("writing it")("the writer ended early".into());
    written.ok_or_else(gone).map(|account| Exported {
        events: account.events,
        commands: account.commands,
        position: account.position,
    })
}

/// Whether the log has this line's event where the file has it.
async fn is_at<S: EventStore>(store: &S, position: Position, last: &[u8]) -> Result<bool> {
    match event_at(store, position).await? {
        Some(event) => Ok(line_of(&event)? == last),
        None => Ok(false),
    }
}

/// Where the command begins that goes on after the event, if one does.
async fn within<S: EventStore>(store: &S, event: Option<&StoredEvent>) -> Result<Option<u64>> {
    let key = event.and_then(|event| Some((event, key(event)?)));
    let Some((event, key)) = key else {
        return Ok(None);
    };
    let command = store.read_commands(&[key]).await?.pop();
    let command = command.filter(|command| command.outcome.position() > event.position);
    Ok(command.map(|command| command.outcome.first.get() - 1))
}

fn key(event: &StoredEvent) -> Option<(StreamId, CommandId)> {
    Some((event.stream.clone(), event.command_id?))
}

enum Item {
    Event(StoredEvent),
    Command(AcceptedCommand),
}

type Pages = mpsc::Sender<Option<Vec<Item>>>;

/// Reads the log up to the head that the file is meant to have, and says when it is done.
async fn read<S: EventStore>(
    store: &S,
    begin: &Account,
    header: &Header,
    pages: Pages,
    mut progress: impl FnMut(Progress),
) -> Result<()> {
    let mut position = begin.position;
    let mut items = Vec::new();
    let mut empty = Empty::new(store, position, begin.command.as_ref());
    if position > header.after && begin.command.is_none() {
        let event = event_at(store, position).await?;
        let keys: Vec<_> = event.as_ref().and_then(key).into_iter().collect();
        let command = store.read_commands(&keys).await?.pop();
        let ends = command.filter(|command| command.outcome.position() == position);
        items.extend(ends.map(Item::Command));
    }
    empty.up_to(position, &mut items).await?;
    loop {
        // Nobody reads on: the writer has failed, and says why.
        if pages.send(Some(std::mem::take(&mut items))).await.is_err() {
            return Ok(());
        }
        progress(Progress {
            position,
            after: header.after,
            head: header.head,
        });
        let left = header.head.get().saturating_sub(position.get());
        if left == 0 {
            pages.send(None).await.ok();
            return Ok(());
        }
        let limit = usize::try_from(left.min(PAGE)).unwrap_or(usize::MAX);
        let events = page(store, position, limit).await?;
        let commands = commands(store, &events).await?;
        let missing = |after, found| Error::new(Kind::BrokenOrder { after, found });
        if events.is_empty() {
            return Err(missing(position, header.head));
        }
        for event in events {
            if event.position != position.next() {
                return Err(missing(position, event.position));
            }
            position = event.position;
            let command = key(&event).and_then(|key| commands.get(&key));
            let command = command.filter(|command| command.outcome.position() == position);
            items.push(Item::Event(event));
            items.extend(command.cloned().map(Item::Command));
            empty.up_to(position, &mut items).await?;
        }
    }
}

type Commands = HashMap<(StreamId, CommandId), AcceptedCommand>;

/// What the log remembers of the commands behind these events.
async fn commands<S: EventStore>(store: &S, events: &[StoredEvent]) -> Result<Commands> {
    let mut keys: Vec<_> = events.iter().filter_map(key).collect();
    keys.dedup();
    let commands = store.read_commands(&keys).await?;
    Ok(commands.into_iter().map(|c| (c.key(), c)).collect())
}

/// The commands without events, in their order, a page ahead.
struct Empty<'s, S> {
    store: &'s S,
    from: Position,
    after: Option<(StreamId, CommandId)>,
    page: VecDeque<AcceptedCommand>,
    more: bool,
}

impl<'s, S: EventStore> Empty<'s, S> {
    /// Those that follow the event at `position`, and the command `last` behind it.
    fn new(store: &'s S, position: Position, last: Option<&AcceptedCommand>) -> Self {
        let last = last.filter(|command| command.outcome.count == 0);
        Self {
            store,
            from: position.next(),
            after: last.map(AcceptedCommand::key),
            page: VecDeque::new(),
            more: true,
        }
    }

    /// Adds those that were accepted when the event at `position` was the last one.
    async fn up_to(&mut self, position: Position, items: &mut Vec<Item>) -> Result<()> {
        loop {
            if self.page.is_empty() && self.more {
                let read = self
                    .store
                    .read_empty_commands(self.from, self.after.as_ref(), EMPTY);
                self.page = read.await?.into();
                self.more = self.page.len() == EMPTY;
                if let Some(last) = self.page.back() {
                    (self.from, self.after) = (last.outcome.first, Some(last.key()));
                }
            }
            let due = |command: &mut AcceptedCommand| command.outcome.position() <= position;
            match self.page.pop_front_if(due) {
                Some(command) => items.push(Item::Command(command)),
                None => return Ok(()),
            }
        }
    }
}

/// Writes what is read; answers what the file came to, or nothing if the reader gave up.
fn write(
    mut target: Target,
    mut pages: mpsc::Receiver<Option<Vec<Item>>>,
) -> Result<Option<Account>> {
    while let Some(page) = pages.blocking_recv() {
        let Some(items) = page else {
            return target.finish().map(Some);
        };
        for item in items {
            match item {
                Item::Event(event) => {
                    let count = |account: &mut Account, line: &[u8]| {
                        account.event(line, event.position);
                    };
                    target.push(&Line::Event((&event).into()), count)?;
                }
                Item::Command(command) => {
                    let count = |account: &mut Account, line: &[u8]| {
                        account.command(line, command.clone());
                    };
                    target.push(&Line::Command((&command).into()), count)?;
                }
            }
        }
    }
    Ok(None)
}
