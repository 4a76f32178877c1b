//! Rows by their values, what is unique, and rows that reflect the whole log: through a service, on
//! each store.
#![cfg(all(feature = "sqlite", feature = "testing"))]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use es_runtime::event::Position;
use es_runtime::prelude::*;
use es_runtime::projection::{Column, Health, OutOfRange};
use es_runtime::store::{Change, EventStore, Phase, ProjectionId};
use es_runtime::{Builder, PageToken, Result, Service, Store};
use fastrand::Rng;
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Currency {
    Dkk,
    Eur,
}

impl Column for Currency {
    type Stored = String;

    fn to_stored(&self) -> Result<String, OutOfRange> {
        Ok(format!("{self:?}"))
    }

    fn from_stored(stored: String) -> Result<Self, OutOfRange> {
        match &*stored {
            "Dkk" => Ok(Self::Dkk),
            "Eur" => Ok(Self::Eur),
            _ => Err(OutOfRange::new("no currency of ours")),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {
    Opened { owner: String, currency: Currency },
    Booked { amount: i64 },
    IbanSet { iban: Option<String> },
    Closed,
}

#[derive(Clone, Debug, Serialize, Command)]
#[command(aggregate = Account, dispatch = manual)]
enum AccountCommand {
    Note { event: AccountEvent, times: usize },
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = fmt::Error)]
struct Account;

impl Decide for Account {
    fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, fmt::Error> {
        let AccountCommand::Note { event, times } = command;
        Ok(vec![event; times])
    }
}

impl Account {
    fn on_opened(&mut self, _: &str, _: &Currency) {}
    fn on_booked(&mut self, _: &i64) {}
    fn on_iban_set(&mut self, _: &Option<String>) {}
    fn on_closed(&mut self) {}
}

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "accounts", version = 1, index(owner, amount))]
struct Row {
    owner: String,
    #[projection(index)]
    currency: Currency,
    #[projection(index)]
    amount: i64,
    #[projection(unique)]
    iban: Option<String>,
    #[projection(index)]
    last: Option<i64>,
}

impl Fold<AccountEvent> for Row {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        match &event.data {
            AccountEvent::Opened { owner, currency } => Some(Self {
                owner: owner.clone(),
                currency: *currency,
                amount: 0,
                iban: None,
                last: None,
            }),
            AccountEvent::Booked { amount } => row.map(|row| Self {
                amount: row.amount + amount,
                last: Some(*amount),
                ..row
            }),
            AccountEvent::IbanSet { iban } => row.map(|row| Self {
                iban: iban.clone(),
                ..row
            }),
            AccountEvent::Closed => None,
        }
    }
}

/// In parts, with a second key for each event, which is in another part.
#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "sums", version = 1, slices = 4)]
struct Sum {
    sum: i64,
}

impl Fold<AccountEvent> for Sum {
    fn keys(event: &Recorded<AccountEvent>) -> impl IntoIterator<Item = String> {
        [event.id().to_owned(), "all".to_owned()]
    }

    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let sum = row.as_ref().map_or(0, |row| row.sum);
        match &event.data {
            AccountEvent::Booked { amount } => Some(Self { sum: sum + amount }),
            AccountEvent::Closed => None,
            _ => row,
        }
    }
}

fn opened(owner: &str, currency: Currency) -> AccountEvent {
    let owner = owner.to_owned();
    AccountEvent::Opened { owner, currency }
}

fn booked(amount: i64) -> AccountEvent {
    AccountEvent::Booked { amount }
}

fn iban(iban: &str) -> AccountEvent {
    let iban = Some(iban.to_owned());
    AccountEvent::IbanSet { iban }
}

async fn note(bank: &Service, id: &str, event: AccountEvent) -> Position {
    note_all(bank, id, event, 1).await
}

async fn note_all(bank: &Service, id: &str, event: AccountEvent, times: usize) -> Position {
    let command = AccountCommand::Note { event, times };
    let receipt = bank.execute::<Account>(id, command).await.unwrap();
    receipt.position
}

fn bank(store: &Store) -> Builder {
    Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .project::<AccountEvent, Row>()
}

/// A store in memory and one in a file, which is kept until the test ends.
async fn stores() -> Vec<(Store, Option<TempDir>)> {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("bank.db").display());
    vec![
        (Store::connect("memory:").await.unwrap(), None),
        (Store::connect(&url).await.unwrap(), Some(folder)),
    ]
}

fn keys<P>(rows: &[(String, P)]) -> Vec<&str> {
    rows.iter().map(|(key, _)| &**key).collect()
}

#[tokio::test]
async fn rows_are_found_by_what_is_declared() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = bank(&store).start().await?;
        let accounts = [
            ("a", "Alice", Currency::Dkk, 5),
            ("b", "Bob", Currency::Eur, -3),
            ("c", "Carl", Currency::Dkk, 5),
            ("d", "Alice", Currency::Dkk, 7),
            ("e", "Eve", Currency::Eur, i64::MAX),
        ];
        for (id, owner, currency, amount) in accounts {
            note(&bank, id, opened(owner, currency)).await;
            note(&bank, id, booked(amount)).await;
        }
        note(&bank, "f", opened("Finn", Currency::Eur)).await;
        let last = note(&bank, "c", iban("DK50")).await;
        let view = || bank.view::<Row>().after(last);

        assert_eq!(view().count().await?, 6);
        let some = view().get_many(["d", "nobody", "a"]).await?;
        let amounts = some.iter().map(|(key, row)| (&**key, row.amount));
        assert_eq!(amounts.collect::<Vec<_>>(), [("a", 5), ("d", 7)]);

        let kroner = || view().by(Row::BY_CURRENCY, &Currency::Dkk);
        assert_eq!(kroner().count().await?, 3);
        assert_eq!(keys(&kroner().page(None, 2).await?), ["a", "c"]);
        assert_eq!(keys(&kroner().page(Some("c"), 2).await?), ["d"]);
        let alice = ("Alice".to_owned(), 7);
        let hers = view().by(Row::BY_OWNER_AND_AMOUNT, &alice);
        assert_eq!(keys(&hers.page(None, 9).await?), ["d"]);

        // By amount, those of one amount by key, page by page; the token travels as a text.
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let token = after.map(|text| text.parse::<PageToken>().unwrap());
            let page = view().range(Row::BY_AMOUNT, 0..).page(token.as_ref(), 2);
            let page = page.await?;
            found.extend(page.rows);
            after = page.next.map(|token| token.to_string());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(keys(&found), ["f", "a", "c", "d", "e"]);
        let cases = [
            (view().range(Row::BY_AMOUNT, ..5), "bf"),
            (view().range(Row::BY_AMOUNT, ..=5), "bfac"),
            (view().range(Row::BY_AMOUNT, 5..=7), "acd"),
            (
                view().range(Row::BY_AMOUNT, (Bound::Excluded(5), Bound::Excluded(5))),
                "",
            ),
            (
                view().range(Row::BY_AMOUNT, (Bound::Included(7), Bound::Excluded(5))),
                "",
            ),
            // Finn has booked nothing.
            (view().range(Row::BY_LAST.present(), ..), "bacde"),
        ];
        for (range, expected) in cases {
            let page = range.page(None, 100).await?;
            assert_eq!(keys(&page.rows).concat(), expected);
            assert_eq!(page.next, None);
        }
        let hers = ("Alice".to_owned(), i64::MIN)..=("Alice".to_owned(), i64::MAX);
        let hers = view().range(Row::BY_OWNER_AND_AMOUNT, hers);
        assert_eq!(keys(&hers.page(None, 9).await?.rows), ["a", "d"]);
        assert_eq!(
            keys(&view().by(Row::BY_LAST, &None).page(None, 9).await?),
            ["f"]
        );

        let owner = view()
            .unique(Row::BY_IBAN, &Some("DK50".to_owned()))
            .await?;
        assert_eq!(
            owner.map(|(key, row)| (key, row.owner)),
            Some(("c".to_owned(), "Carl".to_owned()))
        );
        assert_eq!(
            view()
                .unique(Row::BY_IBAN, &Some("DK51".to_owned()))
                .await?,
            None
        );
        // Many have none: nobody is *the* one without.
        assert_eq!(view().unique(Row::BY_IBAN, &None).await?, None);
        assert_eq!(view().range(Row::BY_IBAN.present(), ..).count().await?, 1);
        bank.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_token_is_of_its_query_alone() -> Result<()> {
    let bank = bank(&Store::connect("memory:").await?).start().await?;
    for id in ["a", "b"] {
        note(&bank, id, opened(id, Currency::Dkk)).await;
    }
    bank.caught_up().await?;
    let page = bank
        .view::<Row>()
        .range(Row::BY_AMOUNT, ..)
        .page(None, 1)
        .await?;
    let token = page.next.unwrap();
    assert_eq!(token.to_string().parse::<PageToken>().unwrap(), token);
    assert!(token.to_string().chars().all(|c| c.is_ascii_alphanumeric()));
    let other = bank
        .view::<Row>()
        .range(Row::BY_CURRENCY, ..)
        .page(Some(&token), 1);
    let error = other.await.unwrap_err();
    assert_eq!(error.code(), "ES0182", "{error}");
    println!("{error}");
    for text in ["", "7b7d", "zz", "5b5d", "next", &token.to_string()[2..]] {
        let refused = match text.parse::<PageToken>() {
            Ok(token) => {
                let page = bank
                    .view::<Row>()
                    .range(Row::BY_AMOUNT, ..)
                    .page(Some(&token), 1);
                page.await.unwrap_err()
            }
            Err(error) => error,
        };
        assert_eq!(refused.code(), "ES0182", "{text}: {refused}");
    }
    bank.shutdown().await
}

#[tokio::test]
async fn what_is_unique_stops_the_second_one_with_both_names() -> Result<()> {
    for (store, _folder) in stores().await {
        let bank = bank(&store).start().await?;
        for id in ["alice", "bob"] {
            note(&bank, id, opened(id, Currency::Dkk)).await;
        }
        note(&bank, "alice", iban("DK50")).await;
        bank.caught_up().await?;
        note(&bank, "bob", iban("DK50")).await;
        let error = bank.caught_up().await.unwrap_err();
        assert_eq!(error.code(), "ES0123", "{error}");
        let said = error.to_string();
        for part in [
            "the row `bob` of `accounts@1`",
            "`iban`",
            "the row `alice`",
            "[ES0180]",
        ] {
            assert!(said.contains(part), "{said}");
        }
        // Nothing of it is written, and nothing else is lost.
        let rows = store
            .query_rows(&Row::TABLE, &es_runtime::store::RowQuery::all())
            .await?;
        assert_eq!(keys(&rows), ["alice", "bob"]);
        bank.shutdown().await.unwrap_err();
    }
    Ok(())
}

/// Two hand over what is unique in one page, and again when the read model is built anew.
#[tokio::test]
async fn what_is_unique_may_be_handed_on() -> Result<()> {
    for (store, _folder) in stores().await {
        let writer = Service::builder("bank")
            .store(store.clone())
            .aggregate::<Account>();
        let writer = writer.start().await?;
        for id in ["alice", "bob"] {
            note(&writer, id, opened(id, Currency::Dkk)).await;
            note(&writer, id, iban(id)).await;
        }
        writer.shutdown().await?;
        let bank = bank(&store).start().await?;
        bank.caught_up().await?;
        let id = ProjectionId::from(&Row::TABLE);
        store.change(&id, &pause("to swap"), "me").await?;
        note(&bank, "alice", AccountEvent::IbanSet { iban: None }).await;
        note(&bank, "bob", iban("alice")).await;
        let swapped = note(&bank, "alice", iban("bob")).await;
        store.change(&id, &Change::Resume, "me").await?;
        let view = || bank.view::<Row>().after(swapped);
        for (key, holder) in [("alice", "bob"), ("bob", "alice")] {
            let found = view().unique(Row::BY_IBAN, &Some(key.to_owned())).await?;
            assert_eq!(found.map(|(key, _)| key).as_deref(), Some(holder));
        }
        bank.shutdown().await?;
    }
    Ok(())
}

/// Rows that reflect the whole log are those of a fold over all of it, wherever the read model and
/// its parts stand.
#[tokio::test]
async fn current_rows_are_the_fold_of_all_events() -> Result<()> {
    let seed = std::env::var("ES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ES_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let ids: Vec<_> = (0..6).map(|n| format!("account {n}")).collect();
    let keys = || ids.iter().map(String::as_str).chain(["all", "nobody"]);
    for (store, _folder) in stores().await {
        let bank = bank(&store).project::<AccountEvent, Sum>().start().await?;
        note(&bank, "somebody else", opened("Somebody", Currency::Dkk)).await;
        bank.caught_up().await?;
        let (mut rows, mut sums) = (BTreeMap::new(), BTreeMap::new());
        let (mut version, mut behind) = (BTreeMap::<_, u64>::new(), 0);
        for round in 0..12 {
            for _ in 0..random.usize(0..12) {
                let id = &*ids[random.usize(0..ids.len())];
                let event = match random.u8(0..6) {
                    0 => opened(id, Currency::Eur),
                    1 => AccountEvent::Closed,
                    2 => iban(id),
                    _ => booked(random.i64(-9..=9)),
                };
                note(&bank, id, event.clone()).await;
                let version = version.entry(id).or_default();
                *version += 1;
                let event = Recorded::example(id, *version, event);
                fold::<Row>(&mut rows, id, &event);
                fold::<Sum>(&mut sums, id, &event);
                fold::<Sum>(&mut sums, "all", &event);
            }
            let all = bank.view::<Row>().current().get_many(keys()).await?;
            assert_eq!(all, rows, "round {round}");
            let all = bank.view::<Sum>().current().get_many(keys()).await?;
            assert_eq!(all, sums, "round {round}");
            for key in keys() {
                let sum = bank.view::<Sum>().current().get(key).await?;
                assert_eq!(sum.as_ref(), sums.get(key), "{key} in round {round}");
            }
            let head = store.head().await?;
            for (id, state) in store.projections().await? {
                behind += u32::from(state.cursor < head);
                // Sometimes it follows, sometimes it stands still.
                let change = match random.u8(0..3) {
                    0 if state.paused.is_some() => Change::Resume,
                    0 => pause("for a while"),
                    _ => continue,
                };
                store.change(&id, &change, "me").await?;
            }
        }
        assert!(behind > 0, "the read models were never behind");
        bank.shutdown().await?;
    }
    Ok(())
}

fn fold<P: Fold<AccountEvent>>(
    rows: &mut BTreeMap<String, P>,
    key: &str,
    event: &Recorded<AccountEvent>,
) {
    if let Some(row) = P::fold(rows.remove(key), event) {
        rows.insert(key.to_owned(), row);
    }
}

fn pause(reason: &str) -> Change {
    let reason = reason.to_owned();
    Change::Pause { reason }
}

#[tokio::test]
async fn what_is_too_far_behind_is_not_folded_for_a_read() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = bank(&store).start().await?;
    note(&bank, "alice", opened("Alice", Currency::Dkk)).await;
    bank.caught_up().await?;
    let id = ProjectionId::from(&Row::TABLE);
    store.change(&id, &pause("to fall behind"), "me").await?;
    for _ in 0..10 {
        note_all(&bank, "alice", booked(1), 1000).await;
    }
    let current = || bank.view::<Row>().current().get("alice");
    assert_eq!(current().await?.unwrap().amount, 10_000);
    note(&bank, "bob", opened("Bob", Currency::Dkk)).await;
    let error = current().await.unwrap_err();
    println!("{error}");
    assert!(error.is_far_behind());
    assert_eq!(error.code(), "ES0181");
    assert!(!error.is_transient());
    store.change(&id, &Change::Resume, "me").await?;
    bank.caught_up().await?;
    assert_eq!(current().await?.unwrap().amount, 10_000);
    bank.shutdown().await
}

#[tokio::test]
async fn a_service_folds_for_a_read_only_what_it_projects() -> Result<()> {
    let store = Store::connect("memory:").await?;
    let bank = bank(&store).start().await?;
    note(&bank, "alice", opened("Alice", Currency::Dkk)).await;
    bank.caught_up().await?;
    let other = Service::builder("web").store(store.clone()).start().await?;
    assert!(other.view::<Row>().get("alice").await?.is_some());
    let error = other
        .view::<Row>()
        .current()
        .get("alice")
        .await
        .unwrap_err();
    assert_eq!(error.code(), "ES0124", "{error}");
    other.shutdown().await?;
    bank.shutdown().await
}

/// An index is made for a version that is there already; what is unique is a new version.
#[tokio::test]
async fn an_index_comes_without_a_new_version_and_uniqueness_does_not() -> Result<()> {
    mod later {
        use super::{AccountEvent, Currency, Fold, Projection, Recorded};

        macro_rules! row {
            ($name:ident, $option:ident) => {
                #[derive(Clone, Debug, PartialEq, Projection)]
                #[projection(name = "owners", version = 1)]
                pub(super) struct $name {
                    #[projection($option)]
                    pub(super) owner: String,
                    pub(super) currency: Currency,
                }

                impl Fold<AccountEvent> for $name {
                    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
                        match &event.data {
                            AccountEvent::Opened { owner, currency } => Some(Self {
                                owner: owner.clone(),
                                currency: *currency,
                            }),
                            _ => row,
                        }
                    }
                }
            };
        }

        #[derive(Clone, Debug, PartialEq, Projection)]
        #[projection(name = "owners", version = 1)]
        pub(super) struct Plain {
            owner: String,
            currency: Currency,
        }

        impl Fold<AccountEvent> for Plain {
            fn fold(_: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
                let AccountEvent::Opened { owner, currency } = &event.data else {
                    return None;
                };
                Some(Self {
                    owner: owner.clone(),
                    currency: *currency,
                })
            }
        }

        row!(Indexed, index);
        row!(Unique, unique);
    }
    for (store, _folder) in stores().await {
        let start = |builder: Builder| builder.store(store.clone()).aggregate::<Account>().start();
        let before =
            start(Service::builder("bank").project::<AccountEvent, later::Plain>()).await?;
        note(&before, "alice", opened("Alice", Currency::Dkk)).await;
        before.caught_up().await?;
        before.shutdown().await?;
        let after =
            start(Service::builder("bank").project::<AccountEvent, later::Indexed>()).await?;
        let found = after
            .view::<later::Indexed>()
            .by(later::Indexed::BY_OWNER, &"Alice".to_owned());
        assert_eq!(keys(&found.page(None, 9).await?), ["alice"]);
        after.shutdown().await?;
        // And those who do not know of it go on.
        let before =
            start(Service::builder("bank").project::<AccountEvent, later::Plain>()).await?;
        let status = before.status();
        assert!(
            status
                .iter()
                .all(|(_, s)| s.phase == Phase::Live && s.health == Health::Working)
        );
        before.shutdown().await?;
        let refused =
            start(Service::builder("bank").project::<AccountEvent, later::Unique>()).await;
        let error = refused.unwrap_err();
        assert_eq!(error.code(), "ES0121", "{error}");
        assert!(error.to_string().contains("unique (owner)"), "{error}");
    }
    Ok(())
}
