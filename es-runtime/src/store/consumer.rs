//! Who reads the integration streams, as their readers show it by reading, and the rule by which a
//! version may end that nobody reads any more.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use std::collections::BTreeMap;
#[cfg(feature = "runtime")]
use std::time::Duration;

use super::StreamVersion;
#[cfg(feature = "runtime")]
use super::{ProjectionState, Sighting, life::later};
#[cfg(feature = "runtime")]
use crate::event::span;
use crate::event::{Position, Timestamp};

/// What a reader of an integration stream shows of itself by reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The name that it gave.
    pub consumer: String,
    /// What it reads.
    pub stream: StreamVersion,
    /// The last position that it has: it asked for what comes after.
    pub position: Position,
    /// The running hash that it says to have at that position.
    pub hash: Option<[u8; 32]>,
    /// By which way it reads: `feed`, or a transport's name.
    pub via: String,
}

/// What is known of a consumer of an integration stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerState {
    /// What it showed when it was heard of last.
    pub reading: Reading,
    /// When it was heard of first, by the database's clock.
    pub first_seen: Timestamp,
    /// When it was heard of last, by the database's clock.
    pub last_seen: Timestamp,
}

/// The last of several readings of one consumer, in the order in which all instances write them:
/// two that write at once wait for each other, and never both.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn newest(readings: &[Reading]) -> Vec<&Reading> {
    let by_key = readings.iter().map(|r| ((&r.stream, &r.consumer), r));
    let newest: BTreeMap<_, _> = by_key.collect();
    newest.into_values().collect()
}

/// Consumers that are named in one sentence.
#[cfg(feature = "runtime")]
const NAMED: usize = 5;

/// Whether a version of a stream may end: nobody read it for `quiet`, and it is not promised any
/// more. Else why not, and what to do.
#[cfg(feature = "runtime")]
pub(crate) fn may_end(
    state: &ProjectionState,
    consumers: &[ConsumerState],
    quiet: Duration,
    now: Timestamp,
) -> Result<(), String> {
    let recent = |at| later(at, quiet) > now;
    let reads = consumers.iter().filter(|c| recent(c.last_seen));
    let mut reads: Vec<_> = reads.collect();
    reads.sort_by_key(|consumer| std::cmp::Reverse(consumer.last_seen));
    let mut who: Vec<_> = reads.iter().take(NAMED).map(|c| c.to_string()).collect();
    if reads.len() > NAMED {
        who.push(format!("{} more", reads.len() - NAMED));
    }
    let nameless = state.read.as_ref().filter(|read| recent(read.at));
    who.extend(nameless.map(|Sighting { who, at }| {
        format!("somebody who gave no name read it at {at}, as `{who}` saw")
    }));
    if !who.is_empty() {
        return Err(format!(
            "{}, less than {} ago: have them move to another version, and retire it when they are \
             silent for so long",
            who.join(", "),
            span(quiet)
        ));
    }
    match state.sunset {
        Some(sunset) if sunset > now => Err(format!(
            "it was promised until {sunset}: wait, or announce an earlier day"
        )),
        _ => Ok(()),
    }
}

/// `mail` read it by feed up to position 17 at 2026-11-22T17:00:00.000000Z.
#[cfg(feature = "runtime")]
impl std::fmt::Display for ConsumerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Reading {
            consumer,
            position,
            via,
            ..
        } = &self.reading;
        let at = self.last_seen;
        write!(
            f,
            "`{consumer}` read it by {via} up to position {position} at {at}"
        )
    }
}

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use super::*;
    use crate::event::Position;
    use crate::store::Lineage;
    use crate::store::life::{Occasion, prepare};

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn consumer(name: String, seen: i64) -> ConsumerState {
        let stream = StreamVersion {
            stream: "accounts".to_owned(),
            version: 1,
        };
        ConsumerState {
            reading: Reading {
                consumer: name,
                stream,
                position: Position::new(17),
                hash: None,
                via: "feed".to_owned(),
            },
            first_seen: at(0),
            last_seen: at(seen),
        }
    }

    fn state() -> ProjectionState {
        let mut lineage = Lineage::default();
        prepare(&mut lineage, 1, 1, &Occasion::new(at(0), Position::START));
        lineage.versions.remove(&1).unwrap()
    }

    #[test]
    fn a_version_ends_when_all_are_silent_and_its_promise_is_kept() {
        let mut state = state();
        let mail = [consumer("mail".to_owned(), 100)];
        let why = may_end(&state, &mail, HOUR, at(3699)).unwrap_err();
        assert_eq!(
            why,
            "`mail` read it by feed up to position 17 at 1970-01-01T00:01:40.000000Z, less than 1 h ago: \
             have them move to another version, and retire it when they are silent for so long"
        );
        assert_eq!(may_end(&state, &mail, HOUR, at(3700)), Ok(()));
        let who = "bank-1".to_owned();
        state.read = Some(Sighting { who, at: at(200) });
        let why = may_end(&state, &mail, HOUR, at(3700)).unwrap_err();
        assert!(
            why.starts_with("somebody who gave no name read it at"),
            "{why}"
        );
        assert!(why.contains("as `bank-1` saw"), "{why}");
        assert_eq!(may_end(&state, &mail, HOUR, at(3800)), Ok(()));
        state.sunset = Some(at(4000));
        let why = may_end(&state, &mail, HOUR, at(3999)).unwrap_err();
        assert!(
            why.starts_with("it was promised until 1970-01-01T01:06:40"),
            "{why}"
        );
        assert_eq!(may_end(&state, &mail, HOUR, at(4000)), Ok(()));
    }

    #[test]
    fn many_are_counted_and_the_last_are_named() {
        let many: Vec<_> = (0..9).map(|n| consumer(format!("c{n}"), n)).collect();
        let why = may_end(&state(), &many, HOUR, at(10)).unwrap_err();
        assert!(why.starts_with("`c8` read it"), "{why}");
        assert!(
            why.contains("`c4` read it") && !why.contains("`c3`"),
            "{why}"
        );
        assert!(why.contains(", 4 more, less than 1 h ago"), "{why}");
    }
}
