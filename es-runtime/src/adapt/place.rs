//! Where a message stands among those about its entity.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Timestamp};

/// When something was so, as the upstream says it: a time, a version, or a time with a version that
/// tells those of the same moment apart.
///
/// ```
/// use es_runtime::adapt::Order;
/// use es_runtime::event::Timestamp;
///
/// let by_version = Order::from(7);
/// let by_time = Order::from(Timestamp::from_micros(1));
/// let by_both = Order::from((Timestamp::from_micros(1), 7));
/// # let _ = (by_version, by_time, by_both);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Order {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

impl From<u64> for Order {
    fn from(version: u64) -> Self {
        let version = Some(version);
        Self {
            time: None,
            version,
        }
    }
}

impl From<Timestamp> for Order {
    fn from(time: Timestamp) -> Self {
        let time = Some(time);
        Self {
            time,
            version: None,
        }
    }
}

impl From<(Timestamp, u64)> for Order {
    fn from((time, version): (Timestamp, u64)) -> Self {
        let (time, version) = (Some(time), Some(version));
        Self { time, version }
    }
}

impl Order {
    /// Which of two comes first; nothing if they do not say the same things.
    fn compare(self, other: Self) -> Option<Ordering> {
        let shape = |order: Self| (order.time.is_some(), order.version.is_some());
        let by = |order: Self| (order.time, order.version);
        (shape(self) == shape(other)).then(|| by(self).cmp(&by(other)))
    }
}

/// Whether a message tells a fact, or how its entity is.
///
/// ```
/// use es_runtime::adapt::Rank;
/// use es_runtime::event::Timestamp;
///
/// let deposited = Rank::fact();
/// let moved = Rank::state(Timestamp::from_micros(1)).of("address");
/// # let _ = (deposited, moved);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rank(pub(super) Form);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Form {
    Fact,
    State {
        /// What of the entity; nothing for all of it.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        of: Cow<'static, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<Order>,
    },
}

impl Rank {
    /// It tells what happened, and counts whenever it comes: a deposit. What such events make of an
    /// entity must not depend on their order.
    pub const fn fact() -> Self {
        Self(Form::Fact)
    }

    /// It tells how the entity is since `order`, and takes the place of what was before: an address.
    /// One that comes late is stored as superseded.
    pub fn state(order: impl Into<Order>) -> Self {
        let (of, order) = (Cow::Borrowed(""), Some(order.into()));
        Self(Form::State { of, order })
    }

    /// It tells how the entity is, and the upstream has neither a time nor a version: what comes last
    /// is the newest. Nobody can know more, so that the order of arrival matters here.
    pub const fn state_as_it_comes() -> Self {
        let (of, order) = (Cow::Borrowed(""), None);
        Self(Form::State { of, order })
    }

    pub(super) fn is_state(&self) -> bool {
        matches!(self.0, Form::State { .. })
    }

    /// It tells this of the entity alone. One message about the address and another one about the
    /// owner do not take each other's place.
    pub fn of(mut self, part: impl Into<Cow<'static, str>>) -> Self {
        if let Form::State { of, .. } = &mut self.0 {
            *of = part.into();
        }
        self
    }
}

/// Where a message stands, kept in the event that it became: which one it was, and what it is newer
/// than.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Place {
    adapter: String,
    key: String,
    rank: Rank,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    synthetic: bool,
}

impl Place {
    pub(super) fn new(adapter: &str, key: String, rank: Rank, synthetic: bool) -> Self {
        Self {
            adapter: adapter.to_owned(),
            key,
            rank,
            synthetic,
        }
    }

    /// A place as if a message had been taken: for tests of decisions, folds and mappings.
    pub fn example(key: impl Into<String>) -> Self {
        Self::new("example", key.into(), Rank::fact(), false)
    }

    /// The adapter that took it.
    pub fn adapter(&self) -> &str {
        &self.adapter
    }

    /// The message's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it was made up afterwards.
    pub fn is_synthetic(&self) -> bool {
        self.synthetic
    }

    pub(super) fn rank(&self) -> &Rank {
        &self.rank
    }
}

/// The newest message about a part of an entity, as far as others must know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Newest {
    order: Option<Order>,
    live: bool,
    key: String,
    adapter: String,
}

impl Newest {
    pub(super) fn new(place: &Place, order: Option<Order>) -> Self {
        Self {
            order,
            live: !place.synthetic,
            key: place.key.clone(),
            adapter: place.adapter.clone(),
        }
    }

    /// Whether this one is newer than `other`, by what they say alone and not by which came first.
    /// Nothing if the two cannot be compared.
    ///
    /// Where the upstream gives no order, what comes is newer, unless it is made up.
    pub(super) fn is_newer(&self, other: &Self) -> Option<bool> {
        let tie = |this: &Self, other: &Self| {
            let by = |of: &Self| (of.live, of.key.clone(), of.adapter.clone());
            by(this).cmp(&by(other))
        };
        match (self.order, other.order) {
            (Some(this), Some(that)) => {
                let order = this.compare(that)?.then_with(|| tie(self, other));
                Some(order == Ordering::Greater)
            }
            (None, None) => Some(self.live || !other.live),
            _ => None,
        }
    }
}

/// Events that keep the place of the message that they were.
pub trait Placed: Event {
    /// The place; nothing for events that no message became.
    fn place(&self) -> Option<&Place>;

    /// What the event is when a newer one is known already: another variant, with the same place, for
    /// those who want to know and without a change. Asked of those alone that were ranked as a state.
    fn superseded(self) -> Self;
}
