//! How long after its commit a follower in another process has an event, at 1,000 appends a
//! second; beside a bare program with `LISTEN`.

use std::time::Duration;

use es_runtime::postgres::sqlx::postgres::PgListener;
use es_runtime::postgres::{PgConnection, PostgresStore, sqlx};
use es_runtime::store::{EventStore, LogQuery};
use es_servers::Postgres;
use serde::Deserialize;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::Size;
use crate::child::{Child, number};
use crate::measure::{Round, Work, percentile};
use crate::pace::{Paced, now, paced};
use crate::report::Report;
use crate::rows::{RAW_TABLE, account, append_of, connect, execute, raw_insert, write};

const RATE: usize = 1000;
const WRITERS: usize = 32;

/// A payload of the usual size, with its number and the moment at which it was sent.
fn stamped(n: usize) -> String {
    let text = "a payment for something that was bought in a shop around the corner, \
                with a reference that nobody will ever read";
    let at = now();
    format!(r#"{{"amount":{n},"sent":{at},"currency":"DKK","reference":"{text}"}}"#)
}

#[derive(Deserialize)]
struct Stamp {
    amount: usize,
    sent: i64,
}

struct OurWriter {
    store: PostgresStore,
    round: usize,
}

impl Work for OurWriter {
    async fn once(&mut self, n: usize) {
        let stream = account(&format!("{}-{n}", self.round));
        write(&self.store, append_of(&stream, 0, [stamped(n)])).await;
    }
}

/// Inserts, and tells the event itself, so that its follower need not read.
struct BareWriter {
    connection: PgConnection,
    round: usize,
}

impl Work for BareWriter {
    async fn once(&mut self, n: usize) {
        let payload = stamped(n);
        let stream = format!("account-{}-{n}", self.round);
        raw_insert(&mut self.connection, &stream, 1, &payload).await;
        // As ours: a lost notification is no lost event, so it does not wait for the disk.
        let notify = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('raw', $1)";
        let notify = sqlx::query(notify).bind(payload);
        notify
            .execute(&mut self.connection)
            .await
            .expect("a notification");
    }
}

/// Both followers, each in a process of its own, in turn.
pub(crate) async fn follower(server: &Postgres, name: &str, size: Size, report: &mut Report) {
    let url = server.database();
    let store = PostgresStore::connect(&url).await.expect("the store");
    execute(&mut connect(&url).await, RAW_TABLE).await;
    let mut ours: Vec<_> = (0..WRITERS)
        .map(|_| OurWriter {
            store: store.clone(),
            round: 0,
        })
        .collect();
    let mut bare = Vec::new();
    for _ in 0..WRITERS {
        let connection = connect(&url).await;
        bare.push(BareWriter {
            connection,
            round: 0,
        });
    }
    let start = |job| Child::start(&format!("{job} {url}"));
    let (mut our_follower, mut bare_follower) = (start("follow-ours"), start("follow-bare"));
    let (mut of_ours, mut of_bare) = (Latencies::default(), Latencies::default());
    let count = RATE * usize::try_from(size.round.as_secs()).expect("seconds");
    for round in 0..size.rounds {
        ours.iter_mut().for_each(|writer| writer.round = round);
        of_ours.add(followed(&mut our_follower, &mut ours, count).await);
        bare.iter_mut().for_each(|writer| writer.round = round);
        of_bare.add(followed(&mut bare_follower, &mut bare, count).await);
    }
    report.note(of_ours.line(name));
    report.note(of_bare.line("bare_listen"));
}

/// A follower's rounds.
#[derive(Default)]
struct Latencies {
    /// From the acknowledgement to the follower; none where the follower was faster.
    committed: Vec<Round>,
    /// From the call to the follower, the commit included.
    asked: Vec<Round>,
    rates: Vec<f64>,
}

impl Latencies {
    fn add(&mut self, (seen, (acknowledged, rate)): (Vec<(usize, i64)>, Paced)) {
        let micros = |micros: i64| Duration::from_micros(micros.max(0).unsigned_abs());
        let asked = seen.iter().map(|(_, latency)| micros(*latency)).collect();
        let committed = seen
            .iter()
            .map(|(n, latency)| micros(*latency).saturating_sub(acknowledged[*n]));
        let second = Duration::from_secs(1);
        self.committed
            .push(Round::timed(committed.collect(), second));
        self.asked.push(Round::timed(asked, second));
        self.rates.push(rate);
    }

    fn line(&self, name: &str) -> String {
        let at = |rounds: &[Round], percent| percentile(rounds, percent).unwrap_or(f64::NAN);
        let rate = crate::measure::median(self.rates.iter().copied()).unwrap_or(f64::NAN);
        format!(
            "latency {name} p50 {:.2} p99 {:.2} ms after the commit; p50 {:.2} p99 {:.2} ms \
             after the call; at {rate:.0} appends/s",
            at(&self.committed, 50),
            at(&self.committed, 99),
            at(&self.asked, 50),
            at(&self.asked, 99),
        )
    }
}

/// A round: what the follower saw, what the writers know, and the rate that they kept.
async fn followed<W: Work>(
    follower: &mut Child,
    writers: &mut Vec<W>,
    count: usize,
) -> (Vec<(usize, i64)>, Paced) {
    follower.tell(&count.to_string());
    assert_eq!(block_in_place(|| follower.hear()), "following");
    let acknowledged = paced(writers, RATE, count).await;
    let answer = block_in_place(|| follower.hear());
    let pair = |pair: &str| {
        let (n, latency) = pair.split_once(':').expect("a pair");
        (number(n), latency.parse().expect("a latency"))
    };
    let seen: Vec<_> = answer.split(' ').map(pair).collect();
    assert_eq!(seen.len(), count, "every event, once");
    (seen, acknowledged)
}

/// What a follower saw, for the parent.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn add(&mut self, payload: &str) {
        let received = now();
        let Stamp { amount, sent } = serde_json::from_str(payload).expect("a stamp");
        self.0.push(format!("{amount}:{}", received - sent));
    }
}

/// Longer than any round: what is lost shows.
const PATIENCE: Duration = Duration::from_secs(60);

/// Our follower: reads the log, and waits for it to grow.
pub(crate) struct Ours(PostgresStore);

impl Ours {
    pub(crate) async fn new(url: &str) -> Self {
        Self(PostgresStore::connect(url).await.expect("the store"))
    }

    pub(crate) async fn follow(&mut self, count: usize) -> String {
        let mut cursor = self.0.head().await.expect("the head");
        println!("following");
        let follow = async {
            let mut seen = Seen::default();
            while seen.0.len() < count {
                let page = self.0.read_log(&LogQuery::after(cursor)).await;
                let page = page.expect("a page");
                for event in page.events.iter() {
                    seen.add(event.payload);
                }
                if page.seen == cursor {
                    self.0.wait_for_append(cursor).await;
                }
                cursor = page.seen;
            }
            seen.0.join(" ")
        };
        let seen = timeout(PATIENCE, follow).await;
        seen.unwrap_or_else(|_| panic!("the follower saw too little after {cursor:?}"))
    }
}

/// The plainest follower: what it listens to is the event.
pub(crate) struct Bare(PgListener);

impl Bare {
    pub(crate) async fn new(url: &str) -> Self {
        let mut listener = PgListener::connect(url).await.expect("a listener");
        listener.listen("raw").await.expect("a channel");
        Self(listener)
    }

    pub(crate) async fn follow(&mut self, count: usize) -> String {
        println!("following");
        let follow = async {
            let mut seen = Seen::default();
            while seen.0.len() < count {
                let news = self.0.recv().await.expect("news");
                seen.add(news.payload());
            }
            seen.0.join(" ")
        };
        let seen = timeout(PATIENCE, follow).await;
        seen.unwrap_or_else(|_| panic!("the listener heard too little"))
    }
}
