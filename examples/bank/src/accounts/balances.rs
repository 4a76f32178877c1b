//! The read model `balances`, in two versions that run side by side.

use es_runtime::event::Timestamp;
use es_runtime::prelude::*;

use super::{AccountEvent, Currency, Money};

/// Which of two versions a process has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Version 1 alone.
    One,
    /// Version 2 alone.
    Two,
    /// Both, side by side.
    #[default]
    Both,
}

impl Versions {
    /// Whether version 1 is among them.
    pub fn has_v1(self) -> bool {
        self != Self::Two
    }

    /// Whether version 2 is among them.
    pub fn has_v2(self) -> bool {
        self != Self::One
    }
}

/// Version 1: who has how much.
pub mod v1 {
    use super::*;

    /// An open account.
    #[derive(Clone, Debug, PartialEq, Projection)]
    #[projection(name = "balances", version = 1)]
    pub struct Balance {
        /// The customer's name.
        pub owner: String,
        /// The money.
        pub amount: Money,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            match (&event.data, row) {
                (AccountEvent::Opened { owner, .. }, _) => Some(Self {
                    owner: owner.clone(),
                    amount: Money::ZERO,
                }),
                (AccountEvent::Closed, _) | (_, None) => None,
                (moved, Some(row)) => Some(Self {
                    amount: row.amount + moved.change(),
                    ..row
                }),
            }
        }
    }
}

/// What version 1 would say: so the two are compared before version 2 takes over.
impl From<v2::Balance> for v1::Balance {
    fn from(new: v2::Balance) -> Self {
        let v2::Balance { owner, amount, .. } = new;
        Self { owner, amount }
    }
}

/// Version 2: of what, too, and how lively the account is.
pub mod v2 {
    use super::*;

    /// An open account.
    #[derive(Clone, Debug, PartialEq, Projection)]
    #[projection(name = "balances", version = 2)]
    pub struct Balance {
        /// The customer's name.
        pub owner: String,
        /// The money.
        pub amount: Money,
        /// What it is counted in.
        #[projection(index)]
        pub currency: Currency,
        /// How often money moved.
        pub movements: u32,
        /// When something happened last.
        pub changed: Timestamp,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            match (&event.data, row) {
                (AccountEvent::Opened { owner, currency }, _) => Some(Self {
                    owner: owner.clone(),
                    amount: Money::ZERO,
                    currency: *currency,
                    movements: 0,
                    changed: event.time,
                }),
                (AccountEvent::Closed, _) | (_, None) => None,
                (moved, Some(row)) => Some(Self {
                    amount: row.amount + moved.change(),
                    movements: row.movements + 1,
                    changed: event.time,
                    ..row
                }),
            }
        }
    }
}
