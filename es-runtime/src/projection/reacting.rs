//! Reactions on their way into the transaction of a page.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;

use super::fold::Folding;
use super::{Changed, React};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Position, Recorded};
use crate::store::handover::other_reactions;
use crate::store::{
    Change, Claimed, EventStore, Lineage, NewReaction, Phase, ProjectionId, ProjectionState,
};

/// An event whose reactions are this version's to enqueue.
pub(super) struct Reacting<E: Event>(pub Recorded<E>);

impl<P: React<E>, E: Event> Folding<P> for Reacting<E> {
    fn keys(&self) -> Vec<String> {
        P::keys(&self.0).into_iter().collect()
    }

    fn fold(&self, row: Option<P>) -> Option<P> {
        P::fold(row, &self.0)
    }

    fn position(&self) -> Position {
        self.0.position
    }

    fn reacts(&self) -> bool {
        true
    }

    fn react(&self, key: &str, row: Option<P>, reactions: &mut Reactions) -> Option<P> {
        let before = row.clone();
        let after = P::fold(row, &self.0);
        let row = Changed {
            key,
            before: before.as_ref(),
            after: after.as_ref(),
        };
        for (number, reaction) in (0..).zip(P::react(row, &self.0)) {
            reactions.add(key, &self.0, number, &reaction);
        }
        after
    }
}

/// The reactions to a page of events.
#[derive(Default)]
pub(crate) struct Reactions {
    new: Vec<NewReaction>,
    failed: Option<Error>,
}

impl Reactions {
    fn add<E: Event>(
        &mut self,
        key: &str,
        event: &Recorded<E>,
        number: u32,
        reaction: &impl Serialize,
    ) {
        match serde_json::to_string(reaction) {
            Ok(payload) => self.new.push(NewReaction {
                key: key.to_owned(),
                position: event.position,
                part: event.part,
                number,
                family: E::NAME,
                payload,
            }),
            Err(error) => {
                let what = format!("a reaction to the event at position {}", event.position);
                self.failed
                    .get_or_insert_with(|| Error::caused_by(Kind::Unencodable { what }, error));
            }
        }
    }

    /// All of them, in the order of the events.
    ///
    /// # Errors
    /// When one could not be made JSON of.
    pub(super) fn finish(self) -> Result<Vec<NewReaction>> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.new),
        }
    }
}

/// Whose turn it is to react, as far as the store told.
#[derive(Default)]
pub(crate) struct Turn {
    slice: u16,
    lineage: Lineage,
}

impl Turn {
    pub(crate) fn claimed(&mut self, slices: &Range<u16>, claimed: &Claimed) {
        self.slice = slices.start;
        self.lineage.clone_from(&claimed.lineage);
    }

    /// Whether the reactions to the event at this position are this part's to enqueue.
    pub(crate) fn takes(&self, version: u32, position: Position) -> bool {
        self.lineage.takes(version, self.slice, position)
    }

    /// Fails if the version was made to react to other families than those of this code: it would
    /// leave some out, or meet some twice.
    pub(super) fn check(&self, id: &ProjectionId, reacts: &BTreeSet<String>) -> Result<()> {
        match self.lineage.versions.get(&id.version) {
            Some(state) if state.reacts != *reacts => {
                Err(other_reactions(id, &state.reacts, reacts))
            }
            _ => Ok(()),
        }
    }
}

/// Says what the version reacts to, before it is worked on.
///
/// # Errors
/// When it was made to react to something else.
pub(super) async fn declare<S: EventStore>(
    store: &S,
    id: &ProjectionId,
    state: ProjectionState,
    reacts: BTreeSet<String>,
) -> Result<ProjectionState> {
    if state.reacts == reacts || state.phase == Phase::Retired {
        return Ok(state);
    }
    let mut lineage = store.change(id, &Change::React(reacts), "").await?;
    Ok(lineage.versions.remove(&id.version).unwrap_or(state))
}
