//! How SQLite runs the statements that read: by a key, whatever the tables grow to.

use std::ops::Bound;

use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use super::{
    SqliteStore, committer, consumers, entities, inboxes, life, log, moving, parked, projections,
    read_rows, relays, repairs, segment, snapshots, streams, timers,
};
use crate::store::sql::select_rows;
use crate::store::{ColumnDef, ColumnKind, EventStore, IndexDef, RowPlace, RowQuery, Table, Value};

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

/// What is asked of rows, each of them narrowed down by an index.
fn queries() -> Vec<RowQuery> {
    use Bound::{Excluded, Included, Unbounded};
    let (amount, text) = (Value::Integer(5), Value::Text("DKK".to_owned()));
    let place = |values: &[&Value]| RowPlace {
        values: values.iter().map(|value| (*value).clone()).collect(),
        key: "alice".to_owned(),
    };
    let one = |value: &Value| vec![value.clone()];
    let two = || vec![text.clone(), amount.clone()];
    let mut queries = vec![
        RowQuery::all().after("alice"),
        RowQuery::equal(IBAN, one(&text)),
    ];
    for (index, value) in [
        (AMOUNT, &amount),
        (CURRENCY, &text),
        (CURRENCY, &Value::Null),
    ] {
        let equal = RowQuery::equal(index, one(value));
        queries.extend([equal.clone().after("alice"), equal]);
    }
    queries.push(RowQuery::equal(BOTH, two()));
    queries.push(RowQuery::equal(BOTH, two()).after("alice"));
    let lower = [Included(()), Excluded(()), Unbounded];
    for (index, values) in [(AMOUNT, one(&amount)), (IBAN, one(&text)), (BOTH, two())] {
        for (from, to) in lower
            .iter()
            .flat_map(|from| lower.iter().map(move |to| (from, to)))
        {
            let bound = |bound: &Bound<()>| bound.map(|()| values.clone());
            let range = RowQuery::range(index, bound(from), bound(to));
            let place = place(&values.iter().collect::<Vec<_>>());
            queries.extend([range.clone().after_place(place), range]);
        }
    }
    queries
}

/// The steps of a statement that touch every row of a table, sort rows, or index them for once.
async fn slow_steps(store: &SqliteStore, statement: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let steps = sqlx::query(explain).fetch_all(&store.readers).await;
    let steps = steps.expect(statement);
    assert!(!steps.is_empty(), "{statement}");
    let steps = steps.iter().map(|step| step.get::<String, _>("detail"));
    // What the caller lists comes as JSON, and what was found becomes one row: all is wanted.
    let wanted =
        |step: &String| step.contains(" VIRTUAL TABLE ") || step.starts_with("SCAN (subquery");
    let slow = |step: &String| {
        let costly = ["SCAN", "TEMP B-TREE", "AUTOMATIC"];
        costly.iter().any(|costly| step.contains(costly))
    };
    steps.filter(|step| slow(step) && !wanted(step)).collect()
}

#[tokio::test]
async fn every_read_goes_by_a_key() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("es.db");
    let store = SqliteStore::open(file).await.unwrap();
    store.prepare_table(&TABLE).await.unwrap();
    for statement in [
        log::HEAD,
        log::PAGE,
        log::FORWARDS,
        log::BACKWARDS,
        log::OF_ONE,
        log::FILTERED,
        log::CORRELATED,
        log::OUTCOME,
        snapshots::READ,
        snapshots::TAIL,
        snapshots::REMOVE,
        snapshots::REMOVE_OUTDATED,
        segment::COMMANDS,
        segment::EMPTY,
        segment::SEAM,
        segment::VERSIONS,
        segment::RUN,
        segment::FORGET,
        streams::PAGE,
        streams::LONG,
        streams::HEAD,
        inboxes::PARTS,
        moving::VERSIONS,
        moving::MOVERS,
        inboxes::KEYS,
        inboxes::KEYS_AFTER,
        inboxes::EVENTS,
        inboxes::DEAD,
        inboxes::MARKS,
        entities::ENTITIES,
        repairs::REPAIRS,
        consumers::LIST,
        relays::ONE,
        timers::LIST,
        life::LINEAGE,
        life::CURSORS,
        life::HANDOVERS,
        parked::LIST,
        parked::LIST_AFTER,
        parked::EVENTS,
        &read_rows::select_keys(&TABLE),
        &read_rows::select_keys_at(&TABLE),
    ] {
        let slow = slow_steps(&store, statement).await;
        assert_eq!(slow, [""; 0], "{statement}");
    }
    // From the first row on, in the order of the key, up to the limit.
    let select = |query: &RowQuery| select_rows(&TABLE, query, &projections::DIALECT).text;
    let first = slow_steps(&store, &select(&RowQuery::all())).await;
    assert_eq!(first, ["SCAN balances_v1"]);
    for query in queries() {
        let mut steps = slow_steps(&store, &select(&query)).await;
        let whole = |index| RowQuery::range(index, Bound::Unbounded, Bound::Unbounded);
        if [AMOUNT, BOTH, IBAN]
            .into_iter()
            .any(|index| query == whole(index))
        {
            // From the first one on, in the order of the index.
            steps.retain(|step| !step.starts_with("SCAN balances_v1 USING INDEX balances_v1_by_"));
        }
        assert_eq!(steps, [""; 0], "{}", select(&query));
    }
    // One page is searched for, and becomes one row; what is asked for comes as JSON.
    let page = slow_steps(&store, streams::QUERY).await;
    assert_eq!(page, ["SCAN CONSTANT ROW", "SCAN m"]);
    for one in [committer::LOG, committer::LOOK_UP] {
        let found = slow_steps(&store, one).await;
        assert_eq!(found, ["SCAN CONSTANT ROW"], "{one}");
    }
    // And what goes by no key is noticed.
    for statement in [
        "SELECT * FROM es_event WHERE type = 'account.opened'",
        "SELECT * FROM es_event WHERE position > 3 ORDER BY occurred_at",
        "SELECT e.position FROM json_each(?) a JOIN es_event e ON e.slice = a.value",
        "SELECT * FROM balances_v1 WHERE lower(key) = 'a'",
    ] {
        assert_ne!(slow_steps(&store, statement).await, [""; 0], "{statement}");
    }
}
