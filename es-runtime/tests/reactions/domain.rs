//! Balances in three versions, of which each says what it saw; and what is outside.

use std::sync::{Arc, Mutex, PoisonError};

use es_runtime::event::IdempotencyKey;
use es_runtime::prelude::*;
use es_runtime::store::ReactionId;
use es_runtime::{Attempt, Builder, Retry, Service, Store};

pub(crate) use crate::bank::{Account, AccountCommand, AccountEvent, deposit, open};

/// An event, as somebody outside is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) account: String,
    pub(crate) before: Option<i64>,
    pub(crate) after: Option<i64>,
    pub(crate) by: u32,
}

macro_rules! version {
    ($name:ident, $version:literal, $slices:literal) => {
        #[derive(Clone, Debug, PartialEq, Projection)]
        #[projection(name = "balances", version = $version, slices = $slices)]
        pub(crate) struct $name {
            pub(crate) amount: i64,
        }

        impl Fold<AccountEvent> for $name {
            fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
                let amount = row.map_or(0, |row| row.amount);
                match event.data {
                    AccountEvent::Opened { .. } => Some(Self { amount: 0 }),
                    AccountEvent::Deposited { amount: more } => Some(Self {
                        amount: amount + more,
                    }),
                    AccountEvent::Withdrawn { amount: less } => Some(Self {
                        amount: amount - less,
                    }),
                    AccountEvent::Closed => None,
                }
            }
        }

        impl React<AccountEvent> for $name {
            type Reaction = Notice;

            fn react(
                row: Changed<'_, Self>,
                _: &Recorded<AccountEvent>,
            ) -> impl IntoIterator<Item = Notice> {
                [Notice {
                    account: row.key.to_owned(),
                    before: row.before.map(|row| row.amount),
                    after: row.after.map(|row| row.amount),
                    by: $version,
                }]
            }
        }
    };
}

version!(One, 1, 1);
version!(Two, 2, 3);

/// Whoever is told.
#[derive(Clone, Default)]
pub(crate) struct Outside(Arc<Mutex<Vec<(IdempotencyKey, ReactionId, Notice)>>>);

impl Outside {
    pub(crate) fn tell(&self, notice: Notice, attempt: &Attempt) {
        let told = (attempt.key(), attempt.reaction().clone(), notice);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(told);
    }

    pub(crate) fn told(&self) -> Vec<(IdempotencyKey, ReactionId, Notice)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The balances that were told of an account, in order.
    pub(crate) fn of(&self, account: &str) -> Vec<Option<i64>> {
        let told = self
            .told()
            .into_iter()
            .filter(|(.., notice)| notice.account == account);
        told.map(|(.., notice)| notice.after).collect()
    }
}

pub(crate) fn bank(store: &Store) -> Builder {
    use std::time::Duration;
    Service::builder("bank")
        .store(store.clone())
        .aggregate::<Account>()
        .retry(Retry::default().first(Duration::from_millis(1)))
}

/// The first version, and `outside` is told.
pub(crate) fn one(bank: Builder, outside: &Outside) -> Builder {
    let outside = outside.clone();
    bank.project::<AccountEvent, One>()
        .react::<AccountEvent, One>(move |notice: Notice, attempt: Attempt| {
            outside.tell(notice, &attempt);
            async { Ok(()) }
        })
}

/// The second version, and `outside` is told.
pub(crate) fn two(bank: Builder, outside: &Outside) -> Builder {
    let outside = outside.clone();
    bank.project::<AccountEvent, Two>()
        .react::<AccountEvent, Two>(move |notice: Notice, attempt: Attempt| {
            outside.tell(notice, &attempt);
            async { Ok(()) }
        })
}
