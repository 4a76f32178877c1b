//! A feed that cannot be trusted: it stands before those that live, and loses, doubles, delays,
//! shuffles and breaks off what they answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fastrand::Rng;
use futures_util::stream;
use reqwest::Client;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Where the feed is served now, by several, and who stands before them.
#[derive(Clone)]
pub(crate) struct Feeds {
    url: Arc<str>,
    places: Arc<Mutex<Vec<String>>>,
    random: Arc<Mutex<Rng>>,
    client: Client,
}

impl Feeds {
    pub(crate) async fn start(random: Rng) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let feeds = Self {
            url: format!("http://{}", listener.local_addr().unwrap()).into(),
            places: Arc::default(),
            random: Arc::new(Mutex::new(random)),
            client: Client::new(),
        };
        let app = Router::new().fallback(pass).with_state(feeds.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        feeds
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn add(&self, place: &str) {
        self.places.lock().unwrap().push(place.to_owned());
    }

    /// Whoever served before does so no more.
    pub(crate) fn only(&self, place: &str) {
        *self.places.lock().unwrap() = vec![place.to_owned()];
    }

    fn any(&self) -> Option<String> {
        let mut places = self.places.lock().unwrap();
        // Those of long ago are dead.
        let old = places.len().saturating_sub(4);
        places.drain(..old);
        self.random.lock().unwrap().choice(places.iter()).cloned()
    }

    fn random(&self) -> Rng {
        self.random.lock().unwrap().fork()
    }
}

async fn pass(State(feeds): State<Feeds>, request: Request) -> Response {
    let mut random = feeds.random();
    let away = || StatusCode::BAD_GATEWAY.into_response();
    let Some(place) = feeds.any() else {
        return away();
    };
    let asked = request.uri().path_and_query().expect("a path");
    let mut ask = feeds.client.get(format!("http://{place}{asked}"));
    for (name, value) in request.headers() {
        if name != "host" {
            ask = ask.header(name, value);
        }
    }
    let Ok(answer) = ask.send().await else {
        return away();
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else {
        return away();
    };
    if random.u8(..10) == 0 {
        sleep(Duration::from_millis(random.u64(..1500))).await;
    }
    let mut response = match status == StatusCode::OK {
        true => lie(body, &mut random),
        false => Body::from(body).into_response(),
    };
    *response.status_mut() = status;
    for (name, value) in &headers {
        if name != "content-length" && name != "transfer-encoding" {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// What becomes of an answer on its way: as a rule, nothing.
fn lie(body: Bytes, random: &mut Rng) -> Response {
    let events = serde_json::from_slice::<Vec<Box<RawValue>>>(&body);
    let Ok(mut events) = events else {
        return Body::from(body).into_response();
    };
    let any = |random: &mut Rng, events: &[Box<RawValue>]| random.usize(..events.len().max(1));
    match random.u8(..20) {
        0 => {
            // Cut in the middle: who reads sees a connection that broke.
            let half = body.slice(..random.usize(..=body.len()));
            let parts = [Ok(half), Err(std::io::Error::other("cut off"))];
            return Body::from_stream(stream::iter(parts)).into_response();
        }
        1 => {
            let one = any(random, &events);
            events.drain(one..events.len().min(one + 1));
        }
        2 => {
            let one = any(random, &events);
            events.extend(events.get(one).cloned());
        }
        3 => random.shuffle(&mut events),
        4 => events.truncate(any(random, &events)),
        5 => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => return Body::from(body).into_response(),
    }
    let text = serde_json::to_vec(&events).expect("events");
    Body::from(text).into_response()
}
