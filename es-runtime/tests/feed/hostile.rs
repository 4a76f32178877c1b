//! Clients that mean no good. Whatever they do, every answer is a page or a problem, others are
//! served meanwhile, and the process does not grow.

use std::time::Duration;

use es_runtime::Result;
use es_runtime::feed::Serve;
use fastrand::Rng;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ANYWHERE;
use crate::filled::{chain, filled};
use crate::raw::{LONG, Raw, ask, connect, host, send};

const EVENTS: &str = "/streams/accounts/v1/events";

/// Resident memory of this process, server and clients, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A page or a problem, and nothing else.
fn sound(answer: &Raw, asked: &str) {
    let content_type = answer.headers.get("content-type").map_or("", |of| of);
    match answer.status {
        200 if content_type == "text/event-stream" => {}
        200 if answer.headers.contains_key("content-encoding") => {}
        304 => assert_eq!(answer.body, "", "{asked}"),
        200 => {
            let body: Value = serde_json::from_str(&answer.body).expect(asked);
            assert!(body.is_array() || body.is_object(), "{asked}");
        }
        status @ 400..=599 => {
            // The parser of heads refuses what is no HTTP without a word.
            if answer.body.is_empty() && [400, 414, 431].contains(&status) {
                return;
            }
            assert_eq!(
                content_type, "application/problem+json",
                "{asked}: {answer:?}"
            );
            let problem: Value = serde_json::from_str(&answer.body).expect(asked);
            assert_eq!(problem["status"], status, "{asked}");
            assert!(problem["detail"].as_str().unwrap().len() > 10, "{asked}");
        }
        _ => panic!("{asked}: {answer:?}"),
    }
}

fn seed() -> u64 {
    let seed = std::env::var("ES_SEED").ok();
    let seed = seed.map(|seed| seed.parse().expect("ES_SEED is a number"));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    seed
}

/// Texts that break careless programs.
const ODD: [&str; 24] = [
    "",
    "0",
    "-1",
    "1",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e3",
    "0x10",
    "NaN",
    "%00",
    "%ff%fe",
    "%",
    "%zz",
    "accounts.v1-",
    "accounts.v1-1",
    "accounts.v1--1",
    "accounts.v2-1",
    "' OR 1=1 --",
    "../../etc/passwd",
    "a,b,,",
    "\u{202e}",
    "%E2%80%AE",
];
const NAMES: [&str; 10] = [
    "after",
    "lastEventId",
    "limit",
    "wait",
    "timeout",
    "types",
    "subject",
    "consumer",
    "x",
    "",
];
const HEADERS: [&str; 10] = [
    "Accept",
    "If-None-Match",
    "Last-Event-ID",
    "Es-Consumer",
    "Accept-Encoding",
    "Content-Length",
    "Range",
    "Cookie",
    "Expect",
    "X",
];
const PATHS: [&str; 12] = [
    EVENTS,
    EVENTS,
    EVENTS,
    "/streams",
    "/streams/accounts/v1",
    "/streams/accounts/v01/events",
    "/streams/%ff/v1",
    "/streams//v1/events",
    "/schemas/a/b.json",
    "/asyncapi.json",
    "//",
    "/%2e%2e/",
];

fn one_of(random: &mut Rng, of: &[&'static str]) -> &'static str {
    of[random.usize(..of.len())]
}

/// A request that is mostly one.
fn request(random: &mut Rng) -> Vec<u8> {
    let method = one_of(
        random,
        &[
            "GET", "GET", "GET", "GET", "HEAD", "POST", "get", "TRACE", "G\0T",
        ],
    );
    let mut text = format!("{method} {}", one_of(random, &PATHS));
    for n in 0..random.usize(..4) {
        let value = one_of(random, &ODD);
        let value = if random.u8(..20) == 0 {
            value.repeat(random.usize(..2000))
        } else {
            value.to_owned()
        };
        let and = if n == 0 { '?' } else { '&' };
        text += &format!(
            "{and}{}={}",
            one_of(random, &NAMES),
            value.replace(' ', "+")
        );
    }
    text += " HTTP/1.1\r\nHost: es\r\nConnection: close\r\n";
    for _ in 0..random.usize(..4) {
        let value = match random.bool() {
            true => one_of(random, &ODD),
            false => one_of(
                random,
                &[
                    "text/event-stream;q=0.1, */*",
                    "*",
                    "gzip;q=x",
                    "100-continue",
                ],
            ),
        };
        text += &format!("{}: {value}\r\n", one_of(random, &HEADERS));
    }
    text += "\r\n";
    let mut bytes = text.into_bytes();
    // Sometimes a byte is another one, or the end is missing.
    if random.u8(..5) == 0 {
        let at = random.usize(..bytes.len());
        bytes[at] = random.u8(..);
    }
    if random.u8(..10) == 0 {
        bytes.truncate(random.usize(..bytes.len()));
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_odd_request_gets_a_page_or_a_problem() -> Result<()> {
    let seed = seed();
    let one = |n: usize| (n % 2, "alice".to_owned());
    let serve = Serve::at(ANYWHERE)
        .patience(Duration::from_millis(500))
        .longest_wait(Duration::from_millis(50))
        .sent_events(Duration::from_millis(20), Duration::from_millis(100));
    let (bank, _, url) = filled(&chain((0..300).map(one), 10), serve).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let url = url.clone();
        tasks.spawn(async move {
            let mut random = Rng::with_seed(seed ^ task);
            for _ in 0..60 {
                let request = request(&mut random);
                let text = String::from_utf8_lossy(&request).into_owned();
                let head = text.starts_with("HEAD");
                if let Some(answer) = send(&url, &request).await
                    && !head
                {
                    sound(&answer, &text);
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let answer = ask(&url, "GET", &format!("{EVENTS}?after=299"), "")
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    bank.shutdown().await
}

/// Opens a connection that asks and then does nothing.
async fn idle(url: &str, path: &str) -> Option<TcpStream> {
    let mut connection = TcpStream::connect(host(url)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: es\r\n\r\n");
    connection.write_all(request.as_bytes()).await.ok()?;
    Some(connection)
}

/// Thousands wait, thousands take nothing of what they asked for, and thousands say half a word. The
/// second and third wave find the memory that the first one took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crowds_do_not_make_the_process_grow() -> Result<()> {
    const CROWD: usize = 2000;
    let one = |n: usize| (n % 2, "alice".to_owned());
    let events = chain((0..300).map(one), 3000);
    let patience = Duration::from_secs(1);
    let serve = Serve::at(ANYWHERE)
        .patience(patience)
        .connections(4000)
        .answers(16);
    let (bank, _, url) = filled(&events, serve.waiting(4000, 4)).await?;
    let start = resident();
    let mut after = Vec::new();
    for wave in 0..3 {
        let mut crowd = Vec::new();
        for n in 0..CROWD {
            let path = match n % 4 {
                0 | 1 => format!("{EVENTS}?after=300&wait=30000"),
                2 => format!("{EVENTS}?limit=1000"),
                _ => format!("{EVENTS}?limit=99999999&after={}", n % 300),
            };
            crowd.extend(idle(&url, &path).await);
            if n % 4 == 3 {
                let mut half = connect(&url).await;
                half.write_all(b"GET /streams HTTP/1.1\r\nX: ").await.ok();
                crowd.push(half);
            }
        }
        println!(
            "wave {wave}: {} MB with {} connections",
            resident() >> 20,
            crowd.len()
        );
        // Who behaves is served, if not at once.
        let served = async {
            while ask(&url, "GET", &format!("{EVENTS}?limit=10"), "")
                .await
                .is_none_or(|answer| answer.status != 200)
            {}
        };
        timeout(LONG, served).await.expect("others are served");
        drop(crowd);
        let served = async {
            let waits = format!("{EVENTS}?after=300&wait=1");
            while ask(&url, "GET", &waits, "")
                .await
                .is_none_or(|answer| answer.status != 200)
            {}
        };
        timeout(LONG, served)
            .await
            .expect("their room is given back");
        after.push(resident());
    }
    println!(
        "at first {} MB, then {:?}",
        start >> 20,
        after.iter().map(|r| r >> 20).collect::<Vec<_>>()
    );
    let grown = after[2].saturating_sub(after[0]);
    assert!(
        grown < 16 << 20,
        "the third wave left {grown} bytes more than the first"
    );
    assert!(
        after[2] - start < 160 << 20,
        "the crowds left {} bytes",
        after[2] - start
    );
    bank.shutdown().await
}
