//! Cursors and what they guard: rows, integration streams, inboxes.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinSet, yield_now};

use super::rows::{COLUMNS, advance, bare, change, table};
use super::{Check, Subject, accepted, append, law, stream};
use crate::error::Result;
use crate::event::{Position, Timestamp};
use crate::store::{
    Advanced, Change, EventStore, InboxId, InboxMove, Phase, ProjectionId, PublishedEvent,
    RowQuery, StreamCursor, StreamVersion, Table, Written,
};

pub(super) async fn cursors_are_fenced<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "of two instances at one cursor, one moves it";
    let table = table(1);
    store.prepare_table(&table).await?;
    for round in 0..20 {
        let mut racers = JoinSet::new();
        for racer in 0..4_u32 {
            let store = store.clone();
            let mut random = Rng::with_seed(seed ^ (round << 8) ^ u64::from(racer));
            racers.spawn(async move {
                for _ in 0..random.u8(..4) {
                    yield_now().await;
                }
                let changes = vec![change("winner", Some(bare(racer.into())))];
                let advance = advance(&table, round, round + 1);
                let advanced = store.advance_rows(advance, &table, changes.into()).await;
                advanced.map(|advanced| (advanced == Advanced::Moved).then_some(racer))
            });
        }
        let answers = racers.join_all().await;
        let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
        let winners: Vec<_> = answers.into_iter().flatten().collect();
        law!(
            LAW,
            winners.len() == 1,
            "round {round}: {winners:?} moved it"
        );
        let rows = store.query_rows(&table, &RowQuery::all()).await?;
        let expected = [("winner".to_owned(), bare(winners[0].into()))];
        law!(
            LAW,
            rows == expected,
            "{winners:?} won, and {rows:?} is kept"
        );
    }
    let nobody = Table {
        name: "nobody",
        ..table
    };
    let moved = store.advance_rows(advance(&nobody, 0, 1), &nobody, Written::default());
    let moved = moved.await;
    law!(LAW, moved.is_err(), "a cursor that nobody made: {moved:?}");
    Ok(())
}

/// The phase of a version that says that it is complete.
async fn complete<S: EventStore>(store: &S, id: ProjectionId) -> Result<Phase> {
    let lineage = store.change(&id, &Change::Complete, "suite").await?;
    Ok(lineage.versions[&id.version].phase)
}

pub(super) async fn versions_live_side_by_side<S: EventStore>(store: S) -> Check {
    const LAW: &str = "versions live side by side";
    let (one, two) = (table(1), table(2));
    for table in [&one, &two] {
        let phase = store.prepare_table(table).await?.phase;
        law!(LAW, phase == Phase::Building, "a new version is {phase:?}");
    }
    let promote = Change::Promote {
        fresh: Duration::ZERO,
        forced: Some("the suite says so".to_owned()),
    };
    let promoted = store.change(&(&two).into(), &promote, "suite").await;
    law!(
        LAW,
        promoted.is_err(),
        "a version was promoted while it was built"
    );
    let changes = |amount| vec![change("a", Some(bare(amount)))];
    store
        .advance_rows(advance(&one, 0, 1), &one, changes(1).into())
        .await?;
    store
        .advance_rows(advance(&two, 0, 2), &two, changes(2).into())
        .await?;
    let (first, second) = (
        complete(&store, (&one).into()).await?,
        complete(&store, (&two).into()).await?,
    );
    law!(
        LAW,
        first == Phase::Live,
        "the first complete version is {first:?}"
    );
    law!(
        LAW,
        second == Phase::Shadow,
        "the second complete version is {second:?}"
    );
    let promoted = store.change(&(&two).into(), &promote, "suite").await?;
    let read = store.lineage(&(&one).into()).await?;
    law!(
        LAW,
        read == promoted,
        "after {promoted:?}, {read:?} is read"
    );
    let states = store.projections().await?;
    let states: Vec<_> = states
        .iter()
        .map(|(id, s)| (id.version, s.phase, s.cursor.get()))
        .collect();
    let expected = [(1, Phase::Deprecated, 1), (2, Phase::Live, 2)];
    law!(LAW, states == expected, "after a promotion: {states:?}");
    let again = complete(&store, (&one).into()).await?;
    law!(
        LAW,
        again == Phase::Deprecated,
        "completing twice made it {again:?}"
    );
    for (table, amount) in [(&one, 1), (&two, 2)] {
        let rows = store.query_rows(table, &RowQuery::all()).await?;
        law!(
            LAW,
            rows == [("a".to_owned(), bare(amount))],
            "{table} holds {rows:?}"
        );
    }
    let changed = Table {
        columns: &COLUMNS[..2],
        ..one
    };
    let refused = store.prepare_table(&changed).await;
    law!(
        LAW,
        refused.is_err(),
        "other columns under the same version were accepted"
    );
    Ok(())
}

pub(super) fn published(position: u64) -> PublishedEvent {
    PublishedEvent {
        position: Position::new(position),
        source: Position::new(position * 2),
        event_type: "bank.account-opened.v1".to_owned(),
        subject: "it's ü".to_owned(),
        payload: format!("{{\"n\":{position}}}"),
        metadata: position
            .is_multiple_of(2)
            .then(|| "{\"correlation\":\"c\"}".to_owned()),
        time: Timestamp::from_micros(-5),
        recorded: Timestamp::from_micros(7),
        salt: [3; 16],
        hash: [u8::try_from(position).unwrap_or_default(); 32],
    }
}

pub(super) async fn streams_are_dense<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "an integration stream and its cursor move together";
    let store = subject.fresh().await;
    let accounts = StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    };
    let other = StreamVersion {
        version: 2,
        ..accounts.clone()
    };
    store.prepare_stream(&accounts).await?;
    store.prepare_stream(&other).await?;
    let head = store.published_head(&accounts).await?;
    law!(
        LAW,
        head == StreamCursor::default(),
        "a fresh stream has the head {head:?}"
    );
    let batch: Vec<_> = (1..=3).map(published).collect();
    let moved = store
        .advance_stream(advance(&accounts, 0, 6), &accounts, batch.clone())
        .await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the first move was {moved:?}"
    );
    let again = store
        .advance_stream(advance(&accounts, 0, 8), &accounts, batch.clone())
        .await?;
    law!(LAW, again == Advanced::Fenced, "a stale move was {again:?}");
    // Events that publish nothing still move the cursor.
    store
        .advance_stream(advance(&accounts, 6, 9), &accounts, Vec::new())
        .await?;
    store
        .advance_stream(advance(&other, 0, 9), &other, vec![published(1)])
        .await?;

    let store = subject.reopen(store).await;
    let events = store.read_published(&accounts, Position::START, 10).await?;
    law!(
        LAW,
        events == batch,
        "after a restart the stream holds {events:?}"
    );
    let page = store.read_published(&accounts, Position::new(1), 1).await?;
    law!(
        LAW,
        page == batch[1..2],
        "after position 1, at most one: {page:?}"
    );
    let head = store.published_head(&accounts).await?;
    let expected = StreamCursor {
        position: Position::new(3),
        hash: [3; 32],
    };
    law!(LAW, head == expected, "the head is {head:?}");
    let state = store.prepare_stream(&accounts).await?;
    law!(
        LAW,
        state.cursor.get() == 9,
        "after a restart the cursor stands at {}",
        state.cursor
    );
    let phase = complete(&store, (&accounts).into()).await?;
    law!(LAW, phase == Phase::Live, "a complete stream is {phase:?}");
    Ok(())
}

pub(super) async fn inboxes_commit_with_their_effects<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "an inbox moves once";
    let store = subject.fresh().await;
    let stream_version = StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    };
    let inbox = InboxId {
        consumer: "mail".to_owned(),
        stream: stream_version,
    };
    let at = |n: u8| StreamCursor {
        position: Position::new(n.into()),
        hash: [n; 32],
    };
    let start = StreamCursor::default();
    store.begin().await.map(drop)?;
    let tx = store.begin().await?;
    let moved = store
        .commit_inbox(tx, &InboxMove::new(&inbox, start, at(2)))
        .await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the first move was {moved:?}"
    );
    let tx = store.begin().await?;
    let again = store
        .commit_inbox(tx, &InboxMove::new(&inbox, start, at(9)))
        .await?;
    law!(LAW, again == Advanced::Fenced, "a stale move was {again:?}");
    for other in [(at(2).position, [7; 32]), (Position::new(1), at(2).hash)] {
        let (position, hash) = other;
        let tx = store.begin().await?;
        let from = StreamCursor { position, hash };
        let moved = store
            .commit_inbox(tx, &InboxMove::new(&inbox, from, at(9)))
            .await?;
        law!(
            LAW,
            moved == Advanced::Fenced,
            "a move from another history was {moved:?}"
        );
    }
    let store = subject.reopen(store).await;
    let cursor = store.inbox(&inbox).await?;
    law!(
        LAW,
        cursor == at(2),
        "after a restart the inbox stands at {cursor:?}"
    );
    // The transactions above let go of the store.
    accepted(&store, append(&stream("a")?, 0, "after", 1)).await?;
    Ok(())
}
