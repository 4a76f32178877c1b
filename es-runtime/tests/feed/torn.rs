//! What stands between a consumer and a feed breaks answers off, or puts something in their place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use es_runtime::consume::{Consumer, Feed, Handler, HandlerError};
use es_runtime::event::Position;
use es_runtime::integration::Received;
use es_runtime::store::Tx;
use es_runtime::{Result, Store};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::{ANYWHERE, bank, v1};

struct Nothing;

impl Handler<v1::Accounts> for Nothing {
    async fn handle(&mut self, _: &Received<v1::Accounts>, _: &mut Tx) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_broken_off_is_asked_for_again() -> Result<()> {
    const TORN: [&str; 3] = ["", r#"[{"specversion": "1."#, "<html>busy</html>"];
    let (bank, url) = bank().await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let app = Router::new().fallback(move |request: Request| {
        let (n, url) = (counted.fetch_add(1, Ordering::SeqCst), url.clone());
        async move {
            if let Some(torn) = TORN.get(n) {
                return Response::new(Body::from(*torn));
            }
            let path = request.uri().path_and_query().unwrap();
            let answer = reqwest::get(format!("{url}{path}")).await.unwrap();
            Response::new(Body::from(answer.bytes().await.unwrap()))
        }
    });
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let between = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let consumer = Consumer::new("patient", Store::connect("memory:").await?)
        .stream::<v1::Accounts>(Feed::http(between))
        .handle(Nothing)
        .start()
        .await?;
    let all = timeout(Duration::from_secs(60), consumer.reached(Position::new(3)));
    all.await.expect("it asks again")?;
    assert!(asked.load(Ordering::SeqCst) > TORN.len());
    consumer.stop().await?;
    bank.shutdown().await
}
