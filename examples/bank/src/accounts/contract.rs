//! What the world is told: the integration events `accounts`, in two versions that are two streams.
//! Other services depend on these types alone.

use es_runtime::prelude::*;

use super::{Account, AccountEvent, Currency, Money};

/// Version 1.
pub mod v1 {
    use super::*;

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[cfg_attr(feature = "schema", derive(JsonSchema))]
    #[integration(stream = "accounts", version = 1)]
    pub enum Accounts {
        /// An account was opened.
        AccountOpened {
            /// The account.
            account: String,
            /// The customer's name.
            owner: String,
        },
        /// Money moved.
        BalanceChanged {
            /// The account.
            account: String,
            /// What it holds now, in minor units.
            balance: Money,
        },
        /// An account was closed.
        AccountClosed {
            /// The account.
            account: String,
        },
    }

    impl Publish<Account> for Accounts {
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
}

/// Version 2: the currency is told, and `balance` is called `new_balance`.
pub mod v2 {
    use super::*;

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
            currency: Currency,
        },
        /// Money moved.
        BalanceChanged {
            /// The account.
            account: String,
            /// What it holds now, in minor units.
            new_balance: Money,
            /// Of what.
            currency: Currency,
        },
        /// An account was closed.
        AccountClosed {
            /// The account.
            account: String,
        },
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
}
