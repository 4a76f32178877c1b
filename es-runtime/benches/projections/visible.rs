//! How long after a command's acknowledgement its row is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::postgres::sqlx::postgres::PgListener;
use es_runtime::postgres::{PgConnection, sqlx};
use es_runtime::prelude::*;
use es_runtime::store::EventStore;
use es_runtime::{Service, Store};
use es_servers::Postgres;
use tokio::task::{JoinSet, block_in_place};

use crate::Size;
use crate::child::Child;
use crate::commands::Caller;
use crate::database::{Json, connect, execute};
use crate::domain::{Account, AccountEvent, Balance};
use crate::measure::{Round, Work, percentile};
use crate::pace::{now, paced};
use crate::report::Report;

const RATE: usize = 500;
/// Longer than any round: what is lost shows.
const PATIENCE: Duration = Duration::from_secs(60);

/// Our service, in this process and in the other one.
async fn service(store: &Store) -> Service {
    let bank = Service::builder("bench")
        .store(store.clone())
        .aggregate::<Account>()
        .project::<AccountEvent, Balance>();
    bank.start().await.expect("the service")
}

pub(crate) async fn row_visible(server: &Postgres, name: &str, size: Size, report: &mut Report) {
    let count = RATE * usize::try_from(size.round.as_secs()).expect("seconds");
    let url = server.database();
    let store = Store::connect(&url).await.expect("the store");
    let bank = service(&store).await;
    execute(&mut connect(&url).await, TABLES).await;
    let (mut here, mut elsewhere, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..size.rounds {
        here.push(in_its_process(&bank, &format!("here-{round}"), count).await);
        let child = Child::start(&format!("see-ours {url}"));
        elsewhere.push(told(child, Caller::some(&bank, &format!("there-{round}")), count).await);
        let child = Child::start(&format!("see-bare {url}"));
        let mut writers = Vec::new();
        for writer in 0..32 {
            let connection = connect(&url).await;
            let name = format!("bare-{round}-{writer}");
            writers.push(Bare { connection, name });
        }
        bare.push(told(child, writers, count).await);
    }
    bank.shutdown().await.expect("a clean end");
    store.close().await;
    for (name, rounds) in [
        (format!("{name} in the same process"), here),
        (format!("{name} in another process"), elsewhere),
        ("bare_listen_upsert".to_owned(), bare),
    ] {
        let at = |percent| percentile(&rounds, percent).unwrap_or(f64::NAN);
        let (p50, p99) = (at(50), at(99));
        report.note(format!(
            "latency {name} p50 {p50:.2} p99 {p99:.2} ms after the commit (bounds 15, 60)"
        ));
    }
}

/// Reads its own writes.
struct Own {
    caller: Caller,
    seen: Arc<Mutex<Vec<Duration>>>,
}

impl Work for Own {
    async fn once(&mut self, n: usize) {
        let (id, position) = self.caller.open(n).await;
        let acknowledged = now();
        read(&self.caller.bank, &id, position).await;
        let seen = micros(now() - acknowledged);
        self.seen.lock().expect("no panic").push(seen);
    }
}

async fn in_its_process(bank: &Service, name: &str, count: usize) -> Round {
    let seen = Arc::default();
    let own = |caller| Own {
        caller,
        seen: Arc::clone(&seen),
    };
    let mut callers = Caller::some(bank, name).into_iter().map(own).collect();
    paced(&mut callers, RATE, count).await;
    let seen = std::mem::take(&mut *seen.lock().expect("no panic"));
    Round::timed(seen, Duration::from_secs(1))
}

async fn read(bank: &Service, id: &str, position: Position) {
    let view = bank.view::<Balance>().after(position).within(PATIENCE);
    let row = view.get(id).await.expect("a row in time");
    assert!(row.is_some(), "the row of {id} is not there");
}

/// Writes an event, and answers how others find its row, and when it was acknowledged.
trait Write: Send + 'static {
    fn write(&mut self, n: usize) -> impl Future<Output = (String, i64)> + Send;
}

impl Write for Caller {
    async fn write(&mut self, n: usize) -> (String, i64) {
        let (id, position) = self.open(n).await;
        (format!("{id} {position}"), now())
    }
}

/// Tells another process of each of its writes.
struct Telling<W> {
    writer: W,
    child: Arc<Mutex<Child>>,
    acknowledged: Arc<Mutex<HashMap<String, i64>>>,
}

impl<W: Write> Work for Telling<W> {
    async fn once(&mut self, n: usize) {
        let (what, at) = self.writer.write(n).await;
        self.child.lock().expect("no panic").tell(&what);
        let id = what.split(' ').next().unwrap_or_default().to_owned();
        self.acknowledged.lock().expect("no panic").insert(id, at);
    }
}

/// From each acknowledgement to the moment at which the other process had read the row.
async fn told<W: Write>(child: Child, writers: Vec<W>, count: usize) -> Round {
    let (child, acknowledged) = (Arc::new(Mutex::new(child)), Arc::default());
    let telling = |writer| Telling {
        writer,
        child: child.clone(),
        acknowledged: Arc::clone(&acknowledged),
    };
    let mut writers = writers.into_iter().map(telling).collect();
    paced(&mut writers, RATE, count).await;
    let answer = block_in_place(|| {
        let mut child = child.lock().expect("no panic");
        child.tell(DONE);
        child.hear()
    });
    let acknowledged = acknowledged.lock().expect("no panic");
    let latency = |seen: &str| {
        let (id, at) = seen.split_once(' ').expect("a row and its moment");
        let at: i64 = at.parse().expect("a moment");
        micros(at - acknowledged[id])
    };
    let seen: Vec<_> = answer.split(';').map(latency).collect();
    assert_eq!(seen.len(), count, "every row, once");
    Round::timed(seen, Duration::from_secs(1))
}

/// None where the reader was faster than the acknowledgement.
fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}

const DONE: &str = "done";

/// The lines of the parent's until it is done.
fn lines() -> impl Iterator<Item = String> {
    println!("ready");
    let lines = std::io::stdin().lines();
    lines
        .map(|line| line.expect("a line"))
        .take_while(|line| line != DONE)
}

/// What the child saw, for the parent.
fn answer(seen: Vec<(String, i64)>) {
    let seen: Vec<_> = seen.iter().map(|(id, at)| format!("{id} {at}")).collect();
    println!("{}", seen.join(";"));
}

/// The other process: a second instance of the same service, that is asked for each row.
pub(crate) async fn ours(url: &str) {
    let store = Store::connect(url).await.expect("the store");
    let bank = service(&store).await;
    bank.caught_up().await.expect("a read model");
    let mut reading = JoinSet::new();
    block_in_place(|| {
        for line in lines() {
            let (id, position) = line.split_once(' ').expect("an id and its position");
            let position = Position::new(position.parse().expect("a position"));
            let (bank, id) = (bank.clone(), id.to_owned());
            reading.spawn(async move {
                read(&bank, &id, position).await;
                (id, now())
            });
        }
    });
    answer(reading.join_all().await);
    bank.shutdown().await.expect("a clean end");
    store.close().await;
}

const TABLES: &str = r#"
    CREATE TABLE raw_opened (position bigserial PRIMARY KEY, account text NOT NULL,
                             payload json NOT NULL);
    CREATE TABLE raw_balance (key text COLLATE "C" PRIMARY KEY, owner text NOT NULL,
                              amount bigint NOT NULL)"#;

/// Inserts, and tells who it was, so that whoever listens need not read.
struct Bare {
    connection: PgConnection,
    name: String,
}

impl Write for Bare {
    async fn write(&mut self, n: usize) -> (String, i64) {
        let id = format!("{}-{n}", self.name);
        let insert = "INSERT INTO raw_opened (account, payload) VALUES ($1, $2)";
        let payload = r#"{"owner":"somebody","currency":"DKK"}"#;
        let insert = sqlx::query(insert).bind(&id).bind(Json(payload));
        insert
            .execute(&mut self.connection)
            .await
            .expect("an event");
        let at = now();
        // As ours: a lost notification is no lost event, so it does not wait for the disk.
        let notify = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('raw', $1)";
        let notify = sqlx::query(notify).bind(&id);
        notify.execute(&mut self.connection).await.expect("news");
        (id, at)
    }
}

/// The other process: hears of events, and upserts the rows of those that it heard of.
pub(crate) async fn bare(url: &str) {
    const UPSERT: &str = "
        INSERT INTO raw_balance SELECT key, 'somebody', 0 FROM unnest($1::text[]) key
        ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, amount = excluded.amount";
    let mut listener = PgListener::connect(url).await.expect("a listener");
    listener.listen("raw").await.expect("a channel");
    let mut writer = connect(url).await;
    let (told, mut all) = tokio::sync::oneshot::channel();
    let listening = tokio::spawn(async move {
        let mut seen: Vec<(String, i64)> = Vec::new();
        // How many there are is known at the end.
        let mut wanted = usize::MAX;
        while seen.len() < wanted {
            let first = tokio::select! {
                news = listener.recv() => news.expect("news"),
                count = &mut all, if wanted == usize::MAX => {
                    wanted = count.expect("a number");
                    continue;
                }
            };
            let mut heard = vec![first.payload().to_owned()];
            while let Some(news) = listener.next_buffered() {
                heard.push(news.payload().to_owned());
            }
            let upsert = sqlx::query(UPSERT).bind(&heard);
            upsert.execute(&mut writer).await.expect("rows");
            let at = now();
            seen.extend(heard.into_iter().map(|id| (id, at)));
        }
        seen
    });
    let count = block_in_place(|| lines().count());
    told.send(count).expect("a listener");
    let seen = tokio::time::timeout(PATIENCE, listening).await;
    answer(seen.expect("all news in time").expect("no panic"));
}
