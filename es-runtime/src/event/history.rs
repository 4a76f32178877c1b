//! How what older code stored becomes today's events, and back: the tables that the derive emits.

use super::parts::Parts;
use super::steps::{self, down, into_text, parse, up};
use super::{Event, encode};
use crate::error::{Error, Kind, Result};

pub use super::convert::*;
pub use super::payload::{Payload, Raw};
pub(super) use super::steps::NoWay;
pub use super::steps::{Convert, Fill, Rewrite, Step};

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
        steps::name_at(self.steps, version)
    }
}
