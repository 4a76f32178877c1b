//! A lone append of one event goes by a call of its own, and is answered as any other.

use es_runtime::event::{CommandId, Position, Timestamp};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, LogQuery};
use es_servers::Postgres;
use sqlx::PgConnection;

use crate::gate::admin;
use crate::load::{append, stream};

pub(crate) const CALL: &str = "es.append_one_1";

/// An append that needs no row for its command.
fn lone(expected: u64, command: &str) -> Append {
    Append {
        repeatable: false,
        ..append(&stream("a"), expected, command, 1)
    }
}

fn at(position: u64, version: u64) -> impl Fn(Appended) -> bool {
    move |appended| match appended {
        Appended::New(done) | Appended::Already(done) => {
            (done.first, done.count, done.version) == (Position::new(position), 1, version)
        }
        Appended::Conflict { .. } => false,
    }
}

/// What the store's session asked last.
async fn asked(admin: &mut PgConnection) -> String {
    let asked = "SELECT query FROM pg_stat_activity
                 WHERE query LIKE '%es.append%' AND pid <> pg_backend_pid()
                   AND datname = current_database()";
    sqlx::query_scalar(asked).fetch_one(admin).await.unwrap()
}

#[tokio::test]
async fn it_is_answered_as_any_other() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut admin = admin(&url).await;
    for n in 0..10 {
        let appended = store.append(lone(n, &format!("{n}"))).await.unwrap();
        assert!(matches!(appended, Appended::New(_)), "{appended:?}");
        assert!(at(n + 1, n + 1)(appended), "{appended:?}");
        assert!(asked(&mut admin).await.contains(CALL));
    }
    // The last of them again, an earlier one, one that comes too late, and one that comes too early.
    for (n, position) in [(9, 10), (3, 4)] {
        let again = store.append(lone(n, &format!("{n}"))).await.unwrap();
        assert!(matches!(again, Appended::Already(_)), "{again:?}");
        assert!(at(position, position)(again), "{again:?}");
    }
    for expected in [0, 9, 11] {
        let other = store.append(lone(expected, "other")).await.unwrap();
        assert_eq!(other, Appended::Conflict { found: 10 });
    }
    // What is kept beside the event needs the call for many.
    let kept = Append {
        repeatable: true,
        ..lone(10, "kept")
    };
    let kept = store.append(kept).await.unwrap();
    assert!(at(11, 11)(kept), "{kept:?}");
    assert!(!asked(&mut admin).await.contains(CALL));
}

#[tokio::test]
async fn its_row_is_the_same() {
    let server = Postgres::start();
    let store = PostgresStore::connect(&server.database()).await.unwrap();
    let append = |stream: &str, repeatable| {
        let mut append = Append {
            repeatable,
            metadata: Some(r#"{"actor":"me"}"#.to_owned()),
            time: Timestamp::from_micros(1_234_567),
            ..append(&crate::load::stream(stream), 0, "same", 1)
        };
        append.events[0].schema_version = 7;
        append.events[0].min_reader = 5;
        append
    };
    store.append(append("one", false)).await.unwrap();
    store.append(append("many", true)).await.unwrap();
    let all = LogQuery::after(Position::START).limit(10);
    let events = store.read_log(&all).await.unwrap().events;
    let [mut one, many] = <[_; 2]>::try_from(events.to_vec().unwrap()).unwrap();
    assert_eq!(one.command_id, Some(CommandId::of("same")));
    assert_eq!(
        (one.stream, one.position),
        (stream("one"), Position::new(1))
    );
    (one.stream, one.position) = (many.stream.clone(), many.position);
    assert_eq!(one, many);
    // Those of a stream's slice are found by it, whichever call wrote them.
    let slice = stream("one").slice();
    let query = LogQuery::after(Position::START).limit(10);
    let found = store.read_log(&query.slices(slice..slice + 1)).await;
    assert!(
        found
            .unwrap()
            .events
            .to_vec()
            .unwrap()
            .iter()
            .any(|e| e.stream == stream("one"))
    );
}

/// Positions that were given once are not given again, whoever lost their events.
#[tokio::test]
async fn it_stays_above_the_floor() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let first = store.append(lone(0, "first")).await.unwrap();
    assert!(at(1, 1)(first), "{first:?}");
    let raise = "UPDATE es.log SET floor = 100";
    sqlx::raw_sql(raise)
        .execute(&mut admin(&url).await)
        .await
        .unwrap();
    for (n, position) in [(1, 101), (2, 102)] {
        let next = store.append(lone(n, &format!("{n}"))).await.unwrap();
        assert!(at(position, n + 1)(next), "{next:?}");
    }
}

/// Whoever chose the versions of its events before another instance came is told so.
#[tokio::test]
async fn it_knows_of_all_instances() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let register = "INSERT INTO es.instance (service, knows, started, seen, until)
                    VALUES ('bank', '{}', now(), now(), now()) RETURNING number";
    let number: i64 = sqlx::query_scalar(register)
        .fetch_one(&mut admin(&url).await)
        .await
        .unwrap();
    let number = number.unsigned_abs();
    let append = |known_instances| Append {
        known_instances: Some(known_instances),
        ..lone(0, "one")
    };
    let error = store.append(append(number - 1)).await.unwrap_err();
    assert_eq!(error.code(), "ES0178", "{error}");
    let appended = store.append(append(number)).await.unwrap();
    assert!(at(1, 1)(appended), "{appended:?}");
}
