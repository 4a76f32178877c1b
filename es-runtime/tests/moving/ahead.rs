//! Somebody was handled ahead of the others, when the inbox is to move.

use std::time::Duration;

use es_runtime::Result;
use es_runtime::consume::{Consumer, Filtered, Page, Source};
use es_runtime::event::Position;
use es_runtime::store::{StreamCursor, StreamVersion};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::bank::{Bank, Wherever, v1};
use crate::domain::{Account, deposit, open};
use crate::effects::{Rows, effects};
use crate::{LEASE, effect, file, new, reads_all, tells};

/// Has nothing for the cursor until it is opened, and everything for one subject.
struct Gated {
    feed: Wherever,
    is_open: watch::Receiver<bool>,
}

impl Source for Gated {
    async fn subject(
        &mut self,
        stream: &StreamVersion,
        subject: &str,
        after: Position,
        limit: usize,
    ) -> Result<Filtered> {
        self.feed.subject(stream, subject, after, limit).await
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        let opened = timeout(wait, self.is_open.wait_for(|open| *open))
            .await
            .is_ok();
        if !opened {
            return Ok(Page::default());
        }
        self.feed.read(stream, after, limit, wait).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_moves_when_the_cursor_has_come_to_who_was_handled_ahead() -> Result<()> {
    let bank = Bank::new(true).await?;
    let (database, _folder) = file().await?;
    for account in ["alice", "bob"] {
        bank.service()
            .execute::<Account>(account, open(account))
            .await?;
    }
    bank.service().caught_up().await?;
    let (open_it, is_open) = watch::channel(false);
    let feed = bank.feed();
    let gated = Gated { feed, is_open };
    let consumer = Consumer::new("rows", database.clone()).stream::<v1::Accounts>(gated);
    let consumer = consumer.lease(LEASE).handle(Rows::good(&database));
    let first = consumer.start().await?;
    first.entity("bob").await?;

    let second = new(&database, bank.feed(), Rows::good(&database), 1).await?;
    tells(&second, |progress| {
        let trouble = progress.trouble.as_deref().unwrap_or_default();
        trouble.contains("ES0255")
    })
    .await;
    assert_eq!(first.progress().stands_by, None);
    open_it.send_replace(true);
    tells(&first, |progress| progress.stands_by == Some(2)).await;
    let deposited = bank.service().execute::<Account>("bob", deposit(4));
    deposited.await?;
    reads_all(&bank, &second, 2).await?;
    second.stop().await?;
    first.stop().await?;
    let effects = effects(&database).await?;
    assert_eq!(effects["alice"], [effect(1, 1, 0)]);
    assert_eq!(effects["bob"], [effect(1, 2, 0), effect(2, 3, 0)]);
    Ok(())
}
