//! The name of a read model without a version: what people did with the view outlives its switch,
//! and who is in the way is named.

use std::time::Duration;

use es_runtime::Error;
use es_runtime::event::Position;
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{
    Advance, Advanced, Change, ColumnDef, ColumnKind, EventStore, Phase, ProjectionId, RowChange,
    Table, Value,
};
use es_servers::Postgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use crate::load::{append, stream};
use crate::until::until;

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

/// Version 2 has another column, before the one that it has in common with version 1.
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

fn id(version: u32) -> ProjectionId {
    (&balances(version)).into()
}

async fn advance(store: &PostgresStore, version: u32, from: u64) {
    let table = balances(version);
    let epoch = store.projection(&id(version)).await.unwrap().unwrap().epoch;
    let (from, to) = (Position::new(from), Position::new(from + 1));
    let mut row = vec![Value::Null; table.columns.len()];
    *row.last_mut().unwrap() = Value::Integer(i64::from(version) * 10);
    let change = RowChange {
        key: "alice".to_owned(),
        row: Some(row),
    };
    let advance = Advance::new(&table, from, to).knowing(epoch);
    let moved = store
        .advance_rows(advance, &table, vec![change].into())
        .await;
    assert_eq!(moved.unwrap(), Advanced::Moved);
}

/// A version that holds the amount 10 times its number, and says that it is complete.
async fn build(store: &PostgresStore, version: u32) {
    store.prepare_table(&balances(version)).await.unwrap();
    advance(store, version, 0).await;
    let id = id(version);
    let complete = store.change(&id, &Change::Complete, "test");
    complete.await.unwrap();
}

async fn promote(store: &PostgresStore, version: u32) -> Result<(), Error> {
    let (fresh, forced) = (Duration::ZERO, Some("for a test".to_owned()));
    let promote = Change::Promote { fresh, forced };
    store.change(&id(version), &promote, "test").await.map(drop)
}

async fn retire(store: &PostgresStore, version: u32) -> Result<(), Error> {
    let (quiet, forced) = (Duration::ZERO, Some("for a test".to_owned()));
    let retire = Change::Retire { quiet, forced };
    store.change(&id(version), &retire, "test").await.map(drop)
}

async fn phase(store: &PostgresStore, version: u32) -> Phase {
    store.projection(&id(version)).await.unwrap().unwrap().phase
}

async fn run(person: &mut PgConnection, sql: &'static str) {
    let ran = raw_sql(sql).execute(person).await;
    ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn text(person: &mut PgConnection, sql: &'static str) -> String {
    let text = sqlx::query_scalar(sql).fetch_one(person).await;
    text.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// A store with both versions, the first one live, and a person beside it.
async fn both(server: &Postgres) -> (PostgresStore, PgConnection) {
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    build(&store, 1).await;
    build(&store, 2).await;
    (store, PgConnection::connect(&url).await.unwrap())
}

const AMOUNT_OF_ALICE: &str = "SELECT amount::text FROM balances WHERE key = 'alice'";

/// All that is on the view beside its columns.
const ON_IT: &str = "
    SELECT concat_ws(' | ', pg_get_userbyid(relowner), array_to_string(reloptions, ', '),
             obj_description(oid, 'pg_class'),
             (SELECT string_agg(acl::text, ', ' ORDER BY acl::text) FROM unnest(relacl) acl),
             (SELECT string_agg(format('%s %s %s', attname, attacl, col_description(oid, attnum)),
                                ', ' ORDER BY attname)
              FROM pg_attribute WHERE attrelid = c.oid AND attname IN ('key', 'amount')))
    FROM pg_class c WHERE oid = to_regclass('balances')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_did_with_the_view_outlives_its_switch() {
    let server = Postgres::start();
    let (store, mut person) = both(&server).await;
    run(
        &mut person,
        r#"CREATE ROLE teller; CREATE ROLE "the auditor"; CREATE ROLE dba; CREATE ROLE intruder;
           GRANT CREATE ON SCHEMA public TO dba;
           ALTER VIEW balances SET (security_barrier = true);
           ALTER VIEW balances OWNER TO dba;
           GRANT SELECT ON balances_v1, balances_v2 TO dba;
           GRANT SELECT ON balances TO teller WITH GRANT OPTION;
           GRANT SELECT (key, amount), UPDATE (amount) ON balances TO "the auditor";
           GRANT REFERENCES ON balances TO PUBLIC;
           COMMENT ON COLUMN balances.amount IS 'in øre; it''s "whole"';
           COMMENT ON VIEW balances IS 'the live version of a read model; ask Ann';
           ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO intruder"#,
    )
    .await;
    let before = text(&mut person, ON_IT).await;
    println!("{before}");
    for expected in [
        "teller=r*/dba",
        "\\\"the auditor\\\"=r",
        "ask Ann",
        "øre",
        "security_barrier",
    ] {
        let plain = before.replace("\\\"", "\"");
        assert!(
            plain.contains(&expected.replace("\\\"", "\"")),
            "{expected}: {before}"
        );
    }
    for version in [2, 1, 2] {
        promote(&store, version).await.unwrap();
        assert_eq!(text(&mut person, ON_IT).await, before, "after {version}");
    }
    run(&mut person, "SET ROLE teller").await;
    assert_eq!(text(&mut person, AMOUNT_OF_ALICE).await, "20");
    run(
        &mut person,
        "RESET ROLE; REVOKE SELECT ON balances_v1 FROM dba",
    )
    .await;
    // Its owner could not read for the others any more.
    let refused = promote(&store, 1).await.unwrap_err();
    assert!(refused.is_refused(), "{refused}");
    let text = "belongs to the role `dba`, which may not read `balances_v1`";
    assert!(refused.to_string().contains(text), "{refused}");
    assert_eq!(phase(&store, 2).await, Phase::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_built_on_the_view_is_named_and_stays() {
    let server = Postgres::start();
    let (store, mut person) = both(&server).await;
    run(
        &mut person,
        "CREATE VIEW rich AS SELECT * FROM balances WHERE amount > 1;
         CREATE FUNCTION poor() RETURNS SETOF balances LANGUAGE SQL AS 'SELECT * FROM balances'",
    )
    .await;
    let refused = promote(&store, 2).await.unwrap_err();
    println!("{refused}");
    assert!(refused.is_refused(), "{refused}");
    for named in [
        "cannot promote `balances@2`",
        "view rich",
        "function poor()",
    ] {
        assert!(refused.to_string().contains(named), "{refused}");
    }
    assert_eq!(text(&mut person, AMOUNT_OF_ALICE).await, "10");
    assert_eq!(phase(&store, 2).await, Phase::Shadow);
    run(&mut person, "DROP VIEW rich; DROP FUNCTION poor()").await;
    promote(&store, 2).await.unwrap();
    assert_eq!(text(&mut person, AMOUNT_OF_ALICE).await, "20");

    // The same of a version's own table, and of the last version's view.
    run(
        &mut person,
        "CREATE VIEW old AS SELECT * FROM balances_v1; CREATE VIEW rich AS SELECT * FROM balances",
    )
    .await;
    retire(&store, 1).await.unwrap();
    let refused = store.remove_rows(&id(1)).await.unwrap_err();
    assert!(refused.is_refused(), "{refused}");
    assert!(refused.to_string().contains("view old"), "{refused}");
    run(&mut person, "DROP VIEW old").await;
    store.remove_rows(&id(1)).await.unwrap();
    let refused = retire(&store, 2).await.unwrap_err();
    assert!(refused.is_refused(), "{refused}");
    assert!(
        refused.to_string().contains("cannot retire `balances@2`"),
        "{refused}"
    );
    assert_eq!(phase(&store, 2).await, Phase::Live);
    run(&mut person, "DROP VIEW rich").await;
    retire(&store, 2).await.unwrap();
    let there = "SELECT coalesce(to_regclass('balances')::text, 'nothing')";
    assert_eq!(text(&mut person, there).await, "nothing");
}

/// Whether somebody waits for a lock on this relation.
const WAITS: &str = "
    SELECT count(*)::text FROM pg_locks
    WHERE NOT granted AND relation IN (to_regclass('balances'), to_regclass('balances_v1'))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_in_the_way_is_named_and_nobody_else_waits() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    build(&store, 1).await;
    build(&store, 2).await;
    let mut person = PgConnection::connect(&url).await.unwrap();
    let mut reader = PgConnection::connect(&url).await.unwrap();
    run(&mut reader, "SET application_name = 'monthly report'").await;
    let reads = "BEGIN; SELECT * FROM balances";
    run(&mut reader, reads).await;

    let (mut appended, mut at) = (0, 1);
    for step in ["promote", "remove"] {
        if step == "remove" {
            // The version is over at once; its table goes when nobody reads it.
            run(&mut reader, "COMMIT").await;
            promote(&store, 2).await.unwrap();
            run(&mut reader, "BEGIN; SELECT * FROM balances_v1").await;
            retire(&store, 1).await.unwrap();
        }
        let waiting = {
            let store = store.clone();
            tokio::spawn(async move {
                match step {
                    "promote" => promote(&store, 2).await,
                    _ => store.remove_rows(&id(1)).await,
                }
            })
        };
        let waits = async || (text(&mut person, WAITS).await != "0").then_some(());
        until("it waits for the reader", waits).await;
        // Commands go on meanwhile, and so do those who read something else.
        let mut more = PgConnection::connect(&url).await.unwrap();
        for _ in 0..20 {
            let name = format!("{step} {appended}");
            store
                .append(append(&stream("a"), appended, &name, 1))
                .await
                .unwrap();
            appended += 1;
        }
        let read = "SELECT amount::text FROM balances_v2";
        assert_eq!(text(&mut more, read).await, "20");
        if step == "remove" {
            advance(&store, 2, at).await;
            at += 1;
            assert_eq!(text(&mut more, AMOUNT_OF_ALICE).await, "20");
        }
        assert!(!waiting.is_finished(), "it did not wait");
        let error = waiting.await.unwrap().unwrap_err();
        println!("{error}");
        assert_eq!(error.code(), "ES0193", "{error}");
        assert!(error.is_transient(), "{error}");
        let who = "(tester, monthly report, idle in transaction since ";
        assert!(error.to_string().contains(who), "{error}");
    }
    assert_eq!(phase(&store, 1).await, Phase::Retired);
    let there = "SELECT coalesce(to_regclass('balances_v1')::text, 'nothing')";
    assert_eq!(text(&mut person, there).await, "balances_v1");
    run(&mut reader, "COMMIT").await;
    store.remove_rows(&id(1)).await.unwrap();
    assert_eq!(text(&mut person, there).await, "nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_was_prepared_before_goes_on_if_it_names_its_columns() {
    let server = Postgres::start();
    let (store, mut person) = both(&server).await;
    run(
        &mut person,
        "PREPARE named AS SELECT amount FROM balances; PREPARE all_of_it AS SELECT * FROM balances;
         EXECUTE named; EXECUTE all_of_it",
    )
    .await;
    promote(&store, 2).await.unwrap();
    let amount: i64 = sqlx::query_scalar("EXECUTE named")
        .persistent(false)
        .fetch_one(&mut person)
        .await
        .unwrap();
    assert_eq!(amount, 20);
    let error = raw_sql(AssertSqlSafe("EXECUTE all_of_it".to_owned()))
        .execute(&mut person)
        .await
        .unwrap_err();
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("0A000"), "{error}");
}
