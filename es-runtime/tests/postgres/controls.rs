//! Logs as they are often built, numbered by a sequence, and the followers that are made for them:
//! each loses an event, or stands still, where the store's own follower does neither. They show
//! that the attacks would notice, and why positions are assigned under a lock.

use es_runtime::postgres::sqlx;
use es_servers::Postgres;
use sqlx::PgConnection;

use crate::gate::admin;

const LOG: &str = "
    CREATE TABLE log (id bigserial PRIMARY KEY, name text,
                      at timestamptz DEFAULT clock_timestamp(),
                      xid xid8 DEFAULT pg_current_xact_id())";

/// A log with two writers, each in a session of its own, and what a follower has seen of it.
struct Log {
    one: PgConnection,
    two: PgConnection,
    reader: PgConnection,
    seen: Vec<String>,
}

impl Log {
    async fn start(server: &Postgres) -> Self {
        let url = server.database();
        let mut one = admin(&url).await;
        run(&mut one, LOG).await;
        let (two, reader, seen) = (admin(&url).await, admin(&url).await, vec![]);
        Self {
            one,
            two,
            reader,
            seen,
        }
    }

    /// One poll: what the query answers after a cursor, and the cursor then.
    async fn poll(&mut self, query: &'static str, cursor: &mut String) {
        let rows = sqlx::query_as(query)
            .bind(&*cursor)
            .fetch_all(&mut self.reader)
            .await;
        let rows: Vec<(String, String)> = rows.unwrap();
        for (name, at) in rows {
            self.seen.push(name);
            *cursor = at;
        }
    }
}

async fn run(session: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(session).await.unwrap();
}

const INSERT_A: &str = "INSERT INTO log (name) VALUES ('a')";
const INSERT_B: &str = "INSERT INTO log (name) VALUES ('b')";

async fn a_follower_by_sequence_loses_what_commits_late(server: &Postgres) {
    const AFTER: &str = "SELECT name, id::text FROM log WHERE id > $1::bigint ORDER BY id";
    let (mut log, mut cursor) = (Log::start(server).await, "0".to_owned());
    run(&mut log.one, "BEGIN").await;
    run(&mut log.one, INSERT_A).await;
    run(&mut log.two, INSERT_B).await;
    log.poll(AFTER, &mut cursor).await;
    run(&mut log.one, "COMMIT").await;
    log.poll(AFTER, &mut cursor).await;
    assert_eq!(log.seen, ["b"]);
}

/// It waits at a hole, and takes the number for lost when that lasts too long.
async fn a_follower_with_a_gap_timeout_loses_what_outlives_it(server: &Postgres) {
    const PATIENCE: usize = 3;
    const NEXT: &str = "SELECT name, id::text FROM log WHERE id = $1::bigint + 1";
    const BEYOND: &str = "SELECT name, id::text FROM log WHERE id > $1::bigint ORDER BY id";
    let (mut log, mut cursor) = (Log::start(server).await, "0".to_owned());
    run(&mut log.one, "BEGIN").await;
    run(&mut log.one, INSERT_A).await;
    run(&mut log.two, INSERT_B).await;
    for _ in 0..PATIENCE {
        log.poll(NEXT, &mut cursor).await;
    }
    assert!(log.seen.is_empty(), "it waits at the hole");
    log.poll(BEYOND, &mut cursor).await;
    run(&mut log.one, "COMMIT").await;
    log.poll(BEYOND, &mut cursor).await;
    assert_eq!(log.seen, ["b"]);
}

async fn a_follower_by_time_loses_what_is_slower_than_its_margin(server: &Postgres) {
    const SINCE: &str = "
        SELECT name, at::text FROM log
        WHERE at > $1::timestamptz AND at < clock_timestamp() - interval '10 ms' ORDER BY at";
    let (mut log, mut cursor) = (Log::start(server).await, "-infinity".to_owned());
    run(&mut log.one, "BEGIN").await;
    run(&mut log.one, INSERT_A).await;
    run(&mut log.two, INSERT_B).await;
    while log.seen.is_empty() {
        log.poll(SINCE, &mut cursor).await;
    }
    run(&mut log.one, "COMMIT").await;
    let margin = "SELECT pg_sleep(0.02)";
    run(&mut log.two, margin).await;
    log.poll(SINCE, &mut cursor).await;
    assert_eq!(log.seen, ["b"]);
}

/// It reads what is older than every open transaction, in the order of the sequence: a transaction
/// that is older and takes its number later turns the order around.
async fn a_follower_behind_the_horizon_by_id_loses_what_an_older_transaction_overtook(
    server: &Postgres,
) {
    const BEHIND: &str = "
        SELECT name, id::text FROM log
        WHERE id > $1::bigint AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY id";
    let (mut log, mut cursor) = (Log::start(server).await, "0".to_owned());
    run(&mut log.one, "BEGIN; SELECT pg_current_xact_id()").await;
    run(&mut log.two, "BEGIN").await;
    run(&mut log.two, INSERT_A).await;
    run(&mut log.one, INSERT_B).await;
    run(&mut log.one, "COMMIT").await;
    log.poll(BEHIND, &mut cursor).await;
    run(&mut log.two, "COMMIT").await;
    log.poll(BEHIND, &mut cursor).await;
    assert_eq!(log.seen, ["b"]);
}

/// In the order of transactions it loses nothing, and stands still while anybody in the whole
/// cluster writes.
async fn a_follower_behind_the_horizon_stands_still_for_another_database(server: &Postgres) {
    const BEHIND: &str = "
        SELECT name, xid::text || ' ' || id FROM log
        WHERE (xid, id) > (split_part($1, ' ', 1)::xid8, split_part($1, ' ', 2)::bigint)
          AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, id";
    let (mut log, mut cursor) = (Log::start(server).await, "0 0".to_owned());
    let mut elsewhere = admin(&server.database()).await;
    run(
        &mut elsewhere,
        "BEGIN; CREATE TABLE somebody_elses (id int)",
    )
    .await;
    run(&mut log.one, INSERT_A).await;
    log.poll(BEHIND, &mut cursor).await;
    assert!(log.seen.is_empty(), "it reads on: {:?}", log.seen);
    run(&mut elsewhere, "COMMIT").await;
    log.poll(BEHIND, &mut cursor).await;
    assert_eq!(log.seen, ["a"]);
}

#[tokio::test]
async fn followers_of_other_designs_lose_events_or_stand_still() {
    let server = Postgres::start();
    a_follower_by_sequence_loses_what_commits_late(&server).await;
    a_follower_with_a_gap_timeout_loses_what_outlives_it(&server).await;
    a_follower_by_time_loses_what_is_slower_than_its_margin(&server).await;
    a_follower_behind_the_horizon_by_id_loses_what_an_older_transaction_overtook(&server).await;
    a_follower_behind_the_horizon_stands_still_for_another_database(&server).await;
}
