//! How payloads of older versions become today's, and back: tables that the derive emits, and the
//! one interpreter for them.

use super::parts::Parts;
use super::payload::raw;
use super::{Event, encode};

use crate::error::{Error, Kind, Result};

pub use super::convert::*;
pub use super::payload::{Payload, Raw};

/// What a step does with the values of the fields that it takes: a value for each that it gives.
/// A field that the payload does not have is a `None`.
pub type Convert = fn(&[Option<Raw>]) -> Result<Vec<Raw>, String>;

/// What an added field holds in a payload of before.
pub type Fill = fn(&Payload) -> Result<Raw, String>;

/// What becomes of a whole payload.
pub type Rewrite = fn(&Payload) -> Result<Raw, String>;

/// What takes the place of an event that is no more.
pub type Split<E> = fn(&Payload) -> Result<Vec<E>, String>;

/// The past of an enum's events: how what was stored by older code becomes today's events.
///
/// `#[derive(Event)]` makes it from the attributes with `since`.
#[derive(Debug)]
pub struct History<E: 'static> {
    /// Of those variants that have more than one version.
    #[doc(hidden)]
    pub variants: &'static [Versions],
    /// Events that became a variant of another name.
    #[doc(hidden)]
    pub merged: &'static [Merged],
    /// Events that no variant is any more.
    #[doc(hidden)]
    pub gone: &'static [Gone<E>],
    /// The variants that are read, and never written.
    #[doc(hidden)]
    pub retired: &'static [usize],
}

/// The versions of one payload.
#[doc(hidden)]
#[derive(Debug)]
pub struct Versions {
    /// The variant's number; 0 where there is none.
    pub variant: usize,
    /// For each version, the oldest one whose readers understand it.
    pub min_readers: &'static [u32],
    /// What happened between them, oldest first.
    pub steps: &'static [Step],
}

/// An event that became a variant of another name.
#[doc(hidden)]
#[derive(Debug)]
pub struct Merged {
    pub name: &'static str,
    pub versions: Versions,
    /// Makes the variant's payload of the version `since`.
    pub up: Rewrite,
    pub since: u32,
}

/// An event that no variant is any more.
#[doc(hidden)]
#[derive(Debug)]
pub struct Gone<E: 'static> {
    pub name: &'static str,
    pub versions: Versions,
    /// Makes today's events of it; without, it is passed over, in whatever version.
    pub up: Option<Split<E>>,
}

/// One change, which made the version `since`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Step {
    since: u32,
    change: Change,
}

#[derive(Debug)]
enum Change {
    /// The event was called so before.
    Named(&'static str),
    Added(&'static str, Fill),
    Renamed(&'static str, &'static str),
    Converted {
        from: &'static [&'static str],
        to: &'static [&'static str],
        /// Without, the fields were removed.
        up: Option<Convert>,
        down: Option<Convert>,
    },
    /// Fields went into an object.
    Nested(&'static [&'static str], &'static str),
    /// Fields came out of an object.
    Flattened(&'static str, &'static [&'static str]),
    Whole {
        up: Rewrite,
        down: Option<Rewrite>,
    },
}

/// Why a payload does not become one of another version.
#[derive(Debug)]
pub(crate) struct NoWay {
    /// The version that it does not become.
    pub(crate) version: u32,
    pub(crate) why: String,
}

/// An event as older code would have written it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OlderEvent {
    /// The stored name in that version.
    pub name: &'static str,
    /// The schema version.
    pub version: u32,
    /// The oldest schema version whose readers understand the payload.
    pub min_reader: u32,
    /// The variant's fields as JSON.
    pub payload: String,
}

impl<E> History<E> {
    /// No past.
    pub const NONE: Self = Self {
        variants: &[],
        merged: &[],
        gone: &[],
        retired: &[],
    };
}

impl<E: Event> History<E> {
    /// Whether the variant is never written.
    pub(crate) fn is_retired(&self, variant: usize) -> bool {
        self.retired.contains(&variant)
    }

    pub(super) fn of(&self, variant: usize) -> Option<&'static Versions> {
        self.variants.iter().find(|of| of.variant == variant)
    }

    /// Today's payload of a variant, of the one that was stored as `version`.
    pub(super) fn upcast(&self, variant: usize, version: u32, text: &str) -> Result<String, NoWay> {
        let steps = self.of(variant).map_or(&[][..], |of| of.steps);
        let newest = E::TYPES[variant].version;
        let payload = parse(text, version)?;
        into_text(up(steps, version, newest, payload)?, newest)
    }

    /// Today's events of one whose name no variant has, if the name is known.
    pub(super) fn foreign(
        &self,
        name: &str,
        version: u32,
        text: &str,
    ) -> Option<Result<Foreign<E>, NoWay>> {
        if let Some(merged) = self.merged.iter().find(|merged| merged.name == name) {
            return Some(self.merge(merged, version, text));
        }
        let gone = self.gone.iter().find(|gone| gone.name == name)?;
        let Some(split) = gone.up else {
            return Some(Ok(Foreign::Parts(Parts::none())));
        };
        let parts = || {
            let newest = gone.versions.newest();
            let payload = up(gone.versions.steps, version, newest, parse(text, version)?)?;
            let parts = split(&payload).map_err(|why| NoWay {
                version: newest + 1,
                why,
            })?;
            Ok(Foreign::Parts(Parts::many(parts)))
        };
        Some(parts())
    }

    fn merge(&self, merged: &Merged, version: u32, text: &str) -> Result<Foreign<E>, NoWay> {
        let (variant, newest) = (merged.versions.variant, merged.versions.newest());
        let payload = up(
            merged.versions.steps,
            version,
            newest,
            parse(text, version)?,
        )?;
        let raw = (merged.up)(&payload).map_err(|why| NoWay {
            version: newest + 1,
            why,
        })?;
        let steps = self.of(variant).map_or(&[][..], |of| of.steps);
        let newest = E::TYPES[variant].version;
        let payload = up(steps, merged.since, newest, Payload::from_raw(raw))?;
        Ok(Foreign::Payload(variant, into_text(payload, newest)?))
    }

    /// The oldest version whose readers understand an event that is no variant's.
    pub(super) fn foreign_version(&self, name: &str) -> Option<u32> {
        let merged = self
            .merged
            .iter()
            .map(|merged| (merged.name, &merged.versions));
        let split = self.gone.iter().filter(|gone| gone.up.is_some());
        let mut all = merged.chain(split.map(|gone| (gone.name, &gone.versions)));
        all.find(|(known, _)| *known == name)
            .map(|(_, versions)| versions.newest())
    }

    /// The variant's name in this version, and the oldest version whose readers understand it.
    pub(crate) fn form(&self, variant: usize, version: u32) -> (&'static str, u32) {
        let today = &E::TYPES[variant];
        match self.of(variant).filter(|_| version < today.version) {
            Some(of) => {
                let name = of.name_at(version).unwrap_or(today.name);
                (name, of.min_reader_at(version))
            }
            None => (today.name, today.min_reader),
        }
    }

    /// The names that no variant has and that are read all the same, each with the newest version
    /// that is.
    pub(crate) fn foreign_names(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let merged = self.merged.iter();
        let merged = merged.map(|merged| (merged.name, merged.versions.newest()));
        let gone = self.gone.iter().map(|gone| match gone.up {
            Some(_) => (gone.name, gone.versions.newest()),
            // Passed over, in whatever version.
            None => (gone.name, u32::MAX),
        });
        merged.chain(gone)
    }

    /// An event of today as a writer of its version `version` would have written it, for readers
    /// that know no newer one. A newer version than today's is today's.
    ///
    /// # Errors
    /// When a version on the way has no declared way down, and when the event cannot be written.
    pub fn older(&self, event: &E, version: u32) -> Result<OlderEvent> {
        let unencodable = |error| {
            let what = format!("an event of `{}`", E::NAME);
            Error::caused_by(Kind::Unencodable { what }, error)
        };
        let (variant, payload) = encode(event).map_err(unencodable)?;
        let today = &E::TYPES[variant];
        let mut older = OlderEvent {
            name: today.name,
            version: today.version,
            min_reader: today.min_reader,
            payload,
        };
        let Some(of) = self.of(variant).filter(|_| version < today.version) else {
            return Ok(older);
        };
        let payload = parse(&older.payload, today.version)
            .and_then(|payload| down(of.steps, today.version, version, payload))
            .and_then(|payload| into_text(payload, version));
        older.payload = payload.map_err(|NoWay { version, why }| {
            let event = today.name;
            Error::caused_by(Kind::NotDowncast { event, version }, why)
        })?;
        older.name = of.name_at(version).unwrap_or(today.name);
        older.version = version;
        older.min_reader = of.min_reader_at(version);
        Ok(older)
    }
}

/// What became of an event whose name no variant has.
pub(super) enum Foreign<E> {
    /// The payload of a variant.
    Payload(usize, String),
    Parts(Parts<E>),
}

impl Versions {
    fn newest(&self) -> u32 {
        u32::try_from(self.min_readers.len()).unwrap_or(u32::MAX)
    }

    /// The oldest version whose readers understand `version`.
    pub(crate) fn min_reader_at(&self, version: u32) -> u32 {
        let index = usize::try_from(version)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        self.min_readers.get(index).copied().unwrap_or(version)
    }

    /// The event's name in `version`, where it was another one than today.
    pub(crate) fn name_at(&self, version: u32) -> Option<&'static str> {
        let later = self.steps.iter().filter(|step| step.since > version);
        later.filter_map(|step| step.change.name()).next()
    }
}

impl Change {
    fn name(&self) -> Option<&'static str> {
        match self {
            Self::Named(was) => Some(was),
            _ => None,
        }
    }
}

/// What the derive emits for each change.
#[doc(hidden)]
#[allow(missing_docs)]
impl Step {
    const fn new(since: u32, change: Change) -> Self {
        Self { since, change }
    }

    pub const fn named(since: u32, was: &'static str) -> Self {
        Self::new(since, Change::Named(was))
    }

    pub const fn added(since: u32, field: &'static str, fill: Fill) -> Self {
        Self::new(since, Change::Added(field, fill))
    }

    pub const fn renamed(since: u32, from: &'static str, to: &'static str) -> Self {
        Self::new(since, Change::Renamed(from, to))
    }

    pub const fn removed(since: u32, from: &'static [&'static str], down: Option<Convert>) -> Self {
        let (to, up): (&[_], _) = (&[], None);
        Self::new(since, Change::Converted { from, to, up, down })
    }

    pub const fn converted(
        since: u32,
        from: &'static [&'static str],
        to: &'static [&'static str],
        up: Convert,
        down: Option<Convert>,
    ) -> Self {
        let up = Some(up);
        Self::new(since, Change::Converted { from, to, up, down })
    }

    pub const fn nested(since: u32, from: &'static [&'static str], into: &'static str) -> Self {
        Self::new(since, Change::Nested(from, into))
    }

    pub const fn flattened(since: u32, from: &'static str, to: &'static [&'static str]) -> Self {
        Self::new(since, Change::Flattened(from, to))
    }

    pub const fn whole(since: u32, up: Rewrite, down: Option<Rewrite>) -> Self {
        Self::new(since, Change::Whole { up, down })
    }
}

fn parse(text: &str, version: u32) -> Result<Payload, NoWay> {
    let no_json = |error| NoWay {
        version,
        why: format!("the payload is no JSON: {error}"),
    };
    Payload::parse(text).map_err(no_json)
}

fn into_text(payload: Payload, version: u32) -> Result<String, NoWay> {
    let unwritable = |error: serde_json::Error| NoWay {
        version,
        why: error.to_string(),
    };
    payload.into_text().map_err(unwritable)
}

/// Goes through the versions after `from`, up to `to`.
fn up(steps: &[Step], from: u32, to: u32, mut payload: Payload) -> Result<Payload, NoWay> {
    for version in from.saturating_add(1)..=to {
        let made = || steps.iter().filter(|step| step.since == version);
        pass(made().map(|step| &step.change), &mut payload, Change::up)
            .map_err(|why| NoWay { version, why })?;
    }
    Ok(payload)
}

/// Goes back through the versions, from `from` down to `to`.
fn down(steps: &[Step], from: u32, to: u32, mut payload: Payload) -> Result<Payload, NoWay> {
    for version in (to..from).rev() {
        let made = || steps.iter().filter(|step| step.since == version + 1);
        pass(made().map(|step| &step.change), &mut payload, Change::down)
            .map_err(|why| NoWay { version, why })?;
    }
    Ok(payload)
}

/// What a change does to a payload: fields that it takes away, and fields with what they hold.
#[derive(Default)]
struct Effect {
    without: Vec<&'static str>,
    with: Vec<(&'static str, Raw)>,
    whole: Option<Raw>,
}

type Apply = fn(&Change, &mut Payload) -> Result<Effect, String>;

/// Makes one version of another. All of its changes see the payload as it was, so that they may
/// exchange names.
fn pass<'c>(
    changes: impl Iterator<Item = &'c Change>,
    payload: &mut Payload,
    apply: Apply,
) -> Result<(), String> {
    let effects = changes
        .map(|change| apply(change, payload))
        .collect::<Result<Vec<_>, _>>()?;
    for effect in &effects {
        for name in &effect.without {
            payload.fields()?.remove(*name);
        }
    }
    for effect in effects {
        for (name, value) in effect.with {
            payload.fields()?.insert(name.to_owned(), value);
        }
        if let Some(whole) = effect.whole {
            *payload = Payload::from_raw(whole);
        }
    }
    Ok(())
}

impl Change {
    fn up(&self, payload: &mut Payload) -> Result<Effect, String> {
        match *self {
            Self::Named(_) => Ok(Effect::default()),
            Self::Added(field, fill) => {
                let value = fill(payload).map_err(|why| format!("`{field}`: {why}"))?;
                Ok(Effect {
                    with: vec![(field, value)],
                    ..Effect::default()
                })
            }
            Self::Renamed(from, to) => rename(payload, from, to),
            Self::Converted {
                from,
                to,
                up: Some(up),
                ..
            } => by_function(payload, from, to, up),
            Self::Converted { from, .. } => Ok(Effect {
                without: from.to_vec(),
                ..Effect::default()
            }),
            Self::Nested(fields, object) => nest(payload, fields, object),
            Self::Flattened(object, fields) => flatten(payload, object, fields),
            Self::Whole { up, .. } => Ok(Effect {
                whole: Some(up(payload)?),
                ..Effect::default()
            }),
        }
    }

    fn down(&self, payload: &mut Payload) -> Result<Effect, String> {
        match *self {
            Self::Named(_) => Ok(Effect::default()),
            Self::Added(field, _) => Ok(Effect {
                without: vec![field],
                ..Effect::default()
            }),
            Self::Renamed(from, to) => rename(payload, to, from),
            Self::Converted {
                from,
                to,
                down: Some(down),
                ..
            } => by_function(payload, to, from, down),
            Self::Nested(fields, object) => flatten(payload, object, fields),
            Self::Flattened(object, fields) => nest(payload, fields, object),
            Self::Whole {
                down: Some(down), ..
            } => Ok(Effect {
                whole: Some(down(payload)?),
                ..Effect::default()
            }),
            Self::Converted { from, .. } => {
                let names: Vec<_> = from.iter().map(|name| format!("`{name}`")).collect();
                Err(format!(
                    "no `down` is declared that makes {}",
                    names.join(", ")
                ))
            }
            Self::Whole { .. } => Err("no `down` is declared beside `upcast`".to_owned()),
        }
    }
}

/// A field that is not there stays away: whether it may is for its type to say.
fn rename(payload: &mut Payload, from: &'static str, to: &'static str) -> Result<Effect, String> {
    let value = payload.fields()?.get(from).cloned();
    Ok(Effect {
        without: vec![from],
        with: value.map(|value| (to, value)).into_iter().collect(),
        whole: None,
    })
}

fn by_function(
    payload: &mut Payload,
    from: &'static [&'static str],
    to: &'static [&'static str],
    convert: Convert,
) -> Result<Effect, String> {
    let fields = payload.fields()?;
    let values: Vec<_> = from.iter().map(|name| fields.get(*name).cloned()).collect();
    let made = convert(&values).map_err(|why| {
        let names: Vec<_> = from.iter().map(|name| format!("`{name}`")).collect();
        format!("{}: {why}", names.join(", "))
    })?;
    Ok(Effect {
        without: from.to_vec(),
        with: to.iter().copied().zip(made).collect(),
        whole: None,
    })
}

fn nest(
    payload: &mut Payload,
    fields: &'static [&'static str],
    object: &'static str,
) -> Result<Effect, String> {
    let all = payload.fields()?;
    let inner: super::payload::Fields = fields
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone())))
        .collect();
    Ok(Effect {
        without: fields.to_vec(),
        with: vec![(object, raw(&inner)?)],
        whole: None,
    })
}

fn flatten(
    payload: &mut Payload,
    object: &'static str,
    fields: &'static [&'static str],
) -> Result<Effect, String> {
    let value = payload.fields()?.get(object).cloned();
    let value = value.ok_or_else(|| format!("the payload has no `{object}`"))?;
    let mut inner = Payload::from_raw(value);
    let inner = inner.fields().map_err(|why| format!("`{object}`: {why}"))?;
    let found = fields
        .iter()
        .filter_map(|name| Some((*name, inner.get(*name)?.clone())));
    Ok(Effect {
        with: found.collect(),
        without: vec![object],
        whole: None,
    })
}
