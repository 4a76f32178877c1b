//! What the world is told: the integration events `accounts`, in two versions that are two streams.
//! Other services depend on these types alone.

use es_runtime::prelude::*;

use super::{Account, AccountEvent, Currency, Money};

/// What happens to accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[integration(stream = "accounts", version = 2)]
pub enum Accounts {
    /// An account was opened.
    AccountOpened {
        /// The account.
        account: String,
        /// The customer's name.
        owner: String,
        /// What it is kept in.
        #[integration(since = 2, default)]
        currency: Currency,
    },
    /// Money moved.
    BalanceChanged {
        /// The account.
        account: String,
        /// What it holds now, in minor units.
        #[integration(since = 2, was = "balance")]
        new_balance: Money,
        /// Of what.
        #[integration(since = 2, default)]
        currency: Currency,
    },
    /// An account was closed.
    AccountClosed {
        /// The account.
        account: String,
    },
}

pub use accounts_versions::{v1, v2};

/// As the release published that had version 1 alone.
impl Publish<Account> for v1::Accounts {
    fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
        use AccountEvent::*;
        let account = event.id().to_owned();
        match &event.data {
            Opened { owner, .. } => Self::AccountOpened {
                account,
                owner: owner.clone(),
            },
            Deposited(_) | Withdrawn(_) | Sent { .. } | Received { .. } | Returned(_) => {
                Self::BalanceChanged {
                    account,
                    balance: after.balance(),
                }
            }
            Closed => Self::AccountClosed { account },
        }
    }
}

impl Publish<Account> for Accounts {
    fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
        use AccountEvent::*;
        let account = event.id().to_owned();
        match &event.data {
            Opened { owner, currency } => Self::AccountOpened {
                account,
                owner: owner.clone(),
                currency: *currency,
            },
            Deposited(_) | Withdrawn(_) | Sent { .. } | Received { .. } | Returned(_) => {
                Self::BalanceChanged {
                    account,
                    new_balance: after.balance(),
                    currency: after.currency(),
                }
            }
            Closed => Self::AccountClosed { account },
        }
    }
}
