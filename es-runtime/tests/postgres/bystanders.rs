//! What others do near the log, and must not touch it: transactions elsewhere, time-outs, clocks,
//! and a log that is still empty.

use std::time::Duration;

use es_runtime::event::{Position, Timestamp};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_servers::Postgres;
use fastrand::Rng;
use tokio::time::timeout;

use crate::gate::{HOLD, admin};
use crate::load::{Load, Progress, Reads, State, append, insist, seeded, size, stream};

const LOAD: Load = Load {
    writers: 8,
    appends: 20,
};

async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(url).await.unwrap()
}

/// A writing transaction holds back every reader that waits for a transaction horizon, which is
/// the whole cluster's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_idle_writing_transaction_in_another_database_holds_nobody_back() {
    let mut random = seeded();
    let server = Postgres::start();
    let mut elsewhere = admin(&server.database()).await;
    let write = "BEGIN; CREATE TABLE somebody_elses (id int)";
    sqlx::raw_sql(write).execute(&mut elsewhere).await.unwrap();
    let url = server.database();
    let stores = [connect(&url).await, connect(&url).await];
    let under = LOAD.under(&stores, &stores[1], &mut random, async |_, _| Ok(vec![]));
    let under = timeout(Duration::from_secs(60), under).await;
    under.expect("the follower is held back").unwrap();
    let open = "SELECT pg_current_xact_id_if_assigned()::text";
    let open: Option<String> = sqlx::query_scalar(open)
        .fetch_one(&mut elsewhere)
        .await
        .unwrap();
    assert!(open.is_some(), "the transaction was open all the time");
}

/// Where the first number of a sequence is told from none at all by its `last_value`, the first
/// event is the one that gets lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_event_of_a_fresh_log_reaches_whoever_waited_for_it() {
    let server = Postgres::start();
    for n in 0..size(5, 50) {
        let url = server.database();
        let (writer, reader) = (connect(&url).await, connect(&url).await);
        assert_eq!(reader.read_log(Position::START, 10).await.unwrap().len(), 0);
        let waiting = tokio::spawn(async move {
            loop {
                reader.wait_for_append(Position::START).await;
                let page = reader.read_log(Position::START, 10).await.unwrap();
                if !page.is_empty() {
                    return page;
                }
            }
        });
        let first = append(&stream("first"), 0, &format!("{n}"), 1);
        insist(&writer, first.clone(), &Progress::default())
            .await
            .unwrap();
        let page = timeout(Duration::from_secs(10), waiting).await;
        let page = page.expect("the follower waits for ever").unwrap();
        let seen: Vec<_> = page
            .iter()
            .map(|e| (e.position.get(), e.command_id))
            .collect();
        assert_eq!(seen, [(1, Some(first.command_id))]);
    }
}

/// Appends that run into the server's time-out fail, say so, and succeed when they are repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_statement_that_takes_too_long_is_an_error_and_no_gap() {
    let mut random = seeded();
    let server = Postgres::start();
    let url = server.database();
    connect(&url).await;
    let limit = "DO $$ BEGIN EXECUTE
        format('ALTER DATABASE %I SET statement_timeout = ''60ms''', current_database()); END $$";
    sqlx::raw_sql(limit)
        .execute(&mut admin(&url).await)
        .await
        .unwrap();
    // A store with a limit of its own is told the same by its URL.
    let url = format!("{url}&statement_timeout=60ms");
    let (stores, reader) = (
        [connect(&url).await, connect(&url).await],
        connect(&url).await,
    );
    let attack = async |progress: &Progress, random: &mut Rng| {
        for _ in 0..size(4, 40) {
            progress.advances(random.u64(1..LOAD.total() / 10)).await;
            let (mut holder, before) = (admin(&url).await, ran_out(&progress.state()));
            sqlx::raw_sql(HOLD).execute(&mut holder).await.unwrap();
            progress.reaches(|state| ran_out(state) > before).await;
        }
        Ok(vec![])
    };
    let load = Load {
        appends: size(40, 400),
        ..LOAD
    };
    let state = load
        .under(&stores, &reader, &mut random, attack)
        .await
        .unwrap();
    assert!(
        ran_out(&state) > 0,
        "nothing ran out of time: {:?}",
        state.errors
    );
}

fn ran_out(state: &State) -> u64 {
    let errors = state.errors.iter();
    let timeouts = errors.filter(|(error, _)| error.contains("statement timeout"));
    timeouts.map(|(_, times)| times).sum()
}

/// The injected clock jumps by days, in both directions: the order is none of its business.
#[tokio::test]
async fn a_clock_that_jumps_changes_no_order() {
    const DAY: i64 = 86_400_000_000;
    let mut random = seeded();
    let server = Postgres::start();
    let url = server.database();
    let stores = [connect(&url).await, connect(&url).await];
    let mut times = Vec::new();
    for n in 0..size(60, 2000_u64) {
        let time = Timestamp::from_micros(random.i64(-DAY * 400..DAY * 30_000));
        let mut append = append(&stream(n % 3), n / 3, &format!("{n}"), 1);
        append.time = time;
        let store = random.choice(&stores).unwrap();
        let done = insist(store, append, &Progress::default()).await.unwrap();
        assert_eq!(
            (done.outcome.first, done.outcome.version),
            (Position::new(n + 1), n / 3 + 1)
        );
        times.push((n + 1, time));
    }
    let log = stores[0]
        .read_log(Position::START, times.len() + 1)
        .await
        .unwrap();
    let kept: Vec<_> = log
        .iter()
        .map(|event| (event.position.get(), event.time))
        .collect();
    assert_eq!(kept, times);
}
