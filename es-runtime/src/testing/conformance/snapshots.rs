//! Snapshots: found by their makers alone, never older than one that was kept before, and always
//! with the events that follow.

use fastrand::Rng;
use tokio::task::{JoinSet, yield_now};

use super::{Check, Subject, accepted, append, law, stream};
use crate::aggregate::Fingerprint;
use crate::error::{Error, Result};
use crate::event::{StreamId, Timestamp};
use crate::store::{EventStore, Outdated, Snapshot, StreamQuery};

const OURS: Fingerprint = Fingerprint::from_bytes([0xFF; 16]);
const THEIRS: Fingerprint = Fingerprint::from_bytes([0x27; 16]);

fn snapshot(stream: &StreamId, fingerprint: Fingerprint, version: u64) -> Snapshot {
    Snapshot {
        stream: stream.clone(),
        fingerprint,
        version,
        state: format!(
            r#"{{"of":"{fingerprint}", "version" : {version},"text":"it's \"ü\" \\ \u0000"}}"#
        ),
        seal: [u8::try_from(version % 256).unwrap_or_default(); 32],
        time: Timestamp::from_micros(1_700_000_000_000_001),
    }
}

pub(super) async fn they_are_found_by_who_made_them<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a snapshot is found by who made it";
    let store = subject.fresh().await;
    let (a, b) = (stream("a")?, stream("b")?);
    let nothing = store.read_snapshot(&a, OURS, 10).await?;
    law!(
        LAW,
        nothing.0.is_none() && nothing.1.events.is_empty(),
        "in an empty store: {nothing:?}"
    );
    for stream in [&a, &b] {
        accepted(&store, append(stream, 0, stream.id(), 3)).await?;
    }
    store.write_snapshots(Vec::new()).await?;
    let kept = [snapshot(&a, OURS, 2), snapshot(&b, OURS, 1)];
    store.write_snapshots(kept.to_vec()).await?;
    let theirs = snapshot(&a, THEIRS, 1);
    store.write_snapshots(vec![theirs.clone()]).await?;

    let store = subject.reopen(store).await;
    for expected in kept.iter().chain([&theirs]) {
        let of = (&expected.stream, expected.fingerprint);
        let (found, _) = store.read_snapshot(of.0, of.1, 10).await?;
        law!(
            LAW,
            found.as_ref() == Some(expected),
            "{of:?} has {found:?} instead of {expected:?}"
        );
    }
    let (nobodys, page) = store.read_snapshot(&b, THEIRS, 10).await?;
    let versions: Vec<_> = page.events.iter().map(|event| event.version).collect();
    law!(
        LAW,
        nobodys.is_none() && versions == [1, 2, 3],
        "without a snapshot: {nobodys:?} and the events {versions:?}"
    );
    Ok(())
}

pub(super) async fn they_never_go_back<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "a snapshot never goes back";
    let a = stream("a")?;
    for version in [5, 3, 5, 4] {
        let written = snapshot(&a, OURS, version);
        store.write_snapshots(vec![written]).await?;
        let (found, _) = store.read_snapshot(&a, OURS, 1).await?;
        let found = found.map(|snapshot| snapshot.version);
        law!(LAW, found == Some(5), "after 5 and {version}: {found:?}");
    }
    // Several instances, several streams, in any order.
    let mut writers = JoinSet::new();
    for writer in 0..4_u64 {
        let (store, mut random) = (store.clone(), Rng::with_seed(seed ^ writer));
        let streams = [stream("x")?, stream("y")?, stream("z")?];
        writers.spawn(async move {
            let mut versions: Vec<_> = (1..=8).map(|n| n * 4 + writer).collect();
            random.shuffle(&mut versions);
            for version in versions {
                let mut batch: Vec<_> =
                    streams.iter().map(|s| snapshot(s, OURS, version)).collect();
                random.shuffle(&mut batch);
                store.write_snapshots(batch).await?;
                yield_now().await;
            }
            Ok(())
        });
    }
    writers
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<()>>>()?;
    for id in ["x", "y", "z"] {
        let (found, _) = store.read_snapshot(&stream(id)?, OURS, 1).await?;
        let expected = snapshot(&stream(id)?, OURS, 35);
        law!(
            LAW,
            found.as_ref() == Some(&expected),
            "`{id}` has {found:?}"
        );
    }
    Ok(())
}

pub(super) async fn they_come_with_their_events<S: EventStore>(store: S) -> Check {
    const LAW: &str = "a snapshot comes with the events from its last one on";
    let (a, other) = (stream("a")?, stream("b")?);
    for n in 0..6 {
        accepted(&store, append(&a, n, &format!("a{n}"), 1)).await?;
        accepted(&store, append(&other, n, &format!("b{n}"), 1)).await?;
    }
    for (version, limit, expected) in [
        (1, 10, &[1, 2, 3, 4, 5, 6][..]),
        (4, 10, &[4, 5, 6]),
        (4, 2, &[4, 5]),
        (6, 10, &[6]),
        (7, 10, &[]),
    ] {
        store
            .write_snapshots(vec![snapshot(&a, OURS, version)])
            .await?;
        let (found, page) = store.read_snapshot(&a, OURS, limit).await?;
        let all = store.read_stream(&a, StreamQuery::after(0)).await?.events;
        let more = expected.len() == 2;
        let expected = all.iter().filter(|event| expected.contains(&event.version));
        law!(
            LAW,
            page.events.iter().eq(expected)
                && page.more == more
                && found.is_some_and(|s| s.version == version),
            "at version {version}, at most {limit}: {page:?}"
        );
    }
    Ok(())
}

pub(super) async fn they_can_be_removed<S: EventStore>(store: S) -> Check {
    const LAW: &str = "a snapshot is removed by name and age";
    // Another aggregate, whose name begins with the first one's.
    let other_aggregate: StreamId = "accounts-a".parse().map_err(Error::from)?;
    let (a, b) = (stream("a")?, stream("b")?);
    let later = Snapshot {
        time: Timestamp::from_micros(1_700_000_000_000_002),
        ..snapshot(&b, THEIRS, 1)
    };
    let written = vec![
        snapshot(&a, OURS, 3),
        snapshot(&b, OURS, 3),
        snapshot(&other_aggregate, THEIRS, 1),
    ];
    store.write_snapshots(written).await?;
    store
        .write_snapshots(vec![snapshot(&a, THEIRS, 1), later])
        .await?;
    store.remove_snapshot(&a, OURS, 2).await?;
    store.remove_snapshot(&b, OURS, 3).await?;
    let outdated = Outdated {
        aggregate: "account".to_owned(),
        keep: OURS,
        before: Timestamp::from_micros(1_700_000_000_000_002),
    };
    let none = store.remove_outdated(&outdated, 0).await?;
    let removed = store.remove_outdated(&outdated, 10).await?;
    law!(
        LAW,
        (none, removed) == (0, 1),
        "removed {none}, then {removed}"
    );
    for (stream, fingerprint, stays) in [
        (&a, OURS, true),
        (&b, OURS, false),
        (&a, THEIRS, false),
        (&b, THEIRS, true),
        (&other_aggregate, THEIRS, true),
    ] {
        let (found, _) = store.read_snapshot(stream, fingerprint, 1).await?;
        law!(
            LAW,
            found.is_some() == stays,
            "{stream} of {fingerprint}: {found:?}"
        );
    }
    // Gone is gone, also for an older one.
    store.write_snapshots(vec![snapshot(&b, OURS, 1)]).await?;
    let (found, _) = store.read_snapshot(&b, OURS, 1).await?;
    law!(
        LAW,
        found.is_some_and(|s| s.version == 1),
        "after a removal nothing is kept"
    );
    Ok(())
}
