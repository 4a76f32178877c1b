//! How SQLite runs the statements that read: by a key, whatever the tables grow to.

use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use super::{SqliteStore, committer, life, log, parked, projections, segment, snapshots, streams};
use crate::store::{ColumnDef, ColumnKind, EventStore, Table};

const TABLE: Table = Table {
    name: "balances",
    version: 1,
    slices: 1,
    columns: &[ColumnDef {
        name: "amount",
        kind: ColumnKind::Integer,
        nullable: false,
        index: true,
    }],
};

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
        log::FILTERED,
        log::CORRELATED,
        log::OUTCOME,
        snapshots::REMOVE,
        snapshots::REMOVE_OUTDATED,
        segment::COMMANDS,
        segment::EMPTY,
        segment::SEAM,
        segment::VERSIONS,
        segment::RUN,
        segment::FORGET,
        streams::PAGE,
        streams::HEAD,
        streams::INBOX,
        life::LINEAGE,
        life::CURSORS,
        life::HANDOVERS,
        parked::LIST,
        parked::LIST_AFTER,
        parked::EVENTS,
        &projections::select_keys(&TABLE),
        &projections::select_page(&TABLE, true),
    ] {
        let slow = slow_steps(&store, statement).await;
        assert_eq!(slow, [""; 0], "{statement}");
    }
    // From the first row on, in the order of the key, up to the limit.
    let first = slow_steps(&store, &projections::select_page(&TABLE, false)).await;
    assert_eq!(first, ["SCAN balances_v1"]);
    // All that the inner one finds is wanted.
    let tail = slow_steps(&store, snapshots::READ).await;
    assert_eq!(tail, ["SCAN CONSTANT ROW"]);
    // The batch, not the log, is put in order.
    let batch = slow_steps(&store, committer::LOOK_UP).await;
    assert_eq!(batch, ["USE TEMP B-TREE FOR ORDER BY"]);
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
