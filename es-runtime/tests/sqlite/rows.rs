//! Rows in numbers and with keys that no schema expects.

use es_runtime::event::Position;
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{
    Advance, Advanced, ColumnDef, ColumnKind, EventStore, Row, RowChange, RowQuery, Select, Table,
    Value,
};

use crate::File;

const fn column(name: &'static str, kind: ColumnKind) -> ColumnDef {
    ColumnDef {
        name,
        kind,
        nullable: true,
    }
}

const TABLE: Table = Table {
    name: "things",
    version: 1,
    slices: 1,
    columns: &[
        column("group", ColumnKind::Integer),
        column("note", ColumnKind::Text),
    ],
    indexes: &[],
};

async fn write(store: &SqliteStore, at: u64, rows: impl Iterator<Item = (String, Option<Row>)>) {
    let (from, to) = (Position::new(at), Position::new(at + 1));
    let advance = Advance::new(&TABLE, from, to);
    let changes = rows
        .map(|(key, row)| RowChange { key, row })
        .collect::<Vec<_>>();
    let moved = store
        .advance_rows(advance, &TABLE, changes.into())
        .await
        .unwrap();
    assert_eq!(moved, Advanced::Moved);
}

fn row(n: i64) -> Option<Row> {
    Some(vec![Value::Integer(n), Value::Null])
}

/// SQLite takes 32,766 parameters in one statement; this is several times as many.
#[tokio::test]
async fn one_move_writes_more_rows_than_a_statement_holds() {
    const ROWS: i64 = 40_000;
    let file = File::new();
    let store = file.open().await;
    store.prepare_table(&TABLE).await.unwrap();
    let keys = || (0..ROWS).map(|n| format!("{n:06}"));
    for (at, sign) in [(0, 1), (1, -1)] {
        write(&store, at, keys().zip((0..).map(|n| row(n * sign)))).await;
        let expected: Vec<_> = keys().zip((0..).map(|n| row(n * sign).unwrap())).collect();
        assert!(store.query_rows(&TABLE, &RowQuery::all()).await.unwrap() == expected);
        assert!(store.read_rows(&TABLE, keys().collect()).await.unwrap() == expected);
    }
    write(&store, 2, keys().map(|key| (key, None))).await;
    assert_eq!(store.count_rows(&TABLE, &Select::All).await.unwrap(), 0);
}

#[tokio::test]
async fn strange_keys_are_keys() {
    let strange = [
        "",
        " ",
        "'",
        "\"",
        "`",
        "\\",
        "\0",
        "a\0b",
        "a\0",
        "\n",
        "null",
        "NULL",
        "1",
        "01",
        "1.0",
        "[\"x\"]",
        "{}",
        "?1",
        ":key",
        "%",
        "_",
        "é",
        "e\u{301}",
        "\u{feff}",
        "\u{1f600}",
        "\u{fffd}",
    ];
    let file = File::new();
    let store = file.open().await;
    store.prepare_table(&TABLE).await.unwrap();
    let text = |key: &str| Some(vec![Value::Integer(0), Value::Text(key.to_owned())]);
    write(
        &store,
        0,
        strange.iter().map(|key| (key.to_string(), text(key))),
    )
    .await;
    assert_eq!(
        store
            .query_rows(&TABLE, &RowQuery::all())
            .await
            .unwrap()
            .len(),
        strange.len()
    );
    for (key, at) in strange.iter().zip(1..) {
        let expected = [(key.to_string(), text(key).unwrap())];
        let read = store
            .read_rows(&TABLE, vec![key.to_string()])
            .await
            .unwrap();
        assert_eq!(read, expected, "{key:?}");
        write(&store, at, std::iter::once((key.to_string(), None))).await;
        let read = store
            .read_rows(&TABLE, vec![key.to_string()])
            .await
            .unwrap();
        assert_eq!(read, [], "{key:?}");
        let left = store
            .query_rows(&TABLE, &RowQuery::all())
            .await
            .unwrap()
            .len();
        assert_eq!(
            left,
            strange.len() - usize::try_from(at).unwrap(),
            "{key:?}"
        );
    }
}
