//! What the database refuses: single appends, and all of them while the disk is full.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use es_runtime::error::Result;
use es_runtime::event::Position;
use es_runtime::store::sqlite::SqliteStore;
use es_runtime::store::{Append, Appended, EventStore, Outcome};
use futures_util::future::join_all;
use tokio::time::{Instant, pause, resume};

use crate::{File, accepted, append, log, run, stream};

fn refused() -> Append {
    let mut refused = append("b", 0, "b", 2);
    refused.events[1].event_type = "refused";
    refused
}

#[tokio::test]
async fn an_append_that_is_refused_fails_alone() {
    for (trigger, action) in [
        (
            "CREATE TRIGGER no BEFORE INSERT ON es_event WHEN NEW.type = 'refused'
          BEGIN SELECT RAISE(ABORT, 'not this one'); END",
            "ABORT",
        ),
        (
            "CREATE TRIGGER no BEFORE INSERT ON es_event WHEN NEW.type = 'refused'
          BEGIN SELECT RAISE(FAIL, 'not this one'); END",
            "FAIL",
        ),
        (
            "CREATE TRIGGER no BEFORE INSERT ON es_event WHEN NEW.type = 'refused'
          BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END",
            "ROLLBACK",
        ),
    ] {
        let file = File::new();
        let store = file.open().await;
        run(&mut file.outside().await, trigger).await.unwrap();
        // On one thread all four wait before the committer wakes: they are one batch.
        let (a, b, c, d) = tokio::join!(
            store.append(append("a", 0, "a", 2)),
            store.append(refused()),
            store.append(append("c", 0, "c", 1)),
            store.append(append("d", 7, "d", 1)),
        );
        let error = b.expect_err(action).to_string();
        assert!(error.contains("not this one"), "{action}: {error}");
        let outcome = |first, count, version| {
            Appended::New(Outcome {
                first: Position::new(first),
                count,
                version,
            })
        };
        assert_eq!(a.expect(action), outcome(1, 2, 2));
        assert_eq!(c.expect(action), outcome(3, 1, 1));
        assert_eq!(d.expect(action), Appended::Conflict { found: 0 });
        assert_eq!(log(&store).await.len(), 3, "{action}");
        let known = store.outcome(&stream("b"), refused().command_id).await;
        assert_eq!(known.unwrap(), None, "{action}");
    }
}

/// The writer is somebody else's for long: each waits once, and not for each of its neighbours.
#[tokio::test]
async fn a_batch_that_cannot_begin_fails_at_once() {
    let file = File::new();
    let store = file.open().await;
    let tx = store.begin().await.unwrap();
    pause();
    let start = Instant::now();
    let appends = (0..20).map(|n| append(&n.to_string(), 0, "open", 1));
    let calls = appends.map(|append| {
        let store = store.clone();
        async move { store.append(append).await }
    });
    let answers = calls.collect::<tokio::task::JoinSet<_>>().join_all().await;
    // In the queue for the writer, which is fair, and not for the file's lock, which is not.
    let queued = |answer: &Result<Appended>| {
        let error = answer.as_ref().expect_err("an error").to_string();
        error.contains("pool timed out")
    };
    assert!(answers.iter().all(queued), "{answers:?}");
    assert!(
        start.elapsed() < Duration::from_secs(65),
        "{:?}",
        start.elapsed()
    );
    resume();
    drop(tx);
    accepted(&store, append("0", 0, "open", 1)).await;
}

/// An append of some pages.
fn large(n: usize) -> Append {
    let mut large = append(&n.to_string(), 0, &n.to_string(), 3);
    for event in &mut large.events {
        event.payload = format!("{{\"text\":\"{}\"}}", "x".repeat(20_000));
    }
    large
}

/// Appends until the disk is full, makes room, and goes on.
async fn fill(
    store: &SqliteStore,
    append: impl AsyncFn(Append) -> Result<Appended>,
    make_room: impl AsyncFnOnce(),
) {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        match append(large(n)).await {
            Ok(Appended::New(outcome)) => acknowledged.push((n, outcome)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                println!("after {n} appends: {error}");
                assert!(error.is_transient(), "{error}");
                break;
            }
        }
    }
    let full = acknowledged.len();
    assert!(full > 0);
    assert_eq!(log(store).await.len(), full * 3, "torn");
    make_room().await;
    // The one that failed comes again, and many at once after it.
    let calls = (full..full + 8).map(|n| append(large(n)));
    for (n, answer) in (full..).zip(join_all(calls).await) {
        match answer {
            Ok(Appended::New(outcome)) => acknowledged.push((n, outcome)),
            other => panic!("{other:?}"),
        }
    }
    let log = log(store).await;
    assert_eq!(log.len(), acknowledged.len() * 3);
    for (n, outcome) in acknowledged {
        let first = usize::try_from(outcome.first.get()).unwrap() - 1;
        let own = |place: usize| log[place].command_id == Some(large(n).command_id);
        assert!((first..first + 3).all(own), "{outcome:?}");
    }
}

/// SQLite ends the transaction by itself, and `sqlx` does not notice.
#[tokio::test]
async fn a_database_at_its_largest_size_goes_on_when_it_may_grow() {
    let file = File::new();
    let store = file.open().await;
    let limit = async |statement| {
        let mut tx = store.begin().await.unwrap();
        run(tx.sqlite().unwrap(), statement).await.unwrap();
    };
    // What the setting is for is the connection of the user's transactions.
    let append = async |append| store.begin().await?.append(append).await;
    limit("PRAGMA max_page_count = 200").await;
    fill(&store, append, async || {
        limit("PRAGMA max_page_count = 100000").await
    })
    .await;
}

/// A disk of its own, where root may mount one.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(path))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0).output().ok();
    }
}

#[tokio::test]
async fn a_full_disk_tears_nothing_and_is_left_behind() {
    let file = File::new();
    let Some(_disk) = Disk::mount(file.0.path()) else {
        println!("1 skipped: only root may mount a disk");
        return;
    };
    let filler = file.0.path().join("filler");
    std::fs::write(&filler, vec![0; 2_000_000]).unwrap();
    let store = file.open().await;
    let append = async |append| store.append(append).await;
    fill(&store, append, async || {
        std::fs::remove_file(&filler).unwrap()
    })
    .await;
    store.close().await;
    // All of it is in the file, not only in this process.
    let again = file.open().await;
    assert!(log(&again).await.len() > 24);
    again.close().await;
}
