//! A publisher of two versions of a stream, which is redeployed with the newer one and without it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::consume::{Feed, Filtered, Page, Source};
use es_runtime::event::Position;
use es_runtime::integration::Place;
use es_runtime::prelude::*;
use es_runtime::store::{StreamCursor, StreamVersion};
use es_runtime::{Error, Result, Service, Store};

use crate::domain::{Account, AccountEvent};

/// Which internal event an event was made of, and which of its parts it is: what the tests count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MadeOf {
    pub(crate) source: u64,
    pub(crate) part: u64,
}

fn parts(event: &Recorded<AccountEvent>, many: u64) -> Vec<MadeOf> {
    let source = event.position.get();
    (0..many).map(|part| MadeOf { source, part }).collect()
}

pub(crate) mod v1 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    pub(crate) enum Accounts {
        Changed { of: MadeOf },
    }

    /// Tells of a deposit of three and six twice, and not of what is taken out.
    pub(crate) fn many(event: &AccountEvent) -> u64 {
        match event {
            AccountEvent::Deposited { amount } if amount % 3 == 0 => 2,
            AccountEvent::Withdrawn { .. } => 0,
            _ => 1,
        }
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, _: &Account) -> impl IntoEvents<Self> {
            let parts = parts(event, many(&event.data)).into_iter();
            parts.map(|of| Self::Changed { of }).collect::<Vec<_>>()
        }
    }
}

pub(crate) mod v2 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 2)]
    pub(crate) enum Accounts {
        Moved { of: MadeOf },
    }

    /// Tells of what is taken out three times, and not of a deposit of five.
    pub(crate) fn many(event: &AccountEvent) -> u64 {
        match event {
            AccountEvent::Deposited { amount: 5 } => 0,
            AccountEvent::Withdrawn { .. } => 3,
            _ => 1,
        }
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, _: &Account) -> impl IntoEvents<Self> {
            let parts = parts(event, many(&event.data)).into_iter();
            parts.map(|of| Self::Moved { of }).collect::<Vec<_>>()
        }
    }
}

/// The service as it runs now.
pub(crate) struct Bank {
    pub(crate) store: Store,
    service: Option<Service>,
    address: Arc<Mutex<Option<String>>>,
}

impl Bank {
    pub(crate) async fn new(both: bool) -> Result<Self> {
        let mut bank = Self {
            store: Store::connect("memory:").await?,
            service: None,
            address: Arc::default(),
        };
        bank.deploy(both).await?;
        Ok(bank)
    }

    /// Ends the service and starts it again, with version 2 or without, elsewhere.
    pub(crate) async fn deploy(&mut self, both: bool) -> Result<()> {
        *self.address.lock().unwrap() = None;
        if let Some(service) = self.service.take() {
            service.shutdown().await?;
        }
        let service = Service::builder("bank")
            .store(self.store.clone())
            .heartbeat(Duration::from_millis(20), Duration::from_secs(30))
            .aggregate::<Account>()
            .publish::<Account, v1::Accounts>();
        let service = match both {
            true => service.publish::<Account, v2::Accounts>(),
            false => service,
        };
        let service = service.serve("127.0.0.1:0").start().await?;
        let address = service.feed_address().unwrap();
        *self.address.lock().unwrap() = Some(format!("http://{address}"));
        self.service = Some(service);
        Ok(())
    }

    pub(crate) fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// Its feed, wherever it is.
    pub(crate) fn feed(&self) -> Wherever {
        Wherever {
            address: self.address.clone(),
            known: None,
            consumer: String::new(),
        }
    }
}

/// Reads from wherever the feed is now, as over a name that leads to one instance after another.
pub(crate) struct Wherever {
    address: Arc<Mutex<Option<String>>>,
    known: Option<(String, Feed)>,
    consumer: String,
}

impl Wherever {
    fn feed(&mut self) -> Result<&mut Feed> {
        let Some(address) = self.address.lock().unwrap().clone() else {
            return Err(Error::database("reading", "the bank is being deployed"));
        };
        if self
            .known
            .as_ref()
            .is_none_or(|(known, _)| *known != address)
        {
            let mut feed = Feed::http(address.clone());
            feed.introduce(&self.consumer);
            self.known = Some((address, feed));
        }
        Ok(self.known.as_mut().map(|(_, feed)| feed).unwrap())
    }
}

impl Source for Wherever {
    fn introduce(&mut self, consumer: &str) {
        consumer.clone_into(&mut self.consumer);
    }

    async fn head(&mut self, stream: &StreamVersion) -> Result<Position> {
        self.feed()?.head(stream).await
    }

    async fn subject(
        &mut self,
        stream: &StreamVersion,
        subject: &str,
        after: Position,
        limit: usize,
    ) -> Result<Filtered> {
        self.feed()?.subject(stream, subject, after, limit).await
    }

    async fn place(
        &mut self,
        stream: &StreamVersion,
        of: u32,
        position: Position,
        origin: Position,
    ) -> Result<Place> {
        self.feed()?.place(stream, of, position, origin).await
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        wait: Duration,
    ) -> Result<Page> {
        self.feed()?.read(stream, after, limit, wait).await
    }
}
