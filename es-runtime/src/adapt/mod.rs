//! In front of upstreams that number nothing: what comes from a queue, a webhook or a table, late,
//! doubled and in any order, becomes internal events, once each and in an order that holds.
//!
//! [`Adapt`] says what the messages are, an [`Adapter`] takes them. Each goes into the stream of its
//! entity, and from there on everything is as with any other service: read models, integration
//! streams with positions and a hash, the feed.
//!
//! - **A message counts once, for ever**: its key names the command that stores it, and that command
//!   is never forgotten.
//! - **What is late does no harm.** A message that says how an entity *is* and is older than what is
//!   known is stored as superseded; one that tells a *fact* counts whenever it comes.
//! - **The state in the end does not depend on the order of arrival.** Which of two messages is newer
//!   is decided by their [`Rank`], their origin and their key alone.
//! - **What cannot be taken is set aside**, with the reason, and tried again after a deploy; it holds
//!   up nothing else.

mod adapted;
mod adapter;
mod aside;
mod place;
mod polled;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod running;
#[cfg(feature = "webhook")]
mod webhook;

pub use adapted::{Adapted, Arrival, Misplaced};
pub use adapter::{Adapter, Fate, Taken};
pub use aside::Aside;
pub use place::{Order, Place, Placed, Rank};
pub use polled::{Mark, Poll, Polled, PolledRow};
#[cfg(feature = "rabbitmq")]
pub use rabbitmq::Queue;
pub use running::{Running, Status};
#[cfg(feature = "webhook")]
pub use webhook::Webhook;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::{Aggregate, Command, Evolve};
use crate::service::{Builder, Snapshots};

/// The messages of an upstream that numbers nothing, and what they become.
///
/// ```
/// use es_runtime::adapt::{Adapt, Adapter, NoCommand, Place, Placed, Rank};
/// use es_runtime::prelude::*;
/// use es_runtime::{Service, Store};
///
/// /// What the tower says, as it stands in its messages.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Report {
///     id: String,
///     aircraft: String,
///     airport: String,
///     at: Timestamp,
/// }
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// #[event(name = "aircraft", aggregate = Aircraft)]
/// enum AircraftEvent {
///     Seen { airport: String, place: Place },
///     SeenLate { airport: String, place: Place },
/// }
///
/// impl Placed for AircraftEvent {
///     fn place(&self) -> Option<&Place> {
///         let (Self::Seen { place, .. } | Self::SeenLate { place, .. }) = self;
///         Some(place)
///     }
///     fn superseded(self) -> Self {
///         match self {
///             Self::Seen { airport, place } => Self::SeenLate { airport, place },
///             late => late,
///         }
///     }
/// }
///
/// impl Adapt for Report {
///     type Entity = Aircraft;
///     fn key(&self) -> String { self.id.clone() }
///     fn entity(&self) -> String { self.aircraft.clone() }
///     fn rank(&self) -> Rank { Rank::state(self.at) }
///     fn becomes(&self, place: Place) -> AircraftEvent {
///         AircraftEvent::Seen { airport: self.airport.clone(), place }
///     }
/// }
///
/// #[derive(Clone, Debug, Default, Aggregate)]
/// #[aggregate(name = "aircraft", event = AircraftEvent, command = NoCommand, error = std::fmt::Error)]
/// struct Aircraft {
///     airport: String,
/// }
///
/// impl Aircraft {
///     fn on_seen(&mut self, airport: &str, _: &Place) { self.airport = airport.to_owned() }
///     fn on_seen_late(&mut self, _: &str, _: &Place) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> es_runtime::Result<()> {
/// let flights = Service::builder("flights")
///     .store(Store::connect("memory:").await?)
///     .adapt::<Aircraft>()
///     .start()
///     .await?;
/// let tower = Adapter::<Report>::new(&flights, "tower")?;
/// let report = |id: &str, airport: &str, hour: i64| Report {
///     id: id.to_owned(),
///     aircraft: "N14228".to_owned(),
///     airport: airport.to_owned(),
///     at: Timestamp::from_micros(hour * 3_600_000_000),
/// };
/// tower.take(&report("r-2", "IAH", 9)).await?;
/// tower.take(&report("r-1", "EWR", 5)).await?;
/// tower.take(&report("r-2", "IAH", 9)).await?;
/// let aircraft = flights.load::<Aircraft>("N14228").await?;
/// assert_eq!((aircraft.state().airport.as_str(), aircraft.version()), ("IAH", 2));
/// # flights.shutdown().await
/// # }
/// ```
pub trait Adapt: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The aggregate that the messages are about.
    type Entity: Evolve<Event: Placed>;

    /// What tells the message from all others about its entity, for ever: the upstream's own id of
    /// it. A row of a table is another message with every change: its id with its version.
    fn key(&self) -> String;

    /// Which one it is about. The same message must always be about the same one.
    fn entity(&self) -> <Self::Entity as Aggregate>::Id;

    /// Whether it tells a fact or how the entity is, and since when.
    fn rank(&self) -> Rank;

    /// Whether somebody made it up afterwards, to fill a gap. It never takes the place of a live
    /// message that is as new.
    fn is_synthetic(&self) -> bool {
        false
    }

    /// The event that it becomes, which keeps `place`.
    fn becomes(&self, place: Place) -> <Self::Entity as Aggregate>::Event;
}

/// The command of entities that are told by an upstream alone: there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCommand {}

impl Command for NoCommand {
    fn name(&self) -> &'static str {
        match *self {}
    }
}

/// Entities whose ranks are kept at hand.
const AT_HAND: usize = 10_000;
/// Events after which it is noted again what is newest of an entity.
const NOTED_EVERY: u32 = 500;

impl Builder {
    /// Takes what upstreams say about `A` through an [`Adapter`]. The commands of
    /// `A` itself, if there are any, are another line: [`aggregate`](Self::aggregate).
    pub fn adapt<A>(self) -> Self
    where
        A: Evolve<Event: Placed>,
    {
        let adapted = self
            .beside::<Adapted<A>>()
            .cache::<Adapted<A>>(AT_HAND)
            .snapshots::<Adapted<A>>(Snapshots::every(NOTED_EVERY));
        match adapted.has_beside::<aside::Desk>() {
            true => adapted,
            false => adapted
                .beside::<aside::Desk>()
                .cache::<aside::Desk>(AT_HAND),
        }
    }
}
