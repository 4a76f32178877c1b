//! Whatever was written, and by whichever release: the way to today does not matter.

use es_runtime::event::{Event, Recorded, StoredEvent};
use es_runtime::projection::Fold;
use fastrand::Rng;

use crate::golden::GOLDEN;
use crate::releases::{Currency, v1, v2, v3, v4, v5};

const RUNS: usize = 500;

/// A seed from the environment, or a new one; printed, so that a failure can be had again.
fn random() -> Rng {
    let said = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = said.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    Rng::with_seed(seed)
}

/// An event as its release stores it.
fn stored<E: Event>(event: &E) -> StoredEvent {
    let written = E::HISTORY.older(event, u32::MAX).unwrap();
    let mut stored = GOLDEN[0].stored();
    stored.event_type = written.name.to_owned();
    stored.schema_version = written.version;
    stored.min_reader = written.min_reader;
    stored.payload = written.payload;
    stored
}

fn read<E: Event>(stored: &StoredEvent) -> Vec<E> {
    Recorded::<E>::decode(stored)
        .unwrap()
        .map(|event| event.data)
        .collect()
}

fn text(random: &mut Rng) -> String {
    let letters = ["a", "Ø", " ", "\"", "\\", "0", "\u{1F600}", "ccy"];
    (0..random.usize(..6))
        .map(|_| *random.choice(&letters).unwrap())
        .collect()
}

/// Beyond what a float holds, and small enough to be added up.
fn number(random: &mut Rng) -> i64 {
    let numbers = [0, -1, 250, (1 << 53) + 1, -(1 << 53) - 1];
    *random.choice(&numbers).unwrap()
}

fn code(random: &mut Rng) -> String {
    (*random.choice(&["DKK", "SEK"]).unwrap()).to_owned()
}

fn of_v1(random: &mut Rng) -> v1::AccountEvent {
    use v1::AccountEvent::*;
    match random.u8(..5) {
        0 => Created {
            name: text(random),
            ccy: code(random),
            note: text(random),
        },
        1 => OpenedWithDeposit {
            name: text(random),
            amount: number(random),
        },
        2 => CashDeposited {
            cash: number(random),
        },
        3 => Viewed { by: text(random) },
        _ => Noted(text(random)),
    }
}

fn of_v2(random: &mut Rng) -> v2::AccountEvent {
    use v2::AccountEvent::*;
    match random.u8(..2) {
        0 => Created {
            name: text(random),
            currency: code(random),
            note: text(random),
        },
        _ => OpenedWithDeposit {
            name: text(random),
            amount: number(random),
            currency: code(random),
        },
    }
}

fn of_v3(random: &mut Rng) -> v3::AccountEvent {
    use v3::AccountEvent::*;
    let currency = *random.choice(&[Currency::Dkk, Currency::Sek]).unwrap();
    match random.u8(..2) {
        0 => Created {
            name: text(random),
            currency,
            note: text(random),
        },
        _ => Deposited {
            cents: number(random),
        },
    }
}

/// Reads an event as the release `Via` does, stores what that made of it, and reads that today.
fn by_way_of<Via: Event>(event: &StoredEvent) -> Vec<v5::AccountEvent> {
    let read_then = read::<Via>(event);
    read_then
        .iter()
        .flat_map(|event| read(&stored(event)))
        .collect()
}

#[test]
fn a_release_in_between_changes_nothing() {
    let mut random = random();
    for _ in 0..RUNS {
        let one = stored(&of_v1(&mut random));
        let today = read::<v5::AccountEvent>(&one);
        assert_eq!(by_way_of::<v2::AccountEvent>(&one), today, "{one:?}");
        assert_eq!(by_way_of::<v3::AccountEvent>(&one), today, "{one:?}");
        assert_eq!(by_way_of::<v4::AccountEvent>(&one), today, "{one:?}");
        let two = stored(&of_v2(&mut random));
        let today = read::<v5::AccountEvent>(&two);
        assert_eq!(by_way_of::<v3::AccountEvent>(&two), today, "{two:?}");
        assert_eq!(by_way_of::<v4::AccountEvent>(&two), today, "{two:?}");
        let three = stored(&of_v3(&mut random));
        let today = read::<v5::AccountEvent>(&three);
        assert_eq!(by_way_of::<v4::AccountEvent>(&three), today, "{three:?}");
    }
}

fn fold(events: &[StoredEvent]) -> Option<v5::Balance> {
    let fold = |row, event: &StoredEvent| {
        let mut parts = Recorded::<v5::AccountEvent>::decode(event).unwrap();
        parts
            .by_ref()
            .fold(row, |row, part| v5::Balance::fold(row, &part))
    };
    events.iter().fold(None, fold)
}

/// Folding what old releases wrote is folding what today's would have written in their place.
#[test]
fn an_upcast_commutes_with_a_fold() {
    let mut random = random();
    for _ in 0..RUNS {
        let written: Vec<_> = (0..random.usize(..8))
            .map(|_| match random.u8(..3) {
                0 => stored(&of_v1(&mut random)),
                1 => stored(&of_v2(&mut random)),
                _ => stored(&of_v3(&mut random)),
            })
            .collect();
        let rewritten: Vec<_> = written
            .iter()
            .flat_map(read::<v5::AccountEvent>)
            .map(|event| stored(&event))
            .collect();
        assert_eq!(fold(&written), fold(&rewritten), "{written:?}");
    }
}

/// What goes down by declared ways and comes up again is the same.
#[test]
fn what_goes_down_comes_up_again() {
    let mut random = random();
    for _ in 0..RUNS {
        let event = v4::AccountEvent::Opened {
            // A last name without a space, so that two names are one and two again.
            first: text(&mut random).replace(' ', ""),
            last: text(&mut random),
            currency: *random.choice(&[Currency::Dkk, Currency::Sek]).unwrap(),
            note: text(&mut random),
        };
        for version in 1..=4 {
            let older = v4::AccountEvent::HISTORY.older(&event, version).unwrap();
            let mut stored = stored(&event);
            stored.event_type = older.name.to_owned();
            stored.schema_version = older.version;
            stored.min_reader = older.min_reader;
            stored.payload = older.payload;
            assert_eq!(
                read::<v4::AccountEvent>(&stored),
                std::slice::from_ref(&event),
                "{stored:?}"
            );
        }
    }
}
