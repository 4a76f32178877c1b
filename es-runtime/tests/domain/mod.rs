//! The bank that the runtime's tests share: one aggregate, two versions of everything.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::fmt;

use es_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
pub enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: i64 },
    Withdrawn { amount: i64 },
    Closed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Account)]
pub enum AccountCommand {
    Open {
        owner: String,
    },
    Deposit {
        amount: i64,
    },
    Withdraw {
        amount: i64,
    },
    /// Takes everything out; nothing to do when there is nothing.
    Empty,
    Close,
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = Refused)]
pub struct Account {
    pub open: bool,
    pub balance: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    NotOpen,
    AlreadyOpen,
    Insufficient { short: i64 },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen => f.write_str("the account is not open"),
            Self::AlreadyOpen => f.write_str("the account is open already"),
            Self::Insufficient { short } => write!(f, "{short} short"),
        }
    }
}

impl std::error::Error for Refused {}

impl Account {
    fn open(&self, owner: String) -> Result<AccountEvent, Refused> {
        if self.open {
            Err(Refused::AlreadyOpen)
        } else {
            Ok(AccountEvent::Opened { owner })
        }
    }

    fn deposit(&self, amount: i64) -> Result<AccountEvent, Refused> {
        self.must_be_open()?;
        Ok(AccountEvent::Deposited { amount })
    }

    fn withdraw(&self, amount: i64) -> Result<AccountEvent, Refused> {
        self.must_be_open()?;
        match amount - self.balance {
            short if short > 0 => Err(Refused::Insufficient { short }),
            _ => Ok(AccountEvent::Withdrawn { amount }),
        }
    }

    fn empty(&self) -> Result<Option<AccountEvent>, Refused> {
        self.must_be_open()?;
        Ok((self.balance > 0).then_some(AccountEvent::Withdrawn {
            amount: self.balance,
        }))
    }

    fn close(&self) -> Result<Vec<AccountEvent>, Refused> {
        let mut events: Vec<_> = self.empty()?.into_iter().collect();
        events.push(AccountEvent::Closed);
        Ok(events)
    }

    fn must_be_open(&self) -> Result<(), Refused> {
        if self.open {
            Ok(())
        } else {
            Err(Refused::NotOpen)
        }
    }

    fn on_opened(&mut self, _: &String) {
        self.open = true;
    }

    fn on_deposited(&mut self, amount: &i64) {
        self.balance += amount;
    }

    fn on_withdrawn(&mut self, amount: &i64) {
        self.balance -= amount;
    }

    fn on_closed(&mut self) {
        self.open = false;
    }
}

pub fn open(owner: &str) -> AccountCommand {
    AccountCommand::Open {
        owner: owner.to_owned(),
    }
}

pub fn deposit(amount: i64) -> AccountCommand {
    AccountCommand::Deposit { amount }
}

pub fn withdraw(amount: i64) -> AccountCommand {
    AccountCommand::Withdraw { amount }
}

pub mod v1 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Projection)]
    #[projection(name = "balances", version = 1)]
    pub struct Balance {
        pub amount: i64,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            let amount = row.map_or(0, |row| row.amount);
            match &event.data {
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

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 1)]
    pub enum Accounts {
        AccountOpened { account: String },
        BalanceChanged { account: String, balance: i64 },
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            let account = event.id().to_owned();
            match &event.data {
                AccountEvent::Opened { .. } => Some(Self::AccountOpened { account }),
                AccountEvent::Deposited { .. } | AccountEvent::Withdrawn { .. } => {
                    Some(Self::BalanceChanged {
                        account,
                        balance: after.balance,
                    })
                }
                AccountEvent::Closed => None,
            }
        }
    }
}

pub mod v2 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Projection)]
    #[projection(name = "balances", version = 2)]
    pub struct Balance {
        pub owner: String,
        pub amount: i64,
        #[projection(index)]
        pub movements: u32,
        pub last: Option<Timestamp>,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            let moved = |amount| {
                let row: Balance = row.clone()?;
                let last = Some(event.time);
                Some(Self {
                    amount: row.amount + amount,
                    movements: row.movements + 1,
                    last,
                    ..row
                })
            };
            match &event.data {
                AccountEvent::Opened { owner } => Some(Self {
                    owner: owner.clone(),
                    amount: 0,
                    movements: 0,
                    last: None,
                }),
                AccountEvent::Deposited { amount } => moved(*amount),
                AccountEvent::Withdrawn { amount } => moved(-amount),
                AccountEvent::Closed => None,
            }
        }
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
    #[integration(stream = "accounts", version = 2)]
    pub enum Accounts {
        AccountOpened { account: String, owner: String },
        BalanceChanged { account: String, new_balance: i64 },
        AccountClosed { account: String },
    }

    impl Publish<Account> for Accounts {
        fn publish(event: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
            let account = event.id().to_owned();
            match &event.data {
                AccountEvent::Opened { owner } => Self::AccountOpened {
                    account,
                    owner: owner.clone(),
                },
                AccountEvent::Deposited { .. } | AccountEvent::Withdrawn { .. } => {
                    Self::BalanceChanged {
                        account,
                        new_balance: after.balance,
                    }
                }
                AccountEvent::Closed => Self::AccountClosed { account },
            }
        }
    }
}
