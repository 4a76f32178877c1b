//! What people do: the same again if they are not answered.

use std::fmt;
use std::time::{Duration, SystemTime};

use es_runtime::consume::{Broker, Consumer, Feed, Inbox, Running};
use es_runtime::event::{Clock, CommandId, Timestamp};
use es_runtime::integration::stream_of;
use es_runtime::store::EventStore;
use es_runtime::{Builder, Result, Retry, Service, Store};
use fastrand::Rng;
use tokio::time::sleep;

use crate::at_rest::account;
use crate::bank::{Account, AccountCommand, deposit, open, v1, v2};
use crate::liar::Liar;
use crate::remittance::{Booking, Bookings, Remittance, RemittanceInput, Requests};

/// A clock on which a minute takes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasty {
    /// The moment that both clocks showed, in microseconds.
    since: i64,
}

impl Hasty {
    const FASTER: i64 = 60;

    pub(crate) fn new() -> Self {
        Self {
            since: microseconds(),
        }
    }
}

fn microseconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_micros()).unwrap()
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.since + (microseconds() - self.since) * Self::FASTER)
    }
}

impl fmt::Display for Hasty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.since.fmt(f)
    }
}

impl std::str::FromStr for Hasty {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let since = text.parse()?;
        Ok(Self { since })
    }
}

/// The services in which people do things.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// Accounts, and what the transfers ask of them.
    Bank,
    /// Transfers, which ask and are answered over streams.
    Transfers,
}

impl Place {
    pub(crate) const ALL: [Self; 2] = [Self::Bank, Self::Transfers];

    pub(crate) fn service(self, store: &Store, clock: impl Clock) -> Builder {
        let retry = Retry::default()
            .first(Duration::from_millis(5))
            .longest(Duration::from_millis(100));
        let service = |name| {
            Service::builder(name)
                .store(store.clone())
                .clock(clock)
                .lease(Duration::from_secs(1))
                .retry(retry)
                .serve("127.0.0.1:0")
        };
        match self {
            Self::Bank => service("bank")
                .aggregate::<Account>()
                .process::<Booking>()
                .inputs::<Booking>()
                .publish::<Account, v1::Accounts>()
                .publish::<Account, v2::Accounts>()
                .publish::<Booking, Bookings>(),
            Self::Transfers => service("transfers")
                .process::<Remittance>()
                .inputs::<Remittance>()
                .publish::<Remittance, Requests>(),
        }
    }

    /// Has the service hear what the other one publishes at `feed` and over a broker.
    pub(crate) async fn hear(
        self,
        service: &Service,
        feed: &str,
        broker: impl Broker,
        random: Rng,
    ) -> Result<Running> {
        let feed = Feed::http(feed).with_broker(Liar::new(broker, random));
        let feed = feed.silence(Duration::from_secs(1));
        let consumer = Consumer::new("inputs", service.store().clone());
        let consumer = consumer.lease(Duration::from_secs(1));
        match self {
            Self::Bank => {
                let consumer = consumer.stream::<Requests>(feed);
                consumer.handle(service.inputs::<Booking>()?).start().await
            }
            Self::Transfers => {
                let consumer = consumer.stream::<Bookings>(feed);
                let inputs = service.inputs::<Remittance>()?;
                consumer.handle(inputs).start().await
            }
        }
    }

    /// Waits while too many requests are without an answer: otherwise the work that piles up while a
    /// broker starts takes longer to be done than all the blows.
    pub(crate) async fn wait_for_answers(self, service: &Service, answers: &Inbox) {
        const OPEN: u64 = 200;
        if self == Self::Bank {
            return;
        }
        loop {
            let asked = service
                .store()
                .published_head(&stream_of::<Requests>())
                .await;
            // Who cannot be asked now is no reason to wait.
            let (Ok(asked), Ok(answered)) = (asked, answers.cursor().await) else {
                return;
            };
            // Each request has one answer.
            let open = asked.position.get().saturating_sub(answered.position.get());
            if open < OPEN {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn id(self, input: usize) -> CommandId {
        CommandId::of(format!("input-{self:?}:{input}"))
    }

    /// Has the service do a line of its list, until it answers; whether that did something.
    pub(crate) async fn ask(self, service: &Service, input: usize) -> bool {
        loop {
            match self.once(service, input).await {
                Ok(done) => return done,
                Err(error) if error.is_rejected() => return false,
                Err(error) => assert!(error.is_transient() || error.is_conflict(), "{error}"),
            }
        }
    }

    async fn once(self, service: &Service, input: usize) -> Result<bool> {
        let id = self.id(input);
        let mut random = Rng::with_seed(input as u64);
        let (one, other) = (account(&mut random), account(&mut random));
        let amount = random.i64(1..100);
        let command = match (self, random.u8(..10)) {
            (Self::Transfers, _) => {
                let request = RemittanceInput::Request {
                    from: one,
                    to: other,
                    amount,
                };
                let asked = service.execute::<Remittance>(format!("t{input}"), request);
                return Ok(asked.id(id).await?.events > 0);
            }
            (Self::Bank, 0) => AccountCommand::Close,
            (Self::Bank, 1..4) => open(&one),
            (Self::Bank, _) => deposit(amount),
        };
        let done = service.execute::<Account>(one, command).id(id).await?;
        Ok(done.events > 0)
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|place| format!("{place:?}") == text);
        found.ok_or_else(|| format!("`{text}` is no place"))
    }
}
