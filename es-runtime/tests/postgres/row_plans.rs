//! How PostgreSQL answers questions to a read model of some size: it reads what it answers, and no
//! more. The server counts.

use std::ops::Bound;

use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{
    ColumnDef, ColumnKind, EventStore, IndexDef, RowPlace, RowQuery, Table, Value,
};
use es_servers::Postgres;
use sqlx::{Connection, PgConnection};

const fn column(name: &'static str, kind: ColumnKind, nullable: bool) -> ColumnDef {
    ColumnDef {
        name,
        kind,
        nullable,
    }
}

const fn index(columns: &'static [usize], unique: bool) -> IndexDef {
    IndexDef { columns, unique }
}

const AMOUNT: IndexDef = index(&[0], false);
const CURRENCY: IndexDef = index(&[1], false);
const BOTH: IndexDef = index(&[1, 0], false);
const IBAN: IndexDef = index(&[2], true);

const TABLE: Table = Table {
    name: "balances",
    version: 1,
    slices: 1,
    columns: &[
        column("amount", ColumnKind::Integer, false),
        column("currency", ColumnKind::Text, true),
        column("iban", ColumnKind::Text, true),
    ],
    indexes: &[AMOUNT, CURRENCY, BOTH, IBAN],
};

/// Few currencies, and many rows of each; of every tenth row nobody knows it.
const FILL: &str = "
    INSERT INTO balances_v1
    SELECT 'account ' || n, n % 1000, CASE WHEN n % 10 > 0 THEN 'currency ' || n % 7 END, 'DK' || n
    FROM generate_series(1, 100000) n";

const ROWS: usize = 10;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn queries() -> Vec<RowQuery> {
    use Bound::{Excluded, Included, Unbounded};
    let kroner = || text("currency 3");
    let place = |values| RowPlace {
        values,
        key: "account 5".to_owned(),
    };
    let middle = || vec![Value::Integer(500)];
    let both = || vec![kroner(), Value::Integer(501)];
    let queries = vec![
        RowQuery::all(),
        RowQuery::all().after("account 5"),
        RowQuery::equal(AMOUNT, middle()),
        RowQuery::equal(CURRENCY, vec![kroner()]).after("account 5"),
        RowQuery::equal(CURRENCY, vec![Value::Null]).after("account 5"),
        RowQuery::equal(BOTH, both()).after("account 5"),
        RowQuery::equal(IBAN, vec![text("DK77")]),
        RowQuery::range(AMOUNT, Unbounded, Unbounded),
        RowQuery::range(AMOUNT, Included(middle()), Unbounded),
        RowQuery::range(AMOUNT, Unbounded, Excluded(middle())),
        RowQuery::range(
            AMOUNT,
            Excluded(vec![Value::Integer(1)]),
            Included(middle()),
        )
        .after_place(place(middle())),
        RowQuery::range(CURRENCY, Unbounded, Unbounded),
        RowQuery::range(BOTH, Included(both()), Unbounded).after_place(place(both())),
        RowQuery::range(BOTH, Unbounded, Included(both())).after_place(place(both())),
        RowQuery::range(IBAN, Included(vec![text("DK5")]), Unbounded),
        RowQuery::range(IBAN, Unbounded, Unbounded).after_place(place(vec![text("DK5")])),
    ];
    queries.into_iter().map(|query| query.limit(ROWS)).collect()
}

/// Sequential scans, and rows that were found in indexes, so far.
async fn read(url: &str) -> (i64, i64) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let read = "SELECT (SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'balances_v1'),
                       (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
                        WHERE relname = 'balances_v1')";
    let read = sqlx::query_as(read).fetch_one(&mut connection).await;
    connection.close().await.unwrap();
    read.unwrap()
}

async fn run(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// Asks a question often enough for a plan that is kept, and answers how many rows were read for
/// each answer, and how many were scanned for.
async fn ask(url: &str, query: &RowQuery) -> (i64, f64) {
    const TIMES: i32 = 8;
    let before = read(url).await;
    let store = PostgresStore::connect(url).await.unwrap();
    for _ in 0..TIMES {
        let rows = store.query_rows(&TABLE, query).await.unwrap();
        assert!(rows.len() <= ROWS && !rows.is_empty(), "{query:?}");
    }
    store.close().await;
    let after = read(url).await;
    let found = f64::from(i32::try_from(after.1 - before.1).unwrap());
    (after.0 - before.0, found / f64::from(TIMES))
}

#[tokio::test]
async fn a_question_reads_what_it_answers() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    store.prepare_table(&TABLE).await.unwrap();
    store.close().await;
    run(&url, FILL).await;
    run(&url, "VACUUM ANALYZE balances_v1").await;
    for query in queries() {
        let (scans, found) = ask(&url, &query).await;
        println!("{found} rows were read for {query:?}");
        assert_eq!(scans, 0, "{query:?}");
        assert!(
            found <= f64::from(u16::try_from(ROWS).unwrap()) + 1.0,
            "{query:?}: {found}"
        );
    }
    // And what has no index is noticed.
    run(
        &url,
        "ALTER TABLE balances_v1 DROP CONSTRAINT balances_v1_by_iban",
    )
    .await;
    let without = RowQuery::equal(IBAN, vec![text("DK77")]).limit(ROWS);
    assert!(ask(&url, &without).await.0 > 0);
}
