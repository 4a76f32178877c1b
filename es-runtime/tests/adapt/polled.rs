//! A polled table: what changed, what commits late, what cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use es_runtime::adapt::{Mark, Poll, Polled, PolledRow, Running};
use es_runtime::event::Clock;
use es_runtime::prelude::*;
use es_runtime::sqlite::sqlx::{self, SqlitePool};
use es_runtime::store::HandlerError;
use es_runtime::{Result, Service, Store};
use tempfile::TempDir;

use crate::domain::{Aircraft, Report, reports, seen, service, tower, truth};
use crate::domain::{What, fleet};

const HOUR: i64 = 3_600_000_000;

/// The table of somebody else.
struct Table {
    rows: SqlitePool,
    folder: TempDir,
    broken: Arc<AtomicBool>,
}

/// As its owner is asked for it.
struct Rows(SqlitePool, Arc<AtomicBool>);

impl Poll<Report> for Rows {
    async fn rows(
        &mut self,
        after: &Mark,
        limit: usize,
    ) -> Result<Vec<PolledRow<Report>>, HandlerError> {
        if self.1.load(Ordering::Relaxed) {
            return Err("the table is away".into());
        }
        let rows = "SELECT id, changed, report FROM report WHERE (changed, id) > (?, ?)
                    ORDER BY changed, id LIMIT ?";
        let rows: Vec<(String, i64, String)> = sqlx::query_as(rows)
            .bind(after.time.as_micros())
            .bind(&after.id)
            .bind(i64::try_from(limit)?)
            .fetch_all(&self.0)
            .await?;
        let row = |(id, changed, report): (String, i64, String)| {
            let time = Timestamp::from_micros(changed);
            let mark = Mark { time, id };
            match serde_json::from_str(&report) {
                Ok(message) => PolledRow::new(mark, message),
                Err(error) => PolledRow::unreadable(mark, report, error),
            }
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

impl Table {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("theirs.db");
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let rows = SqlitePool::connect(&url).await.unwrap();
        let table = "CREATE TABLE report (id TEXT PRIMARY KEY, changed INTEGER, report TEXT)";
        sqlx::query(table).execute(&rows).await.unwrap();
        let broken = Arc::default();
        Self {
            rows,
            folder,
            broken,
        }
    }

    async fn put(&self, changed: i64, report: &Report) {
        let text = serde_json::to_string(report).unwrap();
        self.put_text(&report.id, changed, &text).await;
    }

    async fn put_text(&self, id: &str, changed: i64, text: &str) {
        let put = "INSERT OR REPLACE INTO report VALUES (?, ?, ?)";
        let put = sqlx::query(put).bind(id).bind(changed).bind(text);
        put.execute(&self.rows).await.unwrap();
    }

    fn poll(&self) -> Polled<Rows> {
        Polled::new(Rows(self.rows.clone(), self.broken.clone())).every(Duration::ZERO)
    }

    async fn flights(&self) -> Service {
        let file = self.folder.path().join("ours.db");
        let url = format!("sqlite://{}", file.display());
        let store = Store::connect(&url).await.unwrap();
        service(&store).clock(Late).start().await.unwrap()
    }
}

/// It is later than anything in the table.
struct Late;

impl Clock for Late {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1000 * HOUR)
    }
}

/// Until a whole pass that began after now is over.
async fn polled(running: &Running) {
    let now = running.status().rounds;
    running
        .until(|status| status.rounds >= now + 2)
        .await
        .unwrap();
}

async fn at(flights: &Service) -> String {
    let aircraft = flights.load::<Aircraft>("N1").await.unwrap();
    aircraft.state().airport.clone()
}

#[tokio::test]
async fn rows_that_commit_late_are_found() -> Result<()> {
    let table = Table::new().await;
    let flights = table.flights().await;
    let overlap = Duration::from_secs(2 * 3600);
    let running = table.poll().overlap(overlap).start(tower(&flights));
    table.put(9 * HOUR, &seen("b", "IAH", 9)).await;
    polled(&running).await;
    assert_eq!(at(&flights).await, "IAH");
    // In the order of their own time, and after the cursor has passed them.
    table.put(8 * HOUR, &seen("c", "JFK", 10)).await;
    polled(&running).await;
    assert_eq!(at(&flights).await, "JFK");
    let Status {
        taken, repeated, ..
    } = Status::of(&running);
    assert_eq!(
        (taken, repeated),
        (2, 0),
        "what was taken is not taken again"
    );
    // Later than the overlap: a sweep alone finds it.
    table.put(5 * HOUR, &seen("d", "EWR", 11)).await;
    polled(&running).await;
    assert_eq!(at(&flights).await, "JFK");
    running.stop().await?;
    let running = table
        .poll()
        .overlap(overlap)
        .sweep(Duration::from_secs(3600));
    let running = running.start(tower(&flights));
    running.until(|status| status.rounds > 0).await?;
    assert_eq!(at(&flights).await, "EWR");
    running.stop().await?;
    flights.shutdown().await
}

/// What a test asks of a status.
struct Status {
    taken: u64,
    repeated: u64,
}

impl Status {
    fn of(running: &Running) -> Self {
        let es_runtime::adapt::Status {
            taken, repeated, ..
        } = running.status();
        Self { taken, repeated }
    }
}

#[tokio::test]
async fn a_row_from_the_future_hides_no_other() -> Result<()> {
    let table = Table::new().await;
    let flights = table.flights().await;
    let running = table.poll().start(tower(&flights));
    table.put(9999 * HOUR, &seen("b", "IAH", 9)).await;
    polled(&running).await;
    table.put(1000 * HOUR, &seen("c", "JFK", 10)).await;
    polled(&running).await;
    assert_eq!(at(&flights).await, "JFK");
    running.stop().await?;
    flights.shutdown().await
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_and_tried_again() -> Result<()> {
    let table = Table::new().await;
    let flights = table.flights().await;
    let running = table.poll().start(tower(&flights));
    table.put_text("x", HOUR, "no report").await;
    table.put(2 * HOUR, &seen("", "IAH", 1)).await;
    table.put(3 * HOUR, &seen("b", "IAH", 9)).await;
    polled(&running).await;
    assert_eq!(at(&flights).await, "IAH");
    assert_eq!(running.status().set_aside, 2);
    running.stop().await?;

    let aside = tower(&flights).set_aside(0).await?;
    let bodies: Vec<_> = aside.iter().map(|aside| &aside.body[..]).collect();
    assert_eq!(bodies[0], b"no report");
    assert!(aside[0].reason.contains("ES0275") && aside[1].reason.contains("ES0276"));
    // A release that knows what it means.
    let mended = tower(&flights).decode_with(|_| Ok(seen("x", "JFK", 10)));
    assert_eq!(mended.retry_set_aside().await?, 1);
    assert_eq!(
        (at(&flights).await.as_str(), mended.aside().await?),
        ("JFK", 1)
    );
    // Nobody will ever know what it means.
    let number = aside[1].number;
    mended.give_up(number, "it has no id").await?;
    assert_eq!(
        mended.give_up(number, "again").await.unwrap_err().code(),
        "ES0279"
    );
    assert_eq!(mended.aside().await?, 0);
    flights.shutdown().await
}

#[tokio::test]
async fn a_table_that_is_away_is_waited_for_and_a_whole_one_is_taken() -> Result<()> {
    let table = Table::new().await;
    let flights = table.flights().await;
    table.broken.store(true, Ordering::Relaxed);
    let running = table.poll().start(tower(&flights));
    let away = |status: &es_runtime::adapt::Status| {
        let trouble = status.trouble.as_deref();
        trouble.is_some_and(|trouble| trouble.contains("the table is away"))
    };
    running.until(away).await?;
    let facts = reports().into_iter().zip(1_i64..);
    for (report, n) in facts {
        // Many at one moment.
        table.put(n / 50, &report).await;
        if let What::Flew { .. } = report.what {
            table.put(n / 50, &report).await;
        }
    }
    table.broken.store(false, Ordering::Relaxed);
    running.until(|status| status.rounds > 0).await?;
    running.stop().await?;
    assert_eq!(fleet(&flights).await, (truth(), reports().len() as u64));
    flights.shutdown().await
}
