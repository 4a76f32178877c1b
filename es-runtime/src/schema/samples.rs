//! The sample: a small log of released events, made once and kept for ever, on which projections and
//! mappings show what they do.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::contract::Family;
use super::document::digest;
use super::sampler::{Dice, Sampler};
use crate::error::{Error, Kind, Result};
use crate::event::{CommandId, Position, StoredEvent, StoredEventRef, StreamId, Timestamp};

/// Streams in which every new event occurs once, in the order of the enum.
const WALKS: usize = 2;
/// Streams in which events occur as the dice fall, and how many events each has at most.
const RANDOM: usize = 6;
const RANDOM_EVENTS: u64 = 12;
/// Values that are tried until one is read back.
const TRIES: usize = 64;

/// Noon of the first day of the sample.
const FIRST: i64 = 1_767_268_800_000_000;
const MINUTE: i64 = 60_000_000;

/// Events as they were released, in an order.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    lines: Vec<String>,
    events: Vec<StoredEvent>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    stream: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    version: u32,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Samples {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The number of the line that is none of a sample, and why.
    pub(crate) fn read(text: &str) -> Result<Self, (usize, String)> {
        let mut samples = Self::default();
        for (n, line) in text.lines().enumerate() {
            samples.push(line).map_err(|why| (n + 1, why))?;
        }
        Ok(samples)
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let stream: StreamId = line.stream.parse().map_err(|error| format!("{error}"))?;
        let version = self
            .events
            .iter()
            .filter(|event| event.stream == stream)
            .count() as u64
            + 1;
        let n = self.events.len() + 1;
        #[allow(clippy::cast_possible_wrap)]
        let time = Timestamp::from_micros(FIRST + n as i64 * MINUTE);
        self.lines.push(text.to_owned());
        self.events.push(StoredEvent {
            position: Position::new(n as u64),
            stream,
            version,
            event_type: line.event_type.to_owned(),
            schema_version: line.version,
            min_reader: 1,
            command_id: Some(CommandId::of(format!("sample/{n}"))),
            payload: line.payload.get().to_owned(),
            metadata: Some(format!(
                r#"{{"actor":"sample","correlation":"sample-{}"}}"#,
                n / 4
            )),
            time,
        });
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The line with this number, from 1.
    pub(crate) fn line(&self, n: usize) -> Option<&str> {
        self.lines.get(n.checked_sub(1)?).map(String::as_str)
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Stands for the first `len` lines.
    pub(crate) fn digest(&self, len: usize) -> String {
        digest(&self.lines[..len])
    }

    /// The events with the numbers of their lines, from 1.
    pub(crate) fn events(&self) -> impl Iterator<Item = (usize, StoredEventRef<'_>)> {
        let events = self.events.iter().enumerate();
        events.map(|(n, event)| (n + 1, event.into()))
    }

    /// Adds events to the sample until every event of every version that this binary writes is
    /// there.
    ///
    /// # Errors
    /// When no value of an event's schema is read back.
    pub(crate) fn grow<'f>(
        &mut self,
        families: impl IntoIterator<Item = &'f Family>,
    ) -> Result<()> {
        for family in families {
            let known: BTreeSet<_> = self
                .events
                .iter()
                .map(|event| (event.event_type.as_str(), event.schema_version))
                .collect();
            let is_new = |variant: &usize| {
                let event = &family.types[*variant];
                !known.contains(&(event.name, event.version))
            };
            if family.written.iter().any(is_new) {
                self.add(family)?;
            }
        }
        Ok(())
    }

    /// Some streams of the family, mingled.
    fn add(&mut self, family: &Family) -> Result<()> {
        // The names and versions decide what is diced, so that nothing depends on other families.
        let names = family
            .types
            .iter()
            .map(|t| format!("{} {}", t.name, t.version));
        let seed = u64::from_str_radix(&digest(names)[..16], 16).unwrap_or_default();
        let mut dice = Dice::new(seed);
        let mut samplers: Vec<_> = (1u64..)
            .zip(&family.payloads)
            .map(|(n, payload)| Sampler::new(payload, seed.wrapping_add(n)))
            .collect();
        let taken: BTreeSet<_> = self
            .events
            .iter()
            .map(|event| event.stream.id().to_owned())
            .collect();
        let all = &family.ids;
        // Ids that are new for the family come first, and then the known ones go on.
        let (used, fresh): (Vec<_>, Vec<_>) = all
            .iter()
            .partition(|id| taken.contains(*id) && self.has_stream(family.name, id));
        let ids: Vec<_> = fresh.into_iter().chain(used).take(WALKS + RANDOM).collect();
        let mut plans: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for stream in 0..ids.len() {
            let plan = if stream < WALKS {
                family.written.iter().rev().copied().collect()
            } else {
                let count = 2 + dice.below(RANDOM_EVENTS - 1);
                let any = |_| *dice.one_of(&family.written);
                let mut plan: Vec<_> = (0..count).map(any).collect();
                // Lives begin with the first event, by custom.
                if dice.chance(4) {
                    plan.extend(family.written.first());
                }
                plan
            };
            plans.insert(stream, plan);
        }
        while !plans.is_empty() {
            let open: Vec<_> = plans.keys().copied().collect();
            let stream = *dice.one_of(&open);
            match plans.get_mut(&stream).and_then(Vec::pop) {
                Some(variant) => {
                    let line = line(family, ids[stream], variant, &mut samplers[variant])?;
                    self.push(&line)
                        .map_err(|why| Error::new(Kind::NoSample { why }))?;
                }
                None => drop(plans.remove(&stream)),
            }
        }
        Ok(())
    }

    fn has_stream(&self, family: &str, id: &str) -> bool {
        let mut streams = self.events.iter().map(|event| &event.stream);
        streams.any(|stream| stream.aggregate() == family && stream.id() == id)
    }
}

/// An event as this binary would store it.
fn line(family: &Family, id: &str, variant: usize, sampler: &mut Sampler<'_>) -> Result<String> {
    let event = &family.types[variant];
    let mut why = String::new();
    for _ in 0..TRIES {
        let value = sampler.sample()?.to_string();
        match (family.rewrite)(variant, &value) {
            Ok(payload) => {
                let payload = RawValue::from_string(payload);
                let line = payload.and_then(|payload| {
                    serde_json::to_string(&Line {
                        stream: &format!("{}-{id}", family.name),
                        event_type: event.name,
                        version: event.version,
                        payload: &payload,
                    })
                });
                return line.map_err(|error| {
                    let what = format!("`{}`", event.name);
                    Error::caused_by(Kind::Unencodable { what }, error)
                });
            }
            Err(error) => why = format!("`{}` does not read `{value}`: {error}", event.name),
        }
    }
    Err(Error::new(Kind::NoSample { why }))
}
