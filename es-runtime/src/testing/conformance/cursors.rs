//! Cursors and what they guard: rows, integration streams, inboxes.

use tokio::task::JoinSet;

use super::{Check, Subject, accepted, append, law, stream};
use crate::event::{Position, Timestamp};
use crate::store::{
    Advance, Advanced, ColumnDef, ColumnKind, EventStore, InboxId, Phase, ProjectionId,
    PublishedEvent, Row, RowChange, StreamCursor, StreamVersion, Table, Value,
};

const fn column(name: &'static str, kind: ColumnKind) -> ColumnDef {
    ColumnDef {
        name,
        kind,
        nullable: true,
        index: false,
    }
}

const COLUMNS: &[ColumnDef] = &[
    ColumnDef {
        name: "amount",
        kind: ColumnKind::Integer,
        nullable: false,
        index: true,
    },
    column("rate", ColumnKind::Real),
    column("open", ColumnKind::Boolean),
    column("order", ColumnKind::Text),
    column("photo", ColumnKind::Bytes),
];

fn table(version: u32) -> Table {
    Table {
        name: "balances",
        version,
        columns: COLUMNS,
    }
}

fn advance(projection: impl Into<ProjectionId>, from: u64, to: u64) -> Advance {
    let (from, to) = (Position::new(from), Position::new(to));
    Advance {
        projection: projection.into(),
        from,
        to,
    }
}

fn change(key: &str, row: Option<Row>) -> RowChange {
    RowChange {
        key: key.to_owned(),
        row,
    }
}

/// A row that is hard to keep exactly.
fn full() -> Row {
    vec![
        Value::Integer(i64::MIN),
        Value::Real(0.1 + 0.2),
        Value::Boolean(true),
        Value::Text("it's \"quoted\" \\ and\nbroken — ü".to_owned()),
        Value::Bytes(vec![0, 255, 39]),
    ]
}

fn bare(amount: i64) -> Row {
    vec![
        Value::Integer(amount),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

pub(super) async fn rows_and_cursor_move_together<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "rows and cursor move together";
    let store = subject.fresh().await;
    let table = table(1);
    let state = store.prepare_table(&table).await?;
    law!(
        LAW,
        state.cursor == Position::START,
        "a fresh cursor stands at {}",
        state.cursor
    );
    let first = vec![
        change("a", Some(full())),
        change("b", Some(bare(1))),
        change("c", None),
    ];
    let moved = store
        .advance_rows(advance(&table, 0, 5), &table, first)
        .await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the first move was {moved:?}"
    );
    let second = vec![change("b", Some(bare(2))), change("d", Some(bare(4)))];
    let fenced = store
        .advance_rows(advance(&table, 0, 5), &table, second.clone())
        .await?;
    law!(
        LAW,
        fenced == Advanced::Fenced,
        "a stale move was {fenced:?}"
    );

    let store = subject.reopen(store).await;
    let cursor = store.prepare_table(&table).await?.cursor;
    law!(
        LAW,
        cursor.get() == 5,
        "after a restart the cursor stands at {cursor}"
    );
    let rows = store.scan_rows(&table, None, 10).await?;
    let expected = [("a".to_owned(), full()), ("b".to_owned(), bare(1))];
    law!(
        LAW,
        rows == expected,
        "after a restart the rows are {rows:?}"
    );

    let moved = store
        .advance_rows(advance(&table, 5, 6), &table, second)
        .await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the second move was {moved:?}"
    );
    let gone = vec![change("a", None)];
    store
        .advance_rows(advance(&table, 6, 9), &table, gone)
        .await?;
    let rows = store
        .read_rows(&table, ["d", "a", "b"].map(str::to_owned).into())
        .await?;
    let (mut rows, expected) = (rows, [("b".to_owned(), bare(2)), ("d".to_owned(), bare(4))]);
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    law!(LAW, rows == expected, "read by key: {rows:?}");
    let rows = store.scan_rows(&table, Some("b"), 1).await?;
    law!(LAW, rows == expected[1..], "read after a key: {rows:?}");
    Ok(())
}

pub(super) async fn cursors_are_fenced<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "of two instances at one cursor, one moves it";
    let table = table(1);
    store.prepare_table(&table).await?;
    for round in 0..20 {
        let mut racers = JoinSet::new();
        for racer in 0..4 {
            let store = store.clone();
            let row = bare(racer);
            racers.spawn(async move {
                let changes = vec![change("winner", Some(row))];
                store
                    .advance_rows(advance(&table, round, round + 1), &table, changes)
                    .await
            });
        }
        let answers = racers.join_all().await;
        let moved = answers
            .iter()
            .filter(|a| matches!(a, Ok(Advanced::Moved)))
            .count();
        law!(LAW, moved == 1, "seed {seed}, round {round}: {answers:?}");
    }
    Ok(())
}

pub(super) async fn versions_live_side_by_side<S: EventStore>(store: S) -> Check {
    const LAW: &str = "versions live side by side";
    let (one, two) = (table(1), table(2));
    for table in [&one, &two] {
        let phase = store.prepare_table(table).await?.phase;
        law!(LAW, phase == Phase::Building, "a new version is {phase:?}");
    }
    law!(
        LAW,
        store.promote(&two).await.is_err(),
        "a version was promoted while it was built"
    );
    let changes = |amount| vec![change("a", Some(bare(amount)))];
    store
        .advance_rows(advance(&one, 0, 1), &one, changes(1))
        .await?;
    store
        .advance_rows(advance(&two, 0, 2), &two, changes(2))
        .await?;
    let (first, second) = (
        store.finish_building(&(&one).into()).await?,
        store.finish_building(&(&two).into()).await?,
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
    store.promote(&two).await?;
    let states = store.projections().await?;
    let states: Vec<_> = states
        .iter()
        .map(|(id, s)| (id.version, s.phase, s.cursor.get()))
        .collect();
    let expected = [(1, Phase::Shadow, 1), (2, Phase::Live, 2)];
    law!(LAW, states == expected, "after a promotion: {states:?}");
    let again = store.finish_building(&(&one).into()).await?;
    law!(
        LAW,
        again == Phase::Shadow,
        "completing twice made it {again:?}"
    );
    for (table, amount) in [(&one, 1), (&two, 2)] {
        let rows = store.scan_rows(table, None, 10).await?;
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

fn published(position: u64) -> PublishedEvent {
    PublishedEvent {
        position: Position::new(position),
        source: Position::new(position * 2),
        event_type: "bank.account-opened.v1".to_owned(),
        subject: "it's ü".to_owned(),
        payload: format!("{{\"n\":{position}}}"),
        metadata: (position % 2 == 0).then(|| "{\"correlation\":\"c\"}".to_owned()),
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
        .advance_stream(advance(&accounts, 0, 6), &accounts, batch.clone())
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
    let phase = store.finish_building(&(&accounts).into()).await?;
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
    drop(store.begin().await?);
    let tx = store.begin().await?;
    let moved = store.commit_inbox(tx, &inbox, start, at(2)).await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the first move was {moved:?}"
    );
    let tx = store.begin().await?;
    let again = store.commit_inbox(tx, &inbox, start, at(2)).await?;
    law!(LAW, again == Advanced::Fenced, "a stale move was {again:?}");
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
