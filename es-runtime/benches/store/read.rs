//! Reading back: the log as typed events, and one long stream.

use std::time::{Duration, Instant};

use es_runtime::postgres::sqlx::{self, PgConnection, Row};
use es_runtime::prelude::*;
use es_runtime::store::{LogQuery, Store};
use es_runtime::{Service, Snapshots};
use es_servers::Postgres;
use futures_util::TryStreamExt;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Size;
use crate::account::{Account, AccountEvent};
use crate::measure::{Comparison, Round, Work, in_turn, percentile, together};
use crate::memory::Memory;
use crate::report::Report;
use crate::rows::{account, append, connect, execute, write};

/// Events of a page of a replay: what a page costs beside its events is spread over more of them, until
/// the server has to wait while one is decoded.
const PAGE: usize = 1250;

#[derive(Deserialize)]
pub(crate) struct Payload {
    amount: i64,
    currency: String,
    reference: String,
}

impl Payload {
    /// What a program that is measured does with it.
    pub(crate) fn used(self) {
        std::hint::black_box((self.amount, self.currency, self.reference));
    }
}

/// Fills a log with so many events in streams of `length`.
pub(crate) async fn fill(store: &Store, events: usize, length: usize) {
    const SIDE_BY_SIDE: usize = 32;
    let mut filling = JoinSet::new();
    for first in 0..SIDE_BY_SIDE {
        let store = store.clone();
        filling.spawn(async move {
            for stream in (first..events / length).step_by(SIDE_BY_SIDE) {
                let (stream, batch) = (account(&stream.to_string()), length.min(1000));
                for n in 0..length / batch {
                    write(&store, append(&stream, (n * batch) as u64, batch)).await;
                }
            }
        });
    }
    filling.join_all().await;
}

/// Our replay: every event of the log, decoded, in order; so many in a page.
pub(crate) async fn typed(store: &Store, events: usize, page: usize) -> Round {
    let began = Instant::now();
    let query = LogQuery::after(Position::START).limit(page);
    let mut replay = store.replay::<AccountEvent>(query);
    let mut seen = 0;
    while let Some(event) = replay.next().await.expect("an event") {
        std::hint::black_box(&event.data);
        seen += 1;
    }
    assert_eq!(seen, events);
    Round::of(seen, began.elapsed())
}

/// The whole log, decoded, in order.
pub(crate) async fn replay(
    server: &Postgres,
    name: &str,
    size: Size,
    report: &mut Report,
) -> Comparison {
    let url = server.database();
    let store = Store::connect(&url).await.expect("the store");
    fill(&store, size.events, 100).await;
    let mut raw = connect(&url).await;
    execute(&mut raw, "VACUUM ANALYZE").await;
    let mut growth = None;
    let comparison = in_turn!(
        name,
        size,
        async {
            let memory = Memory::watch();
            let round = typed(&store, size.events, PAGE).await;
            growth = growth.max(memory.growth());
            round
        },
        bare_replay(&mut raw, size.events)
    );
    if let Some(growth) = growth {
        let (megabytes, events) = (growth as f64 / 1024.0, size.events);
        report.note(format!(
            "memory {name}: at most {megabytes:.1} MiB more than before, for {events} events"
        ));
    }
    comparison
}

/// The same rows, streamed; only the payload is decoded.
async fn bare_replay(raw: &mut PgConnection, events: usize) -> Round {
    let began = Instant::now();
    let select = "SELECT position, stream, version, type, schema_version, min_reader, command_id,
                         payload, metadata, occurred_at
                  FROM es.event ORDER BY position";
    let mut rows = sqlx::query(select).fetch(raw);
    let mut seen = 0;
    while let Some(row) = rows.try_next().await.expect("a row") {
        // `json` is its own text.
        let payload: &str = row.get_unchecked(7);
        let payload: Payload = serde_json::from_str(payload).expect("a payload");
        payload.used();
        seen += 1;
    }
    assert_eq!(seen, events);
    Round::of(seen, began.elapsed())
}

const LONG: usize = 10_000;

struct Load {
    bank: Service,
    events: usize,
}

impl Work for Load {
    async fn once(&mut self, _: usize) {
        let loaded = self.bank.load::<Account>("0").await;
        let loaded = loaded.expect("the account");
        assert_eq!(loaded.version(), self.events as u64);
        std::hint::black_box(loaded.state().balance);
    }
}

struct ByHand(PgConnection);

impl Work for ByHand {
    async fn once(&mut self, _: usize) {
        let select = "SELECT version, payload FROM es.event
                      WHERE stream = 'account-0' ORDER BY version";
        let rows = sqlx::query(select).fetch_all(&mut self.0);
        let rows = rows.await.expect("rows");
        assert_eq!(rows.len(), LONG);
        let mut balance = 0;
        for row in &rows {
            let payload: &str = row.get_unchecked(1);
            let payload: Payload = serde_json::from_str(payload).expect("a payload");
            balance += payload.amount;
        }
        std::hint::black_box(balance);
    }
}

/// One stream of 10,000 events, loaded.
pub(crate) async fn load(server: &Postgres, name: &str, size: Size) -> Comparison {
    let url = server.database();
    let store = Store::connect(&url).await.expect("the store");
    fill(&store, LONG, LONG).await;
    let bank = Service::builder("bench")
        .store(store)
        .aggregate::<Account>();
    let bank = bank.start().await.expect("the service");
    let mut raw = connect(&url).await;
    execute(&mut raw, "VACUUM ANALYZE").await;
    let ours = Load { bank, events: LONG };
    let (mut ours, mut raw) = (vec![ours], vec![ByHand(raw)]);
    in_turn!(
        name,
        size,
        async { together(&mut ours, size.round).await.each(LONG) },
        async { together(&mut raw, size.round).await.each(LONG) }
    )
}

/// The same stream with a snapshot, and some events after it, as there are with most.
pub(crate) async fn load_snapshot(server: &Postgres, name: &str, size: Size, report: &mut Report) {
    const AFTER: usize = 50;
    let store = Store::connect(&server.database()).await.expect("the store");
    fill(&store, LONG, LONG).await;
    let bank = Service::builder("bench")
        .store(store.clone())
        .aggregate::<Account>()
        .snapshots::<Account>(Snapshots::every(100));
    let bank = bank.start().await.expect("the service");
    bank.load::<Account>("0").await.expect("the account");
    // It is written beside the loads.
    let written = async {
        while bank.snapshot_stats::<Account>().expect("snapshots").written == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), written)
        .await
        .expect("a snapshot");
    write(&store, append(&account("0"), LONG as u64, AFTER)).await;
    let mut load = vec![Load {
        bank: bank.clone(),
        events: LONG + AFTER,
    }];
    let mut rounds = Vec::new();
    for _ in 0..size.rounds {
        rounds.push(together(&mut load, size.round).await);
    }
    assert!(bank.snapshot_stats::<Account>().expect("snapshots").used > 0);
    let at = |percent| percentile(&rounds, percent).unwrap_or(f64::NAN);
    let (p50, p99) = (at(50), at(99));
    report.note(format!("{name} p50 {p50:.2} p99 {p99:.2} ms (bound 2)"));
}
