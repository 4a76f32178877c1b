//! Reactions to events that are still to be run, in the order of each key.

use std::time::Duration;

use super::{LifeEntry, Noted, Phase, ProjectionId, ProjectionKind, ProjectionState};
use crate::event::{CommandId, IdempotencyKey, LogIdentity, Position, Timestamp};

/// What a version enqueues when it meets an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReaction {
    /// The key of the row that the event touched: reactions of one key run in order.
    pub key: String,
    /// The event's position.
    pub position: Position,
    /// Which part of the event.
    pub part: u32,
    /// Which of the reactions to it, from 0.
    pub number: u32,
    /// The family of events: the aggregate's name.
    pub family: &'static str,
    /// What is to be done, as JSON.
    pub payload: String,
}

/// What the reactions of a process are called after: no read model has such a name.
const PROCESS: &str = "process:";

/// What the reactions of a process are kept under, where a read model has its name.
#[cfg(feature = "runtime")]
pub(crate) fn tasks_of(process: &str) -> String {
    format!("{PROCESS}{process}")
}

/// What the inputs are called after that consumers bring.
const INPUTS: &str = "inputs:";

/// Under what the inputs of an aggregate wait that consumers bring.
#[cfg(feature = "runtime")]
pub(crate) fn inputs_of(aggregate: &str) -> String {
    format!("{INPUTS}{aggregate}")
}

/// Who enqueues reactions under this name.
fn by(name: &str, version: u32) -> ProjectionId {
    let prefixed = name.strip_prefix(PROCESS);
    match prefixed.or_else(|| name.strip_prefix(INPUTS)) {
        Some(process) => ProjectionId::process(process),
        None => ProjectionId {
            kind: ProjectionKind::ReadModel,
            name: name.to_owned(),
            version,
        },
    }
}

/// An input that a consumer brings, for an aggregate of the same database.
#[derive(Clone, Debug)]
pub(crate) struct NewInput {
    /// The aggregate's id.
    pub key: String,
    /// Names it for ever.
    pub id: CommandId,
    /// The aggregate's name.
    pub family: &'static str,
    /// What is to be done, as JSON.
    pub payload: String,
}

impl NewInput {
    /// What tells it from others in the same place of the queue, which is any place that was free:
    /// a bit less than half of its id, since a database has no more room there.
    #[cfg(feature = "runtime")]
    pub(crate) fn part_and_number(&self) -> (u32, u32) {
        const ROOM: u128 = 0x7fff_ffff;
        let bits = |shift: u32| (self.id.as_u128() >> shift & ROOM) as u32;
        (bits(0), bits(32))
    }
}

/// Names one reaction for ever, whichever version enqueued it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReactionId {
    /// The read model's name.
    pub projection: String,
    /// The row's key.
    pub key: String,
    /// The event's position.
    pub position: Position,
    /// Which part of the event.
    pub part: u32,
    /// Which of the reactions to it.
    pub number: u32,
}

impl ReactionId {
    /// The key that all attempts to run the reaction have in common, and no other reaction has.
    pub fn idempotency_key(&self, log: LogIdentity) -> IdempotencyKey {
        let place = (self.position, self.part, self.number);
        log.idempotency_key(&self.projection, &self.key, place)
    }
}

/// A reaction whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueReaction {
    /// Which one.
    pub id: ReactionId,
    /// The version that enqueued it.
    pub version: u32,
    /// The family of events that it is a reaction to.
    pub family: String,
    /// What is to be done, as JSON.
    pub payload: String,
}

/// A key whose turn it is, with the first of its reactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueKey {
    /// The row's key.
    pub key: String,
    /// How often the first one failed.
    pub attempts: u32,
    /// Its reactions, in order.
    pub reactions: Vec<DueReaction>,
}

/// Who wants to run reactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionClaim {
    /// Of this read model, by its name.
    pub projection: String,
    /// What this version and older ones enqueued.
    pub version: u32,
    /// Who.
    pub owner: String,
    /// For how long, unless it is said again.
    pub lease: Duration,
    /// At most so many keys.
    pub keys: usize,
    /// At most so many reactions of each.
    pub each: usize,
}

impl ReactionClaim {
    /// The read model, by one of its versions.
    pub(crate) fn all(&self) -> ProjectionId {
        by(&self.projection, self.version)
    }
}

/// A key whose first reaction was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// The read model's name.
    pub projection: String,
    /// The row's key.
    pub key: String,
    /// Who had it.
    pub owner: String,
    /// When it is its turn again; never, until a person says so, if nothing.
    pub again: Option<Duration>,
    /// What failed; nothing if it was not tried.
    pub failure: Option<String>,
}

/// The reactions of one key that are still to be run, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactionQueue {
    /// The first of them, which the others wait for.
    pub first: ReactionId,
    /// The version that enqueued it.
    pub version: u32,
    /// How many there are.
    pub pending: u64,
    /// How often the first one failed.
    pub attempts: u32,
    /// Why it failed last.
    pub failure: Option<Noted>,
    /// When it is tried next; nothing for one that is parked, until a person retries or drops it.
    pub due: Option<Timestamp>,
}

impl DueReaction {
    /// The version that enqueued it.
    pub(crate) fn projection(&self) -> ProjectionId {
        by(&self.id.projection, self.version)
    }

    /// How the one stands who enqueued it, if that is anybody.
    pub(crate) fn stands(&self, state: Option<ProjectionState>) -> Option<(Phase, Position)> {
        let state = state.map(|state| (state.phase, state.cursor));
        // A consumer has no life of a projection, and neither has an aggregate.
        let inputs = self.id.projection.starts_with(INPUTS);
        state.or_else(|| inputs.then_some((Phase::Live, Position::START)))
    }

    /// What people read of it when somebody gave it up.
    pub(crate) fn told(
        &self,
        (phase, cursor): (Phase, Position),
        reason: &str,
        by: &str,
        at: Timestamp,
    ) -> LifeEntry {
        let ReactionId { key, position, .. } = &self.id;
        LifeEntry {
            projection: self.projection(),
            what: "drop reaction".to_owned(),
            phase,
            cursor,
            reason: Some(format!("{reason} (of `{key}`, to the event at {position})")),
            by: by.to_owned(),
            at,
        }
    }
}
