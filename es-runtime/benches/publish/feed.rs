//! A stream read page by page: over HTTP, and by SQL.

use std::time::Instant;

use es_runtime::Store;
use es_runtime::postgres::sqlx::{self, PgConnection, Row};
use es_runtime::store::EventStore;
use es_servers::Postgres;

use crate::Size;
use crate::build::{filled, log};
use crate::database::{connect, execute};
use crate::measure::{Comparison, Round, in_turn};

/// Events of a page: the most that the feed gives.
const PAGE: usize = 1000;

pub(crate) async fn pages(server: &Postgres, name: &str, size: Size) -> Comparison {
    let url = log(server, size.events, crate::ACCOUNTS).await;
    let store = Store::connect(&url).await.expect("the store");
    let bank = filled(store.clone(), true).await;
    let address = bank.feed_address().expect("the feed");
    let events = format!("http://{address}/streams/accounts/v1/events");
    let client = reqwest::Client::new();
    let mut raw = connect(&url).await;
    execute(&mut raw, "VACUUM ANALYZE es.published").await;
    let comparison = in_turn!(
        name,
        size,
        over_http(&client, &events, size.events),
        by_sql(&mut raw, size.events)
    );
    bank.shutdown().await.expect("a clean end");
    store.close().await;
    comparison
}

/// Every page, as its bytes.
async fn over_http(client: &reqwest::Client, events: &str, all: usize) -> Round {
    let began = Instant::now();
    for after in (0..all).step_by(PAGE) {
        let page = client.get(format!("{events}?after={after}&limit={PAGE}"));
        let page = page.send().await.expect("an answer");
        assert!(page.status().is_success(), "{page:?}");
        let body = page.bytes().await.expect("a page");
        // The first of the page is there, and the last.
        let last = format!("\"id\":\"accounts.v1-{}\"", (after + PAGE).min(all));
        assert!(memchr(&body, last.as_bytes()), "a page without {last}");
        std::hint::black_box(body);
    }
    Round::of(all, began.elapsed())
}

/// Whether a piece is in the last part of a text.
fn memchr(text: &[u8], piece: &[u8]) -> bool {
    let last = &text[text.len().saturating_sub(2000)..];
    last.windows(piece.len()).any(|window| window == piece)
}

const SELECT: &str = "
    SELECT position, source, type, subject, payload, metadata, occurred_at, recorded_at, salt, hash
    FROM es.published
    WHERE stream = 'accounts' AND version = 1 AND position > $1 AND position <= $1 + $2
    ORDER BY position";

/// Every page, as its rows.
async fn by_sql(raw: &mut PgConnection, all: usize) -> Round {
    let began = Instant::now();
    let mut seen = 0;
    while seen < all {
        let (after, limit) = (i64::try_from(seen), i64::try_from(PAGE));
        let page = sqlx::query(SELECT)
            .bind(after.expect("a position"))
            .bind(limit.expect("a number"));
        let page = page.fetch_all(&mut *raw).await.expect("a page");
        for row in &page {
            let (position, source): (i64, i64) = (row.get(0), row.get(1));
            let (event_type, subject): (&str, &str) = (row.get(2), row.get(3));
            // `json` is its own text, a moment a number of microseconds.
            let (payload, metadata): (&str, &str) = (row.get_unchecked(4), row.get_unchecked(5));
            let (time, recorded): (i64, i64) = (row.get_unchecked(6), row.get_unchecked(7));
            let (salt, hash): (&[u8], &[u8]) = (row.get(8), row.get(9));
            std::hint::black_box((position, source, event_type, subject, payload, metadata));
            std::hint::black_box((time, recorded, salt, hash));
        }
        seen += page.len();
    }
    assert_eq!(seen, all);
    Round::of(all, began.elapsed())
}
