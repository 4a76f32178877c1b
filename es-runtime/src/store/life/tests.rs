//! The rules alone: what each refuses, and that no sequence of changes breaks what must hold.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::*;
use crate::store::Sighting;

const QUIET: Duration = Duration::from_secs(600);
const FRESH: Duration = Duration::from_secs(900);

fn at(seconds: i64, head: u64) -> Occasion {
    let now = Timestamp::from_micros(seconds * 1_000_000);
    Occasion::new(now, Position::new(head))
}

fn id(version: u32) -> ProjectionId {
    ProjectionId {
        kind: ProjectionKind::ReadModel,
        name: "balances".to_owned(),
        version,
    }
}

fn promote() -> Change {
    Change::Promote {
        fresh: FRESH,
        forced: None,
    }
}

fn forced() -> Change {
    Change::Promote {
        fresh: FRESH,
        forced: Some("for a test".to_owned()),
    }
}

fn retire() -> Change {
    Change::Retire {
        quiet: QUIET,
        forced: None,
    }
}

fn moved(lineage: &mut Lineage, version: u32, to: u64) {
    let state = lineage.versions.get_mut(&version).unwrap();
    for slice in &mut state.slices {
        slice.cursor = Position::new(to);
    }
    state.cursor = Position::new(to);
}

/// Versions 1 (live) and 2 (a shadow), both at this position.
fn two(position: u64) -> Lineage {
    let mut lineage = Lineage::default();
    for version in 1..=2 {
        prepare(&mut lineage, version, 1, &at(0, 0));
        moved(&mut lineage, version, position);
        change(
            &id(version),
            &mut lineage,
            &Change::Complete,
            &at(1, position),
        )
        .unwrap();
    }
    lineage
}

fn phase(lineage: &Lineage, version: u32) -> Phase {
    lineage.versions[&version].phase
}

fn compared(with: u32, position: u64, differing: u64) -> Change {
    Change::Compared(Box::new(Comparison {
        with,
        position: Position::new(position),
        keys: 7,
        expected: 1,
        differing,
        sample: Vec::new(),
        by: "a".to_owned(),
        began: at(50, 0).now,
        at: Timestamp::default(),
    }))
}

/// Says why the change is refused, and that the lineage is the same then.
fn why(lineage: &Lineage, version: u32, refused: &Change, at: &Occasion) -> String {
    let mut tried = lineage.clone();
    let error = change(&id(version), &mut tried, refused, at).expect_err("allowed");
    assert_eq!(error.code(), "ES0125", "{error}");
    error.to_string()
}

#[test]
fn the_first_version_is_live_when_it_is_complete_and_the_next_waits() {
    let lineage = two(5);
    assert_eq!(phase(&lineage, 1), Phase::Live);
    assert_eq!(phase(&lineage, 2), Phase::Shadow);
    assert_eq!(lineage.live(), Some(1));
}

#[test]
fn of_two_that_are_built_at_once_the_lower_is_the_first() {
    let mut lineage = Lineage::default();
    for version in 1..=2 {
        prepare(&mut lineage, version, 1, &at(0, 0));
    }
    let complete = |lineage: &mut Lineage, version| {
        change(&id(version), lineage, &Change::Complete, &at(1, 0)).unwrap();
        (phase(lineage, 1), phase(lineage, 2))
    };
    // One that stands still is not waited for.
    let mut stopped = lineage.clone();
    let reason = "for a while".to_owned();
    let pause = Change::Pause { reason };
    change(&id(1), &mut stopped, &pause, &at(1, 0)).unwrap();
    assert_eq!(complete(&mut stopped, 2), (Phase::Building, Phase::Live));
    assert_eq!(complete(&mut lineage, 2), (Phase::Building, Phase::Shadow));
    assert_eq!(complete(&mut lineage, 1), (Phase::Live, Phase::Shadow));
    // And where it never comes, a person says so.
    let mut waiting = two(0);
    waiting.versions.remove(&1);
    change(&id(2), &mut waiting, &promote(), &at(1, 0)).unwrap();
    assert_eq!(phase(&waiting, 2), Phase::Live);
}

#[test]
fn only_what_was_proven_is_promoted() {
    let mut lineage = two(5);
    let now = at(100, 5);
    assert!(why(&lineage, 2, &promote(), &now).contains("was not compared"));
    let mut differs = lineage.clone();
    change(&id(2), &mut differs, &compared(1, 5, 3), &now).unwrap();
    assert!(why(&differs, 2, &promote(), &now).contains("3 of 7 rows differ"));
    change(&id(2), &mut lineage, &compared(1, 5, 0), &now).unwrap();
    let late = at(100 + 901, 5);
    assert!(why(&lineage, 2, &promote(), &late).contains("too long ago"));
    let mut far = lineage.clone();
    moved(&mut far, 1, 5000);
    assert!(why(&far, 2, &forced(), &now).contains("caught up"));
    let mut broken = lineage.clone();
    let reason = "the disk is full".to_owned();
    let noted = Noted {
        reason,
        at: now.now,
    };
    broken.versions.get_mut(&2).unwrap().slices[0].failure = Some(noted);
    assert!(why(&broken, 2, &forced(), &now).contains("the disk is full"));
    let effects = change(&id(2), &mut lineage, &promote(), &now).unwrap();
    assert_eq!(effects, [Effect::PointView(2)]);
    assert_eq!(phase(&lineage, 1), Phase::Deprecated);
    assert_eq!(phase(&lineage, 2), Phase::Live);
}

#[test]
fn a_comparison_of_a_version_that_was_begun_anew_counts_for_nothing() {
    let mut lineage = two(5);
    let now = at(100, 5);
    let reason = "a bug".to_owned();
    change(&id(2), &mut lineage, &Change::Rebuild { reason }, &now).unwrap();
    change(&id(2), &mut lineage, &compared(1, 5, 0), &now).unwrap();
    assert_eq!(lineage.versions[&2].comparison, None);
}

fn hold() -> Change {
    Change::Hold {
        hold: Duration::from_secs(2),
        lease: Duration::from_secs(30),
    }
}

#[test]
fn two_versions_are_held_where_the_furthest_part_of_them_is() {
    let (mut lineage, now) = (two(5), at(100, 9));
    moved(&mut lineage, 1, 8);
    let before = lineage.clone();
    change(&id(2), &mut lineage, &hold(), &now).unwrap();
    let held = Hold {
        at: Position::new(8),
        until: at(102, 0).now,
    };
    for version in [1, 2] {
        let state = &lineage.versions[&version];
        assert_eq!(state.hold, Some(held));
        // Their workers must know.
        assert!(state.epoch > before.versions[&version].epoch);
    }
    assert!(why(&lineage, 2, &hold(), &now).contains("somebody compares it"));
    // Another version waits until the live one may go on; who compares, for as long as it says so.
    prepare(&mut lineage, 3, 1, &now);
    moved(&mut lineage, 3, 8);
    change(&id(3), &mut lineage, &Change::Complete, &now).unwrap();
    assert!(why(&lineage, 3, &hold(), &now).contains("wait for a moment"));
    let lease = Duration::from_secs(30);
    let release = Change::Release { lease };
    change(&id(2), &mut lineage, &release, &now).unwrap();
    assert!(lineage.versions.values().all(|state| state.hold.is_none()));
    assert!(why(&lineage, 2, &hold(), &at(129, 9)).contains("somebody compares it"));
    change(&id(3), &mut lineage, &hold(), &now).unwrap();
    // One that died holds nobody for ever.
    change(&id(2), &mut lineage, &hold(), &at(130, 9)).unwrap();
}

#[test]
fn what_cannot_be_compared_is_not_held() {
    let (lineage, now) = (two(5), at(100, 5000));
    assert!(why(&lineage, 1, &hold(), &now).contains("it is live"));
    assert!(why(&lineage, 1, &Change::WantComparison, &now).contains("it is live"));
    let mut far = lineage.clone();
    moved(&mut far, 1, 2000);
    assert!(why(&far, 2, &hold(), &now).contains("caught up"));
    for version in [1, 2] {
        let mut paused = lineage.clone();
        let reason = "a leak".to_owned();
        let pause = Change::Pause { reason };
        change(&id(version), &mut paused, &pause, &now).unwrap();
        assert!(why(&paused, 2, &hold(), &now).contains("a leak"));
    }
    let mut building = lineage.clone();
    prepare(&mut building, 3, 1, &now);
    assert!(why(&building, 3, &hold(), &now).contains("being built"));
}

#[test]
fn a_comparison_with_a_version_that_was_begun_anew_counts_for_nothing() {
    let (mut lineage, now) = (two(5), at(100, 5));
    change(&id(2), &mut lineage, &forced(), &now).unwrap();
    prepare(&mut lineage, 3, 1, &at(0, 0));
    lineage.versions.get_mut(&3).unwrap().comparison = match compared(1, 5, 0) {
        Change::Compared(found) => Some(*found),
        _ => None,
    };
    let reason = "a bug".to_owned();
    change(&id(1), &mut lineage, &Change::Rebuild { reason }, &now).unwrap();
    assert_eq!(lineage.versions[&3].comparison, None);
}

#[test]
fn comparisons_are_told_when_they_find_something_else() {
    let (mut lineage, now) = (two(5), at(100, 5));
    let mut entries = Vec::new();
    for differing in [0, 0, 3, 3, 0] {
        let before = lineage.clone();
        let found = compared(1, 5, differing);
        change(&id(2), &mut lineage, &found, &now).unwrap();
        entries.push(told(&id(2), &before, &lineage, &found, "a", &now).len());
    }
    assert_eq!(entries, [1, 0, 1, 0, 1]);
    // A try in vain says why, and takes away nothing.
    let reason = "it was away".to_owned();
    let tried = Change::NotCompared { reason };
    change(&id(2), &mut lineage, &tried, &now).unwrap();
    change(&id(2), &mut lineage, &promote(), &now).unwrap();
}

#[test]
fn rolling_back_needs_a_version_that_is_kept_up_to_date() {
    let mut lineage = two(5);
    let now = at(100, 5);
    let back = Change::RollBack {
        reason: "it is slow".to_owned(),
    };
    assert!(why(&lineage, 1, &back, &now).contains("no version before it"));
    change(&id(2), &mut lineage, &forced(), &now).unwrap();
    assert!(why(&lineage, 1, &back, &now).contains("not live"));
    change(&id(2), &mut lineage, &back, &now).unwrap();
    assert_eq!(phase(&lineage, 1), Phase::Live);
    assert_eq!(phase(&lineage, 2), Phase::Shadow);
}

#[test]
fn nothing_is_retired_under_somebody() {
    let mut lineage = two(5);
    let now = at(1000, 5);
    assert!(why(&lineage, 1, &retire(), &now).contains("it is live"));
    change(&id(2), &mut lineage, &forced(), &now).unwrap();
    for who in ["run", "read"] {
        let mut seen = lineage.clone();
        let state = seen.versions.get_mut(&1).unwrap();
        let sighting = Some(Sighting {
            who: "bank-7".to_owned(),
            at: at(500, 0).now,
        });
        match who {
            "run" => state.run = sighting,
            _ => state.read = sighting,
        }
        assert!(why(&seen, 1, &retire(), &now).contains("bank-7"), "{who}");
        change(&id(1), &mut seen, &retire(), &at(1101, 5)).unwrap();
    }
    change(&id(1), &mut lineage, &retire(), &now).unwrap();
    assert_eq!(phase(&lineage, 1), Phase::Retired);
    // Twice is once, and it never comes back.
    change(&id(1), &mut lineage, &retire(), &now).unwrap();
    prepare(&mut lineage, 1, 1, &now);
    assert_eq!(phase(&lineage, 1), Phase::Retired);
    assert!(why(&lineage, 1, &forced(), &now).contains("retired"));
}

#[test]
fn what_was_published_is_never_built_anew() {
    let stream = ProjectionId {
        kind: ProjectionKind::Stream,
        ..id(1)
    };
    let (mut lineage, now) = (Lineage::default(), at(0, 0));
    prepare(&mut lineage, 1, 1, &now);
    let rebuild = Change::Rebuild {
        reason: "a bug".to_owned(),
    };
    change(&stream, &mut lineage, &rebuild, &now).unwrap();
    change(&stream, &mut lineage, &Change::Complete, &now).unwrap();
    assert_eq!(phase(&lineage, 1), Phase::Live);
    let error = change(&stream, &mut lineage, &rebuild, &now).unwrap_err();
    assert!(error.to_string().contains("never changes"), "{error}");
}

/// Random promotions, rollbacks and lags over versions that come one after the other: one is live
/// at most, what workers must know raises their epoch, and each event has one version that reacts.
#[test]
fn each_event_is_reacted_to_once_whatever_happens() {
    let seed = std::env::var("ES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    for _ in 0..300 {
        one_life(&mut random);
    }
}

fn one_life(random: &mut Rng) {
    let mut lineage = Lineage::default();
    let mut reactions: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    let mut head = random.u64(0..20);
    let first = head;
    let slices = random.u16(1..4);
    for now in 0..random.i64(20..120) {
        let occasion = at(now, head);
        let known = u32::try_from(lineage.versions.len()).unwrap();
        let version = random.u32(1..=known.max(1));
        let before = lineage.clone();
        match random.u8(..10) {
            0 if known < 4 => prepare(&mut lineage, known + 1, slices, &occasion),
            1..=3 => head += random.u64(1..30),
            4 => drop(change(&id(version), &mut lineage, &forced(), &occasion)),
            5 => {
                let reason = "for a test".to_owned();
                let back = Change::RollBack { reason };
                drop(change(&id(version), &mut lineage, &back, &occasion));
            }
            _ => step(&mut lineage, version, head, random, &mut reactions),
        }
        if known == 0 {
            prepare(&mut lineage, 1, slices, &at(now, first));
        }
        let live = |state: &&ProjectionState| state.phase == Phase::Live;
        assert!(lineage.versions.values().filter(live).count() <= 1);
        for (version, state) in &before.versions {
            let now = &lineage.versions[version];
            assert!(now.phase == state.phase || now.epoch > state.epoch);
        }
    }
    // In the end all of them come to the head.
    let versions: Vec<u32> = lineage.versions.keys().copied().collect();
    for version in versions {
        while lineage.versions[&version].cursor.get() < head {
            step(&mut lineage, version, head, random, &mut reactions);
        }
    }
    for position in 1..=head {
        let by = reactions.get(&position).cloned().unwrap_or_default();
        let expected = if position > first {
            usize::from(slices)
        } else {
            0
        };
        assert_eq!(by.len(), expected, "event {position}: {by:?}, {lineage:?}");
    }
}

/// A worker of one part moves on, and reacts to what is its own; every part has keys of each event.
fn step(
    lineage: &mut Lineage,
    version: u32,
    head: u64,
    random: &mut Rng,
    reactions: &mut BTreeMap<u64, Vec<u32>>,
) {
    let Some(state) = lineage.versions.get(&version) else {
        return;
    };
    let part = random.usize(..state.slices.len());
    let from = state.slices[part].cursor.get();
    let to = head.min(from + random.u64(1..40));
    for position in from + 1..=to {
        if lineage.reacts(Position::new(position)) == Some(version) {
            reactions.entry(position).or_default().push(version);
        }
    }
    let state = lineage.versions.get_mut(&version).unwrap();
    state.slices[part].cursor = Position::new(to);
    state.cursor = slowest(&state.slices);
    if state.cursor.get() == head {
        let now = state.since.as_micros() / 1_000_000;
        change(&id(version), lineage, &Change::Complete, &at(now, head)).unwrap();
    }
}
