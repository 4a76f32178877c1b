//! Consumers: their effects and their cursor are one transaction, whatever becomes of them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use es_runtime::event::Position;
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{
    Advanced, EventStore, InboxId, InboxMove, StreamCursor, StreamVersion, Tx,
};
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
    let moved = store
        .commit_inbox(tx, &InboxMove::new(&inbox(), START, at(1)))
        .await;
    assert_eq!((moved.unwrap(), mails(&file).await), (Advanced::Moved, 1));
    let tx = mail(&store).await;
    let late = store
        .commit_inbox(tx, &InboxMove::new(&inbox(), START, at(1)))
        .await;
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

/// Drops the call after some polls, from none to many, unless it is done before.
async fn give_up(call: impl Future, random: &mut Rng) {
    let mut call = pin!(call);
    let most = 1 << random.u32(..12);
    for _ in 0..random.u32(..most) {
        if poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await {
            return;
        }
        yield_now().await;
    }
}

/// Callers that give up while they begin or commit, at every point.
#[tokio::test]
async fn a_dropped_call_leaves_all_or_nothing_and_blocks_nobody() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (file, store) = with_mails().await;
    let mut random = Rng::with_seed(seed);
    let (mut cursor, mut moves) = (START, 0);
    for n in 1..=60 {
        let call = async {
            let tx = mail(&store).await;
            store
                .commit_inbox(tx, &InboxMove::new(&inbox(), cursor, at(n)))
                .await
        };
        give_up(call, &mut random).await;
        // The writer's turn comes after what the call left under way.
        drop(store.begin().await.unwrap());
        if store.inbox(&inbox()).await.unwrap() == at(n) {
            (cursor, moves) = (at(n), moves + 1);
        }
        assert_eq!(mails(&file).await, moves, "call {n}");
    }
    println!("{moves} of 60 calls were too far to be stopped");
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
        let moved = store
            .commit_inbox(tx, &InboxMove::new(&inbox(), START, at(1)))
            .await;
        moved.expect_err(effect);
        assert_eq!(store.inbox(&inbox()).await.unwrap(), START, "{effect}");
        assert_eq!(mails(&file).await, 0, "{effect}");
        // And the writer is as good as before.
        drop(mail(&store).await);
    }
    let tx = mail(&store).await;
    let moved = store
        .commit_inbox(tx, &InboxMove::new(&inbox(), START, at(1)))
        .await;
    assert_eq!((moved.unwrap(), mails(&file).await), (Advanced::Moved, 1));
}
