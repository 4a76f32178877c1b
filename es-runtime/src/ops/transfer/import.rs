//! A file into a log.

use std::collections::VecDeque;
use std::path::Path;

use tokio::sync::mpsc;

use super::file::Source;
use super::line::{Account, Check, End, FORMAT, Header, Line};
use super::{Progress, blocking, event_at, file_failed, fingerprint, line_of, page};
use crate::error::{Error, Kind, Result};
use crate::event::{Position, StoredEvent};
use crate::store::segment::elsewhere;
use crate::store::{AcceptedCommand, EventStore, Segment};

/// A segment is handed to the store when it has this many events and commands, or bytes: enough for
/// its commit to be a small part.
const ITEMS: usize = 32_768;
const BYTES: usize = 16 << 20;
/// So many of the last events of the log are compared with the file.
const COMPARED: u64 = 1000;

/// What an import has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Events that were added now; the others were there already.
    pub events: u64,
    /// The log's head at the end.
    pub position: Position,
}

/// Adds what a file has to a log, with its positions, versions, times and commands.
///
/// The log is empty, or ends where the file begins, or has the beginning of the file already: an
/// interrupted import goes on when it is asked for again. Every transaction is as good as the file
/// up to there: its lines are checked before one of them is written.
///
/// # Errors
/// When the file is damaged or cut off, a line is refused, the log is another one or was written
/// to meanwhile, or the store fails. What was added stays; the same call goes on.
///
/// # Cancel safety
/// A dropped future leaves the beginning of the file in the log, in whole commands.
pub async fn import<S: EventStore>(
    store: &S,
    file: impl AsRef<Path>,
    mut progress: impl FnMut(Progress),
) -> Result<Imported> {
    let path = file.as_ref().to_owned();
    let (source, header) = blocking(move || open(&path)).await?;
    let begin = store.head().await?;
    if begin < header.after {
        return elsewhere(header.after, begin);
    }
    let other = |position| {
        Error::new(Kind::OtherFile {
            file: source.name().to_owned(),
            position,
        })
    };
    if let Some(previous) = event_at(store, header.after).await?
        && header.previous != Some(fingerprint(&previous)?)
    {
        return Err(other(header.after));
    }
    let known = last_events(store, begin.min(header.head), header.after).await?;

    let (segments, mut received) = mpsc::channel(1);
    let reader = Reader::new(source, &header, begin, known);
    let reader = tokio::spawn(blocking(move || reader.run(&segments)));
    let mut position = begin;
    while let Some(segment) = received.recv().await {
        let head = segment.head();
        store.import(segment).await?;
        position = head;
        progress(Progress {
            position,
            after: header.after,
            head: header.head,
        });
    }
    let ended = reader.await;
    ended.map_err(|error| file_failed("reading it")(error.into()))??;
    Ok(Imported {
        events: position.get() - begin.get(),
        position,
    })
}

fn open(path: &Path) -> Result<(Source, Header)> {
    let mut source = Source::open(path)?;
    let first = source.next()?.map(serde_json::from_slice);
    let header = match first {
        Some(Ok(Line::Log(header))) => header,
        None => return Err(source.damaged("it is empty")),
        _ => return Err(source.bad_line("an export begins with a line `{\"log\":…}`")),
    };
    if header.format != FORMAT {
        let format = header.format;
        return Err(source.bad_line(format!(
            "the format is {format}, and this binary reads {FORMAT}: take the release that wrote it, or a newer one"
        )));
    }
    Ok((source, header))
}

/// The last events up to `to` that the file should have, too.
async fn last_events<S: EventStore>(
    store: &S,
    to: Position,
    after: Position,
) -> Result<VecDeque<StoredEvent>> {
    let from = to.get().saturating_sub(COMPARED).max(after.get());
    let mut position = Position::new(from);
    let mut events = VecDeque::new();
    while position < to {
        let limit = usize::try_from(to.get() - position.get()).unwrap_or(usize::MAX);
        let found = page(store, position, limit).await?;
        let Some(last) = found.last() else { break };
        position = last.position;
        events.extend(found);
    }
    Ok(events)
}

/// Reads the file, and makes segments of what the log does not have.
struct Reader {
    source: Source,
    account: Account,
    head: Position,
    /// Where the log ended.
    begin: Position,
    /// Events of the log that the file comes to.
    known: VecDeque<StoredEvent>,
    segment: Segment,
    bytes: usize,
}

impl Reader {
    fn new(source: Source, header: &Header, begin: Position, known: VecDeque<StoredEvent>) -> Self {
        Self {
            source,
            account: Account::new(header.after),
            head: header.head,
            begin,
            known,
            segment: Segment {
                after: begin,
                events: Vec::new(),
                commands: Vec::new(),
            },
            bytes: 0,
        }
    }

    fn run(mut self, segments: &mpsc::Sender<Segment>) -> Result<()> {
        while let Some(line) = self.source.next()? {
            self.bytes += line.len();
            let before = self.account.position;
            let refused = match parse(line) {
                Ok(Parsed::Event(event)) if event.position == before.next() => {
                    self.account.event(line, event.position);
                    self.event(event)?;
                    continue;
                }
                Ok(Parsed::Event(event)) => {
                    format!("position {} does not follow {before}", event.position)
                }
                Ok(Parsed::Command(command)) if command.outcome.position() == before => {
                    self.account.command(line, command.clone());
                    self.command(command);
                    continue;
                }
                Ok(Parsed::Command(_)) => {
                    format!("the command's place is not behind position {before}")
                }
                Ok(Parsed::Check(check)) if check == self.account.check() => {
                    self.account.line(line);
                    let items = self.segment.events.len() + self.segment.commands.len();
                    let enough = items >= ITEMS || self.bytes >= BYTES;
                    if enough && !self.send(segments, self.whole()) {
                        return Ok(());
                    }
                    continue;
                }
                Ok(Parsed::End(end)) if end == self.account.end() && end.position == self.head => {
                    if self.source.next()?.is_none() {
                        self.send(segments, self.segment.events.len());
                        return Ok(());
                    }
                    "nothing follows the end".to_owned()
                }
                Ok(Parsed::Check(_) | Parsed::End(_)) => {
                    let why = format!("what comes before line {} was changed", self.source.line());
                    return Err(self.source.damaged(why));
                }
                Err(why) => why,
            };
            return Err(self.source.bad_line(refused));
        }
        Err(self.source.damaged("it ends without its last line"))
    }

    /// Keeps the event, or compares it if the log has it.
    fn event(&mut self, event: StoredEvent) -> Result<()> {
        if event.position > self.begin {
            self.segment.events.push(event);
            return Ok(());
        }
        let here = |known: &mut StoredEvent| known.position == event.position;
        if let Some(known) = self.known.pop_front_if(here) {
            let texts = (line_of(&known)?, line_of(&event)?);
            if texts.0 != texts.1 {
                return Err(Error::new(Kind::OtherFile {
                    file: self.source.name().to_owned(),
                    position: event.position,
                }));
            }
        }
        Ok(())
    }

    /// Keeps the command, unless the log has it for sure.
    fn command(&mut self, command: AcceptedCommand) {
        let position = command.outcome.position();
        let at_the_seam = position == self.begin && command.outcome.count == 0;
        if position > self.begin || at_the_seam {
            self.segment.commands.push(command);
        }
    }

    /// How many of the events belong to commands that have all of theirs here.
    fn whole(&self) -> usize {
        let events = &self.segment.events;
        let Some(last) = events.last().filter(|_| self.account.command.is_none()) else {
            return events.len();
        };
        let same = |event: &&StoredEvent| {
            last.command_id.is_some()
                && (&event.stream, event.command_id) == (&last.stream, last.command_id)
        };
        events.len() - events.iter().rev().take_while(same).count()
    }

    /// Hands over the first `whole` events with all commands; false if nobody takes them.
    fn send(&mut self, segments: &mpsc::Sender<Segment>, whole: usize) -> bool {
        self.bytes = 0;
        let later = self.segment.events.split_off(whole);
        let next = Segment {
            after: self.segment.head(),
            events: later,
            commands: Vec::new(),
        };
        let segment = std::mem::replace(&mut self.segment, next);
        let nothing = segment.events.is_empty() && segment.commands.is_empty();
        nothing || segments.blocking_send(segment).is_ok()
    }
}

enum Parsed {
    Event(StoredEvent),
    Command(AcceptedCommand),
    Check(Check),
    End(End),
}

fn parse(line: &[u8]) -> Result<Parsed, String> {
    match serde_json::from_slice(line) {
        Ok(Line::Event(event)) => event.try_into().map(Parsed::Event),
        Ok(Line::Command(command)) => command.try_into().map(Parsed::Command),
        Ok(Line::Check(check)) => Ok(Parsed::Check(check)),
        Ok(Line::End(end)) => Ok(Parsed::End(end)),
        Ok(Line::Log(_)) => Err("an export begins twice".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
