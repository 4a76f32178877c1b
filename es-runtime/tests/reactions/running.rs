//! What becomes of reactions once they are enqueued.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use es_runtime::projection::Health;
use es_runtime::store::{EventStore, Phase, ProjectionId};
use es_runtime::{Attempt, Result, Retry};

use crate::domain::{
    Account, AccountEvent, Notice, One, Outside, Two, bank, deposit, one, open, two,
};
use crate::stores;
use crate::until::until;

#[tokio::test]
async fn what_happens_is_told_once_and_history_is_not() -> Result<()> {
    for (store, _folder) in stores().await {
        let before = bank(&store).start().await?;
        before.execute::<Account>("alice", open("Alice")).await?;
        before.execute::<Account>("alice", deposit(5)).await?;
        before.shutdown().await?;
        let outside = Outside::default();
        let first = one(bank(&store), &outside).start().await?;
        first.execute::<Account>("alice", deposit(10)).await?;
        first.execute::<Account>("bob", open("Bob")).await?;
        first.execute::<Account>("alice", deposit(10)).await?;
        until("three are told", async || {
            (outside.told().len() == 3).then_some(())
        })
        .await;
        assert_eq!(outside.of("alice"), [Some(15), Some(25)]);
        let (key, reaction, notice) = outside.told().into_iter().next().unwrap();
        assert_eq!((reaction.position.get(), notice.before), (3, Some(5)));
        assert_eq!(reaction.idempotency_key(store.identity()), key);
        let queues = store.reaction_queues("balances", None, 10);
        until("nothing is left", async || {
            let queues = store.reaction_queues("balances", None, 10);
            queues.await.unwrap().is_empty().then_some(())
        })
        .await;
        drop(queues);
        // The next version builds through all of it and says nothing, until it takes over.
        let second = two(one(bank(&store), &outside), &outside).start().await?;
        second.caught_up().await?;
        second.execute::<Account>("alice", deposit(1)).await?;
        until("the first tells", async || {
            (outside.told().len() == 4).then_some(())
        })
        .await;
        second.promote::<Two>().forced("the test says so").await?;
        second.execute::<Account>("alice", deposit(2)).await?;
        until("the second tells", async || {
            (outside.told().len() == 5).then_some(())
        })
        .await;
        second.roll_back::<Two>("the test says so").await?;
        second.execute::<Account>("alice", deposit(3)).await?;
        until("the first tells again", async || {
            (outside.told().len() == 6).then_some(())
        })
        .await;
        let by: Vec<_> = outside
            .told()
            .into_iter()
            .map(|(.., notice)| notice.by)
            .collect();
        assert_eq!(by, [1, 1, 1, 1, 2, 1]);
        assert_eq!(outside.of("alice").last(), Some(&Some(31)));
        first.shutdown().await?;
        second.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_failing_one_holds_up_its_own_key_alone() -> Result<()> {
    for (store, _folder) in stores().await {
        let outside = Outside::default();
        let (told, broken) = (outside.clone(), Arc::new(AtomicU32::new(1)));
        let down = broken.clone();
        let bank = bank(&store)
            .retry(
                Retry::default()
                    .first(Duration::from_millis(1))
                    .park_after(2),
            )
            .project::<AccountEvent, One>()
            .react::<AccountEvent, One>(move |notice: Notice, attempt: Attempt| {
                let down = down.load(Ordering::SeqCst) > 0 && notice.account == "alice";
                if !down {
                    told.tell(notice, &attempt);
                }
                async move {
                    match down {
                        true if attempt.number() == 1 => panic!("the printer is on fire"),
                        true => Err("out of paper".into()),
                        false => Ok(()),
                    }
                }
            });
        let bank = bank.start().await?;
        bank.execute::<Account>("alice", open("Alice")).await?;
        bank.execute::<Account>("alice", deposit(1)).await?;
        bank.execute::<Account>("bob", open("Bob")).await?;
        bank.execute::<Account>("alice", deposit(2)).await?;
        let parked = until("it is parked", async || {
            let queues = store.reaction_queues("balances", None, 10).await.unwrap();
            queues.into_iter().find(|queue| queue.due.is_none())
        })
        .await;
        assert_eq!((parked.first.key.as_str(), parked.attempts), ("alice", 2));
        assert_eq!(parked.failure.unwrap().reason, "out of paper");
        until("bob is told", async || {
            (outside.of("bob") == [Some(0)]).then_some(())
        })
        .await;
        until("the others wait", async || {
            let queues = store.reaction_queues("balances", None, 10).await.unwrap();
            (queues.len() == 1 && queues[0].pending == 3).then_some(())
        })
        .await;
        assert!(outside.of("alice").is_empty());
        // A person gives the first one up, and the cause goes away.
        let id = ProjectionId::from(&<One as es_runtime::projection::Projection>::TABLE);
        assert!(
            store
                .drop_reaction(&parked.first, "nobody reads it", "anna")
                .await?
        );
        assert!(
            !store
                .drop_reaction(&parked.first, "nobody reads it", "anna")
                .await?
        );
        let told = store.life(&id).await?;
        let dropped = told.last().unwrap();
        assert_eq!(
            (dropped.what.as_str(), dropped.by.as_str()),
            ("drop reaction", "anna")
        );
        assert!(
            dropped
                .reason
                .as_ref()
                .unwrap()
                .starts_with("nobody reads it (of `alice`")
        );
        until("the next is parked", async || {
            let queues = store.reaction_queues("balances", None, 10).await.unwrap();
            (queues[0].due.is_none()).then_some(())
        })
        .await;
        broken.store(0, Ordering::SeqCst);
        assert_eq!(store.retry_reactions("balances", Some("bob")).await?, 0);
        assert_eq!(store.retry_reactions("balances", None).await?, 1);
        until("alice is told", async || {
            (outside.of("alice") == [Some(1), Some(3)]).then_some(())
        })
        .await;
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_command_is_one_command_however_often_it_is_tried() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = bank(&store)
            .project::<AccountEvent, One>()
            .react::<AccountEvent, One>(|notice: Notice, attempt: Attempt| async move {
                // To the ones that begin with a small letter, a bonus.
                if notice.before.is_none() && notice.account == "alice" {
                    let bonus = attempt.service().execute::<Account>("alice", deposit(7));
                    bonus.id(attempt.key()).await?;
                    if attempt.number() < 3 {
                        return Err("the connection was lost after it was done".into());
                    }
                }
                Ok(())
            })
            .start()
            .await?;
        bank.execute::<Account>("alice", open("Alice")).await?;
        until("all is done", async || {
            let queues = store.reaction_queues("balances", None, 10).await.unwrap();
            let head = store.head().await.unwrap().get();
            (queues.is_empty() && head > 1).then_some(())
        })
        .await;
        assert_eq!(bank.load::<Account>("alice").await?.state().balance, 7);
        assert_eq!(store.head().await?.get(), 2);
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_that_hangs_has_failed_after_its_time() -> Result<()> {
    for (store, _folder) in stores().await {
        let outside = Outside::default();
        let told = outside.clone();
        let retry = Retry::default()
            .first(Duration::ZERO)
            .within(Duration::from_millis(5));
        let bank = bank(&store)
            .retry(retry)
            .project::<AccountEvent, One>()
            .react::<AccountEvent, One>(move |notice: Notice, attempt: Attempt| {
                let told = told.clone();
                async move {
                    if attempt.number() < 3 {
                        std::future::pending::<()>().await;
                    }
                    told.tell(notice, &attempt);
                    Ok(())
                }
            })
            .start()
            .await?;
        bank.execute::<Account>("alice", open("Alice")).await?;
        until("it is told", async || {
            (outside.told().len() == 1).then_some(())
        })
        .await;
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_version_never_changes_what_it_reacts_to() -> Result<()> {
    for (store, _folder) in stores().await {
        let outside = Outside::default();
        let without = bank(&store).project::<AccountEvent, One>().start().await?;
        without.execute::<Account>("alice", open("Alice")).await?;
        without.caught_up().await?;
        let error = one(bank(&store), &outside).start().await.unwrap_err();
        assert_eq!(error.code(), "ES0188");
        let text = error.to_string();
        assert!(text.contains("made to react to nothing"), "{text}");
        // The next version does, from when it takes over.
        let with = two(bank(&store), &outside).start().await?;
        with.caught_up().await?;
        with.promote::<Two>().forced("the test says so").await?;
        with.execute::<Account>("alice", deposit(1)).await?;
        until("it is told", async || {
            (outside.told().len() == 1).then_some(())
        })
        .await;
        without.shutdown().await?;
        with.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn code_that_does_not_react_stops_where_a_version_does() -> Result<()> {
    for (store, _folder) in stores().await {
        // Both come before anything has happened, the one that does not react first.
        let without = bank(&store).project::<AccountEvent, One>().start().await?;
        let outside = Outside::default();
        let with = one(bank(&store), &outside).start().await?;
        with.execute::<Account>("alice", open("Alice")).await?;
        until("it is told", async || {
            (outside.told().len() == 1).then_some(())
        })
        .await;
        let worked = |health: &Health| matches!(health, Health::Working | Health::Retrying { .. });
        let (_, status) = without.status().into_iter().next().unwrap();
        let stopped =
            matches!(&status.health, Health::Stopped { reason } if reason.contains("ES0188"));
        assert!(
            stopped || !worked(&status.health) || status.cursor.get() == 0,
            "{status:?}"
        );
        without.shutdown().await.ok();
        with.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_that_is_owed_is_forgotten() -> Result<()> {
    for (store, _folder) in stores().await {
        let outside = Outside::default();
        let first = one(bank(&store), &outside).start().await?;
        first.execute::<Account>("alice", open("Alice")).await?;
        first.caught_up().await?;
        until("it is told", async || {
            (outside.told().len() == 1).then_some(())
        })
        .await;
        first.shutdown().await?;
        // The first version stands still, and the second one takes over further on.
        let second = two(bank(&store), &outside).start().await?;
        second.execute::<Account>("alice", deposit(1)).await?;
        second.caught_up().await?;
        second.promote::<Two>().forced("the test says so").await?;
        second.execute::<Account>("alice", deposit(2)).await?;
        second.caught_up().await?;
        let id = ProjectionId::from(&<One as es_runtime::projection::Projection>::TABLE);
        let retire = |forced: Option<&str>| es_runtime::store::Change::Retire {
            quiet: Duration::ZERO,
            forced: forced.map(str::to_owned),
        };
        let refused = store.change(&id, &retire(None), "anna").await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("at most 1 events, from 2 to 2"), "{text}");
        // What comes after it waits, so that alice hears all in order.
        assert_eq!(outside.told().len(), 1);
        let queues = store.reaction_queues("balances", None, 10).await?;
        assert_eq!((queues.len(), queues[0].first.position.get()), (1, 3));
        let late = one(bank(&store), &outside).start().await?;
        until("all is told", async || {
            (outside.told().len() == 3).then_some(())
        })
        .await;
        assert_eq!(outside.of("alice"), [Some(0), Some(1), Some(3)]);
        let retired = store.change(&id, &retire(None), "anna").await?;
        assert_eq!(retired.versions[&1].phase, Phase::Retired);
        late.shutdown().await?;
        second.shutdown().await?;
    }
    Ok(())
}
