//! The webhook: 2xx after the commit, a problem with a sentence for what cannot be taken.

use std::time::Duration;

use es_runtime::adapt::Webhook;
use es_runtime::store::EventStore;
use es_runtime::{Result, Service};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::domain::{Aircraft, Report, memory, seen, service, tower};

async fn post(webhook: &Webhook<Report>, body: impl Into<String>) -> (StatusCode, Value) {
    let request = Request::post("/reports").body(body.into()).unwrap();
    told(webhook.answer(request).await)
}

fn told(answer: Response<String>) -> (StatusCode, Value) {
    let kind = match answer.status().is_success() {
        true => "application/json",
        false => "application/problem+json",
    };
    assert_eq!(answer.headers()["content-type"], kind);
    let body = serde_json::from_str(answer.body()).unwrap();
    (answer.status(), body)
}

fn json(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}

async fn known(flights: &Service) -> u64 {
    flights.load::<Aircraft>("N1").await.unwrap().version()
}

#[tokio::test]
async fn what_is_answered_is_in_the_log() -> Result<()> {
    let flights = service(&memory().await).start().await?;
    let webhook = Webhook::new(tower(&flights));
    for (report, outcome) in [
        (seen("b", "IAH", 9), "counted"),
        (seen("a", "EWR", 5), "superseded"),
        (seen("b", "IAH", 9), "repeated"),
    ] {
        let (status, body) = post(&webhook, json(&report)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["outcome"], outcome);
        assert!(body["position"].as_u64() <= Some(flights.store().head().await?.get()));
    }
    assert_eq!(known(&flights).await, 2);
    flights.shutdown().await
}

#[tokio::test]
async fn what_cannot_be_taken_is_told_and_not_taken() -> Result<()> {
    let flights = service(&memory().await).start().await?;
    let webhook = Webhook::new(tower(&flights)).largest(300);
    assert_eq!(
        post(&webhook, json(&seen("a", "IAH", 9))).await.0,
        StatusCode::OK
    );
    let long = json!({ "id": "x".repeat(300) }).to_string();
    for (body, status, says) in [
        (
            "{".to_owned(),
            StatusCode::BAD_REQUEST,
            "cannot read a message",
        ),
        (
            json(&seen("", "IAH", 9)),
            StatusCode::UNPROCESSABLE_ENTITY,
            "a key has",
        ),
        (
            json(&seen("a", "JFK", 9)),
            StatusCode::CONFLICT,
            "another message by the key",
        ),
        (long, StatusCode::PAYLOAD_TOO_LARGE, "longer than 300 bytes"),
    ] {
        let (found, problem) = post(&webhook, body).await;
        assert_eq!(found, status, "{problem}");
        assert_eq!(problem["status"], status.as_u16());
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{problem}"
        );
    }
    let get = webhook
        .answer(Request::get("/").body(String::new()).unwrap())
        .await;
    assert_eq!(get.headers()["allow"], "POST");
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(known(&flights).await, 1);
    flights.shutdown().await
}

#[tokio::test]
async fn a_store_that_fails_is_told_without_its_reason() -> Result<()> {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("flights.db").display());
    let store = es_runtime::Store::connect(&url).await?;
    let flights = service(&store).start().await?;
    let webhook = Webhook::new(tower(&flights));
    store.close().await;
    let request = Request::post("/").body(json(&seen("a", "IAH", 9))).unwrap();
    let answer = webhook.answer(request).await;
    assert_eq!(answer.headers()["retry-after"], "1");
    let (status, problem) = told(answer);
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("the message cannot be taken now [ES"),
        "{detail}"
    );
    Ok(())
}

/// Behind a server of the user's own, and slow senders take no place for ever.
#[tokio::test]
async fn a_server_of_ones_own_mounts_it() -> Result<()> {
    use axum::extract::Request;
    use axum::routing::any;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let flights = service(&memory().await).start().await?;
    let webhook = Webhook::new(tower(&flights))
        .patience(Duration::from_millis(200))
        .at_once(1);
    let answer = move |request: Request| {
        let webhook = webhook.clone();
        async move { webhook.answer(request).await }
    };
    let app = axum::Router::new().route("/reports", any(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /reports HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 32];
    slow.read_exact(&mut said).await.unwrap();
    assert!(
        said.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&said)
    );

    let client = reqwest::Client::new();
    let sent = client
        .post(format!("http://{address}/reports"))
        .body(json(&seen("a", "IAH", 9)));
    assert_eq!(sent.send().await.unwrap().status(), 200);
    assert_eq!(known(&flights).await, 1);
    server.abort();
    flights.shutdown().await
}
