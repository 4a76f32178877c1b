//! Reactions: enqueued with the cursor, run in the order of each key.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinSet, yield_now};

use super::rows::{advance, table};
use super::{Check, Subject, append, law, stream};
use crate::error::Result;
use crate::event::Position;
use crate::store::{
    Advanced, Change, DueKey, EventStore, NewReaction, Postponed, ReactionClaim, ReactionId,
    Written,
};

const HOUR: Duration = Duration::from_hours(1);

/// The reaction number `number` to the event at this position.
fn reaction(key: &str, position: u64, number: u32) -> NewReaction {
    NewReaction {
        key: key.to_owned(),
        position: Position::new(position),
        part: 0,
        number,
        family: "account",
        payload: format!(r#"{{"to":"{key}","text":"it's \"ü\" {position}"}}"#),
    }
}

fn written(reactions: impl IntoIterator<Item = NewReaction>) -> Written {
    let mut written = Written::default();
    written.reactions.extend(reactions);
    written
}

fn claim(owner: &str, lease: Duration) -> ReactionClaim {
    ReactionClaim {
        projection: "balances".to_owned(),
        version: 1,
        owner: owner.to_owned(),
        lease,
        keys: 10,
        each: 10,
    }
}

/// The positions of each key.
fn places(taken: &[DueKey]) -> BTreeMap<&str, Vec<u64>> {
    let places = |due: &DueKey| due.reactions.iter().map(|r| r.id.position.get()).collect();
    taken.iter().map(|due| (&*due.key, places(due))).collect()
}

fn postponed(key: &str, again: Option<Duration>, failure: Option<&str>) -> Postponed {
    Postponed {
        projection: "balances".to_owned(),
        key: key.to_owned(),
        owner: "one".to_owned(),
        again,
        failure: failure.map(str::to_owned),
    }
}

fn id(key: &str, position: u64) -> ReactionId {
    ReactionId {
        projection: "balances".to_owned(),
        key: key.to_owned(),
        position: Position::new(position),
        part: 0,
        number: 0,
    }
}

pub(super) async fn they_move_with_the_cursor<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "reactions and cursor move together";
    let (store, table) = (subject.fresh().await, table(1));
    store.prepare_table(&table).await?;
    let new = [
        reaction("a", 1, 0),
        reaction("a", 1, 1),
        reaction("b", 2, 0),
    ];
    store
        .advance_rows(advance(&table, 0, 2), &table, written(new))
        .await?;
    let late = written([reaction("late", 3, 0)]);
    let late = store
        .advance_rows(advance(&table, 1, 3), &table, late)
        .await?;
    law!(
        LAW,
        late == Advanced::Fenced,
        "one that came too late was answered {late:?}"
    );
    let store = subject.reopen(store).await;
    let queues = store.reaction_queues("balances", None, 10).await?;
    let found: Vec<_> = queues
        .iter()
        .map(|q| (&*q.first.key, q.pending, q.version))
        .collect();
    law!(
        LAW,
        found == [("a", 2, 1), ("b", 1, 1)],
        "these wait: {queues:?}"
    );
    let taken = store.claim_reactions(&claim("one", HOUR)).await?;
    law!(
        LAW,
        places(&taken) == [("a", vec![1, 1]), ("b", vec![2])].into(),
        "{taken:?}"
    );
    let payloads = taken
        .iter()
        .flat_map(|due| &due.reactions)
        .map(|r| (&*r.payload, &*r.family));
    let payload = reaction("a", 1, 0).payload;
    law!(
        LAW,
        payloads.clone().next() == Some((&payload, "account")),
        "{payloads:?}"
    );
    Ok(())
}

pub(super) async fn they_wait_for_their_turn<S: EventStore>(store: S) -> Check {
    const LAW: &str = "one worker has a key, and its reactions come in order";
    let table = table(1);
    store.prepare_table(&table).await?;
    let new = [
        reaction("a", 1, 0),
        reaction("b", 2, 0),
        reaction("a", 3, 0),
        reaction("a", 4, 0),
    ];
    store
        .advance_rows(advance(&table, 0, 4), &table, written(new))
        .await?;
    let two = ReactionClaim {
        each: 2,
        ..claim("one", HOUR)
    };
    let taken = store.claim_reactions(&two).await?;
    law!(
        LAW,
        places(&taken) == [("a", vec![1, 3]), ("b", vec![2])].into(),
        "{taken:?}"
    );
    let others = store.claim_reactions(&claim("two", HOUR)).await?;
    law!(LAW, others.is_empty(), "another worker got {others:?}");
    // A failure holds up its key alone, and what comes after it.
    store.finish_reaction(&id("b", 2), true).await?;
    store.finish_reaction(&id("b", 2), true).await?;
    store
        .postpone_reactions(&postponed("a", Some(HOUR), Some("no paper")))
        .await?;
    store
        .postpone_reactions(&postponed("a", Some(Duration::ZERO), None))
        .await?;
    let others = store.claim_reactions(&claim("two", HOUR)).await?;
    law!(
        LAW,
        others.is_empty(),
        "after a failure, another worker got {others:?}"
    );
    let queues = store.reaction_queues("balances", None, 10).await?;
    let shown: Vec<_> = queues
        .iter()
        .map(|q| {
            (
                q.first.clone(),
                q.pending,
                q.attempts,
                q.failure.clone().map(|f| f.reason),
            )
        })
        .collect();
    let reason = Some("no paper".to_owned());
    law!(
        LAW,
        shown == [(id("a", 1), 3, 1, reason)],
        "these wait: {queues:?}"
    );
    // A person lets it be tried again; a lease that is over is nobody's.
    for (who, key, expected) in [
        ("nobody", Some("b"), 0),
        ("a", Some("a"), 1),
        ("all", None, 1),
    ] {
        let retried = store.retry_reactions("balances", key).await?;
        law!(
            LAW,
            retried == expected,
            "{retried} of {who} were to be tried again"
        );
    }
    store
        .claim_reactions(&claim("gone", Duration::ZERO))
        .await?;
    let taken = store.claim_reactions(&claim("one", HOUR)).await?;
    law!(
        LAW,
        places(&taken) == [("a", vec![1, 3, 4])].into(),
        "after a lease: {taken:?}"
    );
    law!(
        LAW,
        taken[0].attempts == 0,
        "attempts after a person let it be tried: {taken:?}"
    );
    // What is parked is nobody's until somebody gives it up, and that is kept.
    store
        .postpone_reactions(&postponed("a", None, Some("no printer")))
        .await?;
    let others = store.claim_reactions(&claim("two", HOUR)).await?;
    law!(
        LAW,
        others.is_empty(),
        "what is parked went to another worker: {others:?}"
    );
    let queues = store.reaction_queues("balances", None, 10).await?;
    law!(
        LAW,
        queues[0].due.is_none(),
        "a parked one is due: {queues:?}"
    );
    let dropped = store
        .drop_reaction(&id("a", 1), "nobody reads it", "suite")
        .await?;
    let again = store
        .drop_reaction(&id("a", 1), "nobody reads it", "suite")
        .await?;
    law!(
        LAW,
        dropped && !again,
        "given up, and again: {dropped}, {again}"
    );
    let told = store.life(&(&table).into()).await?;
    let told = told
        .last()
        .and_then(|entry| entry.reason.clone())
        .unwrap_or_default();
    law!(
        LAW,
        told.starts_with("nobody reads it"),
        "what people read of it: {told}"
    );
    let taken = store.claim_reactions(&claim("two", HOUR)).await?;
    law!(
        LAW,
        places(&taken) == [("a", vec![3, 4])].into(),
        "the next ones: {taken:?}"
    );
    // Given back with all that its owner has.
    store
        .keep_reactions("balances", vec!["a".to_owned()], "two", HOUR)
        .await?;
    store.release("two").await?;
    let taken = store.claim_reactions(&claim("one", HOUR)).await?;
    law!(
        LAW,
        places(&taken) == [("a", vec![3, 4])].into(),
        "after a release: {taken:?}"
    );
    Ok(())
}

pub(super) async fn they_are_ordered_over_versions<S: EventStore>(store: S) -> Check {
    const LAW: &str = "reactions wait for those that come before them";
    store.append(append(&stream("a")?, 0, "some", 9)).await?;
    let (one, two) = (table(1), table(2));
    let react = Change::React(["account".to_owned()].into());
    for table in [&one, &two] {
        store.prepare_table(table).await?;
        store.change(&table.into(), &react, "suite").await?;
    }
    let known = async |version: u32| -> Result<u64> {
        let state = store.projection(&(&table(version)).into()).await?;
        Ok(state.map_or(0, |state| state.epoch))
    };
    let to = |table: &_, from, to, epoch| advance(table, from, to).knowing(epoch);
    let nothing = Written::default;
    store
        .advance_rows(to(&one, 0, 9, known(1).await?), &one, nothing())
        .await?;
    store
        .change(&(&one).into(), &Change::Complete, "suite")
        .await?;
    store
        .advance_rows(to(&two, 0, 9, known(2).await?), &two, nothing())
        .await?;
    store
        .change(&(&two).into(), &Change::Complete, "suite")
        .await?;
    store.append(append(&stream("a")?, 9, "more", 5)).await?;
    // The new version is ahead when it takes over.
    store
        .advance_rows(to(&two, 9, 11, known(2).await?), &two, nothing())
        .await?;
    let promote = Change::Promote {
        fresh: Duration::ZERO,
        forced: Some("the suite says so".to_owned()),
    };
    let lineage = store.change(&(&two).into(), &promote, "suite").await?;
    let turns: Vec<_> = (9..13).map(|n| lineage.reacts(Position::new(n))).collect();
    law!(
        LAW,
        turns == [None, Some(1), Some(1), Some(2)],
        "they react in turn: {turns:?}"
    );
    let new = written([reaction("a", 12, 0)]);
    store
        .advance_rows(to(&two, 11, 12, known(2).await?), &two, new)
        .await?;
    let newest = |version| ReactionClaim {
        version,
        ..claim("one", HOUR)
    };
    let taken = store.claim_reactions(&newest(2)).await?;
    law!(
        LAW,
        taken.is_empty(),
        "before the old version came so far: {taken:?}"
    );
    let new = written([reaction("a", 10, 0), reaction("b", 11, 0)]);
    store
        .advance_rows(to(&one, 9, 11, known(1).await?), &one, new)
        .await?;
    let taken = store.claim_reactions(&newest(1)).await?;
    law!(
        LAW,
        places(&taken) == [("a", vec![10]), ("b", vec![11])].into(),
        "to whom the new version is unknown: {taken:?}"
    );
    store.finish_reaction(&id("a", 10), true).await?;
    let taken = store.claim_reactions(&newest(1)).await?;
    law!(
        LAW,
        taken.is_empty(),
        "what a newer version enqueued: {taken:?}"
    );
    let taken = store.claim_reactions(&newest(2)).await?;
    law!(
        LAW,
        places(&taken) == [("a", vec![12])].into(),
        "the rest: {taken:?}"
    );
    Ok(())
}

/// Some enqueue while others run: each reaction is run once, in the order of its key.
pub(super) async fn none_is_lost<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "each reaction is run, in the order of its key";
    const PAGES: u64 = 40;
    let table = table(1);
    store.prepare_table(&table).await?;
    let mut workers = JoinSet::new();
    let mut random = Rng::with_seed(seed);
    let mut expected = BTreeMap::<String, Vec<u64>>::new();
    let mut pages = Vec::new();
    for position in 1..=PAGES {
        let keys: Vec<_> = (0..4)
            .filter(|_| random.bool())
            .map(|n: u32| n.to_string())
            .collect();
        for key in &keys {
            expected.entry(key.clone()).or_default().push(position);
        }
        pages.push((position, keys));
    }
    let all: usize = expected.values().map(Vec::len).sum();
    let (writer, own) = (store.clone(), table);
    let writing = async move {
        for (position, keys) in pages {
            let new = written(keys.iter().map(|key| reaction(key, position, 0)));
            writer
                .advance_rows(advance(&own, position - 1, position), &own, new)
                .await?;
            if random.bool() {
                yield_now().await;
            }
        }
        Ok::<_, crate::Error>(Vec::new())
    };
    workers.spawn(writing);
    let run = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for worker in 0..3_u32 {
        let (store, run) = (store.clone(), run.clone());
        let mut random = Rng::with_seed(seed ^ u64::from(worker + 1));
        workers.spawn(async move {
            let count = || run.lock().map_or(0, |run| run.len());
            while count() < all {
                let some = ReactionClaim {
                    keys: random.usize(1..3),
                    each: random.usize(1..4),
                    ..claim(&format!("worker {worker}"), HOUR)
                };
                for due in store.claim_reactions(&some).await? {
                    let mut left = due.reactions.len();
                    for reaction in due.reactions {
                        left -= 1;
                        if let Ok(mut run) = run.lock() {
                            run.push((due.key.clone(), reaction.id.position.get()));
                        }
                        store.finish_reaction(&reaction.id, left == 0).await?;
                        if random.bool() {
                            yield_now().await;
                        }
                    }
                }
                yield_now().await;
            }
            Ok(Vec::<u64>::new())
        });
    }
    for done in workers.join_all().await {
        done?;
    }
    let mut found = BTreeMap::<String, Vec<u64>>::new();
    for (key, position) in run.lock().map(|run| run.clone()).unwrap_or_default() {
        found.entry(key).or_default().push(position);
    }
    law!(
        LAW,
        found == expected,
        "run were {found:?}, and enqueued {expected:?}"
    );
    let left = store.reaction_queues("balances", None, 10).await?;
    law!(LAW, left.is_empty(), "these are left: {left:?}");
    Ok(())
}
