//! Where a consumer begins that is new to a stream.

use std::time::Duration;

use es_runtime::consume::{Begin, Page, Source};
use es_runtime::event::Position;
use es_runtime::store::{EventStore, StreamCursor, StreamVersion};
use es_runtime::{Result, Store};

use crate::domain::{Account, deposit};
use crate::{Rows, effects, file, publisher, rows, source};

async fn positions(inbox: &Store) -> Result<Vec<i64>> {
    let effects = effects(inbox).await?;
    Ok(effects.into_values().flatten().collect())
}

#[tokio::test]
async fn from_now_on_is_decided_once() -> Result<()> {
    let (bank, upstream) = publisher(&["alice"], 4).await?;
    let (inbox, _folder) = file().await?;
    let start = || {
        rows(&inbox, source(&upstream), Rows::good())
            .from(Begin::Now)
            .start()
    };
    let running = start().await?;
    running.reached(Position::new(4)).await?;
    bank.execute::<Account>("alice", deposit(1)).await?;
    running.reached(Position::new(5)).await?;
    running.stop().await?;
    assert_eq!(positions(&inbox).await?, [5]);
    // What was published while it was down is not missed.
    bank.execute::<Account>("alice", deposit(2)).await?;
    bank.caught_up().await?;
    let running = start().await?;
    running.reached(Position::new(6)).await?;
    assert_eq!(
        running.inbox().cursor().await?,
        upstream.published_head(&accounts()).await?
    );
    running.stop().await?;
    assert_eq!(positions(&inbox).await?, [5, 6]);
    Ok(())
}

fn accounts() -> StreamVersion {
    StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    }
}

#[tokio::test]
async fn after_a_position_comes_the_next() -> Result<()> {
    let (_bank, upstream) = publisher(&["alice"], 5).await?;
    let (inbox, _folder) = file().await?;
    let running = rows(&inbox, source(&upstream), Rows::good())
        .from(Begin::After(Position::new(2)))
        .start()
        .await?;
    running.reached(Position::new(5)).await?;
    running.stop().await?;
    assert_eq!(positions(&inbox).await?, [3, 4, 5]);
    Ok(())
}

/// A source that cannot tell where the stream ends.
struct Blind<S>(S);

impl<S: Source> Source for Blind<S> {
    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        self.0.read(stream, after, limit, wait).await
    }
}

#[tokio::test]
async fn a_source_that_cannot_tell_the_end_says_so() -> Result<()> {
    let (_bank, upstream) = publisher(&["alice"], 2).await?;
    let (inbox, _folder) = file().await?;
    let source = Blind(source(&upstream));
    let running = rows(&inbox, source, Rows::good())
        .from(Begin::Now)
        .start()
        .await?;
    assert_eq!(running.until_shutdown().await.unwrap_err().code(), "ES0241");
    assert!(positions(&inbox).await?.is_empty());
    Ok(())
}
