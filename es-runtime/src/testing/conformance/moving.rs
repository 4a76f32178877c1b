//! Laws of consumers that move from one version of a stream to another.

use std::time::Duration;

use super::{Check, Subject, law};
use crate::error::Result;
use crate::event::Position;
use crate::store::{
    Advanced, CarriedKey, EventStore, HeldEvent, InboxChange, InboxClaim, InboxClaimed, InboxId,
    InboxMove, InboxPart, InboxTakeover, StillHeld, StreamCursor, StreamVersion, Whereabouts,
};

const LONG: Duration = Duration::from_hours(1);

fn inbox(version: u32) -> InboxId {
    InboxId {
        consumer: "mail".to_owned(),
        stream: StreamVersion {
            stream: "accounts".to_owned(),
            version,
        },
    }
}

fn at(n: u8) -> StreamCursor {
    StreamCursor {
        position: Position::new(n.into()),
        hash: [n; 32],
    }
}

fn claims(version: u32, who: &str, continues: Option<u32>) -> InboxClaim {
    InboxClaim {
        inbox: inbox(version),
        owner: who.to_owned(),
        lease: LONG,
        parts: None,
        begin: at(3),
        continues,
    }
}

async fn claim<S: EventStore>(
    store: &S,
    version: u32,
    who: &str,
    continues: Option<u32>,
) -> Result<InboxClaimed> {
    store.claim_inbox(&claims(version, who, continues)).await
}

async fn commit<S: EventStore>(
    store: &S,
    version: u32,
    part: &InboxPart,
    to: StreamCursor,
    changes: Vec<InboxChange>,
) -> Result<Advanced> {
    let step = InboxMove {
        inbox: inbox(version),
        slice: part.slices.start,
        epoch: part.epoch,
        from: part.cursor,
        to,
        changes,
    };
    let tx = store.begin().await?;
    store.commit_inbox(tx, &step).await
}

async fn parts<S: EventStore>(store: &S, version: u32) -> Result<Vec<InboxPart>> {
    let versions = store.inbox_versions(&inbox(version)).await?;
    let found = versions.inboxes.get(&version);
    Ok(found.map(|inbox| inbox.parts.clone()).unwrap_or_default())
}

/// Takes over what stands there, each part going on at a position of its own.
fn takeover(from: u32, to: u32, parts: &[InboxPart], go_on: &[u8], origin: u64) -> InboxTakeover {
    let each = parts.iter().cloned().zip(go_on);
    let each = each.map(|(part, n)| (part, at(*n), Position::new(origin)));
    InboxTakeover {
        inbox: inbox(to),
        continues: (to > from).then_some(from),
        from,
        parts: each.collect(),
        keys: Vec::new(),
        carried: Vec::new(),
    }
}

fn held(positions: impl IntoIterator<Item = u64>) -> Vec<HeldEvent> {
    let event = |position| HeldEvent {
        position: Position::new(position),
        event: format!(r#"{{"n": {position}, "text": "it's \"ü\" \\ ☃"}}"#),
    };
    positions.into_iter().map(event).collect()
}

pub(super) async fn they_move_from_where_they_stand<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "an inbox moves to another version from where it stands";
    let store = subject.fresh().await;
    let mut two = claims(1, "old", None);
    two.parts = Some(2);
    let old = store.claim_inbox(&two).await?.parts;
    commit(&store, 1, &old[1], at(9), Vec::new()).await?;
    let early = takeover(1, 2, &old, &[3, 3], 0);
    let fenced = store.take_over_inbox(&early).await?;
    law!(
        LAW,
        fenced == Advanced::Fenced,
        "a part has moved since, and it was {fenced:?}"
    );
    let stands = parts(&store, 1).await?;
    let step = takeover(1, 2, &stands, &[2, 7], 40);
    let other = InboxTakeover {
        from: 3,
        ..step.clone()
    };
    let fenced = store.take_over_inbox(&other).await?;
    law!(
        LAW,
        fenced == Advanced::Fenced,
        "there is no such inbox, and it was {fenced:?}"
    );
    let moved = store.take_over_inbox(&step).await?;
    law!(LAW, moved == Advanced::Moved, "it stands there: {moved:?}");

    let store = subject.reopen(store).await;
    let late = commit(&store, 1, &stands[1], at(10), Vec::new()).await?;
    law!(
        LAW,
        late == Advanced::Fenced,
        "a move of the inbox that is closed was {late:?}"
    );
    let again = store.take_over_inbox(&step).await?;
    law!(LAW, again == Advanced::Fenced, "it moves once: {again:?}");
    let new = claim(&store, 2, "new", Some(1)).await?;
    let known: Vec<_> = new
        .parts
        .iter()
        .map(|part| (part.slices.clone(), part.cursor, part.origin.get()))
        .collect();
    law!(
        LAW,
        known == [(0..512, at(2), 40), (512..1024, at(7), 40)],
        "it goes on in the same parts: {known:?}"
    );
    let apart = new.parts.iter().all(|part| part.epoch > stands[0].epoch);
    law!(LAW, apart, "no move from before counts: {new:?}");

    // A part that goes on forgets where it came from; one that tries a key again does not.
    commit(&store, 2, &new.parts[0], at(2), Vec::new()).await?;
    commit(&store, 2, &new.parts[1], at(8), Vec::new()).await?;
    let origins: Vec<_> = parts(&store, 2).await?;
    let origins: Vec<_> = origins.iter().map(|part| part.origin.get()).collect();
    law!(LAW, origins == [40, 0], "their origins are {origins:?}");

    // Back, in the same way.
    store.release("new").await?;
    let stands = parts(&store, 2).await?;
    let back = takeover(2, 1, &stands, &[3, 9], 40);
    let moved = store.take_over_inbox(&back).await?;
    law!(LAW, moved == Advanced::Moved, "back it was {moved:?}");
    let late = commit(&store, 2, &stands[1], at(9), Vec::new()).await?;
    law!(LAW, late == Advanced::Fenced, "and closed again: {late:?}");
    let old = claim(&store, 1, "old", None).await?.parts;
    let cursors: Vec<_> = old.iter().map(|part| part.cursor).collect();
    law!(LAW, cursors == [at(3), at(9)], "it stands at {cursors:?}");
    let moved = commit(&store, 1, &old[0], at(4), Vec::new()).await?;
    law!(LAW, moved == Advanced::Moved, "and goes on: {moved:?}");
    Ok(())
}

pub(super) async fn the_newest_has_it<S: EventStore>(store: S) -> Check {
    const LAW: &str = "the newest version that works has the inbox";
    let whereabouts = async |version, who, continues| {
        let claimed = claim(&store, version, who, continues).await?;
        let owned = claimed.parts.iter().any(|part| part.owner.is_some());
        Ok::<_, crate::error::Error>((claimed.whereabouts, owned))
    };
    let here = (Whereabouts::Here, true);
    let (elsewhere, with) = (Whereabouts::In, Whereabouts::With);
    let old = whereabouts(1, "old", None).await?;
    law!(LAW, old == here, "it is the first's: {old:?}");
    // One of the same name that does not say that it takes over has its own.
    let other = whereabouts(4, "other", None).await?;
    law!(LAW, other == here, "another's own inbox: {other:?}");
    let new = whereabouts(2, "new", Some(1)).await?;
    law!(
        LAW,
        new == (elsewhere(1), false),
        "it has not moved yet: {new:?}"
    );
    let old = whereabouts(1, "old", None).await?;
    law!(
        LAW,
        old == (with(2), false),
        "the older one stands by: {old:?}"
    );
    let free = parts(&store, 1).await?.iter().all(|p| p.owner.is_none());
    law!(LAW, free, "and has given back what it had");
    let stands = parts(&store, 1).await?;
    store
        .take_over_inbox(&takeover(1, 2, &stands, &[5], 0))
        .await?;
    let both = (
        whereabouts(2, "new", Some(1)).await?,
        whereabouts(1, "old", None).await?,
    );
    law!(LAW, both == (here, (with(2), false)), "moved: {both:?}");
    let stands = parts(&store, 2).await?;
    let back = takeover(2, 1, &stands, &[5], 0);
    let fenced = store.take_over_inbox(&back).await?;
    law!(
        LAW,
        fenced == Advanced::Fenced,
        "while one is at work, it is not taken back: {fenced:?}"
    );
    store.release("new").await?;
    let old = whereabouts(1, "old", None).await?;
    law!(
        LAW,
        old == (elsewhere(2), false),
        "nobody of the newer one is left: {old:?}"
    );
    // Nobody gave it back, and it is not heard of.
    let mut gone = claims(3, "gone", Some(1));
    gone.lease = Duration::ZERO;
    store.claim_inbox(&gone).await?;
    let old = whereabouts(1, "old", None).await?;
    law!(LAW, old == (elsewhere(2), false), "one is gone: {old:?}");
    Ok(())
}

pub(super) async fn who_begins_with_a_newer_one_comes_back<S: EventStore>(store: S) -> Check {
    const LAW: &str = "an older version than the first finds the inbox";
    let new = claim(&store, 3, "new", Some(1)).await?;
    law!(
        LAW,
        new.whereabouts == Whereabouts::Here && new.parts[0].cursor == at(3),
        "it is new: {new:?}"
    );
    commit(&store, 3, &new.parts[0], at(6), Vec::new()).await?;
    store.release("new").await?;
    for version in [1, 2] {
        let old = claim(&store, version, "old", None).await?;
        law!(
            LAW,
            old.whereabouts == Whereabouts::In(3) && old.parts.is_empty(),
            "rolled back to {version}, nothing begins anew: {old:?}"
        );
    }
    let stands = parts(&store, 3).await?;
    let back = takeover(3, 1, &stands, &[4], 0);
    let moved = store.take_over_inbox(&back).await?;
    law!(LAW, moved == Advanced::Moved, "it comes back: {moved:?}");
    let old = claim(&store, 1, "old", None).await?.parts;
    law!(
        LAW,
        old.len() == 1 && old[0].cursor == at(4),
        "where it stood: {old:?}"
    );
    Ok(())
}

pub(super) async fn keys_move_along<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "keys that are set aside move with their inbox";
    let store = subject.fresh().await;
    let part = claim(&store, 1, "old", None).await?.parts.remove(0);
    let park = |key: &str, positions: &[u64]| InboxChange::Park {
        key: key.to_owned(),
        events: held(positions.iter().copied()),
        reason: format!("{key} was told to fail"),
        again: LONG,
    };
    let changes = vec![park("alice", &[4, 6]), park("bob", &[5])];
    commit(&store, 1, &part, at(6), changes).await?;
    let before = store.inbox_keys(&inbox(1), None, 10).await?;
    let stands = parts(&store, 1).await?;
    let carried = |key: usize, positions: &[u64]| CarriedKey {
        key: before[key].key.clone(),
        events: held(positions.iter().copied()),
        reason: before[key].reason.clone(),
        attempts: before[key].attempts + 2,
        since: before[key].since,
        failed_at: before[key].failed_at,
    };
    let known = |waiting: [u64; 2]| {
        let known = before.iter().zip(waiting);
        known.map(|(key, waiting)| (key.key.clone(), key.position, waiting))
    };
    let step = InboxTakeover {
        keys: known([2, 1]).collect(),
        carried: vec![carried(0, &[5, 7, 8]), carried(1, &[6])],
        ..takeover(1, 2, &stands, &[9], 0)
    };
    for keys in [Vec::new(), known([1, 1]).collect()] {
        let other = InboxTakeover {
            keys,
            ..step.clone()
        };
        let fenced = store.take_over_inbox(&other).await?;
        law!(
            LAW,
            fenced == Advanced::Fenced,
            "keys that are not what the taker believes: {fenced:?}"
        );
    }
    let moved = store.take_over_inbox(&step).await?;
    law!(LAW, moved == Advanced::Moved, "they are: {moved:?}");

    let store = subject.reopen(store).await;
    let left = store.inbox_keys(&inbox(1), None, 10).await?;
    let events = store.inbox_events(&inbox(1), "alice", 10).await?;
    law!(
        LAW,
        left.is_empty() && events.is_empty(),
        "nothing waits where they were: {left:?} {events:?}"
    );
    let keys = store.inbox_keys(&inbox(2), None, 10).await?;
    let known: Vec<_> = keys
        .iter()
        .map(|key| {
            (
                (key.key.as_str(), key.position.get(), key.waiting),
                (key.attempts, key.reason.as_str()),
            )
        })
        .collect();
    law!(
        LAW,
        known
            == [
                (("alice", 5, 3), (3, "alice was told to fail")),
                (("bob", 6, 1), (3, "bob was told to fail")),
            ],
        "they wait in the other version: {keys:?}"
    );
    let times = keys.iter().zip(&before).all(|(key, before)| {
        (key.since, key.failed_at, key.again) == (before.since, before.failed_at, Duration::ZERO)
    });
    law!(LAW, times, "since when they did, and due at once: {keys:?}");
    let waiting = store.inbox_events(&inbox(2), "alice", 10).await?;
    law!(
        LAW,
        waiting == held([5, 7, 8]),
        "with their events: {waiting:?}"
    );
    let part = claim(&store, 2, "new", Some(1)).await?.parts.remove(0);
    let left = StillHeld {
        position: Position::new(7),
        failed: None,
    };
    let retried = InboxChange::Retried {
        key: "alice".to_owned(),
        from: Position::new(5),
        left: Some(left),
    };
    let moved = commit(&store, 2, &part, at(9), vec![retried]).await?;
    law!(LAW, moved == Advanced::Moved, "and go on: {moved:?}");
    Ok(())
}
