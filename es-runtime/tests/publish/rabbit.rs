//! A RabbitMQ server of the test's own, and who reads there: a plain client that knows nothing of es.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use es_runtime::Builder;
use es_runtime::publish::{RabbitMq, Route};
use es_runtime::testing::transports::{Reader, Subject};
use es_servers::Proxy;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::torture::{Stage, torture, work};

pub(crate) struct Broker {
    server: es_servers::RabbitMq,
    /// Through which the relays go.
    proxy: Proxy,
    names: AtomicU32,
}

impl Broker {
    /// One, if this machine can.
    pub(crate) fn start() -> Option<Self> {
        let server = match es_servers::RabbitMq::start() {
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

    fn transport(&self, exchange: &str) -> RabbitMq {
        RabbitMq::at(format!("amqp://{}/%2f", self.proxy.address()))
            .exchange(exchange)
            .heartbeat(Duration::from_secs(1))
    }

    /// Somebody who is about to read from an exchange, which is made first.
    async fn declare(&self, exchange: &str) -> RabbitReader {
        let reader = RabbitReader::connect(&self.server.address()).await;
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let (topic, none) = (ExchangeKind::Topic, FieldTable::default());
        let channel = &reader.channel;
        let declared = channel.exchange_declare(exchange.into(), topic, durable, none);
        declared.await.unwrap();
        reader
    }
}

pub(crate) struct RabbitReader {
    _connection: Connection,
    channel: Channel,
    consumer: Option<Consumer>,
}

impl RabbitReader {
    async fn connect(address: &str) -> Self {
        let url = format!("amqp://{address}/%2f");
        let connection = Connection::connect(&url, ConnectionProperties::default());
        let connection = connection.await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel
            .basic_qos(1000, BasicQosOptions::default())
            .await
            .unwrap();
        Self {
            _connection: connection,
            channel,
            consumer: None,
        }
    }

    async fn declare(&self, queue: &str) {
        let durable = QueueDeclareOptions::durable();
        let declared = self
            .channel
            .queue_declare(queue.into(), durable, FieldTable::default());
        declared.await.unwrap();
    }

    async fn consume(mut self, queue: &str) -> Self {
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = self
            .channel
            .basic_consume(queue.into(), "".into(), options, none);
        self.consumer = Some(consumer.await.unwrap());
        self
    }

    /// Leads all that is sent to `key` into a durable queue.
    async fn bind(&self, exchange: &str, key: &str, queue: &str) {
        self.declare(queue).await;
        let (from, by, none) = (
            exchange.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        let bound = self
            .channel
            .queue_bind(queue.into(), from, key.into(), by, none);
        bound.await.unwrap();
    }

    /// The next message; nothing if none comes for `time`, or the connection is lost.
    async fn next_within(&mut self, time: Duration) -> Option<lapin::message::Delivery> {
        let next = timeout(time, self.consumer.as_mut()?.next()).await;
        let delivery = next.ok()??.ok()?;
        delivery.ack(BasicAckOptions::default()).await.ok()?;
        Some(delivery)
    }
}

impl Reader for RabbitReader {
    async fn next(&mut self) -> Option<Vec<u8>> {
        let delivery = self.next_within(Duration::from_secs(1)).await?;
        Some(delivery.data)
    }
}

impl Subject for Broker {
    type Transport = RabbitMq;
    type Reader = RabbitReader;

    async fn fresh(&self) -> RabbitMq {
        let n = self.names.fetch_add(1, Ordering::Relaxed);
        // One exchange is one broker's part; a reader that came with another one hears nothing.
        self.transport(&format!("bank-{n}"))
    }

    async fn reader(&self, _: &RabbitMq, route: &Route) -> RabbitReader {
        let n = self.names.load(Ordering::Relaxed) - 1;
        let key = format!("{}.#", route.address());
        let queue = format!("reader-{n}");
        let exchange = format!("bank-{n}");
        let reader = self.declare(&exchange).await;
        reader.bind(&exchange, &key, &queue).await;
        reader.consume(&queue).await
    }

    async fn place(&self, _: &RabbitMq, name: &str) -> RabbitReader {
        let reader = RabbitReader::connect(&self.server.address()).await;
        reader.declare(name).await;
        reader.consume(name).await
    }

    async fn cut(&self, _: &RabbitMq) {
        self.proxy.cut();
    }
}

const EXCHANGE: &str = "bank";

impl Stage for Broker {
    fn relay(builder: Builder, address: &str) -> Builder {
        let broker = RabbitMq::at(format!("amqp://{address}/%2f"));
        builder.relay(broker.exchange(EXCHANGE).heartbeat(Duration::from_secs(1)))
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn prepare(&self) {
        for address in ["accounts.v1", "accounts.v2"] {
            let reader = self.declare(EXCHANGE).await;
            reader
                .bind(EXCHANGE, &format!("{address}.#"), address)
                .await;
        }
    }

    async fn read_all(&self, address: &str) -> Vec<Vec<u8>> {
        let reader = RabbitReader::connect(&self.server.address()).await;
        let mut reader = reader.consume(address).await;
        let mut received = Vec::new();
        while let Some(delivery) = reader.next_within(Duration::from_secs(3)).await {
            received.push(delivery.data);
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

const INSTANCE: &str = "rabbit::the_instance";

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
