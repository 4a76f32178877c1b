//! How PostgreSQL runs every statement on a log of some size: by a key, whatever it grows to. The
//! server counts; that holds for statements inside the append's call, too.

use es_runtime::aggregate::Fingerprint;
use es_runtime::event::{CommandId, Position, StoredEvent, StreamId, Timestamp};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{
    AcceptedCommand, Append, Appended, ColumnDef, ColumnKind, EventStore, IndexDef, LogQuery,
    NewEvent, Outcome, PublishedQuery, Segment, Snapshot, StreamQuery, StreamVersion, Table,
};
use es_servers::Postgres;
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};

const EVENTS: i64 = 100_000;

/// Streams of ten events, a command for each event.
const FILL: &str = "
    INSERT INTO es.event
    SELECT n, 'account-' || (n - 1) / 10, (n - 1) % 10 + 1, n % 1024, 'account.deposited', 1, 1,
           md5(n::text)::uuid, '{\"amount\":1}', '{}', now()
    FROM generate_series(1, $1) n";
const FILL_COMMANDS: &str = "
    INSERT INTO es.command (stream, command_id, first_position, count, version, at, correlation)
    SELECT stream, command_id, position, 1, version, occurred_at,
           CASE WHEN position % 100 = 0 THEN 'visit-' || position END
    FROM es.event";
/// A snapshot for every second stream.
const FILL_SNAPSHOTS: &str = "
    INSERT INTO es.snapshot (stream, fingerprint, version, state, seal, at)
    SELECT stream, decode(repeat('07', 16), 'hex'), version, '{}', decode(repeat('00', 32), 'hex'),
           occurred_at
    FROM es.event WHERE position % 20 = 5";

/// Two streams, one of them long.
const FILL_PUBLISHED: &str = "
    INSERT INTO es.published (stream, version, position, source, type, subject, payload,
                              occurred_at, recorded_at, salt, hash)
    SELECT s, 1, n, n, 'bank.changed.v1', (n % 1000)::text, '{\"amount\":1}', now(), now(),
           decode(repeat('00', 16), 'hex'), decode(repeat('00', 32), 'hex')
    FROM unnest('{accounts,orders}'::text[]) s, generate_series(1, $1) n";

async fn run(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = sqlx::query(statement);
    let query = if statement.contains("$1") {
        query.bind(EVENTS)
    } else {
        query
    };
    query.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Sequential scans of our tables so far. A session tells what it did when it ends, at the latest.
async fn scans(url: &str) -> Vec<(String, i64)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let scans = "SELECT relname::text, seq_scan FROM pg_stat_user_tables
                 WHERE schemaname = 'es' AND relname IN ('event', 'command', 'snapshot', 'published') ORDER BY 1";
    let scans = sqlx::query_as(scans).fetch_all(&mut connection).await;
    connection.close().await.unwrap();
    scans.unwrap()
}

fn append(stream: &str, expected: u64, command: &str, events: usize) -> Append {
    let event = NewEvent {
        event_type: "account.deposited",
        schema_version: 1,
        min_reader: 1,
        payload: "{}".to_owned(),
    };
    Append {
        stream: StreamId::new("account", stream).unwrap(),
        expected,
        command_id: CommandId::of(command),
        repeatable: true,
        events: vec![event; events],
        metadata: None,
        correlation: None,
        time: Timestamp::default(),
        known_instances: None,
    }
}

/// Appends of a store that is alone, one by one and side by side, with one event and with more.
async fn append_alone(store: &PostgresStore) {
    let plain = |name: String, expected: u64, events| Append {
        repeatable: false,
        ..append(&name, expected, &format!("{name}/{expected}"), events)
    };
    for n in 0..20 {
        let appended = store.append(plain("alone".to_owned(), n, 1)).await;
        assert!(matches!(appended.unwrap(), Appended::New(_)));
    }
    for n in 0..20 {
        let events = usize::from(n >= 10) + 1;
        let one = |i| store.append(plain(format!("beside-{n}-{i}"), 0, events));
        for appended in join_all((0..4).map(one)).await {
            assert!(matches!(appended.unwrap(), Appended::New(_)));
        }
    }
}

/// Every statement that reads or writes the log, often enough for plans that are kept.
async fn use_everything(store: &PostgresStore) {
    append_alone(store).await;
    let new = |appended| assert!(matches!(appended, Appended::New(_)), "{appended:?}");
    for n in 0..8 {
        let (own, command) = (format!("new-{n}"), format!("command {n}"));
        new(store.append(append(&own, 0, &command, 2)).await.unwrap());
        // Accepted before, and a conflict: the call's other way.
        store.append(append(&own, 2, &command, 2)).await.unwrap();
        store.append(append(&own, 7, "stale", 1)).await.unwrap();
        let tx = store.begin().await.unwrap();
        new(tx
            .append(append(&own, 2, "in a transaction", 1))
            .await
            .unwrap());
        let stream = StreamId::new("account", n * 100).unwrap();
        for query in [
            StreamQuery::after(3),
            StreamQuery::after(3).bare(),
            StreamQuery::before(7).limit(2),
        ] {
            let page = store.read_stream(&stream, query).await.unwrap();
            assert!(!page.events.is_empty());
        }
        // Loads at once share a call.
        let short = StreamQuery::after(3).limit(100).bare();
        let loads = (0..8).map(|_| store.read_stream(&stream, short));
        for page in join_all(loads).await {
            assert_eq!(page.unwrap().events.len(), 7);
        }
        store.outcome(&stream, CommandId::of("none")).await.unwrap();
        let after = LogQuery::after(Position::new(50_000 + n)).limit(100);
        store.read_log(&after).await.unwrap();
        store.read_log(&after.clone().slices(0..512)).await.unwrap();
        store
            .read_log(&after.types(["account.opened"]))
            .await
            .unwrap();
        let visit = format!("visit-{}", (n + 1) * 100);
        let found = store.read_correlated(&visit, Position::START, 10).await;
        assert_eq!(found.unwrap().events.len(), 1);
        store.head().await.unwrap();
        use_published(store, n).await;
        use_snapshots(store, n).await;
        use_segments(store, n).await;
    }
}

/// Pages of an integration stream, with and without a filter, and the head alone.
async fn use_published(store: &PostgresStore, n: u64) {
    let stream = StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    };
    let all = PublishedQuery::after(&stream, Position::new(50_000 + n));
    let head = all.clone().limit(0);
    let some = all.clone().types(["bank.changed.v1"]).subject("7");
    for (query, found) in [(all, 1000), (head, 0), (some, 10)] {
        let page = store.query_published(&query).await.unwrap();
        assert_eq!((page.events.len(), page.head.get()), (found, 100_000));
    }
}

async fn use_snapshots(store: &PostgresStore, n: u64) {
    let fingerprint = Fingerprint::from_bytes([7; 16]);
    // The first stream has one at its fifth version, the next one none.
    for (stream, found, events) in [(n * 100, true, 6), (n * 100 + 1, false, 10)] {
        let stream = StreamId::new("account", stream).unwrap();
        let read = store.read_snapshot(&stream, fingerprint, 100).await;
        let (snapshot, page) = read.unwrap();
        assert_eq!((snapshot.is_some(), page.events.len()), (found, events));
    }
    let stream = StreamId::new("account", n * 100 + 3).unwrap();
    let snapshot = Snapshot {
        stream: stream.clone(),
        fingerprint,
        version: 3,
        state: "{}".to_owned(),
        seal: [0; 32],
        time: Timestamp::default(),
    };
    store.write_snapshots(vec![snapshot]).await.unwrap();
    let removed = store.remove_snapshot(&stream, fingerprint, 3).await;
    removed.unwrap();
}

/// History that goes in and out: one event for a stream that is there, and a command without one.
async fn use_segments(store: &PostgresStore, n: u64) {
    let id = |of: &str| CommandId::of(format!("{of} {n}"));
    let after = store.head().await.unwrap();
    let stream = StreamId::new("account", n * 100).unwrap();
    let command = |command_id, first, count, version| AcceptedCommand {
        stream: stream.clone(),
        command_id,
        outcome: Outcome {
            first,
            count,
            version,
        },
        time: Timestamp::default(),
        correlation: None,
    };
    let event = StoredEvent {
        position: after.next(),
        stream: stream.clone(),
        version: 11,
        event_type: "account.deposited".to_owned(),
        schema_version: 1,
        min_reader: 1,
        command_id: Some(id("imported")),
        payload: "{}".to_owned(),
        metadata: None,
        time: Timestamp::default(),
    };
    let commands = vec![
        command(id("empty"), after.next(), 0, 10),
        command(id("imported"), after.next(), 1, 11),
    ];
    let events = vec![event];
    let segment = Segment {
        after,
        events,
        commands,
    };
    store.import(segment).await.unwrap();
    let keys = ["empty", "imported", "nothing"].map(|of| (stream.clone(), id(of)));
    assert_eq!(store.read_commands(&keys).await.unwrap().len(), 2);
    let empty = store.read_empty_commands(after, Some(&keys[0]), 10).await;
    assert!(empty.unwrap().len() <= 1);
    let empty = store.read_empty_commands(after.next(), None, 10).await;
    assert_eq!(empty.unwrap().len(), 1);
    let long_ago = Timestamp::from_micros(-1);
    assert_eq!(store.forget_commands(long_ago, 1000).await.unwrap(), 0);
}

#[tokio::test]
async fn no_statement_scans_a_log_that_was_analysed() {
    let server = Postgres::start();
    let url = server.database();
    PostgresStore::connect(&url).await.unwrap().close().await;
    for statement in [
        FILL,
        FILL_COMMANDS,
        FILL_SNAPSHOTS,
        FILL_PUBLISHED,
        "VACUUM ANALYZE es.event",
        "VACUUM ANALYZE es.command",
        "VACUUM ANALYZE es.snapshot",
        "VACUUM ANALYZE es.published",
    ] {
        run(&url, statement).await;
    }
    let before = scans(&url).await;
    let store = PostgresStore::connect(&url).await.unwrap();
    use_everything(&store).await;
    store.close().await;
    assert_eq!(scans(&url).await, before);

    // And what goes by no key is noticed.
    run(
        &url,
        "SELECT count(*) FROM es.event WHERE type = 'account.opened'",
    )
    .await;
    assert_ne!(scans(&url).await, before);
}

/// A plan that was made for a handful of rows, and is kept, must not become slower with each row.
#[tokio::test]
async fn appends_do_not_scan_a_log_that_was_analysed_when_it_was_small() {
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    store.append(append("first", 0, "first", 1)).await.unwrap();
    store.close().await;
    run(&url, "VACUUM ANALYZE es.event").await;
    run(&url, "VACUUM ANALYZE es.command").await;
    let before = scans(&url).await;
    let store = PostgresStore::connect(&url).await.unwrap();
    for n in 0..50 {
        let appended = store
            .append(append("first", n + 1, &n.to_string(), 1))
            .await;
        assert!(matches!(appended.unwrap(), Appended::New(_)));
    }
    append_alone(&store).await;
    store.close().await;
    assert_eq!(scans(&url).await, before);
}

/// A long history is loaded into a table without them, and it is not complete before they are made.
#[tokio::test]
async fn indexes_are_made_after_a_long_load() {
    const TABLE: Table = Table {
        name: "balances",
        version: 1,
        columns: &[ColumnDef {
            name: "amount",
            kind: ColumnKind::Integer,
            nullable: false,
        }],
        indexes: &[IndexDef {
            columns: &[0],
            unique: false,
        }],
        slices: 1,
    };
    const SHORT: Table = Table {
        name: "short",
        ..TABLE
    };
    let server = Postgres::start();
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let indexes = async |table: Table| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = $1";
        let indexes = sqlx::query_scalar::<_, i64>(indexes).bind(table.sql_name());
        indexes.fetch_one(&mut connection).await.unwrap()
    };
    store.prepare_table(&SHORT).await.unwrap();
    assert_eq!(indexes(SHORT).await, 2);
    run(&url, FILL).await;
    store.prepare_table(&TABLE).await.unwrap();
    assert_eq!(indexes(TABLE).await, 1);
    for _ in 0..2 {
        store.complete_table(&TABLE).await.unwrap();
        assert_eq!(indexes(TABLE).await, 2);
    }
}
