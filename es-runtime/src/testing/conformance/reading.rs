//! Laws of reading: directions, limits, filters, and what belongs together.

use fastrand::Rng;

use super::{Check, Violation, accepted, append, law, stream};
use crate::error::{Error, Result};
use crate::event::{Position, SLICES, StoredEvent, StreamId};
use crate::store::{Append, EventStore, LogQuery, StreamPage, StreamQuery};

pub(super) async fn reading_takes_limits<S: EventStore>(store: S) -> Check {
    const LAW: &str = "reading goes on after a cursor and stops at a limit";
    let (a, b) = (stream("a")?, stream("b")?);
    for n in 0..5 {
        accepted(&store, append(&a, n, &format!("a{n}"), 1)).await?;
        accepted(&store, append(&b, n, &format!("b{n}"), 1)).await?;
    }
    for (after, limit) in [(0, 3), (3, 4), (7, 100), (10, 5), (11, 5), (0, 0)] {
        let query = LogQuery::after(Position::new(after)).limit(limit);
        let read = store.read_log(&query).await?;
        let events: Vec<_> = read.events.iter().map(|e| e.position.get()).collect();
        let expected: Vec<_> = (after + 1..=10).take(limit).collect();
        law!(
            LAW,
            events == expected,
            "after {after}, at most {limit}: {events:?}"
        );
        let seen = expected.last().map_or(after, |last| *last);
        law!(
            LAW,
            read.seen.get() == seen,
            "after {after}, at most {limit}, everything up to {} was seen",
            read.seen
        );
    }
    for (query, expected, more) in [
        (StreamQuery::after(0).limit(2), vec![1, 2], true),
        (StreamQuery::after(2).limit(100), vec![3, 4, 5], false),
        (StreamQuery::after(2).limit(3), vec![3, 4, 5], false),
        (StreamQuery::after(5).limit(1), vec![], false),
        (StreamQuery::after(0).limit(0), vec![], true),
        (StreamQuery::before(4).limit(2), vec![3, 2], true),
        (StreamQuery::before(3).limit(2), vec![2, 1], false),
        (StreamQuery::newest().limit(1), vec![5], true),
        (StreamQuery::newest(), vec![5, 4, 3, 2, 1], false),
        (StreamQuery::before(1), vec![], false),
    ] {
        let page = store.read_stream(&b, query).await?;
        let own = page.events.iter().all(|event| event.stream == b.as_str());
        let read: Vec<_> = page.events.iter().map(|event| event.version).collect();
        law!(
            LAW,
            own && read == expected && page.more == more,
            "{query:?} answers {read:?}, and more: {}",
            page.more
        );
    }
    let none = store
        .read_stream(&stream("nobody")?, StreamQuery::after(0))
        .await?;
    law!(
        LAW,
        none.events.is_empty() && !none.more,
        "a stream without events has {none:?}"
    );
    Ok(())
}

pub(super) async fn filters_leave_nothing_else_out<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "a filtered reader misses nothing that it asked for";
    let mut random = Rng::with_seed(seed);
    for n in 0..40 {
        let aggregate = *random
            .choice(["account", "card", "card2"].iter())
            .unwrap_or(&"card");
        let stream = StreamId::new(aggregate, format!("{n}-x")).map_err(Error::from)?;
        let mut append = append(&stream, 0, &n.to_string(), random.usize(1..4));
        for event in &mut append.events {
            event.event_type = ["account.opened", "card.lost"][random.usize(..2)];
        }
        accepted(&store, append).await?;
    }
    let everything = super::log(&store, Position::START, 1000).await?;
    let all = || LogQuery::after(Position::START);
    let half = SLICES / 2;
    for query in [
        all(),
        all().types(["account.opened"]),
        all().types(["nothing", "card.lost"]),
        all().types(Vec::<String>::new()),
        all().aggregates(["card"]),
        all().aggregates(["card2", "account"]).types(["card.lost"]),
        all().slices(0..half),
        all().slices(half..SLICES),
        all().slices(7..7),
        all().aggregates(["account"]).slices(half..SLICES),
    ] {
        let limit = random.usize(1..7);
        let read = to_the_end(&store, query.clone().limit(limit)).await?;
        let wanted = everything.iter().filter(|event| query.filter.wants(event));
        let wanted: Vec<_> = wanted.cloned().collect();
        law!(
            LAW,
            read == wanted,
            "{query:?} by {limit}: {} of {} events",
            read.len(),
            wanted.len()
        );
    }
    Ok(())
}

/// Reads page by page until nothing more is seen.
async fn to_the_end<S: EventStore>(store: &S, query: LogQuery) -> Result<Vec<StoredEvent>> {
    let (mut read, mut cursor) = (Vec::new(), Position::START);
    loop {
        let page = store.read_log(&query.from(cursor)).await?;
        read.extend(page.events.to_vec()?);
        if page.seen == cursor {
            return Ok(read);
        }
        cursor = page.seen;
    }
}

pub(super) async fn what_belongs_together_is_found<S: EventStore>(store: S) -> Check {
    const LAW: &str = "what belongs together is found";
    let (a, b) = (stream("a")?, stream("b")?);
    let said = |mut append: Append, correlation: &str| {
        append.correlation = Some(correlation.to_owned());
        append
    };
    accepted(&store, said(append(&a, 0, "1", 2), "visit")).await?;
    accepted(&store, said(append(&a, 2, "2", 1), "another")).await?;
    accepted(&store, append(&a, 3, "3", 1)).await?;
    accepted(&store, said(append(&b, 0, "4", 0), "visit")).await?;
    accepted(&store, said(append(&b, 0, "5", 3), "visit")).await?;
    for (correlation, after, limit, expected, more) in [
        ("visit", 0, 100, vec![1, 2, 5, 6, 7], false),
        ("visit", 1, 2, vec![2, 5], true),
        ("visit", 2, 3, vec![5, 6, 7], false),
        ("visit", 0, 0, vec![], true),
        ("another", 0, 100, vec![3], false),
        ("nobody", 0, 100, vec![], false),
    ] {
        let page = store
            .read_correlated(correlation, Position::new(after), limit)
            .await?;
        let events = page.events.iter();
        let found: Vec<_> = events.map(|event| event.position.get()).collect();
        law!(
            LAW,
            found == expected && page.more == more,
            "`{correlation}` after {after}, at most {limit}: {found:?}, and more: {}",
            page.more
        );
    }
    Ok(())
}

pub(super) async fn large_events_come_page_by_page<S: EventStore>(store: S) -> Check {
    const LAW: &str = "a page that ends early says that there is more";
    let stream = stream("large")?;
    for n in 0..3 {
        let mut append = append(&stream, n, &n.to_string(), 1);
        append.correlation = Some("visit".to_owned());
        append.events[0].payload = format!("\"{}\"", "x".repeat(5 << 20));
        accepted(&store, append).await?;
    }
    // Versions and positions are the same here.
    let (mut of_stream, mut of_visit) = (0, 0);
    for _ in 0..3 {
        let page = store.read_stream(&stream, StreamQuery::after(of_stream));
        of_stream = read_on(LAW, of_stream, &page.await?)?;
        let page = store.read_correlated("visit", Position::new(of_visit), 10);
        of_visit = read_on(LAW, of_visit, &page.await?)?;
    }
    Ok(())
}

/// Where the page ends that was read after `after`, of three events in all.
fn read_on(
    law: &'static str,
    after: u64,
    page: &StreamPage,
) -> std::result::Result<u64, Violation> {
    let read: Vec<_> = page.events.iter().map(|event| event.version).collect();
    let end = read.last().map_or(after, |last| *last);
    let goes_on = read.iter().copied().eq(after + 1..=end);
    law!(
        law,
        goes_on && (page.more || end == 3) && (after == 3 || end > after),
        "after {after} comes {read:?}, and more: {}",
        page.more
    );
    Ok(end)
}
