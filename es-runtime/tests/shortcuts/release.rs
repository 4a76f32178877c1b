//! Snapshots over releases: what changes the fingerprint, and what a fingerprint cannot see.

use std::collections::{BTreeMap, BTreeSet};

use es_runtime::aggregate::Fingerprint;
use es_runtime::event::Timestamp;
use es_runtime::prelude::*;
use es_runtime::{Builder, Result, Service, Snapshots, Store};

use crate::ledger::{Ledger, LedgerCommand, LedgerEvent, OnlySo, decide, release};
use crate::{File, plain, stats, total};

mod renamed {
    use super::*;

    release! {
        /// Another name in Rust, another comment.
        Book { total: i64, /** Of all times. */ entries: u64, }
        |state, amount| { state.total += amount; state.entries += 1; }
    }
}

release! { More { total: i64, entries: u64, last: i64, } |s, amount| { s.total += amount; s.last = amount; } }
release! { Retyped { total: i64, entries: u32, } |s, amount| { s.total += amount; s.entries += 1; } }
release! { Renamed { total: i64, count: u64, } |s, amount| { s.total += amount; s.count += 1; } }
release! { Attributed { total: i64, #[serde(default)] entries: u64, } |s, amount| { s.total += amount; s.entries += 1; } }
release! { #[aggregate(snapshot = 2)] Raised { total: i64, entries: u64, } |s, amount| { s.total += amount; s.entries += 1; } }

/// The same names and tokens around a type that changed: what no derive sees.
mod nested {
    use super::*;

    pub(super) mod one {
        use super::*;
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct Line {
            pub(crate) amount: i64,
        }
        release! { Lines { total: i64, lines: BTreeMap<u32, Vec<Line>>, } |s, amount| { s.total += amount; } }
    }

    pub(super) mod two {
        use super::*;
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct Line {
            #[serde(default)]
            pub(crate) cents: i64,
        }
        release! { Lines { total: i64, lines: BTreeMap<u32, Vec<Line>>, } |s, amount| { s.total += amount; } }
    }
}

/// Another state before the first event.
mod first {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Limit(i64);

    impl Default for Limit {
        fn default() -> Self {
            Self(500)
        }
    }

    pub(super) mod other {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub(crate) struct Limit(i64);

        impl Default for Limit {
            fn default() -> Self {
                Self(1000)
            }
        }

        use super::*;
        release! { Limited { total: i64, limit: Limit, } |s, amount| { s.total += amount; } }
    }

    release! { Limited { total: i64, limit: Limit, } |s, amount| { s.total += amount; } }
}

fn print<A: Aggregate + Serialize + serde::de::DeserializeOwned>() -> Fingerprint {
    Fingerprint::of::<A>().unwrap()
}

#[test]
fn the_fingerprint_is_that_of_the_state_and_its_events() {
    assert_eq!(print::<Ledger>(), print::<renamed::Book>());
    let different = [
        print::<Ledger>(),
        print::<More>(),
        print::<Retyped>(),
        print::<Renamed>(),
        print::<Attributed>(),
        print::<Raised>(),
        print::<nested::one::Lines>(),
        print::<nested::two::Lines>(),
        print::<first::Limited>(),
        print::<first::other::Limited>(),
    ];
    assert_eq!(
        different.iter().collect::<BTreeSet<_>>().len(),
        different.len()
    );
    assert_eq!(
        <nested::one::Lines as Aggregate>::SHAPE,
        <nested::two::Lines as Aggregate>::SHAPE
    );
}

/// Snapshots are kept over releases: a fingerprint that changes by itself makes them worthless.
#[test]
fn the_fingerprint_is_the_same_in_every_binary() {
    assert_eq!(
        print::<Ledger>().to_string(),
        "dabf90cd216b71b06c57482a0299ce6a"
    );
}

fn every<A>(store: &Store, events: u32) -> Builder
where
    A: Decide + Evolve + PartialEq + Serialize + serde::de::DeserializeOwned,
{
    Service::builder("ledgers")
        .store(store.clone())
        .aggregate::<A>()
        .snapshots::<A>(Snapshots::every(events))
}

/// A rolling deploy: both write, and neither takes the other's snapshots away or uses them.
#[tokio::test]
async fn two_releases_side_by_side_keep_their_own() -> Result<()> {
    let file = File::new();
    let store = file.store().await;
    for round in 0..3_u8 {
        let old = every::<Ledger>(&store, 2).start().await?;
        let new = every::<More>(&store, 2).start().await?;
        for _ in 0..2 {
            let add = LedgerCommand::AddTwice(1);
            old.execute::<Ledger>("a", add.clone()).await?;
            new.execute::<More>("a", add).await?;
        }
        let events = 8 * (u64::from(round) + 1);
        let newest = new.load::<More>("a").await?;
        assert_eq!((newest.version(), newest.state().last), (events, 1));
        assert_eq!(total(&old, "a").await?.0, events);
        let refused = new.snapshot_stats::<More>().unwrap().refused;
        assert_eq!((stats(&old).refused, refused), (0, 0));
        old.shutdown().await?;
        new.shutdown().await?;
        assert_eq!(file.number("SELECT count(*) FROM es_snapshot").await, 2);
    }
    // The old release is gone: so are its snapshots, when somebody says so.
    let new = every::<More>(&store, 2).start().await?;
    let early = Timestamp::from_micros(0);
    assert_eq!(new.remove_outdated_snapshots::<More>(early).await?, 0);
    let late = Timestamp::from_micros(i64::MAX);
    assert_eq!(new.remove_outdated_snapshots::<More>(late).await?, 1);
    new.load::<More>("a").await?;
    assert_eq!(new.snapshot_stats::<More>().unwrap().used, 1);
    new.shutdown().await
}

/// The same state, the same events, another meaning: and nobody raised `snapshot`.
mod reinterpreted {
    use super::*;

    release! {
        Ledger { total: i64, entries: u64, }
        |state, amount| { state.total += 2 * amount; state.entries += 1; }
    }
}

/// What no fingerprint sees, the first snapshot that is used tells: it is compared with its events.
#[tokio::test]
async fn a_forgotten_version_is_noticed_before_anything_is_decided_on_it() -> Result<()> {
    let store = File::new();
    let store = store.store().await;
    let old = every::<Ledger>(&store, 2).start().await?;
    for id in ["a", "b"] {
        old.execute::<Ledger>(id, LedgerCommand::AddTwice(5))
            .await?;
    }
    old.shutdown().await?;
    assert_eq!(print::<Ledger>(), print::<reinterpreted::Ledger>());
    let new = every::<reinterpreted::Ledger>(&store, 2).start().await?;
    for id in ["a", "b"] {
        let refused = new
            .execute::<reinterpreted::Ledger>(id, LedgerCommand::Take(21))
            .await;
        assert_eq!(refused.unwrap_err().rejection(), Some(&OnlySo(20)));
    }
    let stats = new.snapshot_stats::<reinterpreted::Ledger>().unwrap();
    assert!(stats.off);
    assert_eq!(
        (stats.used, stats.written),
        (1, 0),
        "after the first one none is used or made"
    );
    new.shutdown().await
}

release! {
    Forgetful { total: i64, #[serde(skip)] entries: u64, }
    |state, amount| { state.total += amount; state.entries += 1; }
}

/// A snapshot that serde leaves something out of would be another state.
#[tokio::test]
async fn a_state_that_does_not_survive_its_json_has_no_snapshot() -> Result<()> {
    let file = File::new();
    let store = file.store().await;
    let service = every::<Forgetful>(&store, 1).start().await?;
    service
        .execute::<Forgetful>("a", LedgerCommand::Add(1))
        .await?;
    service.shutdown().await?;
    let stats = service.snapshot_stats::<Forgetful>().unwrap();
    assert_eq!((stats.written, stats.dropped), (0, 1));
    assert_eq!(file.number("SELECT count(*) FROM es_snapshot").await, 0);
    Ok(())
}

/// Nothing of serde is needed for a cache, and nothing at all for neither.
#[tokio::test]
async fn an_aggregate_without_snapshots_has_no_stats() -> Result<()> {
    let service = plain(&Store::connect("memory:").await?).start().await?;
    assert_eq!(service.snapshot_stats::<Ledger>(), None);
    let nothing = service
        .remove_outdated_snapshots::<Ledger>(Timestamp::default())
        .await;
    assert_eq!(nothing.unwrap_err().code(), "ES0124");
    Ok(())
}
