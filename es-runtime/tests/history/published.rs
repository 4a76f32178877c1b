//! What every release wrote, published: three versions of one stream, and a consumer on each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use es_runtime::consume::{Consumer, Handler, HandlerError, Page, Source};
use es_runtime::event::Recorded;
use es_runtime::integration::{CloudEvent, stream_of};
use es_runtime::prelude::*;
use es_runtime::store::{EventStore, StreamCursor, StreamVersion, Tx};
use es_runtime::{Result, Service, Store};

use super::all_releases;
use super::releases::v5::{Account, AccountEvent, Currency};
use super::until::until;

/// The contract in its third version.
mod contract {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 3)]
    pub(super) enum Accounts {
        #[integration(since = 2, was = "account-created")]
        #[integration(since = 3, split(name: String => first, last), with = two_names, down = one_name)]
        AccountOpened {
            first: String,
            last: String,
            #[integration(since = 2, was = "ccy")]
            #[integration(since = 3, was_type = String, with = parse, down = code)]
            currency: Currency,
            #[integration(since = 3, default = "DK".to_owned())]
            country: String,
        },
        Deposited {
            #[integration(since = 2, was_type = i32, with = i64::from, down = i32::try_from)]
            amount: i64,
        },
        #[integration(since = 3)]
        Noted,
    }

    pub(super) use accounts_versions::{v1, v2};

    fn two_names(name: String) -> (String, String) {
        let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
        (first.to_owned(), last.to_owned())
    }

    fn one_name(first: String, last: String) -> String {
        format!("{first} {last}")
    }

    fn parse(code: String) -> Result<Currency, String> {
        match &*code {
            "DKK" => Ok(Currency::Dkk),
            "SEK" => Ok(Currency::Sek),
            _ => Err(format!("no currency is called `{code}`")),
        }
    }

    fn code(currency: Currency) -> String {
        format!("{currency:?}").to_uppercase()
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, _: &Account) -> impl IntoEvents<Self> {
            match event.data.clone() {
                AccountEvent::Opened {
                    first,
                    last,
                    currency,
                    country,
                } => Self::AccountOpened {
                    first,
                    last,
                    currency,
                    country,
                },
                AccountEvent::Deposited { amount } => Self::Deposited { amount },
                AccountEvent::Noted(_) => Self::Noted,
            }
        }
    }
}

use contract::{Accounts, v1, v2};

/// Reads a stream straight from the publisher's store.
struct Direct(Store);

impl Source for Direct {
    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        _: Duration,
    ) -> Result<Page> {
        let events = self.0.read_published(stream, after.position, limit).await?;
        let events = events
            .into_iter()
            .map(|event| CloudEvent::new("bank", stream, event))
            .collect::<Result<_>>()?;
        Ok(Page { events })
    }
}

/// What a consumer of one version was given, by account.
#[derive(Clone)]
struct Given<E>(Arc<Mutex<Vec<(String, E)>>>);

impl<E: Clone + Send + Sync + 'static> Handler<E> for Given<E> {
    async fn handle(&mut self, event: &Received<E>, _: &mut Tx) -> Result<(), HandlerError> {
        let given = (event.subject.clone(), event.data.clone());
        self.0.lock().unwrap().push(given);
        Ok(())
    }
}

/// Consumes the whole of a version of the stream.
async fn consumed<E: IntegrationEvent>(store: &Store) -> Result<Vec<(String, E)>> {
    let given = Given(Arc::default());
    let inbox = Store::connect("memory:").await?;
    let consumer = Consumer::new("reader", inbox).stream::<E>(Direct(store.clone()));
    let running = consumer.handle(given.clone()).start().await?;
    let head = store.published_head(&stream_of::<E>()).await?.position;
    running.reached(head).await?;
    running.stop().await?;
    let given = given.0.lock().unwrap();
    Ok(given.clone())
}

#[tokio::test]
async fn every_version_of_the_stream_tells_what_every_release_wrote() -> Result<()> {
    let store = all_releases().await?;
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, Accounts>()
        .start()
        .await?;
    bank.caught_up().await?;
    let one = |release| {
        let created = || v1::Accounts::AccountCreated {
            name: "Anna Berg".into(),
            ccy: "DKK".into(),
        };
        let deposited = |amount| v1::Accounts::Deposited { amount };
        if release < 4 {
            vec![created(), created(), deposited(500), deposited(250)]
        } else {
            vec![created(), deposited(500)]
        }
    };
    let two = |release| {
        let newer = one(release).into_iter().map(|event| match event {
            v1::Accounts::AccountCreated { name, ccy } => v2::Accounts::AccountOpened {
                name,
                currency: ccy,
            },
            v1::Accounts::Deposited { amount } => v2::Accounts::Deposited {
                amount: amount.into(),
            },
        });
        newer.collect::<Vec<_>>()
    };
    let three = |release| {
        let country = if release == 5 { "SE" } else { "DK" };
        let newer = two(release).into_iter().map(|event| match event {
            v2::Accounts::AccountOpened { .. } => Accounts::AccountOpened {
                first: "Anna".into(),
                last: "Berg".into(),
                currency: Currency::Dkk,
                country: country.into(),
            },
            v2::Accounts::Deposited { amount } => Accounts::Deposited { amount },
        });
        let noted = (release < 5).then_some(Accounts::Noted);
        newer.chain(noted).collect::<Vec<_>>()
    };
    fn all<E>(of: impl Fn(u32) -> Vec<E>) -> Vec<(String, E)> {
        let release = |n| of(n).into_iter().map(move |event| (format!("v{n}"), event));
        (1..=5).flat_map(release).collect()
    }
    assert_eq!(consumed::<v1::Accounts>(&store).await?, all(one));
    assert_eq!(consumed::<v2::Accounts>(&store).await?, all(two));
    assert_eq!(consumed::<Accounts>(&store).await?, all(three));
    bank.shutdown().await
}

/// An amount that the first version cannot hold stops that one alone, visibly, before the event.
#[tokio::test]
async fn what_an_old_version_cannot_hold_stops_that_version_alone() -> Result<()> {
    let store = all_releases().await?;
    let large = AccountEvent::Deposited { amount: 1 << 40 };
    let bank = Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, Accounts>()
        .start()
        .await?;
    let large = super::v5::Happen(vec![large]);
    bank.execute::<Account>("v5", large).await?;
    let stopped = bank.caught_up().await.unwrap_err();
    assert!(stopped.is_stopped());
    let why = "`deposited` of `accounts@2` has no form in version 1: out of range integral type \
               conversion attempted; mend the conversion that the history names [ES0150]";
    assert!(stopped.to_string().contains(why), "{stopped}");
    let head = async |version| {
        let stream = StreamVersion {
            stream: "accounts".into(),
            version,
        };
        store.published_head(&stream).await.unwrap().position.get()
    };
    until("version 3 goes on", async || {
        (head(3).await == 21).then_some(())
    })
    .await;
    assert!(head(1).await <= 16, "nothing is skipped");
    bank.shutdown().await.ok();
    Ok(())
}

#[test]
fn the_history_keeps_its_laws() {
    let opened = |currency: &str| v2::Accounts::AccountOpened {
        name: "Anna Berg".into(),
        currency: currency.into(),
    };
    let deposited = |amount| v2::Accounts::Deposited { amount };
    es_runtime::testing::laws::<Accounts>()
        .sample(opened("DKK"))
        .sample(opened("SEK"))
        .sample(deposited(-1))
        .sample(deposited(i64::from(i32::MAX)))
        .sample(v1::Accounts::AccountCreated {
            name: "Anna Berg".into(),
            ccy: "SEK".into(),
        })
        .sample(Accounts::Deposited { amount: 1 })
        .check();
}
