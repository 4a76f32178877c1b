//! Keys that are set aside, with the events that wait for them.

use std::time::Duration;

use super::rows::{advance, bare, change, table};
use super::{Check, Subject, law};
use crate::error::Result;
use crate::event::{Position, SLICES};
use crate::store::{
    Advance, Advanced, Change, Claim, EventStore, ParkedChange, ParkedKey, ProjectionId,
    StillParked, Table, Written,
};

fn at(positions: &[u64]) -> Vec<Position> {
    positions.iter().copied().map(Position::new).collect()
}

fn park(key: &str, events: &[u64]) -> ParkedChange {
    ParkedChange::Park {
        key: key.to_owned(),
        events: at(events),
        reason: format!("`{key}` failed"),
    }
}

fn wait(key: &str, events: &[u64]) -> ParkedChange {
    let (key, events) = (key.to_owned(), at(events));
    ParkedChange::Wait { key, events }
}

fn retried(key: &str, from: u64, left: Option<(u64, Option<&str>)>) -> ParkedChange {
    let left = left.map(|(position, reason)| StillParked {
        position: Position::new(position),
        reason: reason.map(str::to_owned),
    });
    let (key, from) = (key.to_owned(), Position::new(from));
    ParkedChange::Retried { key, from, left }
}

/// A page that changes the row `row`, and this of the parked keys.
fn page(row: i64, parked: impl Into<Vec<ParkedChange>>) -> Written {
    let mut written = Written::from(vec![change("row", Some(bare(row)))]);
    written.parked = parked.into();
    written
}

/// The keys, each with the events that wait.
async fn parked<S: EventStore>(store: &S, id: &ProjectionId) -> Result<Vec<(String, Vec<u64>)>> {
    let mut all = Vec::new();
    let mut after = None::<String>;
    // One by one, so that pages are met, too.
    while let Some(next) = store.parked(id, after.as_deref(), 1).await?.pop() {
        let events = store.parked_events(id, &next.key, usize::MAX >> 1).await?;
        all.push((next.key.clone(), events.iter().map(|p| p.get()).collect()));
        after = Some(next.key);
    }
    Ok(all)
}

async fn find<S: EventStore>(store: &S, id: &ProjectionId, key: &str) -> Result<Option<ParkedKey>> {
    let all = store.parked(id, None, 10).await?;
    Ok(all.into_iter().find(|parked| parked.key == key))
}

pub(super) async fn they_move_with_the_cursor<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "keys are parked with the cursor that passes their events";
    let store = subject.fresh().await;
    let table = table(1);
    let id = ProjectionId::from(&table);
    store.prepare_table(&table).await?;
    let first = page(1, [park("b", &[2, 3]), park("a", &[1])]);
    store
        .advance_rows(advance(&table, 0, 3), &table, first)
        .await?;
    let fenced = page(2, [park("c", &[4]), wait("a", &[4])]);
    let fenced = store.advance_rows(advance(&table, 0, 4), &table, fenced);
    let fenced = fenced.await?;
    law!(
        LAW,
        fenced == Advanced::Fenced,
        "a late page was {fenced:?}"
    );
    let more = page(2, [wait("a", &[4, 6])]);
    store
        .advance_rows(advance(&table, 3, 6), &table, more)
        .await?;
    let store = subject.reopen(store).await;
    let found = parked(&store, &id).await?;
    let expected = [
        ("a".to_owned(), vec![1, 4, 6]),
        ("b".to_owned(), vec![2, 3]),
    ];
    law!(LAW, found == expected, "{found:?} is parked");
    let a = find(&store, &id, "a").await?;
    let told = a.as_ref().map(|a| {
        let tried = (a.attempts, a.waiting, a.requested);
        (a.position.get(), &*a.reason, tried)
    });
    let expected = Some((1, "`a` failed", (1, 3, false)));
    law!(LAW, told == expected, "{a:?} is known of it");
    let claim = Claim {
        projection: id.clone(),
        slices: 0..SLICES,
        owner: "suite".to_owned(),
        lease: Duration::from_secs(1),
    };
    let claimed = store.claim(&claim).await?;
    let keys: Vec<_> = claimed
        .parked
        .iter()
        .map(|p| (&*p.key, p.waiting))
        .collect();
    law!(LAW, keys == [("a", 3), ("b", 2)], "a claim tells {keys:?}");
    let counted = claimed.lineage.versions[&1].parked;
    law!(LAW, counted == 2, "{counted} are counted");
    let other = Table {
        version: 2,
        ..table
    };
    store.prepare_table(&other).await?;
    let others = parked(&store, &(&other).into()).await?;
    law!(LAW, others.is_empty(), "{others:?} of another version");
    Ok(())
}

/// Moves of one that believes what is not so.
async fn refused<S: EventStore>(store: &S, table: &Table, parked: ParkedChange) -> Result<bool> {
    let (stands, before) = (
        advance(table, 3, 3),
        self::parked(store, &table.into()).await?,
    );
    let epoch = store.projection(&table.into()).await?.map(|s| s.epoch);
    let stands = Advance {
        epoch: epoch.unwrap_or_default(),
        ..stands
    };
    let moved = store.advance_rows(stands, table, page(9, [parked])).await?;
    let rows = store.read_rows(table, vec!["row".to_owned()]).await?;
    let same = self::parked(store, &table.into()).await? == before;
    Ok(moved == Advanced::Fenced && same && rows == [("row".to_owned(), bare(1))])
}

pub(super) async fn they_are_fenced<S: EventStore>(store: S) -> Check {
    const LAW: &str = "what the mover believes of a parked key is compared";
    let table = table(1);
    let id = ProjectionId::from(&table);
    store.prepare_table(&table).await?;
    let first = page(1, [park("a", &[1, 3]), park("b", &[2])]);
    store
        .advance_rows(advance(&table, 0, 3), &table, first)
        .await?;
    for (what, believed) in [
        ("parked what is parked", park("a", &[3])),
        ("let wait for what is not parked", wait("c", &[3])),
        ("tried what is not parked", retried("c", 3, None)),
        ("tried what waits for another event", retried("a", 3, None)),
        (
            "failed at what it did not try",
            retried("a", 2, Some((3, None))),
        ),
    ] {
        law!(
            LAW,
            refused(&store, &table, believed).await?,
            "somebody {what}"
        );
    }
    let stand = |written| store.advance_rows(advance(&table, 3, 3), &table, written);
    // The first of its events was folded, the second failed; then both of `b` are.
    stand(page(1, [retried("a", 1, Some((3, Some("again"))))])).await?;
    let a = find(&store, &id, "a").await?;
    let told = a
        .as_ref()
        .map(|a| (a.position.get(), &*a.reason, a.attempts, a.waiting));
    law!(
        LAW,
        told == Some((3, "again", 2, 1)),
        "{a:?} after another try"
    );
    stand(page(1, [retried("b", 2, None)])).await?;
    let left = parked(&store, &id).await?;
    law!(LAW, left == [("a".to_owned(), vec![3])], "{left:?} is left");
    Ok(())
}

pub(super) async fn people_decide<S: EventStore>(store: S) -> Check {
    const LAW: &str = "parked keys are tried again or given up when somebody says so";
    let table = table(1);
    let id = ProjectionId::from(&table);
    store.prepare_table(&table).await?;
    let first = page(1, [park("a", &[1, 3]), park("b", &[2])]);
    store
        .advance_rows(advance(&table, 0, 3), &table, first)
        .await?;
    let retry = |key: Option<&str>| Change::RetryParked {
        key: key.map(str::to_owned),
    };
    let nobody = store.change(&id, &retry(Some("nobody")), "suite").await;
    law!(
        LAW,
        nobody.as_ref().is_err_and(crate::Error::is_refused),
        "a key that is not parked: {nobody:?}"
    );
    store.change(&id, &retry(Some("b")), "suite").await?;
    let requested = |key| find(&store, &id, key);
    let requested = (requested("a").await?, requested("b").await?);
    let requested = (
        requested.0.map(|p| p.requested),
        requested.1.map(|p| p.requested),
    );
    law!(
        LAW,
        requested == (Some(false), Some(true)),
        "{requested:?} to be tried"
    );
    // Whoever has not heard of it must ask first.
    let late = store.advance_rows(advance(&table, 3, 4), &table, page(2, []));
    let late = late.await?;
    law!(
        LAW,
        late == Advanced::Fenced,
        "who has not heard was {late:?}"
    );
    let drop = Change::DropParked {
        key: "a".to_owned(),
        reason: "it was closed".to_owned(),
    };
    let lineage = store.change(&id, &drop, "suite").await?;
    let counted = lineage.versions[&1].parked;
    law!(LAW, counted == 1, "{counted} are left");
    let left = parked(&store, &id).await?;
    law!(
        LAW,
        left == [("b".to_owned(), vec![2])],
        "{left:?} are left"
    );
    let told = store.life(&id).await?;
    let told = told.last().and_then(|entry| entry.reason.as_deref());
    law!(
        LAW,
        told.is_some_and(|t| t.contains("`a`")
            && t.contains("2 events from position 1")
            && t.contains("it was closed")),
        "{told:?} is kept of it"
    );
    let reason = "anew".to_owned();
    store
        .change(&id, &Change::Rebuild { reason }, "suite")
        .await?;
    let left = parked(&store, &id).await?;
    law!(LAW, left.is_empty(), "{left:?} outlive a rebuild");
    Ok(())
}

pub(super) async fn they_hold_up_a_promotion<S: EventStore>(store: S) -> Check {
    const LAW: &str = "a version with parked keys is promoted for a reason alone";
    let (one, two) = (table(1), table(2));
    let parked = [page(1, []), page(1, [park("a", &[1])])];
    for (table, page) in [&one, &two].into_iter().zip(parked) {
        store.prepare_table(table).await?;
        store
            .advance_rows(advance(table, 0, 1), table, page)
            .await?;
        store
            .change(&table.into(), &Change::Complete, "suite")
            .await?;
    }
    let promote = |forced: Option<&str>| Change::Promote {
        fresh: Duration::from_secs(60),
        forced: forced.map(str::to_owned),
    };
    let id = ProjectionId::from(&two);
    let refused = store.change(&id, &promote(None), "suite").await;
    let says = refused
        .as_ref()
        .is_err_and(|e| e.to_string().contains("parked"));
    law!(LAW, says, "without a reason: {refused:?}");
    store
        .change(&id, &promote(Some("it is known")), "suite")
        .await?;
    let retire = Change::Retire {
        quiet: Duration::ZERO,
        forced: Some("the suite says so".to_owned()),
    };
    let back = Change::RollBack {
        reason: "it was not".to_owned(),
    };
    store.change(&id, &back, "suite").await?;
    store.change(&id, &retire, "suite").await?;
    let left = self::parked(&store, &id).await?;
    law!(LAW, left.is_empty(), "{left:?} outlive a retirement");
    Ok(())
}
