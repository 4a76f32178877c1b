//! Reading integration streams with and without filters.

use fastrand::Rng;

use super::cursors::published;
use super::rows::advance;
use super::{Check, Subject, law};
use crate::error::Result;
use crate::event::Position;
use crate::store::{
    Change, EventStore, KeptSchema, PUBLISHED_BYTES, PUBLISHED_WINDOW, Phase, PublishedEvent,
    PublishedQuery, StreamVersion,
};

const TYPES: [&str; 3] = ["bank.opened.v1", "bank.changed.v1", "it's \"ü\"; 1,2"];
const SUBJECTS: [&str; 3] = ["alice", "bob", "o'ü;7"];

fn accounts() -> StreamVersion {
    StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    }
}

async fn add<S: EventStore>(store: &S, events: &[PublishedEvent]) -> Result<()> {
    for batch in events.chunks(2000) {
        let (first, last) = (batch[0].position, batch[batch.len() - 1].position);
        let advance = advance(&accounts(), first.get() - 1, last.get());
        store
            .advance_stream(advance, &accounts(), batch.to_vec())
            .await?;
    }
    Ok(())
}

pub(super) async fn pages_tell_what_they_saw<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "a page of a stream tells what it saw";
    let mut random = Rng::with_seed(seed);
    let nobody = PublishedQuery::after(&accounts(), Position::START);
    let page = store.query_published(&nobody).await?;
    law!(
        LAW,
        page.life.is_none() && page.events.is_empty() && page.seen == Position::START,
        "a stream that nobody prepared answers {page:?}"
    );
    store.prepare_stream(&accounts()).await?;
    let mut all = Vec::new();
    for position in 1..=60 {
        let mut event = published(position);
        event.event_type = TYPES[random.usize(..3)].to_owned();
        event.subject = SUBJECTS[random.usize(..3)].to_owned();
        all.push(event);
    }
    add(&store, &all).await?;
    let page = store.query_published(&nobody).await?;
    let phase = page.life.map(|life| life.phase);
    law!(LAW, phase == Some(Phase::Building), "it is {phase:?}");
    let id = (&accounts()).into();
    store.change(&id, &Change::Complete, "suite").await?;
    for _ in 0..60 {
        let after = random.u64(..70);
        let mut query = PublishedQuery::after(&accounts(), Position::new(after));
        query = query.limit(random.usize(..70));
        if random.bool() {
            let some = TYPES.into_iter().filter(|_| random.bool());
            query = query.types(some.collect::<Vec<_>>());
        }
        if random.bool() {
            query = query.subject(SUBJECTS[random.usize(..3)]);
        }
        let page = store.query_published(&query).await?;
        let wanted = |event: &&PublishedEvent| {
            let types = query.types.as_ref();
            event.position.get() > after
                && types.is_none_or(|types| types.contains(&event.event_type))
                && query.subject.as_ref().is_none_or(|id| *id == event.subject)
        };
        let wanted: Vec<_> = all.iter().filter(wanted).cloned().collect();
        let some = wanted.len().min(query.limit);
        law!(
            LAW,
            page.events == wanted[..some],
            "{query:?} finds {:?} and not {:?}",
            page.events,
            &wanted[..some]
        );
        let full = query.limit > 0 && some == query.limit;
        law!(LAW, page.full == full, "{query:?}: full is {}", page.full);
        let seen = match page.events.last() {
            Some(last) if full => last.position,
            _ if query.limit == 0 => query.after,
            _ => Position::new(after.max(60)),
        };
        law!(
            LAW,
            page.seen == seen,
            "{query:?} saw {seen}, says {page:?}"
        );
        law!(LAW, page.head.get() == 60, "the head is {}", page.head);
        let phase = page.life.map(|life| life.phase);
        law!(LAW, phase == Some(Phase::Live), "it is {phase:?}");
    }
    Ok(())
}

pub(super) async fn pages_are_bounded<S: EventStore>(store: S) -> Check {
    const LAW: &str = "a page of a stream is bounded";
    store.prepare_stream(&accounts()).await?;
    let total = PUBLISHED_WINDOW + 10;
    let mut all: Vec<_> = (1..=total).map(published).collect();
    for event in all.iter_mut().take(3) {
        event.payload = format!("\"{}\"", "x".repeat(PUBLISHED_BYTES / 2));
    }
    add(&store, &all).await?;
    // Two of them are a page.
    let query = PublishedQuery::after(&accounts(), Position::START);
    let page = store.query_published(&query).await?;
    law!(
        LAW,
        page.events == all[..2] && page.full && page.seen.get() == 2,
        "long events: {} of them, full {}, seen {}",
        page.events.len(),
        page.full,
        page.seen
    );
    let query = query.from(page.seen);
    let page = store.query_published(&query).await?;
    law!(
        LAW,
        page.events.len() == 1000 && page.full,
        "behind them: {} events",
        page.events.len()
    );
    // A filter that finds nothing looks through a part of the stream at once.
    let query = query.from(Position::START).types(["nothing"]);
    let page = store.query_published(&query).await?;
    law!(
        LAW,
        page.events.is_empty() && page.seen.get() == PUBLISHED_WINDOW && !page.full,
        "nothing was found up to {}",
        page.seen
    );
    let page = store.query_published(&query.from(page.seen)).await?;
    law!(
        LAW,
        page.seen.get() == total,
        "and then up to {}",
        page.seen
    );
    Ok(())
}

pub(super) async fn schemas_are_kept<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a schema is kept for ever";
    let schema = |name: &str, revision: &str, text: &str| KeptSchema {
        name: name.to_owned(),
        revision: revision.to_owned(),
        stream: accounts(),
        text: text.to_owned(),
    };
    let store = subject.fresh().await;
    store.keep_schemas(&[]).await?;
    let first = [
        schema("bank.opened.v1", "a", "{\"title\": \"it's \u{fc}\"}"),
        schema("accounts.v1", "a", "{}"),
    ];
    store.keep_schemas(&first).await?;
    // The next release has another text, and one of the same.
    let second = [
        schema("bank.opened.v1", "b", "{\"a\": 1}"),
        first[1].clone(),
    ];
    store.keep_schemas(&second).await?;
    // What is under an address stays.
    store
        .keep_schemas(&[schema("accounts.v1", "a", "[]")])
        .await?;
    for schema in first.iter().chain(&second) {
        let kept = store.kept_schema(&schema.name, &schema.revision).await?;
        law!(
            LAW,
            kept.as_ref() == Some(schema),
            "{schema:?} was kept, and {kept:?} is found"
        );
    }
    let unknown = store.kept_schema("accounts.v1", "b").await?;
    law!(LAW, unknown.is_none(), "nobody kept {unknown:?}");
    Ok(())
}
