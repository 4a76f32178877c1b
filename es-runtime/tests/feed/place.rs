//! Where a consumer of one version goes on in another.

use es_runtime::Result;
use serde_json::json;

use crate::domain::{Account, AccountCommand};
use crate::{bank, get, header, json as body};

#[tokio::test]
async fn it_is_told_where_another_version_goes_on() -> Result<()> {
    let (bank, url) = bank().await?;
    // Version 1 does not tell of it.
    bank.execute::<Account>("alice", AccountCommand::Close)
        .await?;
    bank.caught_up().await?;
    let place = |to: u32, asked: &str| format!("{url}/streams/accounts/v{to}/place?{asked}");
    let hashes = async |version: u32, position: u64| {
        let events = format!("{url}/streams/accounts/v{version}/events?after={position}&limit=1");
        let events = body(get(&events).await).await;
        events[0]["streamhash"].clone()
    };
    let told = get(&place(2, "of=1&position=2")).await;
    assert_eq!(header(&told, "cache-control"), "no-cache");
    assert_eq!(
        body(told).await,
        json!({
            "position": 2, "hash": hashes(2, 1).await, "origin": 2,
            "of": { "version": 1, "position": 2, "hash": hashes(1, 1).await, "until": 2 },
        })
    );
    // What is taken out when an account is closed is there in both, and that it is closed in one.
    let told = body(get(&place(1, "of=v2&position=5")).await).await;
    assert_eq!((&told["position"], &told["origin"]), (&json!(4), &json!(5)));
    let told = body(get(&place(2, "of=1&position=4")).await).await;
    assert_eq!((&told["position"], &told["origin"]), (&json!(4), &json!(4)));
    let told = body(get(&place(2, "of=1&position=4&origin=5")).await).await;
    assert_eq!((&told["position"], &told["origin"]), (&json!(5), &json!(5)));
    let none = "0".repeat(64);
    let told = body(get(&place(2, "of=1&position=0&consumer=mail")).await).await;
    assert_eq!(
        (&told["position"], &told["hash"]),
        (&json!(0), &json!(none))
    );

    for (asked, status, detail) in [
        ("of=1", 400, "say `position`"),
        ("position=1", 400, "say `of`"),
        (
            "of=1&position=x",
            400,
            "`position` is a whole number, not `x`",
        ),
        ("of=1&of=1&position=1", 400, "`of` is said twice"),
        (
            "of=1&position=1&after=2",
            400,
            "there is no parameter `after`",
        ),
        ("of=1&position=9", 409, "`accounts@1` ends at 4"),
        ("of=1&position=2&origin=3", 409, "nobody who stands at 2"),
        ("of=1&position=4&origin=99", 409, "nobody who stands at 4"),
        ("of=7&position=0", 404, "there is no stream `accounts` v7"),
    ] {
        let response = get(&place(2, asked)).await;
        assert_eq!(response.status(), status, "{asked}");
        let problem = body(response).await;
        let told = problem["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{asked}: {problem}");
    }
    let elsewhere = get(&place(7, "of=1&position=0")).await;
    assert_eq!(elsewhere.status(), 404);
    bank.shutdown().await
}
