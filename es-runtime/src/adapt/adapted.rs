//! What of an entity must be known to take the next message about it: the newest one, of each part.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::place::{Form, Newest, Placed};
use crate::aggregate::{Aggregate, Command, Decide, Evolve};
use crate::runtime::without;

/// The entity `A` as an [`Adapter`](super::Adapter) sees it: what was newest of it. It is the same
/// stream, with the same events.
///
/// ```
/// # use es_runtime::adapt::{Adapted, Arrival, NoCommand, Place, Placed};
/// # use es_runtime::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(name = "aircraft", aggregate = Aircraft)]
/// # enum AircraftEvent { Seen(Place), SeenLate(Place) }
/// # impl Placed for AircraftEvent {
/// #     fn place(&self) -> Option<&Place> { let (Self::Seen(place) | Self::SeenLate(place)) = self; Some(place) }
/// #     fn superseded(self) -> Self { let (Self::Seen(place) | Self::SeenLate(place)) = self; Self::SeenLate(place) }
/// # }
/// # #[derive(Clone, Debug, Default, Aggregate)]
/// # #[aggregate(name = "aircraft", event = AircraftEvent, command = NoCommand, error = std::fmt::Error)]
/// # struct Aircraft;
/// # impl Aircraft { fn on_seen(&mut self, _: &Place) {} fn on_seen_late(&mut self, _: &Place) {} }
/// let seen = AircraftEvent::Seen(Place::example("r-1"));
/// given::<Adapted<Aircraft>>([]).when(Arrival::new(seen.clone())).then([seen]);
/// ```
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Adapted<A> {
    /// By the part of the entity.
    newest: BTreeMap<String, Newest>,
    #[serde(skip)]
    entity: PhantomData<fn() -> A>,
}

/// A message that has come, as the event that it becomes if it is not late.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival<E>(E);

impl<E: Placed> Arrival<E> {
    /// The event that a message becomes.
    pub fn new(event: E) -> Self {
        Self(event)
    }
}

impl<E: Placed> Command for Arrival<E> {
    fn name(&self) -> &'static str {
        "take"
    }
}

/// Why a message has no place in its entity's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misplaced {
    /// The event does not keep the place.
    Lost,
    /// One says a time and another one a version, so that nobody knows which is newer.
    Mixed,
    /// What is late became the same variant as what is not.
    NotSuperseded,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "its event does not keep the place: `becomes` must put it into the event, and `Placed::place` find it there",
            Self::Mixed => "its rank cannot be compared with the newest one that is known, since one has a time or a version that the other has not: rank all messages alike, or tell them apart by `Rank::of`",
            Self::NotSuperseded => "it is late, and `Placed::superseded` answers the variant that it would be if it were not: answer another one",
        })
    }
}

impl std::error::Error for Misplaced {}

impl<A> Clone for Adapted<A> {
    fn clone(&self) -> Self {
        Self {
            newest: self.newest.clone(),
            entity: PhantomData,
        }
    }
}

impl<A> Default for Adapted<A> {
    fn default() -> Self {
        Self {
            newest: BTreeMap::new(),
            entity: PhantomData,
        }
    }
}

impl<A> PartialEq for Adapted<A> {
    fn eq(&self, other: &Self) -> bool {
        self.newest == other.newest
    }
}

impl<A> fmt::Debug for Adapted<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapted")
            .field("newest", &self.newest)
            .finish()
    }
}

impl<A: Aggregate<Event: Placed>> Aggregate for Adapted<A> {
    const NAME: &'static str = A::NAME;
    const SHAPE: &'static str = "adapted 1";
    type Id = A::Id;
    type Event = A::Event;
    type Command = Arrival<A::Event>;
    type Error = Misplaced;
}

impl<A: Aggregate<Event: Placed>> Evolve for Adapted<A> {
    fn evolve(&mut self, event: &A::Event) {
        let Some(place) = event.place() else { return };
        let Form::State { of, order } = &place.rank().0 else {
            return;
        };
        let come = Newest::new(place, *order);
        let known = self.newest.get(&**of);
        // What is stored was judged before; what is superseded is not newer.
        if known.is_none_or(|known| come.is_newer(known) == Some(true)) {
            self.newest.insert(of.clone().into_owned(), come);
        }
    }
}

impl<A: Aggregate<Event: Placed>> Decide for Adapted<A> {
    fn decide(&self, Arrival(event): Arrival<A::Event>) -> Result<Vec<A::Event>, Misplaced> {
        let place = event.place().ok_or(Misplaced::Lost)?;
        let Form::State { of, order } = &place.rank().0 else {
            return Ok(vec![event]);
        };
        let is_late = match self.newest.get(&**of) {
            Some(known) => {
                let come = Newest::new(place, *order);
                !come.is_newer(known).ok_or(Misplaced::Mixed)?
            }
            None => false,
        };
        if !is_late || without("what is late is superseded") {
            return Ok(vec![event]);
        }
        let late = event.clone().superseded();
        if discriminant(&late) == discriminant(&event) {
            return Err(Misplaced::NotSuperseded);
        }
        match late.place() == event.place() {
            true => Ok(vec![late]),
            false => Err(Misplaced::Lost),
        }
    }
}
