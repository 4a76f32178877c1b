//! Pages in fewer bytes.

use std::io::Read;

use es_runtime::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bank;
use crate::raw::{ask, connect, parse};

const FULL: &str = "/streams/accounts/v1/events?limit=2";

#[tokio::test]
async fn a_packed_page_is_the_same_under_another_tag() -> Result<()> {
    let (bank, url) = bank().await?;
    let plain = ask(&url, "GET", FULL, "").await.unwrap();
    assert!(!plain.headers.contains_key("content-encoding"));
    let mut connection = connect(&url).await;
    let request = format!(
        "GET {FULL} HTTP/1.1\r\nHost: es\r\nConnection: close\r\nAccept-Encoding: br, gzip\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let packed = parse(&answer).unwrap();
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert_eq!(
        packed.headers["cache-control"],
        plain.headers["cache-control"]
    );
    let body = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let mut unpacked = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&answer[body..]);
    decoder.read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    // Other bytes are another representation, and each is recognised.
    let (plain, packed) = (&plain.headers["etag"], &packed.headers["etag"]);
    assert_ne!(plain, packed);
    for (encoding, tag, status) in [
        ("gzip", packed, 304),
        ("gzip", plain, 200),
        ("identity", plain, 304),
        ("gzip;q=0", plain, 304),
    ] {
        let header = format!("Accept-Encoding: {encoding}\r\nIf-None-Match: {tag}\r\n");
        let again = ask(&url, "GET", FULL, &header).await.unwrap();
        assert_eq!(again.status, status, "{encoding}, {tag}");
    }
    // Nothing is not packed.
    let nothing = "/streams/accounts/v1/events?after=3";
    let nothing = ask(&url, "GET", nothing, "Accept-Encoding: gzip\r\n")
        .await
        .unwrap();
    assert_eq!(nothing.body, "[]");
    bank.shutdown().await
}
