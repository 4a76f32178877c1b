//! Rows of read models, and how the other checks make them.

use fastrand::Rng;
use tokio::task::yield_now;

use super::{Check, Subject, law};
use crate::error::Result;
use crate::event::Position;
use crate::store::{
    Advance, Advanced, Change, ColumnDef, ColumnKind, EventStore, ProjectionId, Row, RowChange,
    RowQuery, Table, Value,
};

const fn column(name: &'static str, kind: ColumnKind) -> ColumnDef {
    ColumnDef {
        name,
        kind,
        nullable: true,
    }
}

pub(super) const COLUMNS: &[ColumnDef] = &[
    ColumnDef {
        name: "amount",
        kind: ColumnKind::Integer,
        nullable: false,
    },
    column("rate", ColumnKind::Real),
    column("open", ColumnKind::Boolean),
    column("order", ColumnKind::Text),
    column("photo", ColumnKind::Bytes),
];

pub(super) fn table(version: u32) -> Table {
    Table {
        name: "balances",
        version,
        columns: COLUMNS,
        indexes: &[],
        slices: 1,
    }
}

pub(super) fn advance(projection: impl Into<ProjectionId>, from: u64, to: u64) -> Advance {
    Advance::new(projection, Position::new(from), Position::new(to))
}

pub(super) fn change(key: &str, row: Option<Row>) -> RowChange {
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

pub(super) fn bare(amount: i64) -> Row {
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
        .advance_rows(advance(&table, 0, 5), &table, first.into())
        .await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the first move was {moved:?}"
    );
    let second = vec![change("b", Some(bare(2))), change("d", Some(bare(4)))];
    let fenced = store
        .advance_rows(advance(&table, 0, 7), &table, second.clone().into())
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
    let rows = store.query_rows(&table, &RowQuery::all()).await?;
    let expected = [("a".to_owned(), full()), ("b".to_owned(), bare(1))];
    law!(
        LAW,
        rows == expected,
        "after a restart the rows are {rows:?}"
    );

    let moved = store
        .advance_rows(advance(&table, 5, 6), &table, second.into())
        .await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the second move was {moved:?}"
    );
    let gone = vec![change("a", None)];
    store
        .advance_rows(advance(&table, 6, 9), &table, gone.into())
        .await?;
    let rows = store
        .read_rows(&table, ["d", "a", "b"].map(str::to_owned).into())
        .await?;
    let (mut rows, expected) = (rows, [("b".to_owned(), bare(2)), ("d".to_owned(), bare(4))]);
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    law!(LAW, rows == expected, "read by key: {rows:?}");
    let rows = store
        .query_rows(&table, &RowQuery::all().after("b").limit(1))
        .await?;
    law!(LAW, rows == expected[1..], "read after a key: {rows:?}");
    Ok(())
}

pub(super) async fn rows_have_one_order<S: EventStore>(store: S) -> Check {
    const LAW: &str = "rows stand by key, in the order of its bytes";
    let table = table(1);
    store.prepare_table(&table).await?;
    // Sorted; a comparison without case, by locale or by UTF-16 units sorts otherwise.
    let keys = [
        "",
        " ",
        "%",
        "'; --",
        "A",
        "B",
        "\"a\"",
        "a",
        "ä",
        "\u{fffd}",
        "\u{1f600}",
    ];
    let mut keys = keys.map(str::to_owned);
    keys.sort();
    // Of several changes of one key the last one counts.
    let mut changes = vec![change("a", Some(bare(-1))), change("B", None)];
    let put = |(n, key): (i64, &String)| change(key, Some(bare(n)));
    changes.extend((0..).zip(&keys).map(put));
    changes[2..].reverse();
    changes.extend([change("gone", Some(bare(-1))), change("gone", None)]);
    store
        .advance_rows(advance(&table, 0, 1), &table, changes.into())
        .await?;
    let expected: Vec<_> = (0..)
        .zip(&keys)
        .map(|(n, key)| (key.clone(), bare(n)))
        .collect();
    let rows = store.query_rows(&table, &RowQuery::all()).await?;
    law!(LAW, rows == expected, "all: {rows:?}");
    for (n, key) in keys.iter().enumerate() {
        let rows = store
            .query_rows(&table, &RowQuery::all().after(key).limit(3))
            .await?;
        let after = expected.iter().skip(n + 1).take(3);
        law!(LAW, rows.iter().eq(after), "after {key:?}: {rows:?}");
        let row = store.read_rows(&table, vec![key.clone()]).await?;
        law!(LAW, row == expected[n..=n], "of {key:?}: {row:?}");
    }
    let gone = |key: &String| change(key, None);
    let changes = keys.iter().map(gone).collect::<Vec<_>>();
    store
        .advance_rows(advance(&table, 1, 2), &table, changes.into())
        .await?;
    let rows = store.query_rows(&table, &RowQuery::all()).await?;
    law!(LAW, rows.is_empty(), "removed, and still there: {rows:?}");
    Ok(())
}

pub(super) async fn one_moment_is_shown<S: EventStore>(store: S) -> Check {
    const LAW: &str = "one moment is shown";
    let table = table(1);
    store.prepare_table(&table).await?;
    let row = |key: &str, amount| (key.to_owned(), bare(amount));
    let moments = [
        vec![row("a", 1), row("b", 2), row("c", 3)],
        vec![row("a", 4), row("c", 3), row("d", 5)],
    ];
    let mut stills = Vec::new();
    for (n, rows) in (0..).zip(&moments) {
        let mut changes: Vec<_> = rows
            .iter()
            .map(|(key, row)| change(key, Some(row.clone())))
            .collect();
        if n == 1 {
            changes.push(change("b", None));
        }
        store
            .advance_rows(advance(&table, n, n + 1), &table, changes.into())
            .await?;
        let mut still = store.still().await?;
        let cursor = still.projection(&(&table).into()).await?.map(|s| s.cursor);
        law!(
            LAW,
            cursor == Some(Position::new(n + 1)),
            "asked at {}, it shows {cursor:?}",
            n + 1
        );
        stills.push(still);
    }
    for (n, (mut still, rows)) in (1..).zip(stills.into_iter().zip(moments)) {
        let mut found = Vec::new();
        loop {
            let last = found.last().map(|(key, _): &(String, Row)| key.clone());
            let query = RowQuery::all().limit(2);
            let query = match last {
                Some(last) => query.after(last),
                None => query,
            };
            let page = still.query_rows(&table, &query).await?;
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        law!(
            LAW,
            found == rows,
            "moment {n} is {rows:?}, shown as {found:?}"
        );
        let cursor = still.projection(&(&table).into()).await?.map(|s| s.cursor);
        law!(
            LAW,
            cursor == Some(Position::new(n)),
            "at moment {n}, the cursor is shown at {cursor:?}"
        );
    }
    Ok(())
}

/// Moves the cursor on, so often, and both rows with it.
async fn write_rows<S: EventStore>(store: &S, table: &Table, epoch: u64, moves: u64) -> Result<()> {
    for at in 0..moves {
        let row = Some(bare(i64::try_from(at).unwrap_or_default() + 1));
        let changes = vec![change("a", row.clone()), change("b", row)];
        let advance = advance(table, at, at + 1).knowing(epoch);
        store.advance_rows(advance, table, changes.into()).await?;
        yield_now().await;
    }
    Ok(())
}

/// Rows and their cursor are read as they are at one moment, also where it is begun anew.
pub(super) async fn rows_come_with_their_cursor<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "rows come with the cursor that they reflect";
    const MOVES: u64 = 60;
    let table = table(1);
    let nobody = store.read_rows_at(&table, Vec::new()).await;
    law!(
        LAW,
        nobody.is_err(),
        "nobody prepared it, and {nobody:?} was the answer"
    );
    store.prepare_table(&table).await?;
    let mut before = store.read_rows_at(&table, Vec::new()).await?;
    let first = before.epoch;
    let mut random = Rng::with_seed(seed);
    let writer = {
        let store = store.clone();
        async move {
            write_rows(&store, &table, 0, MOVES).await?;
            let again = Change::Rebuild {
                reason: "the suite says so".to_owned(),
            };
            let lineage = store.change(&(&table).into(), &again, "suite").await?;
            write_rows(&store, &table, lineage.versions[&1].epoch, MOVES).await
        }
    };
    let writer = tokio::spawn(writer);
    loop {
        let keys = ["b", "none", "a"].map(str::to_owned);
        let found = store.read_rows_at(&table, keys.into()).await?;
        let (mut rows, cursor) = (found.rows.clone(), found.cursor("none"));
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let amount = i64::try_from(cursor.get()).unwrap_or_default();
        let expected = ["a", "b"].map(|key| (key.to_owned(), bare(amount)));
        let expected = if amount == 0 { &[][..] } else { &expected };
        law!(LAW, rows == expected, "at {cursor}: {rows:?}");
        let anew = found.epoch > before.epoch;
        law!(
            LAW,
            anew || found.epoch == before.epoch && found.cursor("a") >= before.cursor("a"),
            "after {before:?} came {found:?}"
        );
        if cursor.get() == MOVES && found.epoch > first {
            break;
        }
        before = found;
        for _ in 0..random.u8(..3) {
            yield_now().await;
        }
    }
    let written = writer.await;
    law!(
        LAW,
        matches!(written, Ok(Ok(()))),
        "writing meanwhile: {written:?}"
    );
    let found = store.read_rows_at(&table, Vec::new()).await?;
    let (rows, cursor) = (found.rows.clone(), found.cursor("a"));
    law!(
        LAW,
        rows.is_empty() && cursor.get() == MOVES,
        "of no key: {rows:?} at {cursor}"
    );
    Ok(())
}
