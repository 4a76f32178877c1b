//! Events that fail: their key waits, the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use es_runtime::consume::HandlerError;
use es_runtime::event::Position;
use es_runtime::sqlite::sqlx;
use es_runtime::store::EventStore;
use es_runtime::{Error, Result};

use crate::{Rows, all, effects, file, publisher, rows, source, until};

const BOTH: [&str; 2] = ["alice", "bob"];

#[tokio::test]
async fn a_key_that_fails_waits_in_order_while_others_go_on() -> Result<()> {
    let (_bank, upstream) = publisher(&BOTH, 6).await?;
    let (inbox, _folder) = file().await?;
    tokio::time::pause();
    // The third of alice's.
    let running = rows(&inbox, source(&upstream), Rows::failing_at(5))
        .start()
        .await?;
    let error = running.reached(Position::new(12)).await.unwrap_err();
    assert_eq!(error.code(), "ES0240");
    assert!(error.to_string().contains("told to fail"), "{error}");
    let progress = running.progress();
    assert_eq!(
        (progress.position.get(), progress.waiting, progress.parked),
        (12, 1, 1)
    );
    let keys = running.inbox().set_aside(None).await?;
    assert_eq!(
        (&*keys[0].key, keys[0].position.get(), keys[0].waiting),
        ("alice", 5, 4)
    );
    assert!(keys[0].attempts >= 8, "{keys:?}");
    let waiting = running.inbox().waiting("alice").await?;
    let positions: Vec<_> = waiting.iter().map(|held| held.position.get()).collect();
    assert_eq!(positions, [5, 7, 9, 11]);
    running.stop().await?;
    tokio::time::resume();
    let mut so_far = all(&BOTH, 6);
    so_far.get_mut("alice").unwrap().truncate(2);
    assert_eq!(effects(&inbox).await?, so_far);
    // A release that mends it tries again by itself.
    let running = rows(&inbox, source(&upstream), Rows::good())
        .start()
        .await?;
    running.reached(Position::new(12)).await?;
    assert!(running.inbox().set_aside(None).await?.is_empty());
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, all(&BOTH, 6));
    Ok(())
}

#[tokio::test]
async fn an_event_that_fails_for_a_while_is_tried_until_it_does_not() -> Result<()> {
    let (_bank, upstream) = publisher(&BOTH, 4).await?;
    let (inbox, _folder) = file().await?;
    let left = Arc::new(AtomicU32::new(5));
    let handler = Rows::acting(move |event| {
        let fails = event.position.get() == 3
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
        if fails {
            // A panic is a failure like any other.
            assert!(
                !left.load(Ordering::SeqCst).is_multiple_of(2),
                "told to panic"
            );
            return Err("told to fail".into());
        }
        Ok(())
    });
    tokio::time::pause();
    let running = rows(&inbox, source(&upstream), handler).start().await?;
    running.reached(Position::new(8)).await?;
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, all(&BOTH, 4));
    Ok(())
}

#[tokio::test]
async fn what_fails_for_everybody_sets_nobody_aside() -> Result<()> {
    let (_bank, upstream) = publisher(&BOTH, 4).await?;
    let (inbox, _folder) = file().await?;
    let left = Arc::new(AtomicU32::new(20));
    let handler = Rows::acting(move |_| {
        let away = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match away {
            Ok(n) if n % 2 == 0 => Err(sqlx::Error::PoolTimedOut.into()),
            Ok(_) => Err(Error::database("asking another one", "it is away").into()),
            Err(_) => Ok(()),
        }
    });
    tokio::time::pause();
    let running = rows(&inbox, source(&upstream), handler)
        .attempts(1)
        .start()
        .await?;
    until(async || {
        assert!(running.inbox().set_aside(None).await.unwrap().is_empty());
        running.progress().trouble
    })
    .await;
    running.reached(Position::new(8)).await?;
    assert!(running.progress().trouble.is_none());
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, all(&BOTH, 4));
    Ok(())
}

#[tokio::test]
async fn an_event_is_given_up_for_a_reason_that_is_kept() -> Result<()> {
    let (_bank, upstream) = publisher(&BOTH, 3).await?;
    let (inbox, _folder) = file().await?;
    tokio::time::pause();
    let running = rows(&inbox, source(&upstream), Rows::failing_at(3))
        .start()
        .await?;
    running.reached(Position::new(6)).await.unwrap_err();
    let people = running.inbox();
    let given_up = people
        .give_up(Position::new(3), "a test account", "me")
        .await?;
    assert!(given_up);
    until(async || running.reached(Position::new(6)).await.ok()).await;
    let dead = people.dead_letters(Position::START).await?;
    assert_eq!((&*dead[0].key, dead[0].position.get()), ("alice", 3));
    assert_eq!(
        (&*dead[0].reason, &*dead[0].failure),
        ("a test account", "told to fail")
    );
    assert!(dead[0].event.contains("accounts.v1-3"), "{dead:?}");
    running.stop().await?;
    let mut without = all(&BOTH, 3);
    without
        .get_mut("alice")
        .unwrap()
        .retain(|position| *position != 3);
    assert_eq!(effects(&inbox).await?, without);
    Ok(())
}

/// The commit fails, and no event says that it is its fault.
#[tokio::test]
async fn an_event_that_cannot_be_committed_is_found() -> Result<()> {
    let (_bank, upstream) = publisher(&BOTH, 6).await?;
    let (inbox, _folder) = file().await?;
    let mut tx = inbox.begin().await?;
    let tables = "CREATE TABLE effect (n INTEGER PRIMARY KEY, account TEXT, position INTEGER
                  REFERENCES allowed DEFERRABLE INITIALLY DEFERRED);
                  CREATE TABLE allowed (position INTEGER PRIMARY KEY);
                  WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12)
                  INSERT INTO allowed SELECT n FROM n WHERE n <> 7";
    sqlx::raw_sql(tables).execute(tx.sqlite()?).await.unwrap();
    let none = es_runtime::store::InboxId {
        consumer: "set-up".to_owned(),
        stream: es_runtime::store::StreamVersion {
            stream: "none".to_owned(),
            version: 1,
        },
    };
    let nothing = Default::default();
    let step = es_runtime::store::InboxMove::new(&none, nothing, nothing);
    inbox.commit_inbox(tx, &step).await?;
    tokio::time::pause();
    let running = rows(&inbox, source(&upstream), Rows::good())
        .start()
        .await?;
    let error = running.reached(Position::new(12)).await.unwrap_err();
    assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
    running.stop().await?;
    let mut so_far = all(&BOTH, 6);
    so_far.get_mut("alice").unwrap().truncate(3);
    assert_eq!(effects(&inbox).await?, so_far);
    Ok(())
}

#[tokio::test]
async fn more_than_single_keys_hold_it_up_until_they_do_not() -> Result<()> {
    let accounts: Vec<_> = (0..1003).map(|n| format!("account{n}")).collect();
    let accounts: Vec<_> = accounts.iter().map(String::as_str).collect();
    let (_bank, upstream) = publisher(&accounts, 1).await?;
    let (inbox, _folder) = file().await?;
    let away = Arc::new(AtomicU32::new(1));
    let switch = away.clone();
    let handler = Rows::acting(move |_| match switch.load(Ordering::SeqCst) {
        0 => Ok(()),
        _ => Err::<_, HandlerError>("the other service is away".into()),
    });
    let running = rows(&inbox, source(&upstream), handler).start().await?;
    let held_up = |trouble: &String| trouble.contains("ES0134");
    until(async || running.progress().trouble.filter(held_up)).await;
    assert!(running.progress().position.get() <= 1000);
    away.store(0, Ordering::SeqCst);
    running.reached(Position::new(1003)).await?;
    running.stop().await?;
    assert_eq!(effects(&inbox).await?, all(&accounts, 1));
    Ok(())
}
