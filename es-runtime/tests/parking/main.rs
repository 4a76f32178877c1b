//! An error of one key stops that key alone: what fails, what waits, who goes on, and how it is
//! mended, on every store, also when instances are killed in between.
#![cfg(all(feature = "sqlite", feature = "testing"))]

mod domain;
mod random;
#[path = "../until/mod.rs"]
mod until;

use domain::{Names, Noted, Notes, Pages, fail, heal, note, tag};
use es_runtime::event::Position;
use es_runtime::prelude::*;
use es_runtime::projection::Health;
use es_runtime::store::{EventStore, ProjectionId};
use es_runtime::{Builder, Result, Service, Store};
use tempfile::TempDir;
use until::until;

/// Each store on which it is to hold, with what it lives in.
async fn stores() -> Vec<(Store, Box<dyn std::any::Any>)> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("notes.db").display());
    let mut stores: Vec<(Store, Box<dyn std::any::Any>)> = vec![
        (Store::connect("memory:").await.unwrap(), Box::new(())),
        (Store::connect(&url).await.unwrap(), Box::new(folder)),
    ];
    #[cfg(feature = "postgres")]
    {
        let server = es_servers::Postgres::start();
        let store = Store::connect(&server.database()).await.unwrap();
        stores.push((store, Box::new(server)));
    }
    stores
}

fn notes(store: &Store) -> Builder {
    Service::builder("notes")
        .store(store.clone())
        .aggregate::<Notes>()
        .project::<Noted, Pages>()
}

/// The parked keys, each with the event that failed and how many wait.
async fn parked<P: Projection>(notes: &Service) -> Result<Vec<(String, u64, u64)>> {
    let parked = notes.parked::<P>(None).await?;
    let parked = parked.into_iter();
    Ok(parked
        .map(|p| (p.key, p.position.get(), p.waiting))
        .collect())
}

async fn trail(notes: &Service, key: &str) -> Result<Option<String>> {
    Ok(notes.view::<Pages>().get(key).await?.map(|row| row.trail.0))
}

fn parked_keys(notes: &Service) -> u64 {
    let status = notes.status();
    let (_, status) = status.iter().find(|(id, _)| id.name == "pages").unwrap();
    status.parked
}

/// What is parked is tried again, until nothing is.
async fn none_parked(notes: &Service) {
    until("nothing is parked", async || {
        let parked = notes.parked::<Pages>(None).await.unwrap();
        parked.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_fails_waits_and_the_others_go_on() -> Result<()> {
    for (store, _home) in stores().await {
        let tag = tag();
        let notes = notes(&store).start().await?;
        note(&notes, "alice", &tag("one")).await?;
        fail(&tag("two"));
        note(&notes, "alice", &tag("two")).await?;
        let last = note(&notes, "alice", &tag("three")).await?;
        let bob = note(&notes, "bob", &tag("one")).await?;
        let row = notes.view::<Pages>().after(bob).get("bob").await?;
        assert_eq!(row.map(|row| row.trail.0), Some("one ".to_owned()));
        assert_eq!(parked::<Pages>(&notes).await?, [("alice".to_owned(), 2, 2)]);
        assert_eq!(parked_keys(&notes), 1);

        // Its row is as before the event, and says so to whoever asks for more.
        assert_eq!(trail(&notes, "alice").await?.as_deref(), Some("one "));
        let after_one = notes.view::<Pages>().after(Position::new(1));
        assert!(after_one.get("alice").await?.is_some());
        for error in [
            notes
                .view::<Pages>()
                .after(last)
                .get("alice")
                .await
                .map(drop),
            notes.view::<Pages>().current().get("alice").await.map(drop),
        ] {
            let error = error.unwrap_err();
            assert!(error.is_parked() && error.code() == "ES0184", "{error}");
            assert!(
                error.to_string().contains("it panicked: two fails"),
                "{error}"
            );
        }

        // Tried again without a remedy, it fails again, and later; nothing else is touched.
        notes.retry_parked::<Pages>(Some("alice")).await?;
        until("it was tried again", async || {
            let parked = notes.parked::<Pages>(None).await.unwrap();
            (parked[0].attempts == 2 && !parked[0].requested).then_some(())
        })
        .await;
        let nobody = notes.retry_parked::<Pages>(Some("bob")).await.unwrap_err();
        assert!(nobody.is_refused(), "{nobody}");

        heal(&tag("two"));
        notes.retry_parked::<Pages>(None).await?;
        none_parked(&notes).await;
        assert_eq!(
            trail(&notes, "alice").await?.as_deref(),
            Some("one two three ")
        );
        let four = note(&notes, "alice", &tag("four")).await?;
        let row = notes.view::<Pages>().after(four).get("alice").await?;
        assert_eq!(row.unwrap().trail.0, "one two three four ");
        let told = store.life(&ProjectionId::from(&Pages::TABLE)).await?;
        let told: Vec<_> = told.iter().map(|entry| entry.what.as_str()).collect();
        assert_eq!(told, ["complete", "retry", "retry"]);
        notes.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_tries_again_by_itself() -> Result<()> {
    for (store, _home) in stores().await {
        let tag = tag();
        fail(&tag("one"));
        let before = notes(&store).start().await?;
        note(&before, "alice", &tag("one")).await?;
        before.caught_up().await?;
        before.shutdown().await?;
        assert_eq!(
            parked::<Pages>(&before).await?,
            [("alice".to_owned(), 1, 1)]
        );
        heal(&tag("one"));
        let after = notes(&store).start().await?;
        none_parked(&after).await;
        assert_eq!(trail(&after, "alice").await?.as_deref(), Some("one "));
        after.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_given_up_for_a_reason() -> Result<()> {
    for (store, _home) in stores().await {
        let tag = tag();
        let notes = notes(&store).start().await?;
        fail(&tag("two"));
        for what in ["one", "two", "three"] {
            note(&notes, "alice", &tag(what)).await?;
        }
        notes.caught_up().await?;
        notes
            .drop_parked::<Pages>("alice", "a test left it")
            .await?;
        let last = note(&notes, "alice", &tag("four")).await?;
        let row = notes.view::<Pages>().after(last).get("alice").await?;
        assert_eq!(row.unwrap().trail.0, "one four ");
        let told = store.life(&ProjectionId::from(&Pages::TABLE)).await?;
        let told = told.last().unwrap().reason.as_deref();
        let expected = "`alice` goes on without 2 events from position 2: a test left it";
        assert_eq!(told, Some(expected));
        let again = notes.drop_parked::<Pages>("alice", "again").await;
        assert!(again.unwrap_err().is_refused());
        notes.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_does_not_fit_is_as_before_the_event() -> Result<()> {
    for (store, _home) in stores().await {
        let tag = tag();
        // All in one page, so that the first that does not fit must be found.
        let silent = Service::builder("notes").store(store.clone());
        let silent = silent.aggregate::<Notes>().start().await?;
        for what in ["one", "two", "does not fit", "three"] {
            note(&silent, "alice", &tag(what)).await?;
        }
        note(&silent, "bob", &tag("one")).await?;
        silent.shutdown().await?;
        let notes = notes(&store).start().await?;
        notes.caught_up().await?;
        assert_eq!(parked::<Pages>(&notes).await?, [("alice".to_owned(), 3, 2)]);
        assert_eq!(trail(&notes, "alice").await?.as_deref(), Some("one two "));
        assert_eq!(trail(&notes, "bob").await?.as_deref(), Some("one "));
        let reason = notes.parked::<Pages>(None).await?.remove(0).reason;
        assert!(reason.contains("it is too long"), "{reason}");
        notes.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_not_unique_is_as_before_the_event() -> Result<()> {
    for (store, _home) in stores().await {
        let silent = Service::builder("notes").store(store.clone());
        let silent = silent.aggregate::<Notes>().start().await?;
        for (who, what) in [("a", "x"), ("b", "y"), ("b", "x"), ("b", "z"), ("c", "w")] {
            note(&silent, who, what).await?;
        }
        note(&silent, "a", "v").await?;
        note(&silent, "d", "w").await?;
        silent.shutdown().await?;
        let notes = notes(&store).project::<Noted, Names>().start().await?;
        notes.caught_up().await?;
        // `b` held what `a` did for one event of the page only; `d` does what `c` does to the end.
        assert_eq!(parked::<Names>(&notes).await?, [("d".to_owned(), 7, 1)]);
        let name = async |key| {
            notes
                .view::<Names>()
                .get(key)
                .await
                .unwrap()
                .map(|n| n.name)
        };
        assert_eq!(name("b").await.as_deref(), Some("z"));
        assert_eq!(name("d").await, None);
        // When the other one goes, it fits.
        note(&notes, "c", "u").await?;
        notes.caught_up().await?;
        notes.retry_parked::<Names>(None).await?;
        let there = async || name("d").await;
        assert_eq!(until("it was tried again", there).await, "w");
        notes.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_is_worked_off_in_steps() -> Result<()> {
    for (store, _home) in stores().await {
        let tag = tag();
        let notes = notes(&store).start().await?;
        fail(&tag("0"));
        let mut expected = String::new();
        for n in 0..600 {
            note(&notes, "alice", &tag(&n.to_string())).await?;
            note(&notes, "bob", "x").await?;
            expected += &format!("{n} ");
        }
        notes.caught_up().await?;
        assert_eq!(
            parked::<Pages>(&notes).await?,
            [("alice".to_owned(), 1, 600)]
        );
        heal(&tag("0"));
        notes.retry_parked::<Pages>(None).await?;
        none_parked(&notes).await;
        assert_eq!(trail(&notes, "alice").await?, Some(expected));
        notes.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_for_everybody_stops_it_visibly() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let silent = Service::builder("notes").store(store.clone());
    let silent = silent.aggregate::<Notes>().start().await?;
    for n in 0..=1000 {
        note(&silent, &n.to_string(), "does not fit").await?;
    }
    let notes = notes(&store).start().await?;
    let error = notes.caught_up().await.unwrap_err();
    assert!(
        error.is_stopped() && error.to_string().contains("ES0185"),
        "{error}"
    );
    let (_, status) = notes.status().remove(0);
    assert!(
        matches!(status.health, Health::Stopped { .. }),
        "{status:?}"
    );
    // The first page was still about single keys.
    assert_eq!((status.cursor.get(), status.parked), (1000, 1000));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_begins_without_what_was_parked() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let tag = tag();
    fail(&tag("one"));
    let bank = notes(&store).start().await?;
    note(&bank, "alice", &tag("one")).await?;
    bank.caught_up().await?;
    assert_eq!(parked::<Pages>(&bank).await?.len(), 1);
    heal(&tag("one"));
    let id = ProjectionId::from(&Pages::TABLE);
    // The live version is never rebuilt, and this one is.
    assert!(trail(&bank, "alice").await?.is_none());
    let refused = store
        .change(
            &id,
            &es_runtime::store::Change::Rebuild {
                reason: "it failed".to_owned(),
            },
            "somebody",
        )
        .await;
    assert!(refused.unwrap_err().is_refused());
    bank.shutdown().await
}
