//! Who may read what, and how they are refused.

use es_runtime::Result;
use es_runtime::feed::{Access, Authorize, Parts, Serve};
use es_runtime::integration::StreamVersion;
use es_runtime::store::EventStore;
use serde_json::Value;

use crate::raw::ask;
use crate::{ANYWHERE, served};

/// Billing may read version 1, a friend everything, a stranger nothing.
struct Tokens;

impl Authorize for Tokens {
    async fn authorize(&self, request: &Parts, stream: &StreamVersion) -> Access {
        let token = request.headers.get("authorization");
        match token.map(|token| token.as_bytes()) {
            Some(b"Bearer billing") if stream.version == 1 => Access::allowed_as("billing"),
            Some(b"Bearer friend") => Access::allowed(),
            Some(_) => Access::Forbidden,
            None => Access::unauthenticated("Bearer realm=\"bank\""),
        }
    }
}

#[tokio::test]
async fn nothing_is_told_to_whom_it_is_not_for() -> Result<()> {
    let (bank, url) = served(Serve::at(ANYWHERE).authorize(Tokens)).await?;
    let (one, two) = ("/streams/accounts/v1", "/streams/accounts/v2");
    let (events, sent) = (
        "/streams/accounts/v1/events",
        "Accept: text/event-stream\r\n",
    );
    for (path, header, who, status) in [
        (one, "", "", 401),
        (events, "", "", 401),
        (events, sent, "", 401),
        ("/streams", "", "", 401),
        (one, "", "stranger", 403),
        (events, "", "stranger", 403),
        (events, sent, "stranger", 403),
        ("/streams", "", "stranger", 200),
        (one, "", "billing", 200),
        (events, "", "billing", 200),
        (two, "", "billing", 403),
        ("/streams/accounts/v2/events?after=x", "", "billing", 403),
        (
            "/streams/accounts/v1/place?of=1&position=0",
            "",
            "billing",
            200,
        ),
        (
            "/streams/accounts/v1/place?of=2&position=0",
            "",
            "billing",
            403,
        ),
        (
            "/streams/accounts/v2/place?of=1&position=x",
            "",
            "billing",
            403,
        ),
        (two, "", "friend", 200),
    ] {
        let who = match who {
            "" => String::new(),
            who => format!("Authorization: Bearer {who}\r\n"),
        };
        let answer = ask(&url, "GET", path, &format!("{header}{who}"))
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{path} for {who}");
        if status == 401 {
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"bank\"");
        }
        if status != 200 {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert!(!answer.body.contains("\"head\""), "{}", answer.body);
        }
    }
    // The catalogue shows to each what is for them.
    for (who, versions) in [
        ("stranger", vec![]),
        ("billing", vec![1]),
        ("friend", vec![1, 2]),
    ] {
        let header = format!("Authorization: Bearer {who}\r\n");
        let streams = ask(&url, "GET", "/streams", &header).await.unwrap();
        let streams: Vec<Value> = serde_json::from_str(&streams.body).unwrap();
        let shown: Vec<_> = streams
            .iter()
            .map(|s| s["version"].as_u64().unwrap())
            .collect();
        assert_eq!(shown, versions, "{who}");
    }
    // Who is known is known by that name, whatever they say; of the others it is believed.
    let as_other = "Authorization: Bearer billing\r\nEs-Consumer: somebody-else\r\n";
    ask(&url, "GET", events, as_other).await.unwrap();
    let as_self = "Authorization: Bearer friend\r\nEs-Consumer: mail\r\n";
    ask(&url, "GET", events, as_self).await.unwrap();
    let store = bank.store().clone();
    bank.shutdown().await?;
    let consumers = store.consumers(None).await?;
    let names: Vec<_> = consumers
        .iter()
        .map(|c| c.reading.consumer.as_str())
        .collect();
    assert_eq!(names, ["billing", "mail"]);
    Ok(())
}

#[tokio::test]
async fn our_own_consumer_says_who_it_is() -> Result<()> {
    use es_runtime::Store;
    use es_runtime::consume::{Consumer, Feed};
    use es_runtime::event::Position;

    use crate::basics::Nothing;
    use crate::domain::v1;

    let (bank, url) = served(Serve::at(ANYWHERE).authorize(Tokens)).await?;
    for (token, read) in [("stranger", false), ("friend", true)] {
        let feed = Feed::http(&url).header("authorization", format!("Bearer {token}"));
        assert!(!format!("{feed:?}").contains(token), "{feed:?}");
        let inbox = Store::connect("memory:").await?;
        let consumer = Consumer::new("the mail & more", inbox).stream::<v1::Accounts>(feed);
        let running = consumer.handle(Nothing).start().await?;
        match read {
            true => {
                running.reached(Position::new(3)).await?;
                running.stop().await?;
            }
            false => {
                let refused = running.until_shutdown().await.unwrap_err();
                assert_eq!(refused.code(), "ES0137", "{refused}");
            }
        }
    }
    let store = bank.store().clone();
    bank.shutdown().await?;
    let consumers = store.consumers(None).await?;
    assert_eq!(consumers[0].reading.consumer, "the-mail---more");
    Ok(())
}
