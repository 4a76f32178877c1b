//! A process that is alone on the log appends without asking the call, and is answered as any other.

use es_runtime::Result;
use es_runtime::event::{CommandId, Position, StoredEvent, Timestamp};
use es_runtime::postgres::{PostgresStore, sqlx};
use es_runtime::store::{Append, Appended, EventStore, LogQuery};
use es_servers::Postgres;
use futures_util::future::join_all;
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::gate::{HOLD, admin};
use crate::load::{append, stream};
use crate::sabotage::{Cut, NO_KEYS, cut};
use crate::until::until;

/// What such an append takes the lock with.
pub(crate) const CALL: &str = "es.append_lock_1";

const LOCK: &str = "IF pg_advisory_xact_lock(1163084889, 1) IS NULL THEN END IF;";
/// Whether the log ends where the store remembers.
pub(crate) const END: &str = "head = (SELECT max(e.position) FROM es.event e)";

/// Appends after which a store counts on being alone, and a few more.
const ENOUGH: u64 = 12;

/// An append that needs no row for its command.
fn plain(name: &str, expected: u64, command: &str, events: usize) -> Append {
    Append {
        repeatable: false,
        ..append(&stream(name), expected, command, events)
    }
}

fn at(position: u64, version: u64) -> impl Fn(Appended) -> bool {
    move |appended| match appended {
        Appended::New(done) | Appended::Already(done) => {
            (done.first, done.version) == (Position::new(position), version)
        }
        Appended::Conflict { .. } => false,
    }
}

/// A store, and somebody who sees what it asks.
struct Alone {
    url: String,
    store: PostgresStore,
    admin: PgConnection,
    batches: usize,
    _server: Postgres,
}

impl Alone {
    /// A store on an empty log.
    async fn new() -> Self {
        let server = Postgres::start();
        let url = server.database();
        let store = PostgresStore::connect(&url).await.unwrap();
        let admin = admin(&url).await;
        Self {
            url,
            store,
            admin,
            batches: 0,
            _server: server,
        }
    }

    /// One that has appended alone for long enough.
    async fn settled() -> Self {
        let mut alone = Self::new().await;
        alone.settle("settled").await;
        alone
    }

    /// Appends until the store counts on being alone.
    async fn settle(&mut self, name: &str) {
        for n in 0..ENOUGH {
            let appended = self.store.append(plain(name, n, &format!("{name}/{n}"), 1));
            assert!(matches!(appended.await.unwrap(), Appended::New(_)));
        }
        assert!(self.asked().await.contains(CALL));
    }

    /// What the store's session asked last.
    async fn asked(&mut self) -> String {
        let asked = "SELECT query FROM pg_stat_activity
                     WHERE query LIKE '%es.append%' AND pid <> pg_backend_pid()
                       AND datname = current_database()
                     ORDER BY query_start DESC LIMIT 1";
        let asked = sqlx::query_scalar(asked).fetch_one(&mut self.admin);
        asked.await.unwrap()
    }

    async fn run(&mut self, statements: &str) {
        let statements = sqlx::AssertSqlSafe(statements);
        sqlx::raw_sql(statements)
            .execute(&mut self.admin)
            .await
            .unwrap();
    }

    fn spawn(&self, append: Append) -> JoinHandle<Result<Appended>> {
        let store = self.store.clone();
        tokio::spawn(async move { store.append(append).await })
    }

    async fn until_one_waits(&mut self) {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
                     AND classid = 1163084889 AND objid = 1
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let admin = &mut self.admin;
        until("an append waits for the log's lock", async || {
            let waits: i64 = sqlx::query_scalar(waits)
                .fetch_one(&mut *admin)
                .await
                .unwrap();
            (waits > 0).then_some(())
        })
        .await;
    }

    /// All of them in one transaction.
    async fn append_together(&mut self, appends: &[Append]) -> Vec<Appended> {
        let together = self.try_together(appends).await;
        together.into_iter().map(Result::unwrap).collect()
    }

    async fn try_together(&mut self, appends: &[Append]) -> Vec<Result<Appended>> {
        self.run(HOLD).await;
        // The others wait until it is through.
        self.batches += 1;
        let first = format!("before-{}", self.batches);
        let first = self.spawn(plain(&first, 0, &first, 1));
        self.until_one_waits().await;
        let together: Vec<_> = appends.iter().map(|one| self.spawn(one.clone())).collect();
        until("all wait in the queue", async || {
            (self.store.health().await.waiting >= appends.len()).then_some(())
        })
        .await;
        self.run("ROLLBACK").await;
        first.await.unwrap().unwrap();
        let together = join_all(together).await;
        together.into_iter().map(Result::unwrap).collect()
    }

    /// Somebody else's event, in a transaction that holds the lock.
    async fn stranger(&mut self) {
        self.run(HOLD).await;
        let next = "INSERT INTO es.event
                    SELECT max(position) + 1, 'account-stranger', 1, 1, 'account.deposited', 1, 1,
                           NULL, '{}', NULL, now()
                    FROM es.event";
        self.run(next).await;
    }

    async fn events(&self) -> Vec<StoredEvent> {
        let all = LogQuery::after(Position::START).limit(1000);
        let events = self.store.read_log(&all).await.unwrap().events;
        events.to_vec().unwrap()
    }

    /// The whole log, and that it has no holes.
    async fn log(&self) -> Vec<StoredEvent> {
        let events = self.events().await;
        assert!(is_dense(&events), "{events:#?}");
        events
    }
}

fn is_dense(events: &[StoredEvent]) -> bool {
    let positions = events.iter().map(|event| event.position.get());
    positions.eq(1..=events.len() as u64)
}

/// Of one event each, and of several: the two statements for many.
fn batches() -> [Vec<Append>; 2] {
    let of = |events: usize, expected| {
        let one = move |n| {
            plain(
                &format!("{events}-{n}"),
                expected,
                &format!("{events}-{n}-{expected}"),
                if n == 1 { events } else { 1 },
            )
        };
        (0..4).map(one).collect()
    };
    [of(1, 0), of(3, 0)]
}

#[tokio::test]
async fn it_is_answered_as_any_other() {
    let mut alone = Alone::new().await;
    for n in 0..ENOUGH {
        let appended = alone.store.append(plain("a", n, &format!("{n}"), 1));
        let appended = appended.await.unwrap();
        assert!(matches!(appended, Appended::New(_)), "{appended:?}");
        assert!(at(n + 1, n + 1)(appended), "{appended:?}");
    }
    assert!(alone.asked().await.contains(CALL));
    // The last of them again, an earlier one, one that comes too late, and one that comes too early:
    // each when the store counts on being alone.
    for (n, position) in [(11, 12), (3, 4)] {
        let again = alone.store.append(plain("a", n, &format!("{n}"), 1)).await;
        let again = again.unwrap();
        assert!(matches!(again, Appended::Already(_)), "{again:?}");
        assert!(at(position, position)(again), "{again:?}");
        alone.settle(&format!("after-{n}")).await;
    }
    for expected in [0, 11, 13] {
        let other = alone.store.append(plain("a", expected, "other", 1)).await;
        assert_eq!(other.unwrap(), Appended::Conflict { found: 12 });
        alone.settle(&format!("beside-{expected}")).await;
    }
    // What is kept beside the event needs the call.
    let kept = append(&stream("a"), 12, "kept", 1);
    let kept = alone.store.append(kept).await.unwrap();
    assert!(matches!(kept, Appended::New(_)), "{kept:?}");
    assert!(!alone.asked().await.contains(CALL));
    alone.log().await;
}

#[tokio::test]
async fn many_are_answered_one_by_one() {
    let mut alone = Alone::settled().await;
    for batch in batches() {
        let appended = alone.append_together(&batch).await;
        assert!(alone.asked().await.contains("generate_series"));
        let mut next = match appended[0] {
            Appended::New(done) => done.first,
            other => panic!("{other:?}"),
        };
        for (append, appended) in batch.iter().zip(appended) {
            let count = append.events.len() as u64;
            assert!(matches!(appended, Appended::New(done) if u64::from(done.count) == count));
            assert!(at(next.get(), count)(appended), "{appended:?}");
            next = next.plus(count);
        }
    }
    // One that conflicts, one that comes again, and two that do not.
    let [mut batch, _] = batches();
    batch[1].command_id = CommandId::of("other");
    (batch[2].stream, batch[3].stream) = (stream("new"), stream("newer"));
    let appended = alone.append_together(&batch).await;
    assert!(matches!(appended[0], Appended::Already(_)), "{appended:?}");
    assert_eq!(appended[1], Appended::Conflict { found: 1 });
    assert!(matches!(
        appended[2..],
        [Appended::New(_), Appended::New(_)]
    ));
    alone.log().await;
}

#[tokio::test]
async fn its_rows_are_the_same() {
    let mut alone = Alone::settled().await;
    let write = |name: &str, n: u32, events, repeatable| {
        let mut append = Append {
            repeatable,
            metadata: Some(format!(r#"{{"actor":"{n}"}}"#)),
            time: Timestamp::from_micros(1_234_567 + i64::from(n)),
            ..plain(&format!("{name}-{n}"), 0, &format!("same-{n}"), events)
        };
        for event in &mut append.events {
            (event.schema_version, event.min_reader) = (7 + n, 5 + n);
        }
        append
    };
    let lone = alone.store.append(write("lone", 0, 1, false)).await;
    lone.unwrap();
    assert!(alone.asked().await.contains("ON CONFLICT"));
    for events in [1, 2] {
        let name = format!("many-{events}");
        let many: Vec<_> = (0..3).map(|n| write(&name, n, events, false)).collect();
        alone.append_together(&many).await;
        assert!(alone.asked().await.contains("generate_series"));
        for n in 0..3 {
            let call = write(&format!("call-{events}"), n, events, true);
            alone.store.append(call).await.unwrap();
        }
        alone.settle(&format!("again-{events}")).await;
    }
    let log = alone.log().await;
    let of = |name: &str| -> Vec<_> {
        let own = log.iter().filter(|event| event.stream == stream(name));
        let own = own.map(|event| StoredEvent {
            stream: stream("any"),
            position: Position::START,
            ..event.clone()
        });
        own.collect()
    };
    assert_eq!(of("lone-0").len(), 1);
    assert_eq!(of("lone-0"), of("call-1-0"));
    assert_eq!(of("lone-0")[0].command_id, Some(CommandId::of("same-0")));
    for events in [1, 2] {
        for n in 0..3 {
            assert_eq!(of(&format!("many-{events}-{n}")).len(), events);
            let (many, call) = (format!("many-{events}-{n}"), format!("call-{events}-{n}"));
            assert_eq!(of(&many), of(&call));
        }
    }
    // They are found by their slices, too.
    for name in ["lone-0", "many-1-1", "many-2-2"] {
        let slice = stream(name).slice();
        let query = LogQuery::after(Position::START).limit(1000);
        let found = alone.store.read_log(&query.slices(slice..slice + 1)).await;
        let found = found.unwrap().events.to_vec().unwrap();
        assert!(found.iter().any(|event| event.stream == stream(name)));
    }
}

/// Somebody who has appended since then is found there, by one append and by many.
#[tokio::test]
async fn a_stranger_is_noticed() {
    let mut alone = Alone::settled().await;
    let stranger = PostgresStore::connect(&alone.url).await.unwrap();
    stranger.append(plain("b", 0, "b", 1)).await.unwrap();
    let appended = alone.store.append(plain("c", 0, "c", 1)).await.unwrap();
    assert!(at(ENOUGH + 2, 1)(appended), "{appended:?}");

    alone.settle("again").await;
    stranger.append(plain("b", 1, "bb", 1)).await.unwrap();
    let [many, _] = batches();
    let appended = alone.append_together(&many).await;
    assert!(
        appended.iter().all(|one| matches!(one, Appended::New(_))),
        "{appended:?}"
    );

    // Also where it was the same stream.
    alone.settle("once more").await;
    stranger.append(plain("b", 2, "bbb", 1)).await.unwrap();
    let late = alone.store.append(plain("b", 2, "late", 1)).await.unwrap();
    assert_eq!(late, Appended::Conflict { found: 3 });
    alone.log().await;
}

/// A statement's snapshot is older than the lock that it waits for: whoever had that lock is noticed.
#[tokio::test]
async fn a_stranger_who_commits_while_it_waits_is_noticed() {
    let [single, several] = batches();
    for batch in [single[..1].to_vec(), single, several] {
        let mut alone = Alone::settled().await;
        alone.stranger().await;
        let mut taken = vec![alone.spawn(plain("stranger", 0, "stranger", 1))];
        alone.until_one_waits().await;
        taken.extend(batch.iter().map(|one| alone.spawn(one.clone())));
        alone.run("COMMIT").await;
        let mut answers = join_all(taken)
            .await
            .into_iter()
            .map(|one| one.unwrap().unwrap());
        assert_eq!(answers.next(), Some(Appended::Conflict { found: 1 }));
        for answer in answers {
            assert!(matches!(answer, Appended::New(_)), "{answer:?}");
        }
        alone.log().await;
    }
}

/// Each guard, taken away: by one event and by several, which are written by statements of their own.
#[tokio::test]
async fn without_its_guards_a_stranger_is_not_noticed() {
    let lock: &[Cut<'_>] = &[(CALL, LOCK, "")];
    let end: &[Cut<'_>] = &[(CALL, END, "true")];
    for (events, cuts, commits_first) in [
        (1, lock, false),
        (3, lock, false),
        (3, end, true),
        (1, &[], true),
    ] {
        let mut alone = Alone::settled().await;
        let mut admin = admin(&alone.url).await;
        sqlx::raw_sql(NO_KEYS).execute(&mut admin).await.unwrap();
        cut(&mut admin, cuts).await;
        alone.stranger().await;
        if commits_first {
            alone.run("COMMIT").await;
        }
        let appended = alone.store.append(plain("a", 0, "a", events)).await;
        assert!(matches!(appended.unwrap(), Appended::New(_)));
        if !commits_first {
            alone.run("COMMIT").await;
        }
        assert!(!is_dense(&alone.events().await), "{events} {cuts:?}");
    }
}

/// Positions that were given once are not given again, whoever lost their events.
#[tokio::test]
async fn the_floor_is_raised_while_nobody_appends() {
    const RAISE: &str = "UPDATE es.log SET floor = 100";
    let mut alone = Alone::settled().await;
    let refused = sqlx::raw_sql(RAISE).execute(&mut alone.admin).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("while no service appends: stop them first"),
        "{refused}"
    );
    alone.store.close().await;
    // The server ends a session a moment after its client.
    let admin = &mut alone.admin;
    until("nobody remembers where the log ends", async || {
        sqlx::raw_sql(RAISE).execute(&mut *admin).await.ok()
    })
    .await;
    alone.store = PostgresStore::connect(&alone.url).await.unwrap();
    for n in 0..2 * ENOUGH {
        let next = alone.store.append(plain("a", n, &format!("{n}"), 1)).await;
        assert!(at(101 + n, n + 1)(next.unwrap()));
    }
}

/// Whoever chose the versions of its events before another instance came is told so.
#[tokio::test]
async fn it_knows_of_all_instances() {
    let mut alone = Alone::settled().await;
    let register = "INSERT INTO es.instance (service, knows, started, seen, until)
                    VALUES ('bank', '{}', now(), now(), now()) RETURNING number";
    let number: i64 = sqlx::query_scalar(register)
        .fetch_one(&mut alone.admin)
        .await
        .unwrap();
    let number = number.unsigned_abs();
    let knowing = |known_instances, append| Append {
        known_instances: Some(known_instances),
        ..append
    };
    let error = alone
        .store
        .append(knowing(number - 1, plain("a", 0, "a", 1)));
    let error = error.await.unwrap_err();
    assert_eq!(error.code(), "ES0178", "{error}");
    let appended = alone.store.append(knowing(number, plain("a", 0, "a", 1)));
    assert!(at(ENOUGH + 1, 1)(appended.await.unwrap()));

    alone.settle("again").await;
    let [many, _] = batches();
    let mut known: Vec<_> = many
        .iter()
        .map(|one| knowing(number, one.clone()))
        .collect();
    // One of a batch that knows too few is refused, and no other.
    let outdated = knowing(number - 1, known.pop().unwrap());
    known.push(outdated.clone());
    let mut appended = alone.try_together(&known).await;
    let error = appended.pop().unwrap().unwrap_err();
    assert_eq!(error.code(), "ES0178", "{error}");
    let new = |one: &Result<Appended>| matches!(one, Ok(Appended::New(_)));
    assert!(appended.iter().all(new), "{appended:?}");
    let streams = alone.log().await.into_iter().map(|event| event.stream);
    assert!(streams.into_iter().all(|stream| stream != outdated.stream));
    assert!(alone.asked().await.contains(CALL));
}
