//! A queue of RabbitMQ: confirmed when it is in the log, and what cannot be taken blocks nothing.

use std::time::Duration;

use es_runtime::Store;
use es_runtime::adapt::{Queue, Running, Status};
use es_runtime::sqlite::sqlx::{self, Connection as _, SqliteConnection};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::domain::{Aircraft, Report, fleet, memory, reports, seen, service, tower, truth};

const QUEUE: &str = "reports";
/// Messages that the source may have at hand.
const PREFETCH: u16 = 30;
/// Messages that are sent at once.
const CHUNK: usize = 60;

async fn connect(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.unwrap();
    (connection, channel)
}

/// How many messages nobody has confirmed and nobody has at hand.
async fn declare(channel: &Channel) -> u32 {
    let (durable, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    let queue = channel.queue_declare(QUEUE.into(), durable, none);
    queue.await.unwrap().message_count()
}

async fn send(channel: &Channel, body: &[u8]) {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish("".into(), QUEUE.into(), options, body, properties);
    sent.await.unwrap().await.unwrap();
}

/// The service and its source, as a process of their own that dies when the runtime is shut down.
async fn live(url: String, broker: String) -> (es_runtime::Service, Running) {
    let store = Store::connect(&url).await.unwrap();
    let flights = service(&store).start().await.unwrap();
    let queue = Queue::at(broker, QUEUE).prefetch(PREFETCH);
    let running = queue.start(tower(&flights)).unwrap();
    (flights, running)
}

#[test]
fn what_is_confirmed_is_in_the_log() {
    let mut server = match es_servers::RabbitMq::start() {
        Ok(server) => server,
        Err(why) => return es_servers::skip(&why),
    };
    let broker = format!("amqp://{}/%2f", server.address());
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("flights.db").display());
    let seed = std::env::var("ES_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("ES_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut arriving = reports();
    // What comes twice hides a loss.
    arriving.extend(reports().into_iter().filter(|_| random.u8(..4) == 0));
    random.shuffle(&mut arriving);
    let (client, mut poison, mut left) = (Runtime::new().unwrap(), 0, 0);
    let (_connection, channel) = client.block_on(async {
        let (connection, channel) = connect(&broker).await;
        declare(&channel).await;
        (connection, channel)
    });
    let mut send_all = |reports: &[Report]| {
        client.block_on(async {
            for report in reports {
                send(&channel, &serde_json::to_vec(report).unwrap()).await;
            }
            poison += 1;
            send(&channel, format!("poison {poison}").as_bytes()).await;
        });
        reports.len() as u64 + 1
    };
    for arriving in arriving.chunks(2 * CHUNK) {
        let (first, second) = arriving.split_at(CHUNK.min(arriving.len()));
        left += send_all(first);
        let life = Runtime::new().unwrap();
        let (_flights, running) = life.block_on(live(url.clone(), broker.clone()));
        let all = |status: &Status| status.taken + status.repeated + status.set_aside >= left;
        let done = async { timeout(Duration::from_secs(30), running.until(all)).await };
        let done = life.block_on(done);
        done.expect("what was not confirmed comes again").unwrap();
        // From here on nothing is committed; the broker has the time to hear what it should not.
        let lock = client.block_on(async {
            let mut lock = SqliteConnection::connect(&url).await.unwrap();
            let begin = sqlx::query("BEGIN IMMEDIATE");
            begin.execute(&mut lock).await.unwrap();
            lock
        });
        left = send_all(second);
        client.block_on(async {
            let at_hand = u64::from(PREFETCH).min(left);
            while u64::from(declare(&channel).await) > left - at_hand {}
            for _ in 0..20 {
                declare(&channel).await;
            }
        });
        // Without a farewell: whatever is at hand is dropped where it is.
        life.shutdown_timeout(Duration::ZERO);
        client.block_on(lock.close()).unwrap();
    }
    // The broker learns that they are dead.
    server.kill();
    server.run();
    let found = client.block_on(async {
        let (_connection, channel) = connect(&broker).await;
        declare(&channel).await
    });
    let found = u64::from(found);
    // What was confirmed, too, where the broker died before it heard of it.
    assert!(
        found >= left,
        "what was not confirmed is there: {found} of {left}"
    );
    client.block_on(async {
        let (flights, running) = live(url, broker.clone()).await;
        let handled = |status: &Status| {
            let done = status.taken + status.repeated + status.set_aside;
            done == found
        };
        running.until(handled).await.unwrap();
        running.stop().await.unwrap();
        let (_connection, channel) = connect(&broker).await;
        assert_eq!(declare(&channel).await, 0, "all of it was confirmed");
        let messages = reports().len() as u64;
        assert_eq!(fleet(&flights).await, (truth(), messages), "ES_SEED={seed}");
        assert_eq!(tower(&flights).aside().await.unwrap(), poison);
        flights.shutdown().await.unwrap();
    });
}

#[tokio::test]
async fn a_broker_that_comes_back_is_followed() {
    let mut server = match es_servers::RabbitMq::start() {
        Ok(server) => server,
        Err(why) => return es_servers::skip(&why),
    };
    let flights = service(&memory().await).start().await.unwrap();
    let broker = format!("amqp://{}/%2f", server.address());
    // The queue is not there yet.
    let running = Queue::at(&broker, QUEUE).start(tower(&flights)).unwrap();
    let trouble = |status: &Status| status.trouble.is_some();
    running.until(trouble).await.unwrap();
    let report = |key: &str, at| serde_json::to_vec(&seen(key, key, at)).unwrap();
    {
        let (_connection, channel) = connect(&broker).await;
        declare(&channel).await;
        send(&channel, &report("a", 1)).await;
    }
    running.until(|status| status.taken == 1).await.unwrap();
    server.kill();
    running.until(trouble).await.unwrap();
    server.run();
    let (_connection, channel) = connect(&broker).await;
    // It may have died before it had written down that there is a queue.
    declare(&channel).await;
    send(&channel, &report("b", 2)).await;
    running.until(|status| status.taken == 2).await.unwrap();
    let aircraft = flights.load::<Aircraft>("N1").await.unwrap();
    assert_eq!(aircraft.state().airport, "b");
    running.stop().await.unwrap();
    flights.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_url_is_checked_and_never_shown() {
    let flights = service(&memory().await).start().await.unwrap();
    let queue = Queue::at("amqp//tower:secret@localhost", QUEUE);
    assert!(!format!("{queue:?}").contains("secret"));
    let wrong = queue.start(tower(&flights)).unwrap_err();
    assert_eq!(wrong.code(), "ES0203");
    assert!(!wrong.to_string().contains("secret"), "{wrong}");
}
