//! One annotated enum, three versions of its stream: types, steps, streams, the feed, and a
//! consumer on each.
#![cfg(all(
    feature = "feed",
    feature = "client",
    feature = "sqlite",
    feature = "testing"
))]

mod domain;

use std::sync::{Arc, Mutex};

use domain::{Account, AccountEvent, deposit, open, withdraw};
use es_runtime::consume::{Consumer, Feed, Handler, HandlerError, Upcasting};
use es_runtime::integration::{Downcast, Status, stream_of};
use es_runtime::prelude::*;
use es_runtime::store::{EventStore, StreamVersion, Tx};
use es_runtime::testing::laws;
use es_runtime::{Result, Service, Store};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Three versions: added, renamed, retyped, split and removed fields, an event that was renamed, one
/// that came, one that two became, and one that went.
mod contract {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Currency {
        Dkk,
        Eur,
    }

    impl Currency {
        fn parse(code: String) -> Result<Self, String> {
            match &*code {
                "DKK" => Ok(Self::Dkk),
                "EUR" => Ok(Self::Eur),
                _ => Err(format!("`{code}` is no currency")),
            }
        }

        fn code(self) -> String {
            format!("{self:?}").to_uppercase()
        }
    }

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(
        stream = "accounts",
        version = 3,
        deprecated(1, from = "2026-12-01", sunset = "2027-06-30")
    )]
    #[integration(since = 3, dropped = "account-viewed", fields(account: String), lossy)]
    #[serde(rename_all_fields = "camelCase")]
    pub(crate) enum Accounts {
        /// An account was opened.
        #[integration(since = 2, was = "account-created")]
        #[integration(since = 3, removed(note: String), default = "none".to_owned(), lossy)]
        #[integration(since = 3, split(owner: String => givenName, familyName), with = split_name, down = join_name)]
        AccountOpened {
            account: String,
            given_name: String,
            family_name: String,
        },
        /// Money moved.
        #[integration(since = 3, merged = "money-arrived", fields(account: String, amount: u32, #[integration(since = 2, default)] code: String), with = arrived, down = by_sign)]
        #[integration(since = 3, merged = "money-left", fields(account: String, amount: u32, #[integration(since = 2, default)] code: String), with = left)]
        #[integration(since = 3)]
        Moved {
            account: String,
            amount: i64,
            code: String,
        },
        /// The balance is another one.
        BalanceChanged {
            account: String,
            /// In minor units.
            #[integration(since = 2, was = "balance")]
            new_balance: i64,
            #[integration(since = 2, default = "DKK".to_owned())]
            #[integration(since = 3, was_type = String, with = Currency::parse, down = Currency::code)]
            currency: Currency,
            #[integration(since = 3, from = is_low)]
            low: bool,
        },
        /// An account was closed.
        #[integration(since = 2)]
        AccountClosed { account: String },
    }

    pub(crate) use accounts_versions::{v1, v2};

    fn split_name(owner: String) -> (String, String) {
        let (given, family) = owner.split_once(' ').unwrap_or((&owner, ""));
        (given.to_owned(), family.to_owned())
    }

    fn join_name(given: String, family: String) -> String {
        format!("{given} {family}")
    }

    fn is_low(event: &v2::Accounts) -> bool {
        matches!(event, v2::Accounts::BalanceChanged { new_balance, .. } if *new_balance < 100)
    }

    fn arrived(event: v2::Accounts) -> Option<Accounts> {
        let v2::Accounts::MoneyArrived {
            account,
            amount,
            code,
        } = event
        else {
            return None;
        };
        let amount = amount.into();
        Some(Accounts::Moved {
            account,
            amount,
            code,
        })
    }

    fn left(event: v2::Accounts) -> Result<Accounts, &'static str> {
        let v2::Accounts::MoneyLeft {
            account,
            amount,
            code,
        } = event
        else {
            return Err("it is another event");
        };
        let amount = -i64::from(amount);
        Ok(Accounts::Moved {
            account,
            amount,
            code,
        })
    }

    fn by_sign(event: Accounts) -> Result<Vec<v2::Accounts>, String> {
        let Accounts::Moved {
            account,
            amount,
            code,
        } = event
        else {
            return Ok(vec![]);
        };
        let positive = amount >= 0;
        let amount = u32::try_from(amount.unsigned_abs()).map_err(|error| error.to_string())?;
        Ok(vec![if positive {
            v2::Accounts::MoneyArrived {
                account,
                amount,
                code,
            }
        } else {
            v2::Accounts::MoneyLeft {
                account,
                amount,
                code,
            }
        }])
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            let account = event.id().to_owned();
            let changed = Self::BalanceChanged {
                account: account.clone(),
                new_balance: after.balance,
                currency: Currency::Dkk,
                low: after.balance < 100,
            };
            let moved = |amount| Self::Moved {
                account: account.clone(),
                amount,
                code: String::new(),
            };
            match &event.data {
                AccountEvent::Opened { owner } => {
                    let (given_name, family_name) = split_name(owner.clone());
                    vec![Self::AccountOpened {
                        account,
                        given_name,
                        family_name,
                    }]
                }
                AccountEvent::Deposited { amount } => vec![moved(*amount), changed],
                AccountEvent::Withdrawn { amount } => vec![moved(-amount), changed],
                AccountEvent::Closed => vec![Self::AccountClosed { account }],
            }
        }
    }
}

use contract::{Accounts, Currency, v1, v2};

#[test]
fn the_older_versions_are_types_with_the_names_of_then() {
    let names = |types: &[es_runtime::integration::IntegrationType]| -> Vec<_> {
        types.iter().map(|t| (t.variant, t.name)).collect()
    };
    assert_eq!(
        names(v1::Accounts::TYPES),
        [
            ("AccountCreated", "account-created"),
            ("MoneyArrived", "money-arrived"),
            ("MoneyLeft", "money-left"),
            ("BalanceChanged", "balance-changed"),
            ("AccountViewed", "account-viewed"),
        ]
    );
    assert_eq!((v1::Accounts::VERSION, v2::Accounts::VERSION), (1, 2));
    assert!(matches!(v1::Accounts::STATUS, Status::Deprecated { .. }));
    let created = v1::Accounts::AccountCreated {
        account: "a".into(),
        owner: "Ada L".into(),
        note: "n".into(),
    };
    let json = serde_json::to_value(&created).unwrap();
    assert_eq!(
        json["AccountCreated"],
        json!({ "account": "a", "owner": "Ada L", "note": "n" })
    );
    let changed = v2::Accounts::BalanceChanged {
        account: "a".into(),
        new_balance: 5,
        currency: "DKK".into(),
    };
    let json = serde_json::to_value(&changed).unwrap();
    let expected = json!({ "account": "a", "newBalance": 5, "currency": "DKK" });
    assert_eq!(json["BalanceChanged"], expected);
}

#[test]
fn an_old_event_goes_up_step_by_step() -> Result<()> {
    let created = v1::Accounts::AccountCreated {
        account: "a".into(),
        owner: "Ada Lovelace".into(),
        note: "n".into(),
    };
    let opened = created.upcast()?.remove(0).upcast()?;
    let expected = Accounts::AccountOpened {
        account: "a".into(),
        given_name: "Ada".into(),
        family_name: "Lovelace".into(),
    };
    assert_eq!(opened, [expected]);

    let changed = v1::Accounts::BalanceChanged {
        account: "a".into(),
        balance: 5,
    };
    let changed = changed.upcast()?.remove(0).upcast()?;
    let expected = Accounts::BalanceChanged {
        account: "a".into(),
        new_balance: 5,
        currency: Currency::Dkk,
        low: true,
    };
    assert_eq!(changed, [expected]);

    let viewed = v2::Accounts::AccountViewed {
        account: "a".into(),
    };
    assert_eq!(viewed.upcast()?, []);

    let unknown = v2::Accounts::BalanceChanged {
        account: "a".into(),
        new_balance: 5,
        currency: "XYZ".into(),
    };
    let error = unknown.upcast().unwrap_err();
    assert_eq!(error.code(), "ES0150");
    let text = "`balance-changed` of `accounts@2` has no form in version 3: `XYZ` is no currency";
    assert!(error.to_string().starts_with(text), "{error}");
    Ok(())
}

#[test]
fn a_new_event_comes_down_where_the_older_version_tells_of_it() -> Result<()> {
    let closed = Accounts::AccountClosed {
        account: "a".into(),
    };
    let closed = v2::Accounts::downcast(closed)?.remove(0);
    assert_eq!(
        v1::Accounts::downcast(closed)?,
        [],
        "version 1 had no such event"
    );
    let moved = Accounts::Moved {
        account: "a".into(),
        amount: -7,
        code: String::new(),
    };
    let left = v2::Accounts::MoneyLeft {
        account: "a".into(),
        amount: 7,
        code: String::new(),
    };
    assert_eq!(v2::Accounts::downcast(moved)?, [left]);
    Ok(())
}

#[test]
fn the_history_keeps_its_laws() {
    let account = || "a".to_owned();
    // Codes and names are texts, but not all texts are codes and names.
    let changed = |currency: &str| v2::Accounts::BalanceChanged {
        account: account(),
        new_balance: -5,
        currency: currency.into(),
    };
    let moved = |amount| Accounts::Moved {
        account: account(),
        amount,
        code: "X".into(),
    };
    let left = v2::Accounts::MoneyLeft {
        account: account(),
        amount: u32::MAX,
        code: "X".into(),
    };
    laws::<Accounts>()
        .sample(changed("DKK"))
        .sample(changed("EUR"))
        .sample(moved(7))
        .sample(moved(-7))
        .sample(left)
        .check();
}

/// A history that breaks all laws, each at another event.
mod unlawful {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "unlawful", version = 2)]
    enum Unlawful {
        Halved {
            #[integration(since = 2, was_type = u32, with = half, down = double)]
            amount: u32,
        },
        Shortened {
            #[integration(since = 2, was_type = u64, with = u32::try_from, down = u64::from)]
            amount: u32,
        },
        Forgotten {
            #[serde(skip_serializing, default)]
            text: String,
        },
        Changed {
            #[serde(serialize_with = "doubled")]
            amount: i8,
        },
        Picky {
            only: Answer,
        },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(try_from = "String", into = "String")]
    struct Answer;

    impl TryFrom<String> for Answer {
        type Error = &'static str;
        fn try_from(text: String) -> Result<Self, Self::Error> {
            (text == "forty-two").then_some(Self).ok_or("wrong")
        }
    }

    impl From<Answer> for String {
        fn from(_: Answer) -> Self {
            "forty-two".into()
        }
    }

    fn half(amount: u32) -> u32 {
        amount / 2
    }

    fn double(amount: u32) -> Result<u32, &'static str> {
        amount.checked_mul(2).ok_or("too large")
    }

    fn doubled<S: serde::Serializer>(amount: &i8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i16(i16::from(*amount) * 2)
    }

    #[test]
    fn a_history_that_breaks_the_laws_is_told_so() {
        let broken = std::panic::catch_unwind(|| laws::<Unlawful>().check()).unwrap_err();
        let text = broken.downcast_ref::<String>().expect("a text");
        for told in [
            "the history of `unlawful` breaks its laws (seed 24301)",
            "`halved` of `unlawful@1`: it does not come down as it went up, and is not declared `lossy`",
            "`shortened` of `unlawful@1`: it does not go up",
            "`changed` of `unlawful@2`: it is read as another event",
            "`picky` of `unlawful@2`: no event of it can be made up: give one with `sample`",
        ] {
            assert!(text.contains(told), "{told}\n{text}");
        }
        assert!(!text.contains("forgotten"), "{text}");
    }
}

/// A bank with six internal events.
async fn bank(store: &Store) -> Result<Service> {
    let bank = Service::builder("bank")
        .namespace("dk.example")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, Accounts>()
        .serve("127.0.0.1:0")
        .start()
        .await?;
    bank.execute::<Account>("alice", open("Alice Smith"))
        .await?;
    bank.execute::<Account>("alice", deposit(500)).await?;
    bank.execute::<Account>("alice", withdraw(450)).await?;
    bank.execute::<Account>("alice", domain::AccountCommand::Close)
        .await?;
    bank.caught_up().await?;
    Ok(bank)
}

/// What a version's stream holds: names and payloads, with positions from 1.
async fn told(store: &Store, version: u32) -> Result<Vec<(String, Value)>> {
    let stream = StreamVersion {
        stream: "accounts".into(),
        version,
    };
    let events = store.read_published(&stream, Position::START, 100).await?;
    let dense = events.iter().map(|event| event.position.get());
    assert!(dense.eq(1..=events.len() as u64), "dense from 1");
    let told = events.into_iter().map(|event| {
        let name = event
            .event_type
            .strip_prefix("dk.example.")
            .unwrap()
            .to_owned();
        (name, serde_json::from_str(&event.payload).unwrap())
    });
    Ok(told.collect())
}

#[tokio::test]
async fn one_mapping_feeds_every_version() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = bank(&store).await?;
    let a = "alice";
    let opened = json!({ "account": a, "givenName": "Alice", "familyName": "Smith" });
    let changed = |balance, low| json!({ "account": a, "newBalance": balance, "currency": "Dkk", "low": low });
    let moved = |amount| json!({ "account": a, "amount": amount, "code": "" });
    let named = |name: &str, version| format!("{name}.v{version}");
    let newest = [
        (named("account-opened", 3), opened),
        (named("moved", 3), moved(500)),
        (named("balance-changed", 3), changed(500, false)),
        (named("moved", 3), moved(-450)),
        (named("balance-changed", 3), changed(50, true)),
        (named("moved", 3), moved(-50)),
        (named("balance-changed", 3), changed(0, true)),
        (named("account-closed", 3), json!({ "account": a })),
    ];
    assert_eq!(told(&store, 3).await?, newest);
    let changed = |balance| json!({ "account": a, "newBalance": balance, "currency": "DKK" });
    let second = [
        (
            named("account-opened", 2),
            json!({ "account": a, "owner": "Alice Smith", "note": "none" }),
        ),
        (named("money-arrived", 2), moved(500)),
        (named("balance-changed", 2), changed(500)),
        (named("money-left", 2), moved(450)),
        (named("balance-changed", 2), changed(50)),
        (named("money-left", 2), moved(50)),
        (named("balance-changed", 2), changed(0)),
        (named("account-closed", 2), json!({ "account": a })),
    ];
    assert_eq!(told(&store, 2).await?, second);
    let moved = |amount| json!({ "account": a, "amount": amount });
    let changed = |balance| json!({ "account": a, "balance": balance });
    let first = [
        (
            named("account-created", 1),
            json!({ "account": a, "owner": "Alice Smith", "note": "none" }),
        ),
        (named("money-arrived", 1), moved(500)),
        (named("balance-changed", 1), changed(500)),
        (named("money-left", 1), moved(450)),
        (named("balance-changed", 1), changed(50)),
        (named("money-left", 1), moved(50)),
        (named("balance-changed", 1), changed(0)),
    ];
    assert_eq!(told(&store, 1).await?, first);
    bank.shutdown().await
}

/// Remembers what it was given.
#[derive(Clone)]
struct Seen<E>(Arc<Mutex<Vec<E>>>);

impl<E> Seen<E> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn take(&self) -> Vec<E> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<E: Clone + Send + Sync + 'static> Handler<E> for Seen<E> {
    async fn handle(&mut self, event: &Received<E>, _: &mut Tx) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(event.data.clone());
        Ok(())
    }
}

#[tokio::test]
async fn a_consumer_on_each_version_and_one_that_upcasts_by_itself() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = bank(&store).await?;
    let (one, two, three, risen) = (Seen::new(), Seen::new(), Seen::new(), Seen::new());
    let inbox = Store::connect("memory:").await?;
    let url = format!("http://{}", bank.feed_address().unwrap());
    let consumer = |name: &str| Consumer::new(name, inbox.clone());
    let feed = || Feed::http(&url);
    let running = [
        (
            consumer("one")
                .stream::<v1::Accounts>(feed())
                .handle(one.clone())
                .start()
                .await?,
            7,
        ),
        (
            consumer("two")
                .stream::<v2::Accounts>(feed())
                .handle(two.clone())
                .start()
                .await?,
            8,
        ),
        (
            consumer("three")
                .stream::<Accounts>(feed())
                .handle(three.clone())
                .start()
                .await?,
            8,
        ),
        (
            consumer("risen")
                .stream::<v1::Accounts>(feed())
                .handle(Upcasting(Upcasting(risen.clone())))
                .start()
                .await?,
            7,
        ),
    ];
    for (consumer, position) in running {
        consumer.reached(Position::new(position)).await?;
        consumer.stop().await?;
    }
    let three = three.take();
    let down: Vec<_> = three
        .iter()
        .map(|e| v2::Accounts::downcast(e.clone()))
        .collect::<Result<_>>()?;
    assert_eq!(two.take(), down.concat());
    let one = one.take();
    assert_eq!(one.len(), 7);
    // All but the closing, of which version 1 does not tell.
    assert_eq!(risen.take(), three[..7]);
    bank.shutdown().await
}

#[tokio::test]
async fn the_feed_tells_of_deprecated_versions() -> Result<()> {
    let bank = bank(&Store::connect("memory:").await?).await?;
    let url = format!("http://{}", bank.feed_address().unwrap());
    let get = async |path: &str| reqwest::get(format!("{url}{path}")).await.unwrap();
    let old = get("/streams/accounts/v1/events").await;
    assert_eq!(old.status(), StatusCode::OK);
    assert_eq!(old.headers()["deprecation"], "@1796083200");
    assert_eq!(old.headers()["sunset"], "Wed, 30 Jun 2027 00:00:00 GMT");
    let links: Vec<_> = old.headers().get_all("link").iter().collect();
    assert_eq!(
        links[1],
        "</streams/accounts/v3/events>; rel=\"successor-version\""
    );
    let new = get("/streams/accounts/v3/events").await;
    assert!(!new.headers().contains_key("deprecation"));
    assert!(!new.headers().contains_key("sunset"));
    let entry = get("/streams/accounts/v1").await.bytes().await.unwrap();
    let entry: Value = serde_json::from_slice(&entry).unwrap();
    assert_eq!(entry["status"], "deprecated");
    assert_eq!(entry["sunset"], "2027-06-30T00:00:00.000000Z");
    assert_eq!(entry["successor"], "/streams/accounts/v3");
    bank.shutdown().await
}

/// Version 1 has a mapping of its own, and version 2 is retired.
mod own {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "totals", version = 4, retired(1), retired(3), own(2), history = totals)]
    enum Totals {
        Total {
            account: String,
            #[integration(since = 3, was_type = i32, with = i64::from)]
            total: i64,
            #[integration(since = 4, default)]
            currency: String,
        },
    }

    use totals::v2::Totals as Old;

    impl Publish<Account> for Totals {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            let (account, total) = (event.id().to_owned(), after.balance);
            Self::Total {
                account,
                total,
                currency: "DKK".into(),
            }
        }
    }

    impl Publish<Account> for Old {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            let account = event.id().to_owned();
            i32::try_from(after.balance)
                .ok()
                .map(|total| Self::Total { account, total })
        }
    }

    #[tokio::test]
    async fn a_mapping_of_its_own_feeds_its_version_and_retired_ones_are_gone() -> Result<()> {
        let store = Store::connect("memory:").await?;
        let bank = Service::builder("bank")
            .store(store.clone())
            .aggregate::<Account>()
            .publish::<Account, Totals>()
            .publish::<Account, Old>()
            .serve("127.0.0.1:0")
            .start()
            .await?;
        bank.execute::<Account>("alice", open("Alice")).await?;
        bank.execute::<Account>("alice", deposit(1 << 40)).await?;
        bank.caught_up().await?;
        for (stream, events) in [(stream_of::<Totals>(), 2), (stream_of::<Old>(), 1)] {
            assert_eq!(
                store.published_head(&stream).await?.position.get(),
                events,
                "{stream}"
            );
        }
        let url = format!("http://{}/streams/totals", bank.feed_address().unwrap());
        for version in [1, 3] {
            let gone = reqwest::get(format!("{url}/v{version}/events"))
                .await
                .unwrap();
            assert_eq!(gone.status(), StatusCode::GONE);
            let successor = "</streams/totals/v4/events>; rel=\"successor-version\"";
            assert_eq!(gone.headers()["link"], successor);
            let problem: Value = serde_json::from_slice(&gone.bytes().await.unwrap()).unwrap();
            assert_eq!(problem["successor"], "/streams/totals/v4/events");
        }
        let inbox = Store::connect("memory:").await?;
        let feed = Feed::http(url.trim_end_matches("/streams/totals"));
        let consumer = Consumer::new("late", inbox).stream::<totals::v3::Totals>(feed);
        let stopped = consumer
            .handle(Seen::new())
            .start()
            .await?
            .until_shutdown()
            .await;
        let error = stopped.unwrap_err();
        assert_eq!(error.code(), "ES0137");
        assert!(
            error.to_string().contains("/streams/totals/v4/events"),
            "{error}"
        );
        bank.shutdown().await
    }

    #[tokio::test]
    async fn a_version_with_its_own_mapping_is_published_for_every_aggregate() -> Result<()> {
        let store = Store::connect("memory:").await?;
        let bank = Service::builder("bank")
            .store(store)
            .publish::<Account, Totals>();
        let error = bank.start().await.unwrap_err();
        assert_eq!(error.code(), "ES0151");
        assert!(
            error
                .to_string()
                .starts_with("`totals@2` has a mapping of its own, but none for `account`"),
            "{error}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_version_is_fed_once() -> Result<()> {
        let store = Store::connect("memory:").await?;
        let bank = Service::builder("bank").store(store);
        let bank = bank.publish::<Account, Totals>().publish::<Account, Old>();
        let error = bank.publish::<Account, Old>().start().await.unwrap_err();
        assert_eq!(error.code(), "ES0126");
        Ok(())
    }
}
