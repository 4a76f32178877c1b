//! Server-sent events: resumed, kept alive, slow, and ended.

use std::time::Duration;

use es_runtime::Result;
use es_runtime::feed::Serve;
use es_runtime::store::{Change, EventStore};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::domain::{Account, deposit, open};
use crate::filled::{accounts, add, chain, filled};
use crate::raw::{LONG, ask, connect};
use crate::{ANYWHERE, bank, served};

/// A reader of server-sent events, which understands them as a browser does.
struct Reader {
    answer: reqwest::Response,
    text: String,
    last: String,
}

/// What a browser makes of a block of lines.
#[derive(Debug, Default, PartialEq)]
struct Told {
    kind: String,
    data: String,
}

impl Reader {
    async fn open(url: &str, path: &str, last: Option<&str>) -> Self {
        let mut request = reqwest::Client::new().get(format!("{url}{path}"));
        request = request.header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let (text, last) = (String::new(), String::new());
        Self { answer, text, last }
    }

    /// The next block of lines; nothing at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = timeout(LONG, self.answer.chunk()).await.expect("news");
            self.text += std::str::from_utf8(&chunk.unwrap()?).unwrap();
        }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Told> {
        loop {
            let mut told = Told::default();
            for line in self.block().await?.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => self.last = id.to_owned(),
                    Some(("event", kind)) => told.kind = kind.to_owned(),
                    Some(("data", data)) => told.data += data,
                    _ => assert!(line.starts_with(':') || line == "retry: 1000", "{line}"),
                }
            }
            if !told.data.is_empty() {
                return Some(told);
            }
        }
    }

    async fn event(&mut self) -> Value {
        let told = self.next().await.expect("an event");
        assert_eq!(told.kind, "");
        let event: Value = serde_json::from_str(&told.data).unwrap();
        assert_eq!(event["id"], self.last);
        event
    }
}

const EVENTS: &str = "/streams/accounts/v1/events";

#[tokio::test]
async fn events_come_as_they_happen_and_go_on_where_they_ended() -> Result<()> {
    let (bank, url) = bank().await?;
    let mut reader = Reader::open(&url, EVENTS, None).await;
    for n in 1..=3 {
        assert_eq!(reader.event().await["id"], format!("accounts.v1-{n}"));
    }
    bank.execute::<Account>("alice", deposit(1)).await?;
    let fourth = reader.event().await;
    assert_eq!(fourth["data"]["balance"], 12);
    // As it stands in a page, to the byte.
    let page = ask(&url, "GET", &format!("{EVENTS}?after=3"), "")
        .await
        .unwrap();
    let page: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(page[0], fourth);
    drop(reader);
    bank.execute::<Account>("alice", deposit(1)).await?;
    // Who comes again repeats the first address: the header counts.
    let again = format!("{EVENTS}?after=1");
    let mut reader = Reader::open(&url, &again, Some("accounts.v1-4")).await;
    assert_eq!(reader.event().await["id"], "accounts.v1-5");
    bank.shutdown().await?;
    assert_eq!(reader.next().await, None, "it ends with the service");
    Ok(())
}

#[tokio::test]
async fn a_filtered_reader_goes_on_behind_what_it_left_out() -> Result<()> {
    let (bank, url) = bank().await?;
    let filtered = format!("{EVENTS}?subject=bob");
    let mut reader = Reader::open(&url, &filtered, None).await;
    let first = reader.block().await.unwrap();
    assert_eq!(first, "retry: 1000");
    // A cursor without an event.
    assert_eq!(reader.block().await.unwrap(), "id: accounts.v1-3");
    bank.execute::<Account>("bob", open("Bob")).await?;
    assert_eq!(reader.event().await["subject"], "bob");
    bank.shutdown().await
}

#[tokio::test]
async fn silence_is_filled_and_a_long_life_ends() -> Result<()> {
    let beat = Duration::from_millis(20);
    let serve = Serve::at(ANYWHERE).sent_events(beat, beat * 10);
    let (bank, url) = served(serve).await?;
    let mut reader = Reader::open(&url, &format!("{EVENTS}?after=3"), None).await;
    let mut blocks = Vec::new();
    while let Some(block) = reader.block().await {
        blocks.push(block);
    }
    assert_eq!(blocks[0], "retry: 1000");
    assert!(
        blocks.len() > 2 && blocks[1..].iter().all(|block| block == ":"),
        "{blocks:?}"
    );
    bank.shutdown().await
}

#[tokio::test]
async fn a_reader_of_a_retired_version_is_told_and_sent_on() -> Result<()> {
    let (bank, url) = bank().await?;
    let mut reader = Reader::open(&url, &format!("{EVENTS}?after=3"), None).await;
    let retire = Change::Retire {
        quiet: Duration::ZERO,
        forced: Some("the test says so".to_owned()),
    };
    let id = (&accounts()).into();
    bank.store().change(&id, &retire, "the test").await?;
    let told = reader.next().await.unwrap();
    assert_eq!(told.kind, "problem");
    let problem: Value = serde_json::from_str(&told.data).unwrap();
    assert_eq!(
        (&problem["status"], &problem["successor"]),
        (&410.into(), &"/streams/accounts/v2/events".into())
    );
    assert_eq!(reader.next().await, None);
    // And from then on as an answer.
    let sent = ask(&url, "GET", EVENTS, "Accept: text/event-stream\r\n")
        .await
        .unwrap();
    assert_eq!(sent.status, 410);
    let ahead = "Accept: text/event-stream\r\nLast-Event-ID: accounts.v2-99\r\n";
    let ahead = ask(&url, "GET", "/streams/accounts/v2/events", ahead)
        .await
        .unwrap();
    assert_eq!(ahead.status, 409);
    bank.shutdown().await
}

/// Who takes nothing holds up nobody, and gets everything when they take it; who takes nothing for
/// too long is let go.
#[tokio::test]
async fn a_slow_reader_holds_a_piece_and_no_more() -> Result<()> {
    let one = |n: usize| (n % 2, "alice".to_owned());
    let events = chain((0..20_000).map(one), 500);
    let serve = Serve::at(ANYWHERE).patience(Duration::from_secs(2));
    let (bank, store, url) = filled(&events[..19_999], serve.waiting(10, 1)).await?;
    let mut slow = connect(&url).await;
    let headers = "Accept: text/event-stream\r\nEs-Consumer: slow\r\n";
    let request = format!("GET {EVENTS} HTTP/1.1\r\nHost: es\r\n{headers}\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut reader = Reader::open(&url, &format!("{EVENTS}?after=19000"), None).await;
    for n in 19_001..=19_999 {
        assert_eq!(reader.event().await["id"], format!("accounts.v1-{n}"));
    }
    add(&store, 19_999, &events[19_999..]).await?;
    assert_eq!(reader.event().await["id"], "accounts.v1-20000");
    // The one that took nothing is let go: then there is room again for one of that name.
    let let_go = async { while ask(&url, "HEAD", EVENTS, headers).await.unwrap().status == 429 {} };
    timeout(LONG, let_go).await.expect("it is let go");
    // And finds its connection broken off in the middle.
    let mut taken = 0;
    let end = loop {
        let mut buffer = [0; 65536];
        match timeout(LONG, tokio::io::AsyncReadExt::read(&mut slow, &mut buffer))
            .await
            .unwrap()
        {
            Ok(0) | Err(_) => break taken,
            Ok(some) => taken += some,
        }
    };
    assert!(
        end < 15 << 20,
        "{end} bytes were sent to somebody who took none"
    );
    bank.shutdown().await
}
