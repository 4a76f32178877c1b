//! What may be kept, for how long, and how it is asked for again.

use std::time::Duration;

use es_runtime::Result;
use es_runtime::feed::{Access, Authorize, Parts, Serve};
use es_runtime::integration::StreamVersion;
use serde_json::{Value, json};

use crate::raw::ask;
use crate::{ANYWHERE, bank, served};

const FULL: &str = "/streams/accounts/v1/events?limit=2";
const REST: &str = "/streams/accounts/v1/events?after=2&limit=2";
const PAST: &str = "/streams/accounts/v1/events?after=3";

#[tokio::test]
async fn what_is_known_is_not_sent_again() -> Result<()> {
    let (bank, url) = bank().await?;
    let mut tags = Vec::new();
    for (path, keep) in [
        (FULL, "max-age=31536000, immutable"),
        (REST, "no-cache"),
        (PAST, "no-cache"),
        ("/streams", "no-cache"),
        ("/streams/accounts/v1", "no-cache"),
    ] {
        let first = ask(&url, "GET", path, "").await.unwrap();
        assert_eq!(
            (first.status, &*first.headers["cache-control"]),
            (200, keep),
            "{path}"
        );
        let tag = &first.headers["etag"];
        assert!(
            tag.starts_with('"') && tag.ends_with('"'),
            "{tag} is no strong tag"
        );
        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let header = format!("If-None-Match: {known}\r\n");
            let again = ask(&url, "GET", path, &header).await.unwrap();
            assert_eq!((again.status, &*again.body), (304, ""), "{path}");
            // What a cache keeps is made new by it.
            for name in [
                "etag",
                "cache-control",
                "stream-head",
                "stream-checkpoint",
                "link",
                "vary",
            ] {
                assert_eq!(
                    again.headers.get(name),
                    first.headers.get(name),
                    "{name} of {path}"
                );
            }
        }
        let other = ask(&url, "GET", path, "If-None-Match: \"other\"\r\n")
            .await
            .unwrap();
        assert_eq!((other.status, other.body), (200, first.body), "{path}");
        tags.push(tag.clone());
    }
    // Where something comes, the tag is another.
    use crate::domain::{Account, deposit};
    bank.execute::<Account>("alice", deposit(1)).await?;
    bank.caught_up().await?;
    for (path, tag, changed) in [
        (FULL, &tags[0], false),
        (REST, &tags[1], true),
        (PAST, &tags[2], true),
    ] {
        let now = ask(&url, "GET", path, "").await.unwrap();
        assert_eq!(now.headers["etag"] != *tag, changed, "{path}");
    }
    bank.shutdown().await
}

/// Everybody may read, as far as they are asked.
struct Everybody;

impl Authorize for Everybody {
    async fn authorize(&self, _: &Parts, _: &StreamVersion) -> Access {
        Access::allowed()
    }
}

#[tokio::test]
async fn what_is_for_some_is_not_kept_for_all() -> Result<()> {
    let hour = Serve::at(ANYWHERE).max_age(Duration::from_hours(1));
    let (bank, url) = served(hour.authorize(Everybody)).await?;
    for (path, keep) in [
        (FULL, "private, max-age=3600"),
        (REST, "private, no-cache"),
        ("/streams", "private, no-cache"),
        ("/streams/accounts/v1/events?after=x", "no-store"),
    ] {
        let answer = ask(&url, "GET", path, "").await.unwrap();
        assert_eq!(answer.headers["cache-control"], keep, "{path}");
    }
    bank.shutdown().await
}

#[tokio::test]
async fn forms_and_methods_are_negotiated() -> Result<()> {
    let (bank, url) = bank().await?;
    for (accept, content_type) in [
        ("", "application/cloudevents-batch+json"),
        ("*/*", "application/cloudevents-batch+json"),
        ("application/json", "application/json"),
        (
            "application/json, text/plain, */*",
            "application/cloudevents-batch+json",
        ),
        (
            "application/*;q=0.2, text/html",
            "application/cloudevents-batch+json",
        ),
    ] {
        let header = format!("Accept: {accept}\r\n");
        let page = ask(&url, "GET", FULL, &header).await.unwrap();
        assert_eq!(page.headers["content-type"], content_type, "{accept}");
        assert_eq!(page.headers["vary"], "Accept, Accept-Encoding");
        let events: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(events.as_array().unwrap().len(), 2);
    }
    for path in [FULL, "/streams"] {
        let other = ask(&url, "GET", path, "Accept: text/html\r\n")
            .await
            .unwrap();
        assert_eq!(other.status, 406, "{path}");
        let problem: Value = serde_json::from_str(&other.body).unwrap();
        assert_eq!(
            (&problem["type"], &problem["title"]),
            (&json!("about:blank"), &json!("Not Acceptable"))
        );
        for method in ["POST", "DELETE", "PUT", "OPTIONS", "FROB"] {
            let other = ask(&url, method, path, "").await.unwrap();
            assert_eq!(other.status, 405, "{method} {path}");
            assert_eq!(other.headers["allow"], "GET, HEAD");
            assert_eq!(other.headers["content-type"], "application/problem+json");
        }
        let (get, head) = (
            ask(&url, "GET", path, "").await.unwrap(),
            ask(&url, "HEAD", path, "").await.unwrap(),
        );
        assert_eq!((head.status, &*head.body), (200, ""));
        for name in ["content-length", "content-type", "etag", "cache-control"] {
            assert_eq!(head.headers[name], get.headers[name], "{name} of {path}");
        }
    }
    bank.shutdown().await
}
