//! Over real brokers: a bank that relays and serves, and a consumer that hears and reads.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::consume::{Broker, Consumer, Feed, Handler, HandlerError};
use es_runtime::event::Position;
use es_runtime::integration::Received;
use es_runtime::publish::Transport;
use es_runtime::store::Tx;
use es_runtime::{Service, Store};
use es_servers::Proxy;
use tokio::time::timeout;

use crate::domain::{Account, deposit, open, v1};

const LONG: Duration = Duration::from_secs(60);
/// Nothing that the feed is asked for out of impatience is to hide a broker that brings nothing.
const NEVER: Duration = Duration::from_hours(1);

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Handler<v1::Accounts> for Seen {
    async fn handle(
        &mut self,
        event: &Received<v1::Accounts>,
        _: &mut Tx,
    ) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(event.position.get());
        Ok(())
    }
}

/// `broker` is reached through `proxy`; `restart` ends the server and starts it again.
async fn over<B: Broker + Transport + Clone>(broker: B, proxy: &Proxy, mut restart: impl FnMut()) {
    let bank = Service::builder("bank")
        .store(Store::connect("memory:").await.unwrap())
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .relay(broker.clone())
        .serve("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let feed = Feed::http(format!("http://{}", bank.feed_address().unwrap()));
    let (inbox, seen) = (Store::connect("memory:").await.unwrap(), Seen::default());
    let consumer = Consumer::new("watcher", inbox)
        .stream::<v1::Accounts>(feed.with_broker(broker).silence(NEVER))
        .handle(seen.clone())
        .start()
        .await
        .unwrap();
    bank.execute::<Account>("alice", open("Alice"))
        .await
        .unwrap();
    let mut events = 1;
    for blow in 0..4 {
        for _ in 0..20 {
            bank.execute::<Account>("alice", deposit(1)).await.unwrap();
            events += 1;
            let all = consumer.reached(Position::new(events));
            timeout(LONG, all)
                .await
                .expect("every event comes")
                .unwrap();
        }
        match blow {
            0 => proxy.cut(),
            1 => restart(),
            _ => {}
        }
    }
    assert_eq!(*seen.0.lock().unwrap(), (1..=events).collect::<Vec<_>>());
    consumer.stop().await.unwrap();
    bank.shutdown().await.unwrap();
}

#[cfg(feature = "rabbitmq")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_rabbitmq() {
    let mut server = match es_servers::RabbitMq::start() {
        Ok(server) => server,
        Err(why) => return es_servers::skip(&why),
    };
    let proxy = Proxy::to(server.address());
    let broker = es_runtime::publish::RabbitMq::at(format!("amqp://{}/%2f", proxy.address()));
    let broker = broker.exchange("bank").heartbeat(Duration::from_secs(1));
    over(broker, &proxy, || {
        server.stop();
        server.run();
    })
    .await;
}

#[cfg(feature = "nats")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_nats() {
    let mut server = match es_servers::Nats::start() {
        Ok(server) => server,
        Err(why) => return es_servers::skip(&why),
    };
    let proxy = Proxy::to(server.address());
    let broker = es_runtime::publish::Nats::at(format!("nats://{}", proxy.address()));
    over(broker.prefix("bank"), &proxy, || {
        server.stop();
        server.run();
    })
    .await;
}
