//! Versions of one stream side by side: the newest enum declares its history, and the older
//! versions are types of their own with a way up and a way down.

use std::fmt;

use super::{IntegrationEvent, IntegrationType, stream_of};
use crate::aggregate::IntoEvents;
use crate::error::{Error, Kind, Result};
use crate::event::{Timestamp, decode, encode};
#[cfg(feature = "runtime")]
use crate::store::{Phase, StreamLife};

/// Whether a version of a stream is to be had, as the newest enum declares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It is published and served.
    #[default]
    Live,
    /// It is published and served, and consumers are told to move to its successor.
    Deprecated {
        /// Since when, at the start of a day in UTC.
        from: Timestamp,
        /// From when on it may be gone.
        sunset: Option<Timestamp>,
    },
    /// It is neither published nor served; the feed names its successor.
    Retired,
}

#[cfg(feature = "runtime")]
impl Status {
    /// What holds for a version of which the code says `self` and the store the rest: it is
    /// deprecated, and it is retired, as soon as either says so. It is deprecated since the earlier
    /// of both, and may be gone when the command says that was given last, or else the code.
    #[cfg_attr(not(feature = "feed"), allow(dead_code))]
    pub(crate) fn with<L: Into<StreamLife>>(self, life: Option<L>) -> Self {
        let Some(life) = life else { return self };
        let StreamLife {
            phase,
            since,
            sunset: said,
        } = life.into();
        match (self, phase) {
            (Self::Retired, _) | (_, Phase::Retired) => Self::Retired,
            (Self::Live, Phase::Deprecated) => Self::Deprecated {
                from: since,
                sunset: said,
            },
            (Self::Deprecated { from, sunset }, Phase::Deprecated) => Self::Deprecated {
                from: from.min(since),
                sunset: said.or(sunset),
            },
            (declared, _) => declared,
        }
    }
}

/// An older version of a public stream, which can become the next one.
///
/// `#[derive(IntegrationEvent)]` on the newest version implements it for the older ones that it
/// makes. It is pure, and the way of a consumer that reads an old version and thinks in the new
/// one; [`Upcasting`](crate::consume::Upcasting) takes it for a handler.
pub trait Upcast: IntegrationEvent {
    /// The version after this one.
    type Newer: IntegrationEvent;
    /// The names of those events of which something is lost on the way up and down again.
    const LOSSY: &'static [&'static str] = &[];

    /// What the event is in the next version: usually one event, none where the next version
    /// tells nothing of the kind, several where it was split.
    ///
    /// # Errors
    /// When a conversion that the history names says no.
    fn upcast(self) -> Result<Vec<Self::Newer>>;
}

/// An older version that is fed from the next one.
///
/// The law: an event that went [up](Upcast::upcast) comes down as it was, but for what the history
/// declares as `lossy`. `es_runtime::testing::laws` checks it.
pub trait Downcast: Upcast {
    /// What an event of the next version is in this one: none where this version does not tell
    /// of it.
    ///
    /// # Errors
    /// When a conversion that the history names says no: then this version of the stream stops,
    /// visibly, before the event.
    fn downcast(newer: Self::Newer) -> Result<Vec<Self>>;
}

/// An older version, as the table of the newest one knows it.
#[derive(Clone, Copy)]
pub struct Older {
    version: u32,
    status: Status,
    own: bool,
    types: &'static [IntegrationType],
    lossy: &'static [&'static str],
    down: Option<Cast>,
    #[cfg(feature = "testing")]
    pub(crate) check: Option<Check>,
    /// Its schema, if its type has one.
    #[cfg(feature = "schema")]
    pub(crate) schema: Described,
}

/// How to describe a type, where it has a schema; it is asked for by who can tell.
#[cfg(feature = "schema")]
pub type Described = Option<TypeSchema>;
/// Nothing describes types without the feature `schema`.
#[cfg(not(feature = "schema"))]
pub type Described = ();

/// What the description of a contract needs of a type.
#[cfg(feature = "schema")]
#[derive(Clone, Copy, Debug)]
pub struct TypeSchema {
    pub(crate) ty: fn() -> std::any::TypeId,
    /// The schema of the whole enum, and the names that serde gives its variants, in their order.
    pub(crate) root: fn() -> serde_json::Value,
    pub(crate) names: fn() -> &'static [&'static str],
    pub(crate) rewrite: fn(usize, &str) -> Result<String, serde_json::Error>,
}

/// What tests do with a type.
#[cfg(feature = "testing")]
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// Makes up an event of this variant, if its type lets itself be made up.
    pub(crate) sample: fn(&mut fastrand::Rng, usize) -> Option<Result<String>>,
    /// Reads an event and writes it again.
    pub(crate) again: fn(usize, &str) -> Result<String>,
    pub(crate) up: Option<Cast>,
}

#[cfg(feature = "testing")]
impl Check {
    pub(crate) const fn of<E: IntegrationEvent>() -> Self {
        Self {
            sample: |random, variant| {
                let event: E = crate::event::sample(random, variant)?;
                Some(rewritten(event))
            },
            again: |variant, payload| rewritten(opened::<E>(variant, payload)?),
            up: None,
        }
    }

    const fn of_older<V: Upcast>() -> Self {
        Self {
            up: Some(|variant, payload| encoded(opened::<V>(variant, payload)?.upcast()?)),
            ..Self::of::<V>()
        }
    }
}

#[cfg(feature = "testing")]
fn rewritten<E: IntegrationEvent>(event: E) -> Result<String> {
    let payloads = encoded(vec![event])?
        .into_iter()
        .map(|(_, payload)| payload);
    Ok(payloads.collect())
}

/// From one version to its neighbour, both as variants with payloads.
pub(crate) type Cast = fn(usize, &str) -> Result<Vec<(usize, String)>>;

impl Older {
    /// A version that has a mapping of its own.
    #[cfg_attr(not(feature = "schema"), allow(unused_variables))]
    pub const fn own<V: Upcast>(schema: Described) -> Self {
        Self {
            version: V::VERSION,
            status: V::STATUS,
            own: true,
            types: V::TYPES,
            lossy: V::LOSSY,
            down: None,
            #[cfg(feature = "testing")]
            check: Some(Check::of_older::<V>()),
            #[cfg(feature = "schema")]
            schema,
        }
    }

    /// A version that is fed by downcasts.
    #[cfg_attr(not(feature = "schema"), allow(unused_variables))]
    pub const fn fed<V: Downcast>(schema: Described) -> Self {
        Self {
            version: V::VERSION,
            status: V::STATUS,
            own: false,
            types: V::TYPES,
            lossy: V::LOSSY,
            down: Some(one_down::<V>),
            #[cfg(feature = "testing")]
            check: Some(Check::of_older::<V>()),
            #[cfg(feature = "schema")]
            schema,
        }
    }

    /// A version that is gone, and whose type nobody needs.
    pub const fn gone(version: u32) -> Self {
        Self {
            version,
            status: Status::Retired,
            own: false,
            types: &[],
            lossy: &[],
            down: None,
            #[cfg(feature = "testing")]
            check: None,
            #[cfg(feature = "schema")]
            schema: None,
        }
    }

    /// Its number.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Whether it is to be had.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Whether it is published by a mapping of its own.
    pub const fn is_own(&self) -> bool {
        self.own
    }

    /// Its events; none where nobody needs its type any more.
    pub const fn types(&self) -> &'static [IntegrationType] {
        self.types
    }

    /// The names of its events of which something is lost on the way up and down again.
    pub const fn lossy(&self) -> &'static [&'static str] {
        self.lossy
    }

    pub(crate) const fn down(&self) -> Option<Cast> {
        self.down
    }
}

impl fmt::Debug for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Older")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

/// The versions in the table that are older than `version`.
pub const fn below(older: &'static [Older], version: u32) -> &'static [Older] {
    let mut older = older;
    while let Some((first, rest)) = older.split_first() {
        if first.version < version {
            break;
        }
        older = rest;
    }
    older
}

/// What a conversion of the user's answers: the value, or a `Result` with the reason why not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what this field of the history needs",
    note = "answer the field's type, or a `Result` of it with an error that can be shown"
)]
pub trait Answer<T> {
    /// The value, or why there is none.
    fn answer(self) -> Result<T, String>;
}

impl<T> Answer<T> for T {
    fn answer(self) -> Result<T, String> {
        Ok(self)
    }
}

impl<T, E: fmt::Display> Answer<T> for Result<T, E> {
    fn answer(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// What a conversion of whole events answers: one event, an `Option`, an array or a `Vec`, or a
/// `Result` of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no answer with events of the other version",
    note = "answer one event, an `Option`, an array or a `Vec` of events, or a `Result` of these"
)]
pub trait Answers<T> {
    /// The events, or why there are none.
    fn answers(self) -> Result<Vec<T>, String>;
}

macro_rules! answers {
    ($(($($parameter:tt)*) $ty:ty),*) => {$(
        impl<T, $($parameter)*> Answers<T> for $ty {
            fn answers(self) -> Result<Vec<T>, String> {
                Ok(self.into_events())
            }
        }

        impl<T, Reason: fmt::Display, $($parameter)*> Answers<T> for Result<$ty, Reason> {
            fn answers(self) -> Result<Vec<T>, String> {
                self.map(IntoEvents::into_events)
                    .map_err(|error| error.to_string())
            }
        }
    )*};
}

answers!(() T, () Option<T>, () Vec<T>, (const N: usize) [T; N]);

/// What a conversion answered on the way up from `V`.
pub fn upward<V: Upcast, T>(event: &'static str, answer: impl Answer<T>) -> Result<T> {
    answer.answer().map_err(uncast::<V, V::Newer>(event))
}

/// What a conversion answered on the way down to `V`.
pub fn downward<V: Downcast, T>(event: &'static str, answer: impl Answer<T>) -> Result<T> {
    answer.answer().map_err(uncast::<V::Newer, V>(event))
}

/// What a conversion of a whole event answered on the way up from `V`.
pub fn all_upward<V: Upcast>(
    event: &'static str,
    answer: impl Answers<V::Newer>,
) -> Result<Vec<V::Newer>> {
    answer.answers().map_err(uncast::<V, V::Newer>(event))
}

/// What a conversion of a whole event answered on the way down to `V`.
pub fn all_downward<V: Downcast>(event: &'static str, answer: impl Answers<V>) -> Result<Vec<V>> {
    answer.answers().map_err(uncast::<V::Newer, V>(event))
}

fn uncast<From: IntegrationEvent, To: IntegrationEvent>(
    event: &'static str,
) -> impl FnOnce(String) -> Error {
    move |why| {
        Error::new(Kind::Uncast {
            stream: stream_of::<From>().to_string(),
            event,
            version: To::VERSION,
            why,
        })
    }
}

fn one_down<V: Downcast>(variant: usize, payload: &str) -> Result<Vec<(usize, String)>> {
    encoded(V::downcast(opened(variant, payload)?)?)
}

fn opened<E: IntegrationEvent>(variant: usize, payload: &str) -> Result<E> {
    decode(variant, payload).map_err(|error| {
        let what = format!("an event of `{}`", stream_of::<E>());
        Error::caused_by(Kind::Unencodable { what }, error)
    })
}

/// Events as variants with payloads.
pub(crate) fn encoded<E: IntegrationEvent>(events: Vec<E>) -> Result<Vec<(usize, String)>> {
    let unencodable = |error| {
        let what = format!("an event of `{}`", stream_of::<E>());
        Error::caused_by(Kind::Unencodable { what }, error)
    };
    let encoded = events
        .iter()
        .map(|event| encode(event).map_err(unencodable));
    encoded.collect()
}

/// What events are at the end of a way down, step by step.
pub(crate) fn down(way: &[Cast], mut events: Vec<(usize, String)>) -> Result<Vec<(usize, String)>> {
    for step in way {
        let mut older = Vec::with_capacity(events.len());
        for (variant, payload) in &events {
            older.extend(step(*variant, payload)?);
        }
        events = older;
    }
    Ok(events)
}

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use super::*;
    use crate::event::Position;
    use crate::store::life::{Occasion, prepare};
    use crate::store::{Lineage, ProjectionState};

    #[test]
    fn a_version_ends_as_soon_as_the_code_or_a_command_says_so() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let mut lineage = Lineage::default();
        prepare(&mut lineage, 1, 1, &Occasion::new(at(50), Position::START));
        let known = &lineage.versions[&1];
        let state = |phase, sunset| ProjectionState {
            phase,
            sunset,
            ..known.clone()
        };
        let deprecated = |from, sunset| Status::Deprecated {
            from: at(from),
            sunset,
        };
        let (late, later) = (Some(at(90)), Some(at(95)));
        for (declared, known, holds) in [
            (Status::Live, state(Phase::Live, None), Status::Live),
            (
                Status::Live,
                state(Phase::Deprecated, late),
                deprecated(50, late),
            ),
            (
                deprecated(70, late),
                state(Phase::Live, None),
                deprecated(70, late),
            ),
            // Since the earlier of both, and until when was said last.
            (
                deprecated(70, late),
                state(Phase::Deprecated, later),
                deprecated(50, later),
            ),
            (
                deprecated(20, late),
                state(Phase::Deprecated, None),
                deprecated(20, late),
            ),
            (
                deprecated(20, late),
                state(Phase::Retired, None),
                Status::Retired,
            ),
            (Status::Retired, state(Phase::Live, None), Status::Retired),
        ] {
            assert_eq!(
                declared.with(Some(&known)),
                holds,
                "{declared:?} and {known:?}"
            );
        }
        assert_eq!(
            deprecated(20, late).with(None::<StreamLife>),
            deprecated(20, late)
        );
    }
}
