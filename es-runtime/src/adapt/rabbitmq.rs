//! A queue of RabbitMQ whose messages nobody numbers.

use std::fmt;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, Consumer};

use super::aside::Body;
use super::running::{Got, Running, Stopped, Work};
use super::{Adapt, Adapter};
use crate::error::{Error, Result};
use crate::publish::rabbitmq::{address, close, connect, failed, short};
use crate::runtime::without;

/// A queue of a RabbitMQ server, to take messages from.
///
/// ```no_run
/// # async fn run<M: es_runtime::adapt::Adapt>(tower: es_runtime::adapt::Adapter<M>) -> es_runtime::Result<()> {
/// use es_runtime::adapt::Queue;
///
/// let queue = Queue::at("amqp://flights:secret@rabbitmq.example/%2f", "reports");
/// queue.start(tower)?.until_shutdown().await
/// # }
/// ```
///
/// The law: a message is confirmed to the broker when the log has it, or has it set aside with the
/// reason, and not before. The queue is the user's: it must be there, and durable.
#[derive(Clone)]
pub struct Queue {
    url: String,
    queue: String,
    prefetch: u16,
    heartbeat: Duration,
}

impl Queue {
    /// The queue of the server at `url`, `amqp://user:password@host:port/vhost`.
    pub fn at(url: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            queue: queue.into(),
            prefetch: 200,
            heartbeat: Duration::from_secs(10),
        }
    }

    /// How many messages the broker may hand over before the first is confirmed: so many are in
    /// memory at once. 200 unless something is said.
    pub fn prefetch(mut self, messages: u16) -> Self {
        self.prefetch = messages.max(1);
        self
    }

    /// Starts to take messages for an adapter. A broker that is away is waited for.
    ///
    /// # Errors
    /// When the URL or the queue's name cannot be one.
    pub fn start<M: Adapt>(self, adapter: Adapter<M>) -> Result<Running> {
        address(&self.url, self.heartbeat)?;
        short(&self.queue)?;
        Ok(Running::start(adapter, |work| async move {
            // It ends when somebody asks it to.
            let Err(Stopped) = self.run(work).await;
        }))
    }

    async fn run<M: Adapt>(self, mut work: Work<M>) -> Result<Never, Stopped> {
        loop {
            work.retry_aside().await?;
            let purpose = format!("adapter {}", work.adapter.name());
            let opened = tokio::select! {
                opened = self.open(purpose) => opened,
                () = work.stop.asked() => return Err(Stopped),
            };
            let error = match opened {
                Ok((connection, messages)) => {
                    let error = self.follow(&mut work, messages).await;
                    close(&connection).await;
                    error?
                }
                Err(error) => error,
            };
            work.pause(&error).await?;
        }
    }

    async fn open(&self, purpose: String) -> Result<(Connection, Consumer)> {
        let (connection, channel) = connect(address(&self.url, self.heartbeat)?, &purpose).await?;
        let bounded = channel.basic_qos(self.prefetch, BasicQosOptions::default());
        bounded
            .await
            .map_err(failed("bounding what is under way"))?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(short(&self.queue)?, short(&purpose)?, options, none);
        let consumer = consumer.await.map_err(failed("asking for messages"))?;
        Ok((connection, consumer))
    }

    /// Takes messages until the connection is lost, and answers how.
    async fn follow<M: Adapt>(
        &self,
        work: &mut Work<M>,
        mut messages: Consumer,
    ) -> Result<Error, Stopped> {
        const TAKING: &str = "taking messages";
        let ended = || Error::broker(TAKING, "it ended: look at the queue and the broker's log");
        loop {
            let due = work.until_due();
            let first = tokio::select! {
                first = messages.next() => first,
                () = work.stop.asked() => return Err(Stopped),
                () = due => {
                    work.retry_aside().await?;
                    continue;
                }
            };
            let (mut batch, mut lost) = (Vec::new(), None);
            let mut next = first;
            // All that is there already goes into the log together.
            loop {
                match next {
                    Some(Ok(message)) => batch.push(message),
                    Some(Err(error)) => lost = Some(failed(TAKING)(error)),
                    None => lost = Some(ended()),
                }
                if lost.is_some() || batch.len() >= usize::from(self.prefetch) {
                    break;
                }
                match messages.next().now_or_never() {
                    Some(more) => next = more,
                    None => break,
                }
            }
            if let Some(error) = take(work, batch).await? {
                return Ok(error);
            }
            if let Some(error) = lost {
                return Ok(error);
            }
            work.round();
        }
    }
}

enum Never {}

/// Takes messages and confirms them all; or answers how the broker was lost.
async fn take<M: Adapt>(
    work: &mut Work<M>,
    batch: Vec<Delivery>,
) -> Result<Option<Error>, Stopped> {
    let read = |message: &Delivery| Got {
        message: work.adapter.read(&message.data).map(Into::into),
        body: Body::raw(&message.data),
    };
    let got = batch.iter().map(read).collect();
    let too_early = without("a message is confirmed when the log has it");
    if too_early {
        confirm(&batch).await.ok();
    }
    work.all(got).await?;
    if too_early {
        return Ok(None);
    }
    Ok(confirm(&batch).await.err())
}

async fn confirm(batch: &[Delivery]) -> Result<()> {
    let Some(last) = batch.last() else {
        return Ok(());
    };
    // The ones before it, too: they came over the same channel.
    let confirmed = last.acker.ack(BasicAckOptions { multiple: true }).await;
    confirmed.map(drop).map_err(failed("confirming messages"))
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("queue", &self.queue)
            .field("prefetch", &self.prefetch)
            .finish_non_exhaustive()
    }
}
