//! Laws of what an inbox has passed: the places that it knows, and entities that were handled ahead.

use std::time::Duration;

use super::{Check, Subject, law};
use crate::error::Result;
use crate::event::Position;
use crate::store::{
    Advanced, EventStore, InboxChange, InboxClaim, InboxClaimed, InboxEntity, InboxId, InboxMove,
    InboxPart, InboxQuestion, StreamCursor, StreamVersion,
};

fn inbox() -> InboxId {
    InboxId {
        consumer: "letters".to_owned(),
        stream: StreamVersion {
            stream: "accounts".to_owned(),
            version: 2,
        },
    }
}

fn at(position: u64) -> StreamCursor {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&position.to_be_bytes());
    let position = Position::new(position);
    StreamCursor { position, hash }
}

async fn claim<S: EventStore>(store: &S, parts: Option<u16>) -> Result<InboxClaimed> {
    let claim = InboxClaim {
        inbox: inbox(),
        owner: "a".to_owned(),
        lease: Duration::from_hours(1),
        parts,
        begin: at(1_234),
        continues: None,
    };
    store.claim_inbox(&claim).await
}

async fn commit<S: EventStore>(
    store: &S,
    part: &mut InboxPart,
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
    let advanced = store.commit_inbox(tx, &step).await?;
    if advanced == Advanced::Moved {
        part.cursor = to;
    }
    Ok(advanced)
}

pub(super) async fn places_are_known<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "an inbox knows the places that it passed";
    let store = subject.fresh().await;
    let nothing = store.inboxes().await?;
    law!(LAW, nothing.is_empty(), "nobody claimed one: {nothing:?}");
    let mut parts = claim(&store, Some(2)).await?.parts;
    // One part comes far, and the other after it.
    for part in &mut parts {
        for n in 1..=110 {
            commit(&store, part, at(1_234 + n * 990), Vec::new()).await?;
        }
    }
    let store = subject.reopen(store).await;
    let all = store.inboxes().await?;
    law!(LAW, all == [inbox()], "one was claimed: {all:?}");
    let state = store.inbox_state(&inbox()).await?;
    let cursors: Vec<_> = state.parts.iter().map(|part| part.cursor).collect();
    let last = at(1_234 + 110 * 990);
    law!(
        LAW,
        cursors == [last, last],
        "both came so far: {cursors:?}"
    );
    let marks = &state.marks;
    law!(
        LAW,
        marks.first() == Some(&at(1_234)),
        "where it began: {marks:?}"
    );
    let places: Vec<_> = marks.iter().map(|mark| mark.position.get()).collect();
    let passed = marks.iter().all(|mark| *mark == at(mark.position.get()));
    law!(
        LAW,
        passed && places.is_sorted(),
        "they were passed: {marks:?}"
    );
    let near = places.windows(2).filter(|pair| pair[0] > 100_000);
    let near = near.clone().count() >= 9 && near.clone().all(|pair| pair[1] - pair[0] < 2_000);
    law!(LAW, near, "the newest are near to each other: {places:?}");
    let old = places.iter().filter(|place| **place < 40_000).count();
    law!(
        LAW,
        (2..25).contains(&old),
        "the oldest are fewer: {places:?}"
    );
    Ok(())
}

async fn ask<S: EventStore>(store: &S) -> Result<u64> {
    let subject = "alice".to_owned();
    let question = InboxQuestion::Ahead { subject };
    store.ask_inbox(&inbox(), &question).await
}

fn changed(was: &InboxEntity, now: Option<InboxEntity>) -> Vec<InboxChange> {
    let was = was.clone();
    vec![InboxChange::Entity { was, now }]
}

pub(super) async fn entities_come_ahead<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "what was handled ahead is known to who goes on";
    let store = subject.fresh().await;
    let mut part = claim(&store, Some(1)).await?.parts.remove(0);
    let first = ask(&store).await?;
    let second = ask(&store).await?;
    law!(LAW, (first, second) == (1, 2), "asked {first}, {second}");
    let asked = claim(&store, None).await?.entities.remove(0);
    let new = (asked.until, asked.asked, asked.answered) == (Position::START, 2, 0);
    law!(LAW, new && asked.subject == "alice", "asked for: {asked:?}");

    let ahead = InboxEntity {
        until: Position::new(9_000),
        handled: [3; 32],
        answered: 2,
        ..asked.clone()
    };
    let here = part.cursor;
    let moved = commit(
        &store,
        &mut part,
        here,
        changed(&asked, Some(ahead.clone())),
    )
    .await?;
    law!(LAW, moved == Advanced::Moved, "ahead was {moved:?}");
    let late = commit(&store, &mut part, at(2_000), Vec::new()).await?;
    law!(
        LAW,
        late == Advanced::Fenced,
        "who has not heard of it was {late:?}"
    );

    let store = subject.reopen(store).await;
    let claimed = claim(&store, None).await?;
    let (mut part, known) = (claimed.parts[0].clone(), claimed.entities[0].clone());
    let same = InboxEntity {
        since: known.since,
        ..ahead
    };
    law!(LAW, known == same, "it is kept: {known:?}");
    let passed = InboxEntity {
        passed: [2; 32],
        ..known.clone()
    };
    let wrong = commit(&store, &mut part, at(2_000), changed(&passed, None)).await?;
    law!(
        LAW,
        wrong == Advanced::Fenced,
        "who believes otherwise was {wrong:?}"
    );
    let some = changed(&known, Some(passed.clone()));
    let moved = commit(&store, &mut part, at(2_000), some).await?;
    law!(LAW, moved == Advanced::Moved, "some was passed: {moved:?}");
    ask(&store).await?;
    let heedless = commit(&store, &mut part, at(9_000), changed(&passed, None)).await?;
    law!(
        LAW,
        heedless == Advanced::Fenced,
        "it was asked for again: {heedless:?}"
    );
    let asked = InboxEntity { asked: 3, ..passed };
    let refused = InboxEntity {
        answered: 3,
        failure: Some("it's \"no\"".to_owned()),
        ..asked.clone()
    };
    let told = changed(&asked, Some(refused.clone()));
    let moved = commit(&store, &mut part, at(9_000), told).await?;
    law!(LAW, moved == Advanced::Moved, "a refusal was {moved:?}");
    let known = store.inbox_state(&inbox()).await?.entities;
    let kept = known.len() == 1 && known[0].failure == refused.failure && known[0].answered == 3;
    law!(LAW, kept, "why it was refused: {known:?}");
    let moved = commit(&store, &mut part, at(9_001), changed(&refused, None)).await?;
    let left = store.inbox_state(&inbox()).await?.entities;
    law!(
        LAW,
        moved == Advanced::Moved && left.is_empty(),
        "it was passed: {moved:?} {left:?}"
    );
    Ok(())
}
