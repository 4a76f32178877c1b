//! Events of a stream over NATS.

use std::fmt;

use async_nats::Subscriber;
use futures_util::StreamExt;

use super::broker::{Broker, Subscription};
use crate::error::{Error, Result};
use crate::publish::Nats;
use crate::publish::nats::{Connection, failed};
use crate::store::StreamVersion;

/// Everybody who reads has a subscription of their own, which ends with the connection.
impl Broker for Nats {
    type Subscription = NatsSubscription;

    async fn subscribe(&self, stream: &StreamVersion, consumer: &str) -> Result<NatsSubscription> {
        const DOING: &str = "subscribing";
        let connection = self
            .connect(format!("{consumer}: consumer of {stream}"))
            .await?;
        let client = &connection.client;
        let messages = client.subscribe(self.subjects(stream)).await;
        let messages = messages.map_err(failed(DOING))?;
        // From here on the server knows of it.
        client.flush().await.map_err(failed(DOING))?;
        Ok(NatsSubscription {
            connection,
            messages,
        })
    }
}

/// A subscription at NATS that brings a stream's events.
pub struct NatsSubscription {
    connection: Connection,
    messages: Subscriber,
}

impl fmt::Debug for NatsSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSubscription").finish_non_exhaustive()
    }
}

impl Subscription for NatsSubscription {
    async fn next(&mut self) -> Result<Vec<u8>> {
        const DOING: &str = "consuming";
        let Self {
            connection,
            messages,
        } = self;
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => Ok(message.payload.into()),
                None => Err(Error::broker(DOING, "the server has ended the subscription")),
            },
            // The client connects again by itself, and says nothing of what it missed.
            _ = connection.is_lost.wait_for(|lost| *lost) => {
                Err(Error::broker(DOING, "the connection was lost"))
            }
        }
    }
}
