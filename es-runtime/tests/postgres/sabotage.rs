//! The guards, taken away one at a time: the same attack, and the check must find what is wrong.
//! A cut that no longer fits the server-side call fails, so that no guard is left untested.

use std::time::Duration;

use es_runtime::error::Result;
use es_runtime::event::{CommandId, Position, StreamId};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, Outcome};
use es_servers::Postgres;
use fastrand::Rng;
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::alone::{CALL as CALL_ALONE, END};
use crate::attack::kill_connections;
use crate::gate::{End, Paused, admin, install};
use crate::law::Violation;
use crate::load::{Load, Progress, Writes, append, insist, seeded, size, stream};
use crate::refusal::{CALL, empty_call};

const NOT_ASKED: &str = "RETURN true;";

const LOCK: &str = "locked := pg_advisory_xact_lock(1163084889, 1)::text;";
const HEAD: &str = "coalesce((SELECT max(e.position) FROM es.event e), 0)";
/// What stands behind all that is read.
const DECIDE: &str = "IF actual = a_expected";
const KNOWN: &str = "AND NOT known";
const FOUND: &str = "IF FOUND THEN";
const ISOLATION: &str = "current_setting('transaction_isolation') <> 'read committed'";

/// The unique keys, which stand behind the call's own guards, made mere indexes. `es.command`
/// keeps a first outcome, as one that is looked at too late would.
pub(crate) const NO_KEYS: &str = "
    ALTER TABLE es.event DROP CONSTRAINT event_pkey, DROP CONSTRAINT event_stream_version_key;
    CREATE INDEX ON es.event (position);
    CREATE INDEX ON es.event (stream, version);
    ALTER TABLE es.command DROP CONSTRAINT command_pkey;
    CREATE INDEX ON es.command (stream, command_id)";

/// Positions as a `bigserial` column takes them: before the commit. The lock is held for no
/// longer than a sequence needs, so that those of a batch are side by side.
const NUMBERS: &str = "
    CREATE SEQUENCE public.numbers;
    CREATE FUNCTION public.number(count int) RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE head bigint;
    BEGIN
      PERFORM pg_advisory_lock(8, 8);
      SELECT coalesce(max(n), 1) - count INTO head
      FROM (SELECT nextval('public.numbers') n FROM generate_series(1, count)) taken;
      PERFORM pg_advisory_unlock(8, 8);
      RETURN head;
    END $$";

/// A part of a call's text, and what stands there instead.
pub(crate) type Cut<'a> = (&'a str, &'a str, &'a str);

pub(crate) async fn cut(admin: &mut PgConnection, cuts: &[Cut<'_>]) {
    for (call, guard, instead) in cuts {
        let text = "SELECT pg_get_functiondef($1::regproc)";
        let text = sqlx::query_scalar(text)
            .bind(call)
            .fetch_one(&mut *admin)
            .await;
        let text: String = text.unwrap();
        assert!(
            text.contains(guard),
            "`{guard}` is no longer in {call}: cut what replaced it"
        );
        let text = sqlx::AssertSqlSafe(text.replace(guard, instead));
        sqlx::raw_sql(text).execute(&mut *admin).await.unwrap();
    }
}

/// The attack in small, on a log whose guards `sabotage` and `cuts` take away.
async fn attacked(sabotage: &str, cuts: &[Cut<'_>]) -> Result<(), Violation> {
    let mut random = seeded();
    let server = Postgres::start();
    let url = server.database();
    let store = async || PostgresStore::connect(&url).await.unwrap();
    let (aside, reader) = (store().await, store().await);
    let stores = [store().await, store().await];
    install(&url).await;
    let mut admin = admin(&url).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sabotage))
        .execute(&mut admin)
        .await
        .unwrap();
    cut(&mut admin, cuts).await;
    let load = size(
        Load {
            writers: 8,
            appends: 20,
        },
        Load {
            writers: 32,
            appends: 100,
        },
    );
    let attack = async |progress: &Progress, random: &mut Rng| {
        let mut acknowledged = Vec::new();
        for (end, n) in [End::Commits, End::RollsBack, End::Commits]
            .into_iter()
            .zip(0..)
        {
            progress.advances(random.u64(1..10)).await;
            let command = format!("paused/{n}");
            let mut paused = Paused::begin(&url, aside.clone(), command, progress).await?;
            paused.is_waited_for(2 * load.writers as u64).await;
            acknowledged.push(paused.ends(end).await?);
            kill_connections(&url).await;
        }
        Ok(acknowledged)
    };
    let under = load.under(&stores, &reader, &mut random, attack);
    let under = timeout(Duration::from_secs(120), under).await;
    let result = under.expect("the attack comes to its end").map(drop);
    println!("{result:?}");
    result
}

/// A violation, whose text holds one of `words`.
#[track_caller]
fn caught(result: Result<(), Violation>, words: &[&str]) {
    let violation = result.expect_err("without its guard, the log must break a law");
    assert!(
        words.iter().any(|word| violation.contains(word)),
        "{violation}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_wrong_where_nothing_is_cut() {
    attacked("", &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_lock_is_caught() {
    caught(
        attacked(NO_KEYS, &[(CALL, LOCK, "")]).await,
        &["follower", "stands at place"],
    );
}

/// The keys are the second guard: they turn what would be a broken order into errors.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_lock_the_keys_refuse() {
    caught(attacked("", &[(CALL, LOCK, "")]).await, &["duplicate key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lock_taken_after_the_head_was_read_is_caught() {
    let late = format!("{LOCK} {DECIDE}");
    let cuts = [(CALL, LOCK, ""), (CALL, DECIDE, &late)];
    caught(
        attacked(NO_KEYS, &cuts).await,
        &["follower", "stands at place"],
    );
}

/// The late commit: a number is taken before others, and seen after them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn positions_from_a_sequence_are_caught() {
    // Without the lock, versions would collide, too.
    let sabotage = format!("{NUMBERS}; {NO_KEYS}");
    let cuts = [
        (CALL, LOCK, ""),
        (CALL, HEAD, "public.number(cardinality(e_type))"),
        (CALL_ALONE, END, "false"),
        (CALL_ALONE, NOT_ASKED, "RETURN false;"),
    ];
    caught(attacked(&sabotage, &cuts).await, &["follower"]);
}

/// A sequence under the lock is in commit order, and has holes where a transaction rolled back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn positions_from_a_sequence_under_the_lock_are_caught() {
    let cuts = [
        (CALL, HEAD, "public.number(cardinality(e_type))"),
        (CALL_ALONE, END, "false"),
        (CALL_ALONE, NOT_ASKED, "RETURN false;"),
    ];
    caught(attacked(NUMBERS, &cuts).await, &["stands at place"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn command_ids_that_nobody_looks_at_are_caught() {
    let cuts = [(CALL, KNOWN, ""), (CALL, FOUND, "IF false THEN")];
    caught(
        attacked(NO_KEYS, &cuts).await,
        &["and again with", "twice", "torn"],
    );
}

/// A retried command that was loaded anew expects the version that it made itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn command_ids_looked_at_after_the_version_are_caught() {
    let cuts = [
        (CALL, KNOWN, ""),
        (CALL, FOUND, "IF FOUND AND actual[i] <> a_expected[i] THEN"),
    ];
    caught(
        attacked(NO_KEYS, &cuts).await,
        &["and again with", "twice", "torn"],
    );
}

/// A store that appends a command's events in two commits.
#[derive(Clone)]
struct Halves(PostgresStore);

impl Writes for Halves {
    async fn append(&self, mut append: Append) -> Result<Appended> {
        if append.events.len() < 2 {
            return EventStore::append(&self.0, append).await;
        }
        let rest = append.events.split_off(1);
        let command_id = append.command_id;
        let first = EventStore::append(&self.0, append.clone()).await?;
        let (Appended::New(outcome) | Appended::Already(outcome)) = first else {
            return Ok(first);
        };
        let mut second = Append {
            expected: outcome.version,
            command_id: CommandId::of(format!("{command_id}, repeatable: true, the rest")),
            events: rest,
            ..append
        };
        loop {
            match EventStore::append(&self.0, second.clone()).await? {
                Appended::New(rest) => return Ok(Appended::New(both(outcome, rest))),
                Appended::Already(rest) => return Ok(Appended::Already(both(outcome, rest))),
                Appended::Conflict { found } => second.expected = found,
            }
        }
    }

    async fn outcome(&self, stream: &StreamId, command: CommandId) -> Result<Option<Outcome>> {
        EventStore::outcome(&self.0, stream, command).await
    }
}

fn both(first: Outcome, rest: Outcome) -> Outcome {
    let (count, version) = (first.count + rest.count, rest.version);
    Outcome {
        count,
        version,
        ..first
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_append_in_two_commits_is_caught() {
    let mut random = seeded();
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let load = Load {
        writers: 8,
        appends: 10,
    };
    let halves = [Halves(store.clone())];
    let under = load.under(&halves, &store, &mut random, async |_, _| Ok(vec![]));
    caught(under.await.map(drop), &["torn"]);
}

/// A session whose snapshot is older than the lock goes on from an older head.
#[tokio::test]
async fn an_old_snapshot_is_caught() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut admin = admin(&url).await;
    cut(&mut admin, &[(CALL, ISOLATION, "false")]).await;
    let call = empty_call(&mut admin).await;
    // The snapshot is taken by the first statement.
    let old = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM es.log";
    sqlx::raw_sql(old).execute(&mut admin).await.unwrap();
    let first = insist(
        &store,
        append(&stream("a"), 0, "1", 1),
        &Progress::default(),
    )
    .await;
    assert_eq!(first.unwrap().outcome.first, Position::new(1));
    let again = sqlx::query_scalar(sqlx::AssertSqlSafe(call))
        .fetch_one(&mut admin)
        .await;
    assert_eq!(
        again.ok(),
        Some(0_i64),
        "the head that it would write after"
    );
}
