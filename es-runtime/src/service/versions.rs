//! In which version each event is written while other instances run: the newest that all of them
//! can read.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::error::Error as StdError;

use crate::error::{Error, Kind, Result};
use crate::event::{Event, EventType, encode};
use crate::store::{Instance, NewEvent};

/// What is written while the instances run that are known.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The highest number among the instances that are known. Nothing where none register.
    pub(super) newest: Option<u64>,
    /// Of the families that are not all written as they are today.
    families: HashMap<TypeId, Vec<(&'static str, Version)>>,
}

/// How a variant is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    /// As it is today.
    Today,
    /// As this older version was, on account of an instance.
    Older { version: u32, instance: String },
    /// Not at all, on account of one that reads none of them.
    None { instance: String },
}

/// Judges a family of events by the instances that run.
pub(super) type Judge = fn(&mut Versions, &[&Instance]);

impl Versions {
    /// What may be written while these run.
    pub(super) fn new(newest: u64, judges: &[Judge], running: &[&Instance]) -> Self {
        let mut versions = Self {
            newest: Some(newest),
            families: HashMap::new(),
        };
        for judge in judges {
            judge(&mut versions, running);
        }
        versions
    }

    /// The [`Judge`] of the family `E`.
    pub(super) fn judge<E: Event>(&mut self, running: &[&Instance]) {
        let version = |(variant, of): (_, &EventType)| (of.name, version_of::<E>(variant, running));
        let family: Vec<_> = E::TYPES.iter().enumerate().map(version).collect();
        if family.iter().any(|(_, version)| *version != Version::Today) {
            self.families.insert(TypeId::of::<E>(), family);
        }
    }

    /// The event as it is written now.
    ///
    /// # Errors
    /// When it is no JSON, or an instance runs that can read it in no version that it can be
    /// written in.
    pub(super) fn encode<E: Event>(&self, event: &E) -> Result<NewEvent> {
        let unencodable = |error| {
            let what = format!("an event of `{}`", E::NAME);
            Error::caused_by(Kind::Unencodable { what }, error)
        };
        let (variant, payload) = encode(event).map_err(unencodable)?;
        let today = E::TYPES[variant];
        if E::HISTORY.is_retired(variant) {
            return Err(Error::new(Kind::Retired { event: today.name }));
        }
        let family = self.families.get(&TypeId::of::<E>());
        match family.map_or(&Version::Today, |family| &family[variant].1) {
            Version::Today => Ok(NewEvent {
                event_type: today.name,
                schema_version: today.version,
                min_reader: today.min_reader,
                payload,
            }),
            Version::Older { version, instance } => {
                let older = E::HISTORY.older(event, *version);
                let older = older.map_err(|no_way| held(today, instance, no_way))?;
                Ok(NewEvent {
                    event_type: older.name,
                    schema_version: older.version,
                    min_reader: older.min_reader,
                    payload: older.payload,
                })
            }
            Version::None { instance } => {
                Err(held(today, instance, "it reads no version of the event"))
            }
        }
    }

    /// The events that are not written as they are today.
    pub(super) fn restricted(&self) -> BTreeSet<&'static str> {
        let names = self.families.values().flatten();
        let restricted = names.filter(|(_, version)| *version != Version::Today);
        restricted.map(|(name, _)| *name).collect()
    }
}

fn held(
    event: EventType,
    instance: &str,
    why: impl Into<Box<dyn StdError + Send + Sync>>,
) -> Error {
    let held = Kind::HeldBack {
        event: event.name,
        version: event.version,
        instance: instance.to_owned(),
    };
    Error::caused_by(held, why)
}

/// The newest version of the variant that all of them can read.
fn version_of<E: Event>(variant: usize, running: &[&Instance]) -> Version {
    let cannot_read = |version| {
        let (name, min_reader) = E::HISTORY.form(variant, version);
        let mut running = running.iter();
        running.find(|instance| !instance.knows.can_read(E::NAME, name, min_reader))
    };
    let today = E::TYPES[variant].version;
    let Some(first) = cannot_read(today) else {
        return Version::Today;
    };
    let instance = format!("instance {} of `{}`", first.number, first.service);
    match (1..today)
        .rev()
        .find(|version| cannot_read(*version).is_none())
    {
        Some(version) => Version::Older { version, instance },
        None => Version::None { instance },
    }
}
