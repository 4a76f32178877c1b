//! Transports that break the laws, one fault each, around the broker in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use es_runtime::error::Result;
use es_runtime::event::Position;
use es_runtime::publish::{Link, Message, Route, Transport};
use es_runtime::store::StreamVersion;
use es_runtime::testing::transports::{MemoryBroker, MemoryLink};
use tokio::task::yield_now;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: the wrapper itself.
    None,
    /// Confirms what is still on its way.
    ConfirmsEarly,
    /// Confirms one more than was sent.
    ConfirmsTooMuch,
    /// Sends the second of two first.
    Reorders,
    /// Sends what an event says, in other bytes.
    Reformats,
    /// Forgets a confirmation that nobody waited for to the end.
    Forgets,
    /// Lets several links send on one route.
    Shares,
    /// Connects again by itself, and sends what it was told before.
    Resurrects,
    /// Sends again to everybody.
    RedeliversToAll,
    /// Sends again to nobody, and says nothing.
    RedeliversNowhere,
}

#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) broker: MemoryBroker,
    fault: Fault,
    links: Arc<AtomicU32>,
}

pub(crate) struct BrokenLink {
    transport: Broken,
    inner: MemoryLink,
    held: Option<Message>,
    last: Position,
}

impl Broken {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            broker: MemoryBroker::new(),
            fault,
            links: Arc::default(),
        }
    }

    /// A link that shares its route with nobody, whose messages arrive all the same.
    async fn beside(&self) -> Result<MemoryLink> {
        let (stream, version) = (
            "beside".to_owned(),
            self.links.fetch_add(1, Ordering::Relaxed),
        );
        let route = Route::new("bank", StreamVersion { stream, version });
        self.broker.open(&route).await
    }
}

impl Transport for Broken {
    type Link = BrokenLink;

    fn name(&self) -> &str {
        "broken"
    }

    async fn open(&self, route: &Route) -> Result<BrokenLink> {
        let inner = match self.fault {
            Fault::Shares => self.beside().await?,
            _ => self.broker.open(route).await?,
        };
        Ok(BrokenLink {
            transport: self.clone(),
            inner,
            held: None,
            last: Position::START,
        })
    }

    async fn redeliver(&self, to: &str, messages: Vec<Message>) -> Result<()> {
        match self.fault {
            Fault::RedeliversToAll => {
                let mut link = self.beside().await?;
                for message in messages.clone() {
                    link.send(message).await?;
                    link.confirmed().await?;
                }
                self.broker.redeliver(to, messages).await
            }
            Fault::RedeliversNowhere => {
                self.broker.redeliver(to, messages).await.ok();
                Ok(())
            }
            _ => self.broker.redeliver(to, messages).await,
        }
    }
}

impl Link for BrokenLink {
    async fn send(&mut self, mut message: Message) -> Result<()> {
        match self.transport.fault {
            Fault::ConfirmsEarly => match self.held.replace(message) {
                Some(before) => self.inner.send(before).await,
                None => Ok(()),
            },
            Fault::Reorders => match self.held.take() {
                Some(before) => {
                    self.inner.send(message).await?;
                    self.inner.send(before).await
                }
                None => {
                    self.held = Some(message);
                    Ok(())
                }
            },
            Fault::Reformats => {
                let value: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
                message.body = serde_json::to_vec(&value).unwrap();
                self.inner.send(message).await
            }
            Fault::Resurrects => {
                if let Err(error) = self.inner.send(message.clone()).await {
                    self.inner = self.transport.beside().await.map_err(|_| error)?;
                    self.inner.send(message).await?;
                }
                Ok(())
            }
            _ => self.inner.send(message).await,
        }
    }

    async fn confirmed(&mut self) -> Result<Position> {
        match self.transport.fault {
            Fault::ConfirmsEarly => match &self.held {
                Some(message) if message.position > self.last => {
                    self.last = message.position;
                    Ok(self.last)
                }
                _ => self.inner.confirmed().await,
            },
            Fault::ConfirmsTooMuch => Ok(self.inner.confirmed().await?.next()),
            Fault::Reorders => {
                if let Some(message) = self.held.take() {
                    self.inner.send(message).await?;
                }
                self.inner.confirmed().await
            }
            Fault::Forgets => {
                let place = self.inner.confirmed().await?;
                yield_now().await;
                Ok(place)
            }
            _ => self.inner.confirmed().await,
        }
    }

    async fn close(self) {
        self.inner.close().await;
    }
}
