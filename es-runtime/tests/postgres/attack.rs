//! Writers and a follower while connections are killed, transactions hold the log's lock, and the
//! server crashes: every acknowledged append is there once, at its place, and seen in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, LogQuery, NewEvent, Outcome};
use es_servers::Postgres;
use fastrand::Rng;
use sqlx::{Connection, PgConnection};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

const WRITERS: u64 = 24;
const APPENDS: u64 = 30;

fn append(stream: &StreamId, expected: u64, command: &str, events: usize) -> Append {
    let event = |n| NewEvent {
        event_type: "account.deposited",
        schema_version: 1,
        min_reader: 1,
        payload: format!(r#"{{"command":"{command}","n":{n}}}"#),
    };
    Append {
        stream: stream.clone(),
        expected,
        command_id: CommandId::of(command),
        events: (0..events).map(event).collect(),
        metadata: None,
        correlation: None,
        time: Timestamp::default(),
    }
}

/// How many appends were acknowledged so far, and a bell for each.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicU64,
    bell: Notify,
}

impl Progress {
    async fn reaches(&self, goal: u64) {
        while self.acknowledged.load(Ordering::Relaxed) < goal {
            self.bell.notified().await;
        }
    }
}

type Acknowledged = Vec<(StreamId, CommandId, Outcome)>;

/// Appends until everything is acknowledged; after an error, the same command again.
async fn write(
    store: PostgresStore,
    writer: u64,
    mut random: Rng,
    progress: Arc<Progress>,
) -> Acknowledged {
    let own = StreamId::new("account", writer).unwrap();
    let shared = StreamId::new("account", "shared").unwrap();
    let mut versions = HashMap::new();
    let mut acknowledged = Vec::new();
    for n in 0..APPENDS {
        let command = format!("{writer}/{n}");
        let stream = if random.u8(..4) == 0 { &shared } else { &own };
        let version: &mut u64 = versions.entry(stream).or_default();
        let events = random.usize(1..4);
        let outcome = loop {
            match store
                .append(append(stream, *version, &command, events))
                .await
            {
                Ok(Appended::New(outcome) | Appended::Already(outcome)) => break outcome,
                Ok(Appended::Conflict { found }) => *version = found,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            tokio::task::yield_now().await;
        };
        *version = outcome.version;
        acknowledged.push((stream.clone(), CommandId::of(&command), outcome));
        progress.acknowledged.fetch_add(1, Ordering::Relaxed);
        progress.bell.notify_one();
    }
    acknowledged
}

/// Reads from its cursor until `last` has come by; a lost connection is no reason to stop.
async fn follow(store: PostgresStore, last: CommandId) -> Vec<StoredEvent> {
    let mut seen: Vec<StoredEvent> = Vec::new();
    while seen
        .last()
        .is_none_or(|event| event.command_id != Some(last))
    {
        let cursor = seen.last().map_or(Position::START, |event| event.position);
        if let Ok(page) = store.read_log(&LogQuery::after(cursor).limit(20)).await {
            seen.extend(page.events.to_vec().unwrap());
        }
        store.wait_for_append(cursor).await;
    }
    seen
}

/// Kills every connection to the database but its own.
async fn kill_connections(admin: &mut PgConnection) {
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(kill).execute(admin).await.unwrap();
}

/// Holds the log's lock and an assigned position in an open transaction, then gives both back.
async fn hold_and_roll_back(url: &str, until: oneshot::Receiver<()>) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    let insert = "
        SELECT pg_advisory_xact_lock(1163084889, 1);
        INSERT INTO es.event SELECT coalesce(max(position), 0) + 1, 'account-ghost', 1, 0, 't', 1,
                                    1, NULL, '{}', NULL, now() FROM es.event";
    sqlx::raw_sql(insert).execute(&mut *tx).await.unwrap();
    until.await.ok();
    tx.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_held_locks_and_crashes_lose_and_reorder_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let mut server = Postgres::start();
    let url = server.database();
    // Two processes' worth of committers, and one that only reads.
    let (one, two, reader) = (
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::connect(&url).await.unwrap(),
    );
    let progress = Arc::new(Progress::default());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = if writer % 2 == 0 { &one } else { &two };
        writers.spawn(write(
            store.clone(),
            writer,
            random.fork(),
            progress.clone(),
        ));
    }
    let last = append(&StreamId::new("account", "last").unwrap(), 0, "last", 1);
    let follower = tokio::spawn(follow(reader, last.command_id));

    let mut goal = 0;
    for attack in 0..10 {
        goal += random.u64(20..WRITERS * APPENDS / 11);
        progress.reaches(goal).await;
        match attack % 3 {
            0 => kill_connections(&mut PgConnection::connect(&url).await.unwrap()).await,
            1 => {
                let (release, until) = oneshot::channel();
                let held = tokio::spawn({
                    let url = url.clone();
                    async move { hold_and_roll_back(&url, until).await }
                });
                // The lock may be granted late: whenever that is, it is given back.
                drop(release);
                held.await.unwrap();
            }
            _ => {
                server.crash();
                server.run();
            }
        }
    }
    let acknowledged: Acknowledged = writers.join_all().await.into_iter().flatten().collect();
    one.append(last).await.unwrap();
    let seen = follower.await.unwrap();

    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for (event, n) in seen.iter().zip(1..) {
        assert_eq!(event.position.get(), n, "a gap or a reorder");
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "`{}`", event.stream);
    }
    for (stream, id, outcome) in &acknowledged {
        let own = |event: &&StoredEvent| event.command_id == Some(*id) && event.stream == *stream;
        let places: Vec<_> = seen.iter().filter(own).map(|e| e.position.get()).collect();
        let first = outcome.first.get();
        let expected: Vec<_> = (first..first + u64::from(outcome.count)).collect();
        assert_eq!(places, expected, "{id} of `{stream}`");
    }
    let total: u32 = acknowledged.iter().map(|(.., outcome)| outcome.count).sum();
    assert_eq!(
        seen.len() as u64,
        u64::from(total) + 1,
        "nothing but what was acknowledged"
    );
    assert_eq!(acknowledged.len() as u64, WRITERS * APPENDS);
}

#[tokio::test]
async fn a_serializable_session_cannot_append_on_an_old_snapshot() {
    let server = Postgres::start();
    let url = server.database();
    PostgresStore::connect(&url).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let call = "BEGIN ISOLATION LEVEL REPEATABLE READ;
                SELECT es.append_1('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
                                   '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')";
    let error = sqlx::raw_sql(call)
        .execute(&mut connection)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("append in READ COMMITTED"),
        "{error}"
    );
}

#[tokio::test]
async fn events_are_never_changed_or_deleted() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let stream = StreamId::new("account", "a").unwrap();
    store.append(append(&stream, 0, "1", 1)).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in [
        "UPDATE es.event SET payload = '{}'",
        "DELETE FROM es.event",
        "TRUNCATE es.event",
    ] {
        let error = sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("never changed or deleted"),
            "{statement}: {error}"
        );
    }
}
