//! Rows have one order in every store: that of bytes, also in a database whose locale is a people's.

use std::ops::Bound;

use es_runtime::event::Position;
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{
    Advance, ColumnDef, ColumnKind, EventStore, IndexDef, RowChange, RowQuery, Table, Value,
};
use es_servers::Postgres;
use sqlx::{Connection, PgConnection};

const OWNER: IndexDef = IndexDef {
    columns: &[0],
    unique: false,
};

const TABLE: Table = Table {
    name: "balances",
    version: 1,
    slices: 1,
    columns: &[ColumnDef {
        name: "owner",
        kind: ColumnKind::Text,
        nullable: false,
    }],
    indexes: &[OWNER],
};

#[tokio::test]
async fn texts_have_the_order_of_their_bytes_in_every_locale() {
    let cluster = Postgres::start();
    let url = cluster.database();
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let create = "CREATE DATABASE people TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
    sqlx::query(create).execute(&mut admin).await.unwrap();
    let theirs = "SELECT 'a' < 'B' COLLATE \"en-US-x-icu\"";
    let theirs: bool = sqlx::query_scalar(theirs)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert!(theirs, "people sort otherwise");
    admin.close().await.unwrap();

    let (server, parameters) = url.split_once('?').unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    let url = format!("{server}/people?{parameters}");
    let store = PostgresStore::connect(&url).await.unwrap();
    store.prepare_table(&TABLE).await.unwrap();
    let mut texts = [
        "",
        "-",
        "10",
        "9",
        "A",
        "B",
        "Z",
        "a",
        "a b",
        "ab",
        "z",
        "Ä",
        "ä",
        "\u{1f600}",
    ];
    let change = |text: &&str| RowChange {
        key: (*text).to_owned(),
        row: Some(vec![Value::Text((*text).to_owned())]),
    };
    let (from, to) = (Position::START, Position::new(1));
    let advance = Advance::new(&TABLE, from, to);
    let changes: Vec<_> = texts.iter().map(change).collect();
    store
        .advance_rows(advance, &TABLE, changes.into())
        .await
        .unwrap();

    texts.sort_by_key(|text| text.as_bytes());
    let by_owner = RowQuery::range(OWNER, Bound::Unbounded, Bound::Unbounded);
    for query in [RowQuery::all(), by_owner] {
        let rows = store.query_rows(&TABLE, &query).await.unwrap();
        assert!(rows.iter().map(|(key, _)| &**key).eq(texts), "{rows:?}");
    }
    let upper = |text: &str| vec![Value::Text(text.to_owned())];
    let upper = RowQuery::range(
        OWNER,
        Bound::Included(upper("A")),
        Bound::Excluded(upper("a")),
    );
    let rows = store.query_rows(&TABLE, &upper).await.unwrap();
    assert!(
        rows.iter().map(|(key, _)| &**key).eq(["A", "B", "Z"]),
        "{rows:?}"
    );
    store.close().await;
}
