//! One small bank, and what its developers might do to it later. A later day's module has what is
//! written anew; the rest is the first day's.

use es_runtime::prelude::*;
use es_runtime::schema::Contract;

/// What was released.
pub(crate) mod first {
    use super::*;

    /// Money on its way.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Payment {
        pub(crate) amount: i32,
        pub(crate) text: String,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
    #[event(name = "account", aggregate = Account)]
    pub(crate) enum AccountEvent {
        Opened {
            owner: String,
        },
        /// Money came in.
        Deposited(Payment),
        Closed,
    }

    #[derive(Clone, Debug, Default, Aggregate)]
    #[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
    pub(crate) struct Account {
        pub(crate) balance: i64,
    }

    #[derive(Clone, Command)]
    #[command(aggregate = Account)]
    #[cfg_attr(not(feature = "feed"), expect(dead_code))]
    pub(crate) enum AccountCommand {
        Open { owner: String },
        Deposit { amount: i32 },
    }

    impl Account {
        fn open(&self, owner: String) -> Result<AccountEvent, std::fmt::Error> {
            Ok(AccountEvent::Opened { owner })
        }

        fn deposit(&self, amount: i32) -> Result<AccountEvent, std::fmt::Error> {
            let text = "cash".to_owned();
            Ok(AccountEvent::Deposited(Payment { amount, text }))
        }

        fn on_opened(&mut self, _: &str) {}

        fn on_deposited(&mut self, payment: &Payment) {
            self.balance += i64::from(payment.amount);
        }

        fn on_closed(&mut self) {}
    }

    #[derive(Clone, Debug, PartialEq, Projection)]
    #[projection(name = "balances", version = 1)]
    pub(crate) struct Balance {
        owner: String,
        amount: i64,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            match (&event.data, row) {
                (AccountEvent::Opened { owner }, _) => Some(Self {
                    owner: owner.clone(),
                    amount: 0,
                }),
                (AccountEvent::Deposited(payment), Some(row)) => Some(Self {
                    amount: row.amount + i64::from(payment.amount),
                    ..row
                }),
                (AccountEvent::Closed, _) => None,
                (_, row) => row,
            }
        }
    }

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    pub(crate) enum Accounts {
        /// An account was opened.
        AccountOpened { owner: String },
        /// Money moved.
        BalanceChanged {
            /// What is left.
            balance: i64,
        },
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            match &event.data {
                AccountEvent::Opened { owner } => Some(Self::AccountOpened {
                    owner: owner.clone(),
                }),
                AccountEvent::Deposited(_) => Some(Self::BalanceChanged {
                    balance: after.balance,
                }),
                AccountEvent::Closed => None,
            }
        }
    }

    pub(crate) fn contract() -> Contract {
        whole::<Balance, Accounts>()
    }
}

use first::{Account, AccountEvent};

/// The service with this read model and this stream.
fn whole<P: Fold<AccountEvent>, I: Publish<Account> + JsonSchema>() -> Contract {
    Contract::service("bank")
        .namespace("dk.example.bank")
        .aggregate::<Account>()
        .project::<AccountEvent, P>()
        .publish::<Account, I>()
}

/// The same behaviour in other words.
pub(crate) mod refactored {
    use super::*;

    #[derive(Projection)]
    #[projection(name = "balances", version = 1)]
    pub(crate) struct Row {
        owner: String,
        amount: i64,
    }

    impl Fold<AccountEvent> for Row {
        fn keys(event: &Recorded<AccountEvent>) -> impl IntoIterator<Item = String> {
            Some(event.id().to_string())
        }

        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            if let AccountEvent::Opened { owner } = &event.data {
                let owner = owner.clone();
                return Some(Self { owner, amount: 0 });
            }
            let mut row = row?;
            match &event.data {
                AccountEvent::Closed => return None,
                AccountEvent::Deposited(payment) => row.amount += i64::from(payment.amount),
                AccountEvent::Opened { .. } => {}
            }
            Some(row)
        }
    }

    pub(crate) fn contract() -> Contract {
        whole::<Row, first::Accounts>()
    }
}

/// The version bump that somebody forgot: large payments cost a fee.
pub(crate) mod forgotten {
    use super::*;

    #[derive(Projection)]
    #[projection(name = "balances", version = 1)]
    pub(crate) struct Balance {
        owner: String,
        amount: i64,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            match (&event.data, row) {
                (AccountEvent::Opened { owner }, _) => Some(Self {
                    owner: owner.clone(),
                    amount: 0,
                }),
                (AccountEvent::Deposited(payment), Some(row)) => {
                    let fee = i64::from(payment.amount > 5_000);
                    Some(Self {
                        amount: row.amount + i64::from(payment.amount) - fee,
                        ..row
                    })
                }
                (AccountEvent::Closed, _) => None,
                (_, row) => row,
            }
        }
    }

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    pub(crate) enum Accounts {
        /// An account was opened.
        AccountOpened { owner: String },
        /// Money moved.
        BalanceChanged {
            /// What is left.
            balance: i64,
        },
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            match &event.data {
                AccountEvent::Opened { owner } => Some(Self::AccountOpened {
                    owner: owner.clone(),
                }),
                AccountEvent::Deposited(_) => Some(Self::BalanceChanged {
                    balance: after.balance,
                }),
                AccountEvent::Closed => Some(Self::BalanceChanged { balance: 0 }),
            }
        }
    }

    pub(crate) fn contract() -> Contract {
        whole::<Balance, Accounts>()
    }
}

/// The same, with the bumps; and a fold that panics at times, which is an outcome, too.
pub(crate) mod bumped {
    use super::*;

    #[derive(Projection)]
    #[projection(name = "balances", version = 2)]
    pub(crate) struct Balance {
        amount: i64,
        count: u32,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            let row = row.unwrap_or(Self {
                amount: 0,
                count: 0,
            });
            let AccountEvent::Deposited(payment) = &event.data else {
                return Some(row);
            };
            assert!(payment.amount < 5_000, "too much money");
            let amount = row.amount + i64::from(payment.amount);
            Some(Self {
                amount,
                count: row.count + 1,
            })
        }
    }

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntegrationEvent)]
    #[integration(stream = "accounts", version = 2)]
    pub(crate) enum Accounts {
        /// An account was opened.
        AccountOpened { owner: String },
        /// Money moved.
        BalanceChanged {
            /// What is left.
            left: i32,
        },
        /// An account was closed.
        AccountClosed,
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            match &event.data {
                AccountEvent::Opened { owner } => Self::AccountOpened {
                    owner: owner.clone(),
                },
                AccountEvent::Deposited(_) => Self::BalanceChanged {
                    left: i32::try_from(after.balance).unwrap(),
                },
                AccountEvent::Closed => Self::AccountClosed,
            }
        }
    }

    /// Both versions of the stream.
    pub(crate) fn contract() -> Contract {
        whole::<Balance, Accounts>().publish::<Account, first::Accounts>()
    }
}

/// Internal events whose nested type is another one.
macro_rules! internal {
    ($name:ident, $($payment:tt)*) => {
        pub(crate) mod $name {
            use super::*;

            /// Money on its way.
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
            pub(crate) struct Payment { $($payment)* }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
            #[event(name = "account", aggregate = Account, dispatch = manual)]
            pub(crate) enum AccountEvent {
                Opened { owner: String },
                Deposited(Payment),
                Closed,
            }

            #[derive(Clone, Debug, Default, Aggregate)]
            #[aggregate(name = "account", event = AccountEvent, command = Never, error = std::fmt::Error)]
            pub(crate) struct Account;

            #[derive(Clone, Command)]
            #[command(aggregate = Account)]
            pub(crate) enum Never {}

            pub(crate) fn contract() -> Contract {
                Contract::service("bank")
                    .namespace("dk.example.bank")
                    .aggregate::<Account>()
                    .stream::<first::Accounts>()
            }
        }
    };
}

// A field of a nested type is renamed: no derive can see it.
internal! { nested, amount: i32, #[serde(default)] message: String }
// A released payload cannot be read any more.
internal! { unreadable, amount: u8, text: String }

/// Both versions of the stream from one enum.
pub(crate) mod history {
    use super::*;

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[cfg_attr(feature = "schema", derive(JsonSchema))]
    #[integration(
        stream = "accounts",
        version = 2,
        deprecated(1, from = "2026-12-01", sunset = "2027-06-30")
    )]
    pub(crate) enum Accounts {
        /// An account was opened.
        AccountOpened { owner: String },
        /// Money moved.
        BalanceChanged {
            /// What is left.
            #[integration(since = 2, was = "balance")]
            left: i64,
        },
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            match &event.data {
                AccountEvent::Opened { owner } => Some(Self::AccountOpened {
                    owner: owner.clone(),
                }),
                AccountEvent::Deposited(_) => Some(Self::BalanceChanged {
                    left: after.balance,
                }),
                AccountEvent::Closed => None,
            }
        }
    }

    pub(crate) fn contract() -> Contract {
        whole::<first::Balance, Accounts>()
    }
}

/// A schema that promises more than the mapping keeps.
pub(crate) mod lying {
    use super::*;

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[cfg_attr(feature = "schema", derive(JsonSchema))]
    #[integration(stream = "accounts", version = 1)]
    pub(crate) enum Accounts {
        /// Money moved.
        BalanceChanged {
            /// What is left.
            #[schemars(range(min = 0, max = 1_000_000))]
            balance: i64,
        },
    }

    impl Publish<Account> for Accounts {
        fn publish(_: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            Self::BalanceChanged {
                balance: after.balance,
            }
        }
    }

    pub(crate) fn contract() -> Contract {
        whole::<first::Balance, Accounts>()
    }
}

/// A history whose older version has no schema: the derive is not told of it.
pub(crate) mod undescribed {
    use super::*;

    #[rustfmt::skip]
    #[derive(JsonSchema)]
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 2)]
    pub(crate) enum Accounts {
        AccountOpened { #[integration(since = 2, was = "name")] owner: String },
    }

    pub(crate) fn contract() -> Contract {
        Contract::service("bank").stream::<Accounts>()
    }
}

/// A family of its own, whose event gets a currency in version 2.
macro_rules! wallets {
    ($(#[$doc:meta])* $name:ident, $($opened:tt)*) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use super::*;

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Event)]
            #[event(name = "wallet", dispatch = manual)]
            pub(crate) enum WalletEvent {
                Opened { $($opened)* },
                Emptied,
            }

            /// What is known of a wallet, as text.
            #[derive(Projection)]
            #[projection(name = "wallets", version = 1)]
            pub(crate) struct Wallet {
                what: String,
            }

            impl Fold<WalletEvent> for Wallet {
                fn fold(_: Option<Self>, event: &Recorded<WalletEvent>) -> Option<Self> {
                    let what = match &event.data {
                        WalletEvent::Opened { owner, .. } if owner.is_empty() => return None,
                        opened @ WalletEvent::Opened { .. } => format!("{opened:?}"),
                        WalletEvent::Emptied => return None,
                    };
                    Some(Self { what: what.replace(r#", currency: "DKK""#, "") })
                }
            }

            pub(crate) fn contract() -> Contract {
                Contract::service("bank").project::<WalletEvent, Wallet>()
            }
        }
    };
}

wallets! { wallets, owner: String }
wallets! {
    /// Wallets of the past had crowns, which nobody says.
    crowns,
    owner: String, #[event(since = 2, default = "DKK".to_owned())] currency: String
}
wallets! {
    /// Somebody thinks that they had euros.
    euros,
    owner: String, #[event(since = 2, default = "EUR".to_owned())] currency: String
}

/// The stream without its mapping, with other fields of its first event.
macro_rules! public {
    ($(#[$doc:meta])* $name:ident, $($opened:tt)*) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use super::*;

            /// What happens to accounts.
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
            #[cfg_attr(feature = "schema", derive(JsonSchema))]
            #[integration(stream = "accounts", version = 1)]
            pub(crate) enum Accounts {
                /// An account was opened.
                AccountOpened { $($opened)* },
                /// Money moved.
                BalanceChanged {
                    /// What is left.
                    balance: i64,
                },
            }

            pub(crate) fn contract() -> Contract {
                Contract::service("bank")
                    .namespace("dk.example.bank")
                    .aggregate::<Account>()
                    .stream::<Accounts>()
            }
        }
    };
}

public! {
    /// The public contract grows by what old readers ignore.
    compatible,
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nickname: Option<String>
}
public! {
    /// A name that was there once comes back as something else.
    reused,
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nickname: Option<u8>
}
public! {
    /// Who relies on an owner finds none.
    looser,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>
}

/// The public contract says something else, and one event is gone.
pub(crate) mod incompatible {
    use super::*;

    /// What happens to accounts.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    pub(crate) enum Accounts {
        /// An account was opened.
        AccountOpened { name: String },
    }

    pub(crate) fn contract() -> Contract {
        Contract::service("bank")
            .namespace("dk.example.bank")
            .aggregate::<Account>()
            .stream::<Accounts>()
    }
}
