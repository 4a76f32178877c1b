//! Requests to the byte, for what no decent client sends.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// How long a test waits for what must come.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// `http://127.0.0.1:1` without the scheme.
pub(crate) fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

pub(crate) async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(host(url)).await.unwrap()
}

/// Sends these bytes and reads until the server closes; nothing if it did without a word.
pub(crate) async fn send(url: &str, request: &[u8]) -> Option<Raw> {
    let mut connection = connect(url).await;
    // The server may close before it has read all.
    connection.write_all(request).await.ok();
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    timeout(LONG, read)
        .await
        .expect("an answer, or an end")
        .ok();
    parse(&answer)
}

/// A request for `path` with these lines of headers.
pub(crate) async fn ask(url: &str, method: &str, path: &str, headers: &str) -> Option<Raw> {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: es\r\nConnection: close\r\n{headers}\r\n");
    send(url, request.as_bytes()).await
}

pub(crate) fn parse(answer: &[u8]) -> Option<Raw> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    });
    Some(Raw {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    })
}
