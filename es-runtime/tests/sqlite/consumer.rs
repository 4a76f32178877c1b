//! Consumers: their effects and their cursor are one transaction, whatever becomes of them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use es_runtime::event::Position;
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{Advanced, EventStore, InboxId, StreamCursor, StreamVersion, Tx};
use fastrand::Rng;
use tokio::task::yield_now;

use crate::{File, accepted, append, number, run};

fn inbox() -> InboxId {
    let (consumer, stream) = ("mail".to_owned(), "accounts".to_owned());
    let stream = StreamVersion { stream, version: 1 };
    InboxId { consumer, stream }
}

fn at(n: u8) -> StreamCursor {
    let (position, hash) = (Position::new(n.into()), [n; 32]);
    StreamCursor { position, hash }
}

const START: StreamCursor = StreamCursor {
    position: Position::START,
    hash: [0; 32],
};

/// A store with a table for effects.
async fn with_mails() -> (File, SqliteStore) {
    let file = File::new();
    let store = file.open().await;
    let table = "CREATE TABLE mails (id INTEGER PRIMARY KEY) STRICT";
    run(&mut file.outside().await, table).await.unwrap();
    (file, store)
}

async fn mail(store: &SqliteStore) -> Tx {
    let mut tx = store.begin().await.unwrap();
    let insert = "INSERT INTO mails DEFAULT VALUES";
    run(tx.sqlite().unwrap(), insert).await.unwrap();
    tx
}

async fn mails(file: &File) -> i64 {
    number(&mut file.outside().await, "SELECT count(*) FROM mails").await
}

#[tokio::test]
async fn effects_and_cursor_are_committed_together_or_not_at_all() {
    let (file, store) = with_mails().await;
    let tx = mail(&store).await;
    assert_eq!(mails(&file).await, 0, "seen before the commit");
    let moved = store.commit_inbox(tx, &inbox(), START, at(1)).await;
    assert_eq!((moved.unwrap(), mails(&file).await), (Advanced::Moved, 1));
    let tx = mail(&store).await;
    let late = store.commit_inbox(tx, &inbox(), START, at(1)).await;
    assert_eq!((late.unwrap(), mails(&file).await), (Advanced::Fenced, 1));
    assert_eq!(store.inbox(&inbox()).await.unwrap(), at(1));
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_and_blocks_nobody() {
    let (file, store) = with_mails().await;
    drop(mail(&store).await);
    accepted(&store, append("a", 0, "after", 1)).await;
    assert_eq!(mails(&file).await, 0);
}

/// Callers that give up while they begin or commit, at every point.
#[tokio::test]
async fn a_dropped_call_leaves_the_writer_free() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (_file, store) = with_mails().await;
    let mut random = Rng::with_seed(seed);
    for n in 0..60 {
        let before = store.inbox(&inbox()).await.unwrap();
        let mut call = pin!(async {
            let tx = mail(&store).await;
            store.commit_inbox(tx, &inbox(), before, at(n + 1)).await
        });
        let most = 1 << random.u32(..12);
        for _ in 0..random.u32(..most) {
            if poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await {
                break;
            }
            yield_now().await;
        }
        drop(call);
    }
    accepted(&store, append("a", 0, "after", 1)).await;
}

/// Some errors end SQLite's transaction. A handler that ignores one must not get its cursor moved.
#[tokio::test]
async fn a_transaction_that_the_database_ended_moves_no_cursor() {
    let (file, store) = with_mails().await;
    for effect in [
        "INSERT INTO mails VALUES (1); INSERT OR ROLLBACK INTO mails VALUES (1)",
        "INSERT INTO mails VALUES (2); ROLLBACK",
    ] {
        let mut tx = store.begin().await.unwrap();
        run(tx.sqlite().unwrap(), effect).await.ok();
        let moved = store.commit_inbox(tx, &inbox(), START, at(1)).await;
        moved.expect_err(effect);
        assert_eq!(store.inbox(&inbox()).await.unwrap(), START, "{effect}");
        assert_eq!(mails(&file).await, 0, "{effect}");
        // And the writer is as good as before.
        drop(mail(&store).await);
    }
    let tx = mail(&store).await;
    let moved = store.commit_inbox(tx, &inbox(), START, at(1)).await;
    assert_eq!((moved.unwrap(), mails(&file).await), (Advanced::Moved, 1));
}
