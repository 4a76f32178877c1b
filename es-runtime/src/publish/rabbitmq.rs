//! RabbitMQ: a topic exchange with publisher confirms.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind,
    ExchangeKind, PublisherConfirm,
};

use super::{Link, Message, Route, Transport};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::runtime::without;

/// How long the broker may take to let a connection in, in milliseconds.
const CONNECTING: u64 = 10_000;
/// Kept on the broker's disk.
const PERSISTENT: u8 = 2;

/// A RabbitMQ server, and the topic exchange that stream versions are published to.
///
/// ```no_run
/// use es_runtime::publish::RabbitMq;
///
/// let broker = RabbitMq::at("amqp://bank:secret@rabbitmq.example/%2f").exchange("bank");
/// let service = es_runtime::Service::builder("bank").relay(broker);
/// ```
///
/// The exchange is made durable, messages are persistent, and their routing key is
/// `{stream}.v{version}.{event}`. Whoever reads a stream binds a queue to `{stream}.v{version}.#`: one
/// that is bound to a part of it cannot see what it misses.
///
/// One relay at a time sends a stream version: it holds the exclusive queue
/// `es.relay.{service}.{exchange}.{stream}.v{version}`, which the broker deletes when it loses the
/// connection.
#[derive(Clone)]
pub struct RabbitMq {
    name: String,
    url: String,
    exchange: String,
    heartbeat: Duration,
}

impl RabbitMq {
    /// The server at `url`, `amqp://user:password@host:port/vhost`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            name: "rabbitmq".to_owned(),
            url: url.into(),
            exchange: "events".to_owned(),
            heartbeat: Duration::from_secs(10),
        }
    }

    /// The exchange to publish to; `events` unless something is said.
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = exchange.into();
        self
    }

    /// The name under which it is kept how far each stream went; `rabbitmq` unless something is said.
    /// A service that publishes to two servers or exchanges gives each its own. Another name gets every
    /// stream from the first event on.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// After how long of silence, about twice this, either side takes the other for lost: so long
    /// another instance waits for one that does not answer any more. Ten seconds unless something is
    /// said; whole seconds, one at least.
    pub fn heartbeat(mut self, time: Duration) -> Self {
        self.heartbeat = time;
        self
    }

    fn address(&self) -> Result<AMQPUri> {
        address(&self.url, self.heartbeat)
    }

    /// A connection, and the exchange on it, which is made where it is missing.
    pub(crate) async fn exchange_on(
        &self,
        purpose: String,
    ) -> Result<(Connection, Channel, ShortString)> {
        let exchange = short(&self.exchange)?;
        let (connection, channel) = self.connect(purpose).await?;
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default();
        let declared =
            channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, durable, none);
        declared.await.map_err(failed("declaring the exchange"))?;
        Ok((connection, channel, exchange))
    }

    async fn connect(&self, purpose: String) -> Result<(Connection, Channel)> {
        let (connection, channel) = connect(self.address()?, &purpose).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        confirms.await.map_err(failed("asking for confirmations"))?;
        Ok((connection, channel))
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMq")
            .field("name", &self.name)
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

/// The server at a URL.
pub(crate) fn address(url: &str, heartbeat: Duration) -> Result<AMQPUri> {
    let bad = |why: String| {
        // The text that was not understood may hold a password.
        let url = "amqp://user:password@host:port/vhost".to_owned();
        Error::new(Kind::BadBrokerUrl { url, why })
    };
    let mut uri: AMQPUri = url.parse().map_err(bad)?;
    let seconds = u16::try_from(heartbeat.as_secs()).unwrap_or(u16::MAX);
    uri.query.heartbeat.get_or_insert(seconds.max(1));
    uri.query.connection_timeout.get_or_insert(CONNECTING);
    Ok(uri)
}

/// A connection, which the broker shows under its purpose, with a channel.
pub(crate) async fn connect(uri: AMQPUri, purpose: &str) -> Result<(Connection, Channel)> {
    let properties =
        ConnectionProperties::default().with_connection_name(LongString::from(purpose));
    let connection = Connection::connect_uri(uri, properties).await;
    let connection = connection.map_err(failed("connecting"))?;
    let channel = connection.create_channel().await;
    let channel = channel.map_err(failed("opening a channel"))?;
    Ok((connection, channel))
}

pub(crate) fn failed(doing: &'static str) -> impl FnOnce(lapin::Error) -> Error {
    move |error| Error::broker(doing, error)
}

/// A name that goes over the wire.
pub(crate) fn short(name: &str) -> Result<ShortString> {
    ShortString::try_new(name).map_err(|error| {
        let what = name.to_owned();
        Error::caused_by(Kind::Untransportable { what }, error)
    })
}

fn is_locked(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return false;
    };
    *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED)
}

impl Transport for RabbitMq {
    type Link = RabbitLink;

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        self.address()?;
        short(&self.exchange)?;
        Ok(())
    }

    async fn open(&self, route: &Route) -> Result<RabbitLink> {
        let address = route.address();
        let fence = format!("es.relay.{}.{}.{address}", route.service, self.exchange);
        let purpose = format!("{}: relay of {address}", route.service);
        let (connection, channel, exchange) = self.exchange_on(purpose).await?;
        if !without("one relay at a time holds the broker's exclusive queue") {
            let (alone, none) = (QueueDeclareOptions::exclusive(), FieldTable::default());
            let held = channel.queue_declare(short(&fence)?, alone, none).await;
            held.map_err(|error| match is_locked(&error) {
                true => Error::held(address),
                false => failed("declaring the relay's queue")(error),
            })?;
        }
        Ok(RabbitLink {
            connection,
            channel,
            exchange,
            unconfirmed: VecDeque::new(),
            failed: None,
        })
    }

    async fn redeliver(&self, to: &str, messages: Vec<Message>) -> Result<()> {
        // The default exchange leads to the queue of that name alone.
        let (nowhere, queue) = (ShortString::default(), short(to)?);
        let (connection, channel) = self.connect(format!("redelivery to {to}")).await?;
        let must_arrive = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let mut unconfirmed = Vec::new();
        for message in &messages {
            let (body, properties) = (&message.body, properties(message)?);
            let sent = channel.basic_publish(
                nowhere.clone(),
                queue.clone(),
                must_arrive,
                body,
                properties,
            );
            unconfirmed.push(sent.await.map_err(failed("sending"))?);
        }
        for (message, confirm) in messages.iter().zip(unconfirmed) {
            match confirm.await.map_err(failed("confirming"))? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => {
                    let to = to.to_owned();
                    return Err(Error::new(Kind::NoSuchPlace { to }));
                }
                _ => return Err(refused(message.id())),
            }
        }
        close(&connection).await;
        Ok(())
    }
}

fn refused(id: impl fmt::Display) -> Error {
    let why = format!("the broker did not take `{id}`: look at the limits of the queues");
    Error::broker("confirming", why)
}

fn properties(message: &Message) -> Result<BasicProperties> {
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
    Ok(BasicProperties::default()
        .with_message_id(short(&event.id)?)
        .with_content_type(Message::CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers))
}

pub(crate) async fn close(connection: &Connection) {
    // Who does not answer is gone anyway.
    let closing = connection.close(200, "done".into());
    tokio::time::timeout(Duration::from_secs(2), closing)
        .await
        .ok();
}

/// A connection that holds a stream version's exclusive queue.
pub struct RabbitLink {
    connection: Connection,
    channel: Channel,
    exchange: ShortString,
    unconfirmed: VecDeque<(Position, PublisherConfirm)>,
    /// What went wrong behind the last confirmation that was told.
    failed: Option<Error>,
}

impl fmt::Debug for RabbitLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitLink").finish_non_exhaustive()
    }
}

impl Link for RabbitLink {
    async fn send(&mut self, message: Message) -> Result<()> {
        let sent = self.channel.basic_publish(
            self.exchange.clone(),
            short(&message.address)?,
            BasicPublishOptions::default(),
            &message.body,
            properties(&message)?,
        );
        let confirm = sent.await.map_err(failed("sending"))?;
        self.unconfirmed.push_back((message.position, confirm));
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<Position> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Self {
            unconfirmed,
            failed: broken,
            ..
        } = self;
        // All that came together, in order: the broker may answer in another one.
        poll_fn(|context| {
            let mut last = None;
            while let Some((position, confirm)) = unconfirmed.front_mut() {
                let position = *position;
                let answer = match Pin::new(confirm).poll(context) {
                    Poll::Pending => break,
                    Poll::Ready(answer) => answer.map_err(failed("confirming")),
                };
                unconfirmed.pop_front();
                match answer {
                    Ok(Confirmation::Ack(_)) => last = Some(position),
                    Ok(_) => *broken = Some(refused(position)),
                    Err(error) => *broken = Some(error),
                }
                if broken.is_some() {
                    break;
                }
            }
            match (last, broken.take()) {
                (Some(last), error) => {
                    *broken = error;
                    Poll::Ready(Ok(last))
                }
                (None, Some(error)) => Poll::Ready(Err(error)),
                (None, None) => Poll::Pending,
            }
        })
        .await
    }

    async fn close(self) {
        close(&self.connection).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_checked_and_never_shown() {
        let broker = RabbitMq::at("amqp://bank:secret@localhost:1/bank");
        assert!(broker.check().is_ok());
        assert!(!format!("{broker:?}").contains("secret"));
        let wrong = RabbitMq::at("amqp//bank:secret@localhost").check();
        let wrong = wrong.unwrap_err();
        assert_eq!(wrong.code(), "ES0203");
        assert!(!wrong.to_string().contains("secret"), "{wrong}");
    }
}
