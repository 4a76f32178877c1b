//! The name of a read model without a version: a view that follows the live version.

use std::time::Duration;

use es_runtime::Result;
use es_runtime::event::Position;
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{
    Advance, Change, ColumnDef, ColumnKind, EventStore, Phase, ProjectionId, RowChange, Table,
    Value,
};

use crate::{File, number, run};

const AMOUNT: ColumnDef = ColumnDef {
    name: "amount",
    kind: ColumnKind::Integer,
    nullable: false,
};

const RATE: ColumnDef = ColumnDef {
    name: "rate",
    nullable: true,
    ..AMOUNT
};

fn balances(version: u32) -> Table {
    let columns: &[_] = if version == 1 {
        &[AMOUNT]
    } else {
        &[RATE, AMOUNT]
    };
    Table {
        name: "balances",
        version,
        columns,
        indexes: &[],
        slices: 1,
    }
}

/// A version that holds the amount 10 times its number.
async fn build(store: &SqliteStore, version: u32) -> Table {
    let table = balances(version);
    store.prepare_table(&table).await.unwrap();
    let (from, to) = (Position::START, Position::new(1));
    let advance = Advance::new(&table, from, to);
    let mut row = vec![Value::Null; table.columns.len()];
    *row.last_mut().unwrap() = Value::Integer(i64::from(version) * 10);
    let change = RowChange {
        key: "alice".to_owned(),
        row: Some(row),
    };
    store
        .advance_rows(advance, &table, vec![change].into())
        .await
        .unwrap();
    table
}

/// The phase of a version that says that it is complete.
async fn complete(store: &SqliteStore, id: ProjectionId) -> Result<Phase> {
    let lineage = store.change(&id, &Change::Complete, "test").await?;
    Ok(lineage.versions[&id.version].phase)
}

const SELECT: &str = "SELECT amount FROM balances WHERE key = 'alice'";

#[tokio::test]
async fn the_view_follows_the_live_version() {
    let file = File::new();
    let store = file.open().await;
    let mut person = file.outside().await;
    let (one, two) = (build(&store, 1).await, build(&store, 2).await);
    run(&mut person, SELECT).await.expect_err("nothing is live");
    assert_eq!(complete(&store, (&one).into()).await.unwrap(), Phase::Live);
    assert_eq!(number(&mut person, SELECT).await, 10);
    assert_eq!(
        complete(&store, (&two).into()).await.unwrap(),
        Phase::Shadow
    );
    assert_eq!(number(&mut person, SELECT).await, 10);
    for (table, amount) in [(&two, 20), (&one, 10), (&one, 10)] {
        let (fresh, forced) = (Duration::ZERO, Some("for a test".to_owned()));
        let promote = Change::Promote { fresh, forced };
        store.change(&table.into(), &promote, "test").await.unwrap();
        assert_eq!(number(&mut person, SELECT).await, amount);
    }
}

/// What is built on the view finds it by its name each time: nothing stands in the way of a switch.
#[tokio::test]
async fn what_is_built_on_the_view_goes_on() {
    const RICH: &str = "SELECT amount FROM rich";
    let file = File::new();
    let store = file.open().await;
    let mut person = file.outside().await;
    let (one, two) = (build(&store, 1).await, build(&store, 2).await);
    complete(&store, (&one).into()).await.unwrap();
    complete(&store, (&two).into()).await.unwrap();
    let rich = "CREATE VIEW rich AS SELECT * FROM balances WHERE amount > 1";
    run(&mut person, rich).await.unwrap();
    // Prepared now, and used again after the switch.
    assert_eq!(number(&mut person, RICH).await, 10);
    let (fresh, forced) = (Duration::ZERO, Some("for a test".to_owned()));
    let promote = Change::Promote { fresh, forced };
    store
        .change(&(&two).into(), &promote, "test")
        .await
        .unwrap();
    assert_eq!(number(&mut person, RICH).await, 20);
    // A reader of a retired version's table holds up nobody, and reads to its end.
    run(&mut person, "BEGIN").await.unwrap();
    let old = "SELECT amount FROM balances_v1";
    assert_eq!(number(&mut person, old).await, 10);
    let (quiet, forced) = (Duration::ZERO, Some("for a test".to_owned()));
    let retire = Change::Retire { quiet, forced };
    store.change(&(&one).into(), &retire, "test").await.unwrap();
    store.remove_rows(&(&one).into()).await.unwrap();
    assert_eq!(number(&mut person, old).await, 10);
    run(&mut person, "COMMIT").await.unwrap();
    run(&mut person, old).await.expect_err("its table is gone");
}

#[tokio::test]
async fn a_name_that_somebody_uses_is_left_alone() {
    for taken in [
        "CREATE TABLE balances (mine INTEGER)",
        "CREATE TABLE Balances (mine INTEGER)",
        "CREATE VIEW balances AS SELECT 1 AS mine",
        "CREATE TABLE t (mine INTEGER); CREATE INDEX balances ON t (mine)",
    ] {
        let file = File::new();
        let store = file.open().await;
        let mut person = file.outside().await;
        run(&mut person, taken).await.unwrap();
        let objects = "SELECT count(*) FROM sqlite_schema";
        let table = build(&store, 1).await;
        let before = number(&mut person, objects).await;

        let error = complete(&store, (&table).into()).await.expect_err(taken);
        println!("{error}");
        assert!(
            error.to_string().contains("`balances` is somebody else's "),
            "{error}"
        );
        assert_eq!(error.code(), "ES0125", "{error}");
        let state = store.projection(&(&table).into()).await.unwrap().unwrap();
        assert_eq!(state.phase, Phase::Building, "half done: {taken}");
        assert_eq!(number(&mut person, objects).await, before, "{taken}");
    }
    // And when the name is free, the same call does it.
    let file = File::new();
    let store = file.open().await;
    let mut person = file.outside().await;
    run(&mut person, "CREATE TABLE balances (mine INTEGER)")
        .await
        .unwrap();
    let table = build(&store, 1).await;
    complete(&store, (&table).into()).await.unwrap_err();
    run(&mut person, "ALTER TABLE balances RENAME TO my_balances")
        .await
        .unwrap();
    assert_eq!(
        complete(&store, (&table).into()).await.unwrap(),
        Phase::Live
    );
    assert_eq!(number(&mut person, SELECT).await, 10);
}
