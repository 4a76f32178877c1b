//! The feed in a server of the user's own, behind layers of the user's own.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use es_runtime::Result;
use es_runtime::feed::{Access, Authorize, Parts, Serve};
use es_runtime::integration::StreamVersion;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::raw::ask;
use crate::served;

/// Who a layer found out to be asking.
#[derive(Clone)]
struct User(String);

/// The layer: it knows people by their token, and lets everybody through.
async fn who(mut request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization");
    let name = token.and_then(|token| token.to_str().ok()?.strip_prefix("Bearer "));
    if let Some(name) = name {
        let user = User(name.to_owned());
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

/// Who is known may read version 1.
struct Known;

impl Authorize for Known {
    async fn authorize(&self, request: &Parts, stream: &StreamVersion) -> Access {
        match request.extensions.get::<User>() {
            Some(User(name)) if stream.version == 1 => Access::allowed_as(name),
            Some(_) => Access::Forbidden,
            None => Access::unauthenticated("Bearer"),
        }
    }
}

#[tokio::test]
async fn layers_say_who_asks_and_streams_are_authorised_one_by_one() -> Result<()> {
    let bank = crate::started(Serve::mounted().authorize(Known)).await?;
    assert_eq!(bank.feed_address(), None);
    let feed = bank.feed().unwrap();
    let answer = move |request: Request| {
        let feed = feed.clone();
        async move { feed.answer(request).await.map(axum::body::Body::new) }
    };
    let app = axum::Router::new().fallback(answer).layer(from_fn(who));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let (one, two) = ("/streams/accounts/v1/events", "/streams/accounts/v2/events");
    for (path, header, status) in [
        (one, "", 401),
        (one, "Authorization: Bearer billing\r\n", 200),
        (two, "Authorization: Bearer billing\r\n", 403),
        ("/streams", "Authorization: Bearer billing\r\n", 200),
        ("/elsewhere", "", 404),
    ] {
        let answer = ask(&url, "GET", path, header).await.unwrap();
        assert_eq!(answer.status, status, "{path} with `{header}`: {answer:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        if path == one && status == 200 {
            assert_eq!(body.as_array().unwrap().len(), 3);
            assert!(answer.headers.contains_key("content-length"));
        }
    }
    server.abort();
    bank.shutdown().await
}

#[tokio::test]
async fn a_feed_with_a_port_can_be_mounted_too() -> Result<()> {
    let (bank, _) = served(Serve::at(crate::ANYWHERE)).await?;
    let request = Request::builder()
        .uri("/streams")
        .body(axum::body::Body::empty());
    let answer = bank.feed().unwrap().answer(request.unwrap()).await;
    assert_eq!(answer.status(), 200);
    bank.shutdown().await
}
