//! What a client may ask for is bounded, and a refusal says what to do.

use std::time::Duration;

use es_runtime::Result;
use es_runtime::feed::Serve;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::filled::{chain, filled};
use crate::raw::{LONG, Raw, ask, connect, parse, send};
use crate::{ANYWHERE, bank, served};

const EVENTS: &str = "/streams/accounts/v1/events";

/// The refusal is a problem of this status that says so.
fn refused(answer: &Raw, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["status"], status);
    assert!(
        problem["detail"].as_str().unwrap().contains(why),
        "{problem}"
    );
    if [429, 503].contains(&status) {
        assert_eq!(answer.headers["retry-after"], "1");
    }
}

/// Opens a long poll and leaves it.
async fn wait(url: &str, name: &str) -> tokio::net::TcpStream {
    let mut connection = connect(url).await;
    let name = match name {
        "" => String::new(),
        name => format!("Es-Consumer: {name}\r\n"),
    };
    let request = format!("GET {EVENTS}?after=3&wait=30000 HTTP/1.1\r\nHost: es\r\n{name}\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

/// Asks, with `wait`, until the answer has this status.
async fn until(url: &str, name: &str, status: u16) -> Raw {
    let name = match name {
        "" => String::new(),
        name => format!("Es-Consumer: {name}\r\n"),
    };
    let asked = async {
        loop {
            let path = format!("{EVENTS}?after=3&wait=1");
            let answer = ask(url, "GET", &path, &name).await.unwrap();
            if answer.status == status {
                return answer;
            }
        }
    };
    timeout(LONG, asked).await.expect("the status in the end")
}

#[tokio::test]
async fn who_waits_too_often_is_told_and_others_are_not_held_up() -> Result<()> {
    let (bank, url) = served(Serve::at(ANYWHERE).waiting(6, 2)).await?;
    let mine = [wait(&url, "mail").await, wait(&url, "mail").await];
    let answer = until(&url, "mail", 429).await;
    refused(&answer, 429, "`mail` waits for news 2 times at once");
    let nameless = [
        wait(&url, "").await,
        wait(&url, "").await,
        wait(&url, "").await,
    ];
    let answer = until(&url, "", 503).await;
    refused(&answer, 503, "send the header `Es-Consumer`");
    let other = wait(&url, "other").await;
    let answer = until(&url, "third", 503).await;
    refused(&answer, 503, "too many readers wait for news");
    // Without waiting everybody is answered.
    let now = ask(&url, "GET", &format!("{EVENTS}?after=3"), "")
        .await
        .unwrap();
    assert_eq!((now.status, &*now.body), (200, "[]"));
    // Who leaves makes room.
    drop((mine, nameless, other));
    until(&url, "mail", 200).await;
    until(&url, "", 200).await;
    bank.shutdown().await
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_are_told_to_come_again() -> Result<()> {
    let serve = Serve::at(ANYWHERE)
        .connections(2)
        .patience(Duration::from_secs(2));
    let (bank, url) = served(serve).await?;
    let _mine = [wait(&url, "a").await, wait(&url, "b").await];
    let refusal = async {
        loop {
            if let Some(answer) = ask(&url, "GET", EVENTS, "").await
                && answer.status == 503
            {
                return answer;
            }
        }
    };
    let refusal = timeout(LONG, refusal).await.expect("a refusal");
    refused(&refusal, 503, "too many connections");
    drop(_mine);
    let room = async {
        while ask(&url, "GET", EVENTS, "")
            .await
            .is_none_or(|answer| answer.status != 200)
        {}
    };
    timeout(LONG, room).await.expect("room again");
    bank.shutdown().await
}

#[tokio::test]
async fn what_is_too_long_is_refused_in_words() -> Result<()> {
    let (bank, url) = bank().await?;
    let subject = "x".repeat(9000);
    let answer = ask(&url, "GET", &format!("{EVENTS}?subject={subject}"), "")
        .await
        .unwrap();
    refused(&answer, 414, "longer than 8192 bytes");
    let header = format!("X-Long: {}\r\n", "x".repeat(17_000));
    let answer = ask(&url, "GET", EVENTS, &header).await.unwrap();
    refused(&answer, 431, "longer than 16384 bytes");
    // Far beyond that nobody reads on, and the server says so or closes.
    let header = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    let answer = ask(&url, "GET", EVENTS, &header).await;
    assert!(answer.is_none_or(|answer| answer.status == 431));
    let answer = send(&url, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await;
    assert!(answer.is_none_or(|answer| answer.status == 400));
    bank.shutdown().await
}

#[tokio::test]
async fn a_page_is_as_large_as_is_allowed() -> Result<()> {
    let one = |n: usize| (n % 2, "alice".to_owned());
    let events = chain((0..40).map(one), 100_000);
    let (bank, _, url) = filled(&events, Serve::at(ANYWHERE).largest_page(30)).await?;
    // Bytes end it: a megabyte is reached by the eleventh event. It is full, and never changes.
    let page = ask(
        &url,
        "GET",
        &format!("{EVENTS}?limit=18446744073709551615"),
        "",
    )
    .await
    .unwrap();
    let held: Vec<Value> = serde_json::from_str(&page.body).unwrap();
    assert_eq!(held.len(), 11);
    assert_eq!(page.headers["stream-checkpoint"], "11");
    assert!(page.headers["cache-control"].contains("immutable"));
    assert!(
        page.headers["link"].contains("after=11&limit=30"),
        "{}",
        page.headers["link"]
    );
    bank.shutdown().await?;
    let (bank, _, url) = filled(
        &chain((0..40).map(one), 1),
        Serve::at(ANYWHERE).largest_page(30),
    )
    .await?;
    let page = ask(&url, "GET", &format!("{EVENTS}?limit=1000"), "")
        .await
        .unwrap();
    let held: Vec<Value> = serde_json::from_str(&page.body).unwrap();
    assert_eq!(held.len(), 30);
    bank.shutdown().await
}

#[tokio::test]
async fn half_a_request_is_not_waited_for() -> Result<()> {
    let serve = Serve::at(ANYWHERE).patience(Duration::from_millis(300));
    let (bank, url) = served(serve).await?;
    for half in [
        "",
        "GET",
        "GET /streams HTTP/1.1\r\nHost: es\r\nX-Slow:",
        // One that was answered, and nothing after it.
        "GET /streams HTTP/1.1\r\nHost: es\r\n\r\n",
    ] {
        let mut connection = connect(&url).await;
        connection.write_all(half.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = connection.read_to_end(&mut answer);
        timeout(LONG, read).await.expect("the server closes").ok();
        if half.ends_with("\r\n\r\n") {
            assert_eq!(parse(&answer).unwrap().status, 200);
        }
    }
    bank.shutdown().await
}

/// Pages that nobody takes are bounded in number: others wait for a place, and are told in the end.
#[tokio::test]
async fn answers_that_nobody_takes_are_bounded() -> Result<()> {
    let one = |n: usize| (n % 2, "alice".to_owned());
    let events = chain((0..100).map(one), 100_000);
    let serve = Serve::at(ANYWHERE)
        .answers(2)
        .patience(Duration::from_secs(2));
    let (bank, _, url) = filled(&events, serve).await?;
    // Pipelined, so that more is to be taken than the sockets hold.
    let request = format!("GET {EVENTS}?limit=1000 HTTP/1.1\r\nHost: es\r\n\r\n").repeat(30);
    let mut greedy = Vec::new();
    for _ in 0..2 {
        let mut connection = connect(&url).await;
        connection.write_all(request.as_bytes()).await.unwrap();
        greedy.push(connection);
    }
    let crowded = async {
        loop {
            let answer = ask(&url, "GET", EVENTS, "").await.unwrap();
            if answer.status == 503 {
                return answer;
            }
        }
    };
    let crowded = timeout(LONG, crowded).await.expect("no place is left");
    refused(&crowded, 503, "too many answers are under way");
    // They are let go, and there is room.
    let room = async { while ask(&url, "GET", EVENTS, "").await.unwrap().status != 200 {} };
    timeout(LONG, room).await.expect("room again");
    drop(greedy);
    bank.shutdown().await
}
