//! Who reads is known, so that nothing is retired under them.

use std::time::Duration;

use es_runtime::Result;
use es_runtime::store::{Change, EventStore};

use crate::bank;
use crate::filled::accounts;
use crate::raw::ask;

const EVENTS: &str = "/streams/accounts/v1/events";

#[tokio::test]
async fn readers_are_known_by_the_name_that_they_give() -> Result<()> {
    let (bank, url) = bank().await?;
    for (header, path) in [
        ("Es-Consumer: billing-1\r\n", format!("{EVENTS}?after=2")),
        (
            "Es-Consumer: billing-1\r\n",
            format!("{EVENTS}?after=accounts.v1-3"),
        ),
        ("", format!("{EVENTS}?after=1&consumer=mail:eu.1")),
    ] {
        assert_eq!(
            ask(&url, "GET", &path, header).await.unwrap().status,
            200,
            "{path}"
        );
    }
    let long = format!("Es-Consumer: {}\r\n", "n".repeat(129));
    for wrong in [
        "Es-Consumer: two words\r\n",
        "Es-Consumer: \r\n",
        "Es-Consumer: åse\r\n",
        &long,
    ] {
        let answer = ask(&url, "GET", EVENTS, wrong).await.unwrap();
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.body.contains("at most 128"), "{}", answer.body);
    }
    let store = bank.store().clone();
    bank.shutdown().await?;
    let known = store.consumers(Some(&accounts())).await?;
    let known: Vec<_> = known
        .iter()
        .map(|c| {
            (
                &*c.reading.consumer,
                c.reading.position.get(),
                &*c.reading.via,
            )
        })
        .collect();
    assert_eq!(known, [("billing-1", 3, "feed"), ("mail:eu.1", 1, "feed")]);
    Ok(())
}

#[tokio::test]
async fn a_stream_is_not_retired_under_its_readers() -> Result<()> {
    let (bank, url) = bank().await?;
    let store = bank.store().clone();
    let retire = Change::Retire {
        quiet: Duration::from_hours(1),
        forced: None,
    };
    // It is told within a second or so; at the end for sure.
    let header = "Es-Consumer: billing\r\n";
    ask(&url, "GET", EVENTS, header).await.unwrap();
    ask(&url, "GET", "/streams/accounts/v2/events", "")
        .await
        .unwrap();
    bank.shutdown().await?;
    let mut two = accounts();
    two.version = 2;
    for (stream, why) in [
        (accounts(), "`billing` read it by feed"),
        (two, "somebody who gave no name"),
    ] {
        let refused = store
            .change(&(&stream).into(), &retire, "test")
            .await
            .unwrap_err();
        assert!(
            refused.is_refused() && refused.to_string().contains(why),
            "{refused}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn readers_are_told_of_while_the_service_runs() -> Result<()> {
    let (bank, url) = bank().await?;
    ask(&url, "GET", EVENTS, "Es-Consumer: billing\r\n")
        .await
        .unwrap();
    let known = async {
        while bank.store().consumers(None).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::raw::LONG, known)
        .await
        .expect("it is told");
    bank.shutdown().await
}
