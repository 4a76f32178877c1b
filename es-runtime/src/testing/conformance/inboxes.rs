//! Laws of the inboxes of consumers: their parts, and the keys that are set aside.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Check, Subject, law};
use crate::error::Result;
use crate::event::Position;
use crate::store::{
    Advanced, EventStore, HeldEvent, InboxChange, InboxClaim, InboxClaimed, InboxId, InboxMove,
    InboxPart, StillHeld, StreamCursor, StreamVersion,
};

const LONG: Duration = Duration::from_hours(1);

fn inbox() -> InboxId {
    InboxId {
        consumer: "mail".to_owned(),
        stream: StreamVersion {
            stream: "accounts".to_owned(),
            version: 1,
        },
    }
}

fn at(n: u8) -> StreamCursor {
    StreamCursor {
        position: Position::new(n.into()),
        hash: [n; 32],
    }
}

async fn claim<S: EventStore>(store: &S, who: &str, parts: Option<u16>) -> Result<InboxClaimed> {
    let claim = InboxClaim {
        inbox: inbox(),
        owner: who.to_owned(),
        lease: LONG,
        parts,
        begin: at(3),
        continues: None,
    };
    store.claim_inbox(&claim).await
}

async fn commit<S: EventStore>(
    store: &S,
    part: &InboxPart,
    to: StreamCursor,
    changes: Vec<InboxChange>,
) -> Result<Advanced> {
    let step = InboxMove {
        inbox: inbox(),
        slice: part.slices.start,
        epoch: part.epoch,
        from: part.cursor,
        to,
        changes,
    };
    let tx = store.begin().await?;
    store.commit_inbox(tx, &step).await
}

pub(super) async fn they_are_divided<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "parts of an inbox are divided where all stand";
    let store = subject.fresh().await;
    let before = claim(&store, "a", Some(1)).await?.parts;
    law!(
        LAW,
        before.len() == 1 && before[0].cursor == at(3),
        "a new inbox begins where it is told: {before:?}"
    );
    let four = claim(&store, "a", Some(4)).await?.parts;
    let edges: Vec<_> = four.iter().map(|part| part.slices.clone()).collect();
    law!(
        LAW,
        edges == [0..256, 256..512, 512..768, 768..1024],
        "in four: {edges:?}"
    );
    let same = four.iter().all(|part| part.cursor == at(3));
    law!(LAW, same, "parts stand where the whole stood: {four:?}");
    let late = commit(&store, &before[0], at(4), Vec::new()).await?;
    law!(
        LAW,
        late == Advanced::Fenced,
        "a move of the whole, after it was divided, was {late:?}"
    );
    let moved = commit(&store, &four[1], at(9), Vec::new()).await?;
    law!(LAW, moved == Advanced::Moved, "a part's move was {moved:?}");
    law!(
        LAW,
        store.inbox(&inbox()).await? == at(3),
        "the inbox stands where its last part does"
    );

    let store = subject.reopen(store).await;
    let waits = claim(&store, "a", Some(2)).await?;
    law!(
        LAW,
        waits.parts.len() == 4 && waits.level == Some(Position::new(9)),
        "the parts stand apart: {waits:?}"
    );
    for part in waits.parts.iter().filter(|part| part.cursor != at(9)) {
        commit(&store, part, at(9), Vec::new()).await?;
    }
    let two = claim(&store, "a", None).await?;
    let stands = two.parts.iter().all(|part| part.cursor == at(9));
    law!(
        LAW,
        two.parts.len() == 2 && stands && two.level.is_none(),
        "all stood at one place: {two:?}"
    );
    let late = commit(&store, &waits.parts[1], at(10), Vec::new()).await?;
    law!(
        LAW,
        late == Advanced::Fenced,
        "a part that is gone: {late:?}"
    );
    let begun = claim(&store, "a", None).await?.parts;
    law!(
        LAW,
        begun == two.parts,
        "where it begins is decided once: {begun:?}"
    );
    Ok(())
}

pub(super) async fn they_are_shared<S: EventStore>(store: S) -> Check {
    const LAW: &str = "the parts of an inbox are shared";
    let shared = |claimed: InboxClaimed| {
        let mut shared = BTreeMap::<String, usize>::new();
        for part in claimed.parts {
            *shared.entry(part.owner.unwrap_or_default()).or_default() += 1;
        }
        shared
    };
    let alone = shared(claim(&store, "one", Some(5)).await?);
    law!(
        LAW,
        alone == BTreeMap::from([("one".to_owned(), 5)]),
        "one has {alone:?}"
    );
    for _ in 0..2 {
        claim(&store, "two", None).await?;
        claim(&store, "one", None).await?;
    }
    let two = shared(claim(&store, "one", None).await?);
    let fair = BTreeMap::from([("one".to_owned(), 3), ("two".to_owned(), 2)]);
    law!(LAW, two == fair, "two have {two:?}");
    store.release("one").await?;
    let left = shared(claim(&store, "two", None).await?);
    law!(
        LAW,
        left == BTreeMap::from([("two".to_owned(), 5)]),
        "one is left with {left:?}"
    );
    Ok(())
}

fn held(positions: impl IntoIterator<Item = u64>) -> Vec<HeldEvent> {
    let event = |position| HeldEvent {
        position: Position::new(position),
        event: format!(r#"{{"n": {position}, "text": "it's \"ü\" \\ ☃"}}"#),
    };
    positions.into_iter().map(event).collect()
}

fn park(key: &str, positions: impl IntoIterator<Item = u64>) -> InboxChange {
    InboxChange::Park {
        key: key.to_owned(),
        events: held(positions),
        reason: "told to fail".to_owned(),
        again: LONG,
    }
}

fn wait(key: &str, positions: impl IntoIterator<Item = u64>) -> InboxChange {
    let (key, events) = (key.to_owned(), held(positions));
    InboxChange::Wait { key, events }
}

fn retried(key: &str, from: u64, left: Option<(u64, Option<&str>)>) -> InboxChange {
    let still = |(position, failed): (u64, Option<&str>)| StillHeld {
        position: Position::new(position),
        failed: failed.map(|reason| (reason.to_owned(), LONG)),
    };
    InboxChange::Retried {
        key: key.to_owned(),
        from: Position::new(from),
        left: left.map(still),
    }
}

pub(super) async fn keys_are_set_aside<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a key is set aside with the cursor that passes its events";
    let store = subject.fresh().await;
    let mut part = claim(&store, "a", Some(1)).await?.parts.remove(0);
    let changes = vec![park("alice", [4, 6]), park("bob", [5])];
    commit(&store, &part, at(6), changes).await?;
    part.cursor = at(6);
    commit(&store, &part, at(9), vec![wait("alice", [8, 9])]).await?;
    part.cursor = at(9);

    let store = subject.reopen(store).await;
    let keys = store.inbox_keys(&inbox(), None, 10).await?;
    let known: Vec<_> = keys
        .iter()
        .map(|key| {
            (
                key.key.as_str(),
                key.position.get(),
                key.waiting,
                key.attempts,
            )
        })
        .collect();
    law!(
        LAW,
        known == [("alice", 4, 4, 1), ("bob", 5, 1, 1)],
        "two were set aside: {keys:?}"
    );
    let due = keys
        .iter()
        .all(|key| key.again > LONG / 2 && key.reason == "told to fail");
    law!(LAW, due, "in an hour they are tried again: {keys:?}");
    let after = store.inbox_keys(&inbox(), Some("alice"), 10).await?;
    let bob = after.len() == 1 && after[0].key == "bob";
    law!(LAW, bob, "after alice: {after:?}");
    let waiting = store.inbox_events(&inbox(), "alice", 3).await?;
    law!(
        LAW,
        waiting == held([4, 6, 8]),
        "in order, as they came: {waiting:?}"
    );

    // A try that comes as far as the third, which fails.
    let step = retried("alice", 4, Some((8, Some("not yet"))));
    let moved = commit(&store, &part, at(9), vec![step]).await?;
    law!(LAW, moved == Advanced::Moved, "a try was {moved:?}");
    let key = store.inbox_keys(&inbox(), None, 1).await?.remove(0);
    let stands = (key.position.get(), key.waiting, key.attempts, &*key.reason);
    law!(LAW, stands == (8, 2, 1, "not yet"), "alice: {key:?}");
    let again = retried("alice", 8, Some((8, Some("again"))));
    commit(&store, &part, at(9), vec![again]).await?;
    let key = store.inbox_keys(&inbox(), None, 1).await?.remove(0);
    law!(LAW, key.attempts == 2, "it failed twice: {key:?}");
    let asked = store.retry_inbox(&inbox(), Some("alice")).await?;
    let now = store.inbox_keys(&inbox(), None, 1).await?.remove(0);
    law!(
        LAW,
        asked == 1 && now.again == Duration::ZERO,
        "somebody asked for a try: {now:?}"
    );
    commit(&store, &part, at(9), vec![retried("alice", 8, None)]).await?;
    let left = store.inbox_keys(&inbox(), None, 10).await?;
    let gone = store.inbox_events(&inbox(), "alice", 10).await?;
    law!(
        LAW,
        left.len() == 1 && gone.is_empty(),
        "alice goes on: {left:?} {gone:?}"
    );
    Ok(())
}

pub(super) async fn keys_are_fenced<S: EventStore>(store: S) -> Check {
    const LAW: &str = "what a consumer believes of a key is compared";
    let mut part = claim(&store, "a", Some(1)).await?.parts.remove(0);
    commit(&store, &part, at(4), vec![park("alice", [4])]).await?;
    part.cursor = at(4);
    for wrong in [
        park("alice", [5]),
        wait("bob", [5]),
        retried("alice", 5, None),
        retried("bob", 4, None),
    ] {
        let moved = commit(&store, &part, at(5), vec![wrong.clone()]).await?;
        law!(LAW, moved == Advanced::Fenced, "{wrong:?} was {moved:?}");
        let stands = store.inbox(&inbox()).await?;
        law!(
            LAW,
            stands == at(4),
            "what is fenced moves nothing: {stands:?}"
        );
    }
    let keys = store.inbox_keys(&inbox(), None, 10).await?;
    law!(
        LAW,
        keys.len() == 1 && keys[0].waiting == 1,
        "what is fenced sets nothing aside: {keys:?}"
    );
    Ok(())
}

pub(super) async fn people_give_events_up<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "an event is given up when somebody says so";
    let store = subject.fresh().await;
    let part = claim(&store, "a", Some(1)).await?.parts.remove(0);
    commit(&store, &part, at(9), vec![park("alice", [4, 6, 8])]).await?;
    let position = Position::new;
    let nothing = store
        .give_up_inbox(&inbox(), position(5), "no", "me")
        .await?;
    law!(LAW, !nothing, "an event that does not wait was given up");
    for given_up in [4, 8] {
        let done = store
            .give_up_inbox(&inbox(), position(given_up), "a test", "me")
            .await?;
        law!(LAW, done, "an event that waits was not given up");
    }
    let store = subject.reopen(store).await;
    let keys = store.inbox_keys(&inbox(), None, 10).await?;
    let stands = keys
        .first()
        .map(|key| (key.position.get(), key.waiting, key.again));
    law!(
        LAW,
        stands == Some((6, 1, Duration::ZERO)),
        "the next one is tried now: {keys:?}"
    );
    let dead = store.dead_letters(&inbox(), Position::START, 10).await?;
    let known: Vec<_> = dead
        .iter()
        .map(|letter| {
            (
                letter.position.get(),
                &*letter.key,
                &*letter.reason,
                &*letter.by,
            )
        })
        .collect();
    law!(
        LAW,
        known == [(4, "alice", "a test", "me"), (8, "alice", "a test", "me")],
        "two are kept: {dead:?}"
    );
    let whole = dead[0].event == held([4])[0].event && dead[0].failure == "told to fail";
    law!(LAW, whole, "as it came, and why it failed: {dead:?}");
    let after = store.dead_letters(&inbox(), position(4), 10).await?;
    law!(LAW, after == dead[1..], "after the first: {after:?}");
    store
        .give_up_inbox(&inbox(), position(6), "a test", "me")
        .await?;
    let keys = store.inbox_keys(&inbox(), None, 10).await?;
    law!(
        LAW,
        keys.is_empty(),
        "nothing waits, so it goes on: {keys:?}"
    );
    Ok(())
}
