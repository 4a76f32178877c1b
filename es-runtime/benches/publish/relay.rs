//! A stream sent to RabbitMQ: by a relay, and by a loop around the same client.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use es_runtime::event::Position;
use es_runtime::publish::{Message, RabbitMq, Route};
use es_runtime::store::{EventStore, StreamVersion};
use es_runtime::{Service, Store};
use es_servers::Postgres;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::Size;
use crate::build::{filled, log};
use crate::domain::{Account, Accounts};
use crate::measure::{Comparison, Round, in_turn};

/// More than this says nothing new: the broker writes each of them to its disk.
const EVENTS: usize = 100_000;
/// Messages that are under way at most, as with the relay.
const WINDOW: usize = 512;
const EXCHANGE: &str = "bank";
const QUEUE: &str = "reader";

pub(crate) async fn rabbitmq(server: &Postgres, name: &str, size: Size) -> Comparison {
    let broker = es_servers::RabbitMq::start().expect("a broker to measure");
    let events = size.events.min(EVENTS);
    let store = Store::connect(&log(server, events, crate::ACCOUNTS).await).await;
    let store = store.expect("the store");
    let bank = filled(store.clone(), false).await;
    bank.shutdown().await.expect("a clean end");
    let url = format!("amqp://{}/%2f", broker.address());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker");
    let channel = connection.create_channel().await.expect("a channel");
    declare(&channel).await;
    let messages = messages(&store, events).await;
    let mut rounds = 0;
    let comparison = in_turn!(
        name,
        size,
        async {
            rounds += 1;
            let round = ours(&store, &url, rounds, events).await;
            came(&channel, events).await;
            round
        },
        async {
            let round = by_hand(&url, &messages).await;
            came(&channel, events).await;
            round
        }
    );
    store.close().await;
    comparison
}

/// What both send to: an exchange with a durable queue behind it.
async fn declare(channel: &Channel) {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let none = FieldTable::default;
    let exchange = channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, none());
    exchange.await.expect("an exchange");
    let queue = channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), none());
    queue.await.expect("a queue");
    let (key, by) = ("accounts.v1.#".into(), QueueBindOptions::default());
    let bound = channel.queue_bind(QUEUE.into(), EXCHANGE.into(), key, by, none());
    bound.await.expect("a bound queue");
}

/// All has come, and is gone.
async fn came(channel: &Channel, events: usize) {
    let gone = channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default());
    let gone = gone.await.expect("an empty queue");
    assert_eq!(
        usize::try_from(gone).ok(),
        Some(events),
        "events in the queue"
    );
}

/// What the relay will send, as it will send it.
async fn messages(store: &Store, events: usize) -> Vec<Message> {
    let (stream, version) = ("accounts".to_owned(), 1);
    let route = Route::new("bench", StreamVersion { stream, version });
    let stored = store.read_published(&route.stream, Position::START, events);
    let stored = stored.await.expect("the stream");
    let message = |event| Message::new(&route, event).expect("an event");
    stored.into_iter().map(message).collect()
}

/// A service starts, and its relay sends the stream from the first event on.
async fn ours(store: &Store, url: &str, round: usize, events: usize) -> Round {
    let broker = RabbitMq::at(url)
        .exchange(EXCHANGE)
        .named(format!("round-{round}"));
    let began = Instant::now();
    let bank = Service::builder("bench")
        .store(store.clone())
        .publish::<Account, Accounts>()
        .relay(broker)
        .start()
        .await
        .expect("the service");
    bank.relayed().await.expect("all that there is");
    let round = Round::of(events, began.elapsed());
    bank.shutdown().await.expect("a clean end");
    round
}

/// The loop that somebody would write: what is in memory goes out, with confirmations.
async fn by_hand(url: &str, messages: &[Message]) -> Round {
    let began = Instant::now();
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker");
    let channel = connection.create_channel().await.expect("a channel");
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.expect("confirmations");
    let mut unconfirmed = VecDeque::new();
    for message in messages {
        if unconfirmed.len() == WINDOW {
            confirmed(unconfirmed.pop_front()).await;
        }
        let sent = channel.basic_publish(
            EXCHANGE.into(),
            message.address.as_str().into(),
            BasicPublishOptions::default(),
            &message.body,
            properties(message),
        );
        unconfirmed.push_back(sent.await.expect("it is sent"));
    }
    while let Some(oldest) = unconfirmed.pop_front() {
        confirmed(Some(oldest)).await;
    }
    let round = Round::of(messages.len(), began.elapsed());
    connection.close(200, "done".into()).await.expect("an end");
    round
}

async fn confirmed(sent: Option<lapin::PublisherConfirm>) {
    if let Some(sent) = sent {
        let waiting = tokio::time::timeout(Duration::from_secs(60), sent).await;
        assert!(waiting.expect("an answer").expect("the broker").is_ack());
    }
}

fn properties(message: &Message) -> BasicProperties {
    let event = &message.event;
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("cloudEvents_specversion", &event.specversion),
        ("cloudEvents_id", &event.id),
        ("cloudEvents_source", &event.source),
        ("cloudEvents_type", &event.event_type),
        ("cloudEvents_subject", &event.subject),
        ("cloudEvents_sequence", &event.sequence),
    ] {
        let value = AMQPValue::LongString(value.as_str().into());
        headers.insert(name.into(), value);
    }
    BasicProperties::default()
        .with_message_id(event.id.as_str().into())
        .with_content_type(Message::CONTENT_TYPE.into())
        .with_delivery_mode(2)
        .with_headers(headers)
}
