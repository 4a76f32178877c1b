//! An error of one key stops that key alone: it is parked at the event, later events wait behind
//! it in order, and the other keys go on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::fold::Folding;
use super::reacting::Reactions;
use super::read_model::Decoded;
use super::{OutOfRange, Projection};
use crate::error::{Error, Kind, Result};
use crate::event::{Position, SLICES, StoredEventRef, slice_of};
use crate::runtime::panic_text;
use crate::store::{
    Claimed, EventStore, LogQuery, NewReaction, ParkedChange, ParkedKey, ProjectionId, Row,
    StillParked, Value, Written,
};

/// More keys than this are not parked: what fails then is not about single keys.
const MOST: u64 = 1000;

/// The parked keys of a part, as the last claim told them and its own moves changed them since.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    /// Each with the event that waits first.
    keys: BTreeMap<String, Position>,
    /// Those that somebody asked to be tried again.
    requested: BTreeSet<String>,
    /// Those that were parked when this worker began, and that it did not try yet: its code may be
    /// newer than the one that failed. Nothing before it has the part.
    inherited: Option<BTreeSet<String>>,
    /// Keys of the whole version.
    all: u64,
}

impl Parking {
    /// The store told which keys are parked.
    pub(crate) fn claimed(&mut self, slices: &Range<u16>, claimed: &Claimed) {
        let own =
            |parked: &&ParkedKey| *slices == (0..SLICES) || slices.contains(&slice_of(&parked.key));
        let own = || claimed.parked.iter().filter(own);
        self.keys = own().map(|p| (p.key.clone(), p.position)).collect();
        let requested = own().filter(|parked| parked.requested);
        self.requested = requested.map(|parked| parked.key.clone()).collect();
        if claimed.owned && self.inherited.is_none() {
            self.inherited = Some(self.keys.keys().cloned().collect());
        }
        self.all = claimed.parked.len() as u64;
    }

    /// How many keys of this part are parked.
    pub(crate) fn count(&self) -> u64 {
        self.keys.len() as u64
    }

    pub(crate) fn is_parked(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Takes the parked ones out of the keys that events touch: those events wait.
    pub(super) fn hold_back<P>(&self, events: &mut Decoded<P>) -> Vec<ParkedChange> {
        let mut waiting = BTreeMap::<String, Vec<Position>>::new();
        if self.keys.is_empty() {
            return Vec::new();
        }
        for (keys, event) in events {
            for key in keys.extract_if(.., |key| self.is_parked(key)) {
                add(waiting.entry(key).or_default(), event.position());
            }
        }
        let wait = |(key, events)| ParkedChange::Wait { key, events };
        waiting.into_iter().map(wait).collect()
    }

    /// The next key to be tried again, with the event that waits first.
    pub(crate) fn wanted(&self) -> Option<(String, Position)> {
        let inherited = self.inherited.iter().flatten();
        let mut wanted = self.requested.iter().chain(inherited);
        wanted.find_map(|key| Some((key.clone(), *self.keys.get(key)?)))
    }

    /// Fails if these changes would park more keys than single ones.
    pub(crate) fn check(&self, id: &ProjectionId, changes: &[ParkedChange]) -> Result<()> {
        let reason = |change: &ParkedChange| match change {
            ParkedChange::Park { key, reason, .. } => Some((key.clone(), reason.clone())),
            _ => None,
        };
        let mut new = changes.iter().filter_map(reason);
        let Some((key, reason)) = new.next() else {
            return Ok(());
        };
        if self.all + 1 + new.count() as u64 <= MOST {
            return Ok(());
        }
        Err(Error::new(Kind::TooManyParked {
            projection: id.to_string(),
            most: MOST,
            key,
            reason,
        }))
    }

    /// These changes were committed.
    pub(crate) fn committed(&mut self, projection: &ProjectionId, changes: &[ParkedChange]) {
        for change in changes {
            match change {
                ParkedChange::Park {
                    key,
                    events,
                    reason,
                } => {
                    let position = events.first().copied().unwrap_or_default();
                    tracing::warn!(%projection, %key, %position, %reason, "parked");
                    self.keys.insert(key.clone(), position);
                    self.all += 1;
                }
                ParkedChange::Wait { .. } => {}
                ParkedChange::Retried { key, left, .. } => match left {
                    None => {
                        tracing::info!(%projection, %key, "goes on");
                        self.keys.remove(key);
                        self.all = self.all.saturating_sub(1);
                    }
                    Some(StillParked { position, reason }) => {
                        self.keys.insert(key.clone(), *position);
                        if reason.is_some() {
                            self.requested.remove(key);
                            self.inherited.as_mut().map(|keys| keys.remove(key));
                        }
                    }
                },
            }
        }
    }
}

/// Adds a position of an event, which may touch a key twice and have several parts.
fn add(events: &mut Vec<Position>, position: Position) {
    if events.last() != Some(&position) {
        events.push(position);
    }
}

/// What was made of a page, or of the events that waited for a key, one event at a time.
pub(super) struct Carefully {
    /// The row after the last event that did not fail.
    pub(super) row: Option<Row>,
    /// Whether there was such an event.
    pub(super) changed: bool,
    /// The reactions to the events up to there.
    pub(super) reactions: Vec<NewReaction>,
    /// The event that failed, and why.
    pub(super) failed: Option<(Position, String)>,
}

/// Values that the store refuses, by key.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<String, Vec<Refused>>);

/// A value that a row must not hold.
pub(super) struct Refused {
    columns: Vec<usize>,
    values: Vec<Value>,
    reason: String,
}

impl Refusals {
    /// What was refused of a key.
    pub(super) fn of(&self, key: &str) -> &[Refused] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Notes why the store refused what was written; `false` if that is no fault of a row, or was
    /// noted before.
    pub(super) fn add<P: Projection>(&mut self, written: &Written, error: &Error) -> bool {
        let Kind::NotUnique { key, column, .. } = error.kind() else {
            return false;
        };
        let written = written.rows.iter().rfind(|change| change.key == *key);
        let Some(row) = written.and_then(|change| change.row.as_ref()) else {
            return false;
        };
        let known = |name: &str| P::COLUMNS.iter().position(|column| column.name == name);
        let columns: Vec<_> = column.split(", ").filter_map(known).collect();
        let refused = Refused {
            values: values(&columns, row),
            columns,
            reason: error.to_string(),
        };
        let before = self.0.entry(key.clone()).or_default();
        if refused.columns.is_empty() || is_refused(row, before).is_some() {
            return false;
        }
        before.push(refused);
        true
    }
}

fn values(columns: &[usize], row: &Row) -> Vec<Value> {
    let value = |column: &usize| row.get(*column).cloned().unwrap_or(Value::Null);
    columns.iter().map(value).collect()
}

/// Folds the events of one key until one of them fails: panics, or makes a row that does not fit or
/// that the store refuses. All parts of a stored event go together.
pub(super) fn carefully<P: Projection>(
    key: &str,
    row: Option<Row>,
    events: &[Arc<dyn Folding<P>>],
    refused: &[Refused],
) -> Carefully {
    let mut done = Carefully {
        row,
        changed: false,
        reactions: Vec::new(),
        failed: None,
    };
    let mut folded = match done.row.clone().map(P::from_row).transpose() {
        Ok(row) => row,
        Err(misfit) => {
            let first = events.first().map(|event| event.position());
            done.failed = first.map(|position| (position, misfit.to_string()));
            return done;
        }
    };
    for parts in events.chunk_by(|one, next| one.position() == next.position()) {
        let mut reactions = Reactions::default();
        let fold = || -> Result<(Option<P>, Option<Row>), OutOfRange> {
            let react = |row, event: &Arc<dyn Folding<P>>| event.react(key, row, &mut reactions);
            let folded = parts.iter().fold(folded.take(), react);
            let row = folded.as_ref().map(P::to_row).transpose()?;
            Ok((folded, row))
        };
        let after = match catch_unwind(AssertUnwindSafe(fold)) {
            Ok(Ok((after, row))) => match row.as_ref().and_then(|row| is_refused(row, refused)) {
                Some(reason) => Err(reason),
                None => reactions
                    .finish()
                    .map(|new| (after, row, new))
                    .map_err(|e| e.to_string()),
            },
            Ok(Err(misfit)) => Err(misfit.to_string()),
            Err(panic) => Err(panic_text(&*panic)),
        };
        match after {
            Ok((after, row, mut reactions)) => {
                (folded, done.row, done.changed) = (after, row, true);
                done.reactions.append(&mut reactions);
            }
            Err(reason) => {
                done.failed = parts.first().map(|event| (event.position(), reason));
                return done;
            }
        }
    }
    done
}

fn is_refused(row: &Row, refused: &[Refused]) -> Option<String> {
    let same = |refused: &&Refused| values(&refused.columns, row) == refused.values;
    refused
        .iter()
        .find(same)
        .map(|refused| refused.reason.clone())
}

/// Parks a key at an event, with those behind it.
pub(super) fn park<P>(
    key: &str,
    events: &[Arc<dyn Folding<P>>],
    from: Position,
    reason: String,
) -> ParkedChange {
    let mut waiting = Vec::new();
    for event in events.iter().filter(|event| event.position() >= from) {
        add(&mut waiting, event.position());
    }
    ParkedChange::Park {
        key: key.to_owned(),
        events: waiting,
        reason,
    }
}

/// Reads the events at these positions, in order, up to one that cannot be taken: answers which,
/// and why.
pub(crate) async fn read_at<S: EventStore>(
    store: &S,
    positions: &[Position],
    mut take: impl FnMut(StoredEventRef<'_>) -> Result<()>,
) -> Result<Option<(Position, String)>> {
    const AHEAD: usize = 64;
    let mut wanted = positions.iter().copied().peekable();
    while let Some(first) = wanted.peek().copied() {
        let after = Position::new(first.get().saturating_sub(1));
        let page = store.read_log(&LogQuery::after(after).limit(AHEAD)).await?;
        let found = page.events.iter().next().map(|event| event.position);
        if found != Some(first) {
            let found = found.unwrap_or(after);
            return Err(Error::new(Kind::BrokenOrder { after, found }));
        }
        for event in page.events.iter() {
            let position = event.position;
            if wanted.next_if_eq(&position).is_some()
                && let Err(error) = take(event)
            {
                return Ok(Some((position, error.to_string())));
            }
        }
    }
    Ok(None)
}
