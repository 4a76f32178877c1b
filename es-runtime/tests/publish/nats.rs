//! A NATS server of the test's own, and who reads there: a plain client that knows nothing of es.

use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::Client;
use es_runtime::Builder;
use es_runtime::publish::{Nats, Route};
use es_runtime::testing::transports::{Reader, Subject};
use es_servers::Proxy;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::torture::{Stage, torture, work};

pub(crate) struct Broker {
    server: es_servers::Nats,
    /// Through which the relays go.
    proxy: Proxy,
    names: AtomicU32,
}

impl Broker {
    /// One, if this machine can.
    pub(crate) fn start() -> Option<Self> {
        let server = match es_servers::Nats::start() {
            Ok(server) => server,
            Err(why) => {
                es_servers::skip(&why);
                return None;
            }
        };
        let (proxy, names) = (Proxy::to(server.address()), AtomicU32::default());
        Some(Self {
            server,
            proxy,
            names,
        })
    }

    async fn client(&self) -> Client {
        async_nats::connect(self.server.address()).await.unwrap()
    }
}

/// Reads a JetStream stream from its first message on, as it is kept.
pub(crate) struct StreamReader {
    client: Client,
    stream: String,
    next: u64,
}

impl StreamReader {
    async fn ask(&self, what: &str, with: Value) -> Value {
        let subject = format!("$JS.API.{what}.{}", self.stream);
        let answer = self.client.request(subject, with.to_string().into());
        serde_json::from_slice(&answer.await.unwrap().payload).unwrap()
    }

    async fn message(&mut self) -> Option<Vec<u8>> {
        let answer = self
            .ask("STREAM.MSG.GET", json!({ "seq": self.next }))
            .await;
        let data = answer["message"]["data"].as_str()?;
        self.next += 1;
        Some(base64(data))
    }
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte| DIGITS.iter().position(|digit| *digit == byte);
    let bits = text
        .bytes()
        .map_while(digit)
        .flat_map(|six| (0..6).rev().map(move |n| six >> n & 1));
    let bits: Vec<_> = bits.collect();
    let byte =
        |bits: &[usize]| u8::try_from(bits.iter().fold(0, |byte, bit| byte << 1 | bit)).unwrap();
    bits.chunks_exact(8).map(byte).collect()
}

impl Reader for StreamReader {
    async fn next(&mut self) -> Option<Vec<u8>> {
        self.message().await
    }
}

impl Subject for Broker {
    type Transport = Nats;
    type Reader = StreamReader;

    async fn fresh(&self) -> Nats {
        let n = self.names.fetch_add(1, Ordering::Relaxed);
        let reader = StreamReader {
            client: self.client().await,
            stream: format!("bank{n}-accounts-v2"),
            next: 1,
        };
        // The relay's own stream, with a memory for doubles as short as it can be: 100 milliseconds.
        let short = json!({
            "name": reader.stream,
            "subjects": [format!("bank{n}.accounts.v2.>")],
            "duplicate_window": 100_000_000,
        });
        let made = reader.ask("STREAM.CREATE", short).await;
        assert!(made["error"].is_null(), "{made}");
        Nats::at(self.proxy.address()).prefix(format!("bank{n}"))
    }

    async fn reader(&self, _: &Nats, route: &Route) -> StreamReader {
        let n = self.names.load(Ordering::Relaxed) - 1;
        StreamReader {
            client: self.client().await,
            stream: format!("bank{n}-{}", route.address().replace('.', "-")),
            next: 1,
        }
    }

    async fn place(&self, _: &Nats, name: &str) -> StreamReader {
        let reader = StreamReader {
            client: self.client().await,
            stream: name.to_owned(),
            next: 1,
        };
        let made = reader.ask("STREAM.CREATE", json!({ "name": name, "subjects": [name] }));
        assert!(made.await["error"].is_null());
        reader
    }

    async fn cut(&self, _: &Nats) {
        self.proxy.cut();
    }
}

const PREFIX: &str = "bank";

impl Stage for Broker {
    fn relay(builder: Builder, address: &str) -> Builder {
        builder.relay(Nats::at(address).prefix(PREFIX))
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn prepare(&self) {}

    async fn read_all(&self, address: &str) -> Vec<Vec<u8>> {
        let mut reader = StreamReader {
            client: self.client().await,
            stream: format!("{PREFIX}-{}", address.replace('.', "-")),
            next: 1,
        };
        let mut received = Vec::new();
        while let Some(body) = reader.message().await {
            received.push(body);
        }
        received
    }

    fn run(&mut self) {
        self.server.run();
    }

    fn stop(&mut self) {
        self.server.stop();
    }

    fn kill(&mut self) {
        self.server.kill();
    }

    fn suspend(&self) {
        self.server.suspend();
    }

    fn resume(&self) {
        self.server.resume();
    }
}

#[tokio::test]
#[ignore = "the other processes of the tests below"]
async fn the_instance() {
    work::<Broker>().await;
}

const INSTANCE: &str = "nats::the_instance";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torture_on_sqlite() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    torture(broker, &url, INSTANCE).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torture_on_postgres() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let server = es_servers::Postgres::start();
    torture(broker, &server.database(), INSTANCE).await;
}
