//! Many callers that load streams at once share calls, and each is answered as if it were alone.

use std::time::{Duration, Instant};

use es_runtime::error::Result;
use es_runtime::event::StreamId;
use es_runtime::postgres::sqlx::{self, Connection, PgConnection};
use es_runtime::postgres::{PostgresOptions, PostgresStore};
use es_runtime::store::{Append, Appended, EventStore, StreamPage, StreamQuery};
use es_servers::Postgres;
use futures_util::future::{FutureExt, join_all};
use tokio::task::JoinSet;

use crate::load::{append, seeded, stream};
use crate::until::until;

/// Calls under way at once: half of the connections.
const LANES: usize = 2;

/// A store with few connections, in a new database of the server.
async fn connect(server: &Postgres) -> (String, PostgresStore) {
    let url = server.database();
    let options: PostgresOptions = url.parse().unwrap();
    let options = options.pool_size(2 * u32::try_from(LANES).unwrap());
    (url, PostgresStore::connect_with(options).await.unwrap())
}

async fn write(store: &PostgresStore, append: Append) {
    let appended = store.append(append).await.unwrap();
    assert!(matches!(appended, Appended::New(_)), "{appended:?}");
}

/// What a command asks for, before it decides.
async fn load(store: &PostgresStore, stream: &StreamId, limit: usize) -> Result<StreamPage> {
    let query = StreamQuery::after(0).limit(limit).bare();
    store.read_stream(stream, query).await
}

fn loads<'a>(
    store: &'a PostgresStore,
    names: &'a [StreamId],
) -> impl Iterator<Item = impl Future<Output = Result<StreamPage>> + use<'a>> + use<'a> {
    names.iter().map(|name| load(store, name, 100))
}

/// A table that nobody reads for now, and who waits for it.
struct Locked {
    holder: PgConnection,
    observer: PgConnection,
}

impl Locked {
    async fn new(url: &str) -> Self {
        let mut holder = PgConnection::connect(url).await.unwrap();
        for statement in ["BEGIN", "LOCK TABLE es.event"] {
            sqlx::query(statement).execute(&mut holder).await.unwrap();
        }
        let observer = PgConnection::connect(url).await.unwrap();
        Self { holder, observer }
    }

    /// The sessions that wait, and whether each asks for several streams.
    async fn waiting(&mut self) -> Vec<(i32, bool)> {
        let waiting = "SELECT pid, query LIKE '%ORDINALITY%' FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting = sqlx::query_as(waiting).fetch_all(&mut self.observer);
        waiting.await.unwrap()
    }

    async fn cancel(&mut self, session: i32) {
        let cancel = sqlx::query("SELECT pg_cancel_backend($1)").bind(session);
        cancel.execute(&mut self.observer).await.unwrap();
    }

    async fn wait_for(&mut self, what: &str, enough: impl Fn(&[(i32, bool)]) -> bool) -> Vec<i32> {
        until(what, async || {
            let waiting = self.waiting().await;
            let sessions = || waiting.iter().map(|(session, _)| *session).collect();
            enough(&waiting).then(sessions)
        })
        .await
    }

    async fn release(self) {
        self.holder.close().await.unwrap();
    }
}

/// Streams of one event, of more than a short page, of none, and some that are too large for one
/// answer together.
async fn streams(store: &PostgresStore) -> Vec<(StreamId, usize)> {
    let mut streams = Vec::new();
    for n in 0..60 {
        let (name, events) = (stream(n), [1, 300, 0][n % 3]);
        if events > 0 {
            write(store, append(&name, 0, &format!("first of {n}"), events)).await;
        }
        streams.push((name, events));
    }
    for n in 60..64 {
        let mut large = append(&stream(n), 0, &format!("first of {n}"), 1);
        large.events[0].payload = format!("\"{}\"", "x".repeat(3 << 20));
        streams.push((large.stream.clone(), 1));
        write(store, large).await;
    }
    streams
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_at_once_share_calls_and_each_gets_its_own_stream() {
    let server = Postgres::start();
    let (url, store) = connect(&server).await;
    let streams = streams(&store).await;
    let mut locked = Locked::new(&url).await;
    let asked = Instant::now();
    let loads = streams
        .iter()
        .map(|(stream, _)| load(&store, stream, 100).boxed());
    let mut loads = Box::pin(join_all(loads));
    assert!((&mut loads).now_or_never().is_none(), "all of them asked");
    let answering = tokio::join!(&mut loads, async {
        let two = |waiting: &[(i32, bool)]| waiting.len() >= LANES;
        locked.wait_for("the first calls", two).await;
        // Whoever else had asked would be here soon.
        for _ in 0..20 {
            let waiting = locked.waiting().await.len();
            // Later they go alone.
            if asked.elapsed() < Duration::from_secs(5) {
                assert_eq!(waiting, LANES);
            }
        }
        locked.release().await;
    });
    for ((stream, events), page) in streams.iter().zip(answering.0) {
        let page = page.unwrap();
        let found: Vec<_> = page.events.iter().map(|event| event.version).collect();
        assert_eq!(found, Vec::from_iter(1..=(*events).min(100) as u64));
        assert_eq!(page.more, *events > 100);
        assert!(
            page.events
                .iter()
                .all(|event| event.stream == stream.as_str())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_call_that_fails_fails_nobody_else() {
    let server = Postgres::start();
    let (url, store) = connect(&server).await;
    let names: Vec<_> = (0..8).map(stream).collect();
    for (n, name) in names.iter().enumerate() {
        write(&store, append(name, 0, &format!("first of {n}"), n + 1)).await;
    }
    let mut locked = Locked::new(&url).await;
    let mut loads = Box::pin(join_all(loads(&store, &names)));
    assert!((&mut loads).now_or_never().is_none(), "all of them asked");
    let (pages, ()) = tokio::join!(loads, async {
        let two = |waiting: &[(i32, bool)]| waiting.len() == LANES;
        for session in locked.wait_for("the first calls", two).await {
            locked.cancel(session).await;
        }
        let shared = |waiting: &[(i32, bool)]| waiting.iter().any(|(_, shared)| *shared);
        for session in locked.wait_for("a shared call", shared).await {
            locked.cancel(session).await;
        }
        let alone = |waiting: &[(i32, bool)]| waiting.iter().any(|(_, shared)| !*shared);
        locked.wait_for("a call of its own", alone).await;
        locked.release().await;
    });
    for (n, page) in pages.into_iter().enumerate() {
        match page {
            Ok(page) => assert_eq!(page.events.len(), n + 1),
            // Cancelled itself.
            Err(error) => assert!(n < LANES, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_does_not_wait_for_long_behind_others() {
    let server = Postgres::start();
    let (url, store) = connect(&server).await;
    write(&store, append(&stream(7), 0, "first", 1)).await;
    let mut locked = Locked::new(&url).await;
    let (seven, others) = (stream(7), stream(8));
    let loads = [&others, &others, &seven].map(|name| load(&store, name, 100));
    let mut loads = Box::pin(join_all(loads));
    assert!((&mut loads).now_or_never().is_none());
    let (pages, ()) = tokio::join!(loads, async {
        let third = |waiting: &[(i32, bool)]| waiting.len() == LANES + 1;
        locked.wait_for("a call of its own", third).await;
        locked.release().await;
    });
    assert_eq!(pages[2].as_ref().unwrap().events.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_given_up_leaves_its_turn_to_others() {
    let server = Postgres::start();
    let (url, store) = connect(&server).await;
    let names: Vec<_> = (0..8).map(stream).collect();
    for (n, name) in names.iter().enumerate() {
        write(&store, append(name, 0, &format!("first of {n}"), 1)).await;
    }
    let mut locked = Locked::new(&url).await;
    let all = |names| Box::pin(join_all(loads(&store, names)));
    let (mut first, mut others) = (all(&names[..LANES]), all(&names[LANES..]));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut others).now_or_never().is_none());
    let two = |waiting: &[(i32, bool)]| waiting.len() == LANES;
    tokio::select! {
        _ = &mut first => unreachable!("the table is locked"),
        _ = locked.wait_for("the first calls", two) => {}
    }
    drop(first);
    let shared = |waiting: &[(i32, bool)]| waiting.iter().any(|(_, shared)| *shared);
    locked.wait_for("a shared call", shared).await;
    locked.release().await;
    for page in others.await {
        assert_eq!(page.unwrap().events.len(), 1);
    }
}

/// Appends and loads of many callers, some of which are given up at any moment: nobody misses what
/// was acknowledged before its load began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_sees_what_was_acknowledged_before_it() {
    const CALLERS: u64 = 24;
    let server = Postgres::start();
    let (_, store) = connect(&server).await;
    let mut random = seeded();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (store, mut random) = (store.clone(), random.fork());
        callers.spawn(async move {
            let own = stream(caller);
            for version in 0..60 {
                let next = append(&own, version, &format!("{caller} {version}"), 1);
                write(&store, next).await;
                let other = stream(random.u64(..CALLERS));
                let mut given_up = load(&store, &other, 100).boxed();
                for _ in 0..random.u32(..4) {
                    if (&mut given_up).now_or_never().is_some() {
                        given_up = load(&store, &other, 100).boxed();
                    }
                    tokio::task::yield_now().await;
                }
                drop(given_up);
                let page = load(&store, &own, 100).await.unwrap();
                assert_eq!(page.events.len() as u64, version + 1);
                assert!(page.events.iter().all(|event| event.stream == own.as_str()));
            }
        });
    }
    callers.join_all().await;
}
