//! Events of a stream over RabbitMQ.

use std::fmt;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Connection, Consumer};

use super::broker::{Broker, Subscription};
use crate::error::{Error, Result};
use crate::publish::RabbitMq;
use crate::publish::rabbitmq::{failed, short};
use crate::store::StreamVersion;

/// Messages that wait in the queue at most: the oldest of more are dropped, and read from the feed.
const WAITING: i32 = 10_000;

/// Everybody who reads has a queue of their own, which ends with the connection.
impl Broker for RabbitMq {
    type Subscription = RabbitSubscription;

    async fn subscribe(
        &self,
        stream: &StreamVersion,
        consumer: &str,
    ) -> Result<RabbitSubscription> {
        let purpose = format!("{consumer}: consumer of {stream}");
        let (connection, channel, exchange) = self.exchange_on(purpose).await?;
        let (named_by_broker, mut limits) = (ShortString::default(), FieldTable::default());
        limits.insert("x-max-length".into(), AMQPValue::LongInt(WAITING));
        let options = QueueDeclareOptions::exclusive();
        let queue = channel
            .queue_declare(named_by_broker, options, limits)
            .await;
        let queue = queue.map_err(failed("declaring a queue"))?.name().clone();
        let (none, all) = (FieldTable::default(), format!("{}.#", stream.address()));
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(queue.clone(), exchange, short(&all)?, options, none);
        bound.await.map_err(failed("binding the queue"))?;
        // Lost messages are read from the feed: nothing is to be confirmed.
        let options = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let (tag, none) = (ShortString::default(), FieldTable::default());
        let messages = channel.basic_consume(queue, tag, options, none).await;
        let messages = messages.map_err(failed("consuming"))?;
        Ok(RabbitSubscription {
            messages,
            _connection: connection,
        })
    }
}

/// A queue at RabbitMQ that brings a stream's events.
pub struct RabbitSubscription {
    messages: Consumer,
    _connection: Connection,
}

impl fmt::Debug for RabbitSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitSubscription").finish_non_exhaustive()
    }
}

impl Subscription for RabbitSubscription {
    async fn next(&mut self) -> Result<Vec<u8>> {
        const DOING: &str = "consuming";
        match self.messages.next().await {
            Some(Ok(delivery)) => Ok(delivery.data),
            Some(Err(error)) => Err(failed(DOING)(error)),
            None => Err(Error::broker(DOING, "the broker has ended the queue")),
        }
    }
}
