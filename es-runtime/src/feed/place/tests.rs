//! Places in versions that split events, drop them, and tell what no other version tells.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::search::*;
use crate::error::Result;
use crate::event::{Position, Timestamp};
use crate::integration::Place;
use crate::store::{
    Phase, PublishedEvent, PublishedPage, PublishedQuery, StreamCursor, StreamLife, StreamVersion,
};

/// Versions of a stream, each with what its events were made of, up to which position of the log.
#[derive(Default)]
struct Model {
    versions: BTreeMap<u32, Vec<u64>>,
    through: BTreeMap<u32, u64>,
    phases: BTreeMap<u32, Phase>,
}

fn accounts(version: u32) -> StreamVersion {
    let stream = "accounts".to_owned();
    StreamVersion { stream, version }
}

fn hash(version: u32, position: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    if position > 0 {
        hash[0] = u8::try_from(version).unwrap();
        hash[24..].copy_from_slice(&position.to_be_bytes());
    }
    hash
}

fn standing(version: u32, position: u64) -> StreamCursor {
    StreamCursor {
        position: Position::new(position),
        hash: hash(version, position),
    }
}

impl Rows for Model {
    async fn page(&self, query: &PublishedQuery) -> Result<PublishedPage> {
        let version = query.stream.version;
        let sources = self.versions.get(&version).cloned().unwrap_or_default();
        let all = (1..)
            .zip(&sources)
            .map(|(position, source)| PublishedEvent {
                position: Position::new(position),
                source: Position::new(*source),
                event_type: "changed".to_owned(),
                subject: "alice".to_owned(),
                payload: "{}".to_owned(),
                metadata: None,
                time: Timestamp::from_micros(0),
                recorded: Timestamp::from_micros(0),
                salt: [0; 16],
                hash: hash(version, position),
            });
        let wanted = all.filter(|event| event.position > query.after);
        let head = Position::new(sources.len() as u64);
        let life = self.phases.get(&version).map(|phase| StreamLife {
            phase: *phase,
            since: Timestamp::from_micros(0),
            sunset: None,
        });
        let events = wanted.take(query.limit).collect();
        Ok(PublishedPage::of(query, events, false, head, life))
    }

    async fn through(&self, stream: &StreamVersion) -> Result<Position> {
        let through = self.through.get(&stream.version).copied();
        Ok(Position::new(through.unwrap_or_default()))
    }
}

impl Model {
    /// A log of so many events, of which each version makes none, one or several.
    fn random(random: &mut Rng, log: u64) -> Self {
        let mut model = Self::default();
        for version in 1..=3 {
            let many = random.usize(1..4);
            let made = (1..=log).flat_map(|source| vec![source; random.usize(..=many)]);
            model.versions.insert(version, made.collect());
            model.through.insert(version, log);
            model.phases.insert(version, Phase::Live);
        }
        model
    }

    async fn place(&self, to: u32, of: u32, position: u64, origin: u64) -> Placed {
        let asked = Asked {
            stream: accounts(to),
            of: accounts(of),
            position: Position::new(position),
            origin: Position::new(origin),
        };
        place(self, &asked).await.unwrap()
    }

    /// What is published of a version up to a position of the log.
    fn upto(&self, version: u32, log: u64) -> u64 {
        let sources = self.versions[&version].iter();
        sources.filter(|source| **source <= log).count() as u64
    }
}

/// A consumer goes from version to version, and reads on in between. It has had, of every internal
/// event, either nothing or all that the version told of it which it read at that time; and every one
/// up to where it stands.
#[tokio::test]
async fn whoever_moves_between_versions_has_every_event_once() {
    let seed = std::env::var("ES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    for _ in 0..400 {
        let log = random.u64(1..30);
        let model = Model::random(&mut random, log);
        let (mut version, mut position, mut origin) = (1_u32, 0_u64, 0_u64);
        // How far the consumer is in the log, and which version told of each of its events.
        let (mut far, mut told) = (0, BTreeMap::new());
        while far < log {
            // It reads some events, wherever the page ends.
            let sources = &model.versions[&version];
            let more = random.u64(0..6).min(sources.len() as u64 - position);
            for _ in 0..more {
                position += 1;
                far = sources[usize::try_from(position).unwrap() - 1];
                let before = told.insert(far, version);
                assert!(
                    before.is_none_or(|before| before == version),
                    "{far} was told by {before:?} and by {version}"
                );
            }
            if position == sources.len() as u64 {
                far = log;
            }
            let to = random.u32(1..=3);
            let Placed::At(place) = model.place(to, version, position, origin).await else {
                panic!("from {position} of {version} to {to}, {origin}");
            };
            assert_eq!(place.of, standing(version, position));
            if place.until > Position::new(position) {
                // Inside of what was one event: it reads on first.
                let same = sources[usize::try_from(position).unwrap()];
                assert_eq!(same, far, "what follows was made of the same");
                continue;
            }
            let had = told.last_key_value().map_or(0, |(far, _)| *far);
            let at = model.upto(to, place.origin.get());
            assert_eq!(place.at, standing(to, at), "up to {}", place.origin);
            assert!(place.origin.get() >= had.max(origin));
            let next = model.versions[&to].iter().find(|source| **source > had);
            let told_next = model.versions[&to].get(usize::try_from(at).unwrap());
            assert_eq!(told_next, next, "what it has not had comes next");
            (version, position, origin) = (to, at, place.origin.get());
        }
    }
}

#[tokio::test]
async fn a_place_is_told_where_there_is_one() {
    let model = |through, phases: [Phase; 2]| Model {
        versions: BTreeMap::from([(1, vec![1, 3, 3, 5]), (2, vec![1, 2, 4])]),
        through: BTreeMap::from([(1, 5), (2, through)]),
        phases: BTreeMap::from([(1, phases[0]), (2, phases[1])]),
    };
    let both = model(5, [Phase::Live; 2]);
    let placed = |at: u64, of: u64, until: u64, origin: u64| {
        Placed::At(Place {
            of: standing(1, of),
            until: Position::new(until),
            at: standing(2, at),
            origin: Position::new(origin),
        })
    };
    assert_eq!(both.place(2, 1, 0, 0).await, placed(0, 0, 0, 0));
    assert_eq!(both.place(2, 1, 1, 0).await, placed(1, 1, 1, 1));
    // One event became two, and the consumer has had the first of them.
    assert_eq!(both.place(2, 1, 2, 0).await, placed(2, 2, 3, 3));
    assert_eq!(both.place(2, 1, 3, 0).await, placed(2, 3, 3, 3));
    assert_eq!(both.place(2, 1, 3, 4).await, placed(3, 3, 3, 4));
    assert_eq!(both.place(2, 1, 4, 0).await, placed(3, 4, 4, 5));
    // Of what comes next, nobody who stands there has had anything.
    assert_eq!(both.place(2, 1, 3, 5).await, Placed::Disagrees);
    assert_eq!(both.place(2, 1, 4, 6).await, Placed::Disagrees);
    let beyond = both.place(2, 1, 5, 0).await;
    assert_eq!(beyond, Placed::Ahead(Position::new(4)));
    assert_eq!(both.place(2, 3, 0, 0).await, Placed::Unknown);
    assert_eq!(
        both.place(3, 1, 1, 0).await,
        Placed::Building(accounts(3)),
        "nobody ever prepared it"
    );

    let late = model(4, [Phase::Live; 2]);
    assert_eq!(late.place(2, 1, 4, 0).await, Placed::Behind);
    assert_eq!(late.place(2, 1, 3, 0).await, placed(2, 3, 3, 3));
    let building = model(5, [Phase::Live, Phase::Building]);
    assert_eq!(
        building.place(2, 1, 1, 0).await,
        Placed::Building(accounts(2))
    );
    let retired = model(5, [Phase::Retired, Phase::Live]);
    assert_eq!(retired.place(2, 1, 3, 0).await, placed(2, 3, 3, 3));
    assert_eq!(
        retired.place(1, 2, 1, 0).await,
        Placed::Retired(accounts(1))
    );
    assert_eq!(
        retired.place(2, 1, 9, 0).await,
        Placed::Retired(accounts(1))
    );
}
