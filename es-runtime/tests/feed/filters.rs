//! Reading some events of a stream, and knowing that none of them was missed.

use es_runtime::Result;
use es_runtime::feed::Serve;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::filled::{TYPES, chain, filled};
use crate::{ANYWHERE, bank, get, header, json};

#[tokio::test]
async fn filters_by_type_and_subject_say_how_far_they_looked() -> Result<()> {
    let subjects = ["alice", "bob & co", "åse"];
    let what = (0..300_usize).map(|n| (usize::from(n % 7 != 0), subjects[n % 3].to_owned()));
    let what: Vec<_> = what.collect();
    let (bank, _, url) = filled(&chain(what.clone(), 0), Serve::at(ANYWHERE)).await?;
    let events = "/streams/accounts/v1/events";
    for (filter, of, subject) in [
        ("types=account-opened", Some(0), None),
        (&*format!("types={}", TYPES[1]), Some(1), None),
        ("types=account-opened,balance-changed", None, None),
        ("subject=bob+%26%20co", None, Some("bob & co")),
        (
            "types=account-opened&subject=%C3%A5se",
            Some(0),
            Some("åse"),
        ),
        ("subject=nobody", None, Some("nobody")),
    ] {
        let wanted = |(_, (t, s)): &(u64, &(usize, String))| {
            of.is_none_or(|of| of == *t) && subject.is_none_or(|subject| subject == s)
        };
        let expected: Vec<_> = (1..).zip(&what).filter(wanted).map(|(n, _)| n).collect();
        let (mut found, mut path) = (Vec::new(), format!("{events}?{filter}&limit=7"));
        let mut checkpoint = 0;
        while checkpoint < 300 {
            let page = get(&format!("{url}{path}")).await;
            assert_eq!(page.status(), StatusCode::OK, "{path}");
            assert_eq!(header(&page, "stream-head"), "300");
            assert_eq!(
                header(&page, "cache-control"),
                "no-cache",
                "filtered: {path}"
            );
            let seen: u64 = header(&page, "stream-checkpoint").parse().unwrap();
            assert!(seen > checkpoint, "{path} leads nowhere");
            checkpoint = seen;
            let next = header(&page, "link")
                .split_once(">; rel=\"next\"")
                .unwrap()
                .0;
            path = next.trim_start_matches('<').to_owned();
            for event in json(page).await.as_array().unwrap() {
                found.push(event["sequence"].as_str().unwrap().parse::<u64>().unwrap());
            }
        }
        assert_eq!(found, expected, "{filter}");
    }
    bank.shutdown().await
}

#[tokio::test]
async fn a_filter_waits_for_what_it_wants() -> Result<()> {
    let (bank, url) = bank().await?;
    let events = format!("{url}/streams/accounts/v1/events");
    let waits = format!("{events}?after=3&wait=20000&subject=bob");
    let poll = get(&waits);
    let news = async {
        use crate::domain::{Account, deposit, open};
        bank.execute::<Account>("alice", deposit(1)).await.unwrap();
        bank.execute::<Account>("bob", open("Bob")).await.unwrap();
    };
    let (page, ()) = tokio::join!(poll, news);
    assert_eq!(header(&page, "stream-checkpoint"), "5");
    let found = json(page).await;
    assert_eq!(found[0]["subject"], "bob");
    // In vain it says how far it looked all the same.
    let page = get(&format!("{events}?after=3&wait=1&subject=carol")).await;
    assert_eq!(header(&page, "stream-checkpoint"), "5");
    assert_eq!(json(page).await, json!([]));
    bank.shutdown().await
}

#[tokio::test]
async fn a_filter_that_can_find_nothing_is_told_so() -> Result<()> {
    let (bank, url) = bank().await?;
    let events = format!("{url}/streams/accounts/v1/events");
    for (query, parameter, detail) in [
        (
            "types=account-opend",
            "types",
            "it has dk.example.account-opened.v1, dk.example.balance-changed.v1",
        ),
        (
            "types=dk.example.account-opened.v2",
            "types",
            "no events of the type",
        ),
        ("types=,", "types", "names at least one type"),
        (
            "type=account-opened",
            "type",
            "there is no parameter `type`",
        ),
        ("after=1&lastEventId=2", "lastEventId", "said twice"),
        ("limit=0", "limit", "at least 1"),
        (
            "after=orders.v1-3",
            "after",
            "an event's id as `accounts.v1-17`",
        ),
        ("after=", "after", "whole number, not ``"),
        ("wait=-1", "wait", "whole number"),
        ("limit=99999999999999999999999", "limit", "whole number"),
    ] {
        let answer = get(&format!("{events}?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
        let problem: Value = json(answer).await;
        assert_eq!(
            problem["type"], "urn:es:problem:invalid-parameter",
            "{query}"
        );
        assert_eq!(problem["parameter"], parameter, "{query}");
        let told = problem["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{query}: {told}");
    }
    bank.shutdown().await
}
