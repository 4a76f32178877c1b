//! Five releases of one service, as their code was: each says of the past what it had to say then.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::fmt;
use std::str::FromStr;

use es_runtime::prelude::*;

/// The aggregate around a release's events: it remembers them, and lets everything happen.
macro_rules! aggregate {
    () => {
        #[derive(Clone)]
        pub struct Happen(pub Vec<AccountEvent>);

        impl Command for Happen {
            fn name(&self) -> &'static str {
                "happen"
            }
        }

        #[derive(Clone, Debug, Default, Aggregate)]
        #[aggregate(name = "account", event = AccountEvent, command = Happen, error = std::fmt::Error)]
        pub struct Account {
            pub seen: Vec<AccountEvent>,
        }

        impl Decide for Account {
            fn decide(&self, command: Happen) -> Result<Vec<AccountEvent>, std::fmt::Error> {
                Ok(command.0)
            }
        }

        impl Evolve for Account {
            fn evolve(&mut self, event: &AccountEvent) {
                self.seen.push(event.clone());
            }
        }
    };
}

pub mod v1 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    pub enum AccountEvent {
        Created {
            name: String,
            ccy: String,
            note: String,
        },
        OpenedWithDeposit {
            name: String,
            amount: i64,
        },
        CashDeposited {
            cash: i64,
        },
        Viewed {
            by: String,
        },
        Noted(String),
    }

    aggregate!();

    pub fn happened() -> Vec<AccountEvent> {
        vec![
            AccountEvent::Created {
                name: "Anna Berg".into(),
                ccy: "DKK".into(),
                note: "x".into(),
            },
            AccountEvent::OpenedWithDeposit {
                name: "Anna Berg".into(),
                amount: 500,
            },
            AccountEvent::CashDeposited { cash: 250 },
            AccountEvent::Viewed { by: "Bo".into() },
            AccountEvent::Noted("a good customer".into()),
        ]
    }
}

/// `ccy` is called `currency`; the second way to open an account has one, too.
pub mod v2 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    pub enum AccountEvent {
        Created {
            name: String,
            #[event(since = 2, was = "ccy")]
            currency: String,
            note: String,
        },
        OpenedWithDeposit {
            name: String,
            amount: i64,
            #[event(since = 2, default = "DKK".to_owned())]
            currency: String,
        },
        CashDeposited {
            cash: i64,
        },
        Viewed {
            by: String,
        },
        Noted(String),
    }

    aggregate!();

    pub fn happened() -> Vec<AccountEvent> {
        vec![
            AccountEvent::Created {
                name: "Anna Berg".into(),
                currency: "DKK".into(),
                note: "x".into(),
            },
            AccountEvent::OpenedWithDeposit {
                name: "Anna Berg".into(),
                amount: 500,
                currency: "DKK".into(),
            },
            AccountEvent::CashDeposited { cash: 250 },
            AccountEvent::Viewed { by: "Bo".into() },
            AccountEvent::Noted("a good customer".into()),
        ]
    }
}

/// A currency is a type; deposits in cash are deposits like others, of cents written as text.
pub mod v3 {
    pub use super::Currency;
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    pub enum AccountEvent {
        Created {
            name: String,
            #[event(since = 2, was = "ccy")]
            #[event(since = 3, was_type = String, with = parse, down = code)]
            currency: Currency,
            note: String,
        },
        OpenedWithDeposit {
            name: String,
            amount: i64,
            #[event(since = 2, default = "DKK".to_owned())]
            currency: String,
        },
        #[event(was = "account.cash-deposited-in-text")]
        Deposited {
            #[serde(with = "text")]
            cents: i64,
        },
        CashDeposited {
            cash: i64,
        },
        Viewed {
            by: String,
        },
        Noted(String),
    }

    aggregate!();

    pub fn happened() -> Vec<AccountEvent> {
        vec![
            AccountEvent::Created {
                name: "Anna Berg".into(),
                currency: Currency::Dkk,
                note: "x".into(),
            },
            AccountEvent::OpenedWithDeposit {
                name: "Anna Berg".into(),
                amount: 500,
                currency: "DKK".into(),
            },
            AccountEvent::Deposited { cents: 250 },
            AccountEvent::Viewed { by: "Bo".into() },
            AccountEvent::Noted("a good customer".into()),
        ]
    }
}

/// Accounts are opened by people with two names; what was one event of two facts is two, deposits
/// in cash became deposits, and what nobody needed is passed over.
pub mod v4 {
    pub use super::Currency;
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    #[event(
        split = "account.opened-with-deposit",
        fields(name: String, amount: i64, #[event(since = 2, default = "DKK".to_owned())] currency: String),
        with = two_facts,
    )]
    #[event(dropped = "account.viewed")]
    pub enum AccountEvent {
        #[event(since = 4, was = "account.created")]
        #[event(since = 4, split(name: String => first, last), with = two_names, down = one_name)]
        Opened {
            first: String,
            last: String,
            #[event(since = 2, was = "ccy")]
            #[event(since = 3, was_type = String, with = parse, down = code)]
            currency: Currency,
            note: String,
        },
        #[event(since = 2, combined(#[serde(with = "text")] cents: i64 => amount), with = same, down = same)]
        #[event(since = 2, merged = "account.cash-deposited", fields(cash: i64), with = from_cash)]
        Deposited {
            amount: i64,
        },
        Noted(String),
    }

    fn two_facts(old: OpenedWithDeposit) -> Result<[AccountEvent; 2], UnknownCurrency> {
        let (first, last) = two_names(old.name);
        let currency = parse(old.currency)?;
        let note = String::new();
        Ok([
            AccountEvent::Opened {
                first,
                last,
                currency,
                note,
            },
            AccountEvent::Deposited { amount: old.amount },
        ])
    }

    aggregate!();

    pub fn happened() -> Vec<AccountEvent> {
        vec![
            AccountEvent::Opened {
                first: "Anna".into(),
                last: "Berg".into(),
                currency: Currency::Dkk,
                note: "x".into(),
            },
            AccountEvent::Deposited { amount: 500 },
            AccountEvent::Noted("a good customer".into()),
        ]
    }
}

/// An account is in a country, and nobody notes anything any more.
pub mod v5 {
    pub use super::Currency;
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    #[event(
        split = "account.opened-with-deposit",
        fields(name: String, amount: i64, #[event(since = 2, default = "DKK".to_owned())] currency: String),
        with = two_facts,
    )]
    #[event(dropped = "account.viewed")]
    pub enum AccountEvent {
        #[event(since = 4, was = "account.created")]
        #[event(since = 4, split(name: String => first, last), with = two_names, down = one_name)]
        #[event(since = 5, removed(note: String))]
        Opened {
            first: String,
            last: String,
            #[event(since = 2, was = "ccy")]
            #[event(since = 3, was_type = String, with = parse, down = code)]
            currency: Currency,
            #[event(since = 5, default = "DK".to_owned())]
            country: String,
        },
        #[event(since = 2, combined(#[serde(with = "text")] cents: i64 => amount), with = same, down = same)]
        #[event(since = 2, merged = "account.cash-deposited", fields(cash: i64), with = from_cash)]
        Deposited { amount: i64 },
        #[event(retired)]
        Noted(String),
    }

    fn two_facts(old: OpenedWithDeposit) -> Result<[AccountEvent; 2], UnknownCurrency> {
        let (first, last) = two_names(old.name);
        let currency = parse(old.currency)?;
        let country = "DK".to_owned();
        Ok([
            AccountEvent::Opened {
                first,
                last,
                currency,
                country,
            },
            AccountEvent::Deposited { amount: old.amount },
        ])
    }

    aggregate!();

    pub fn happened() -> Vec<AccountEvent> {
        vec![
            AccountEvent::Opened {
                first: "Anna".into(),
                last: "Berg".into(),
                currency: Currency::Dkk,
                country: "SE".into(),
            },
            AccountEvent::Deposited { amount: 500 },
        ]
    }

    #[derive(Clone, Debug, Default, PartialEq, Projection)]
    #[projection(name = "balances", version = 1)]
    pub struct Balance {
        pub name: String,
        pub amount: i64,
        pub events: i64,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            let mut row = row.unwrap_or_default();
            row.events += 1;
            match &event.data {
                AccountEvent::Opened { first, last, .. } => row.name = format!("{first} {last}"),
                AccountEvent::Deposited { amount } => row.amount += amount,
                AccountEvent::Noted(_) => {}
            }
            Some(row)
        }
    }

    /// Numbers that only Rust keeps.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    pub enum WideEvent {
        #[event(was = "account.cash-deposited")]
        Paid {
            #[event(since = 2, was = "cash")]
            amount: i128,
            #[event(since = 3, from = by_cash)]
            by: String,
        },
    }

    fn by_cash(_: serde_json::Map<String, serde_json::Value>) -> String {
        "cash".to_owned()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Currency {
    Dkk,
    Sek,
}

#[derive(Debug)]
pub struct UnknownCurrency(String);

impl fmt::Display for UnknownCurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no currency is called `{}`", self.0)
    }
}

fn parse(code: String) -> Result<Currency, UnknownCurrency> {
    match &*code {
        "DKK" => Ok(Currency::Dkk),
        "SEK" => Ok(Currency::Sek),
        _ => Err(UnknownCurrency(code)),
    }
}

fn code(currency: Currency) -> String {
    format!("{currency:?}").to_uppercase()
}

fn two_names(name: String) -> (String, String) {
    let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
    (first.to_owned(), last.to_owned())
}

fn one_name(first: String, last: String) -> String {
    format!("{first} {last}")
}

fn same(amount: i64) -> i64 {
    amount
}

#[derive(Deserialize)]
struct OpenedWithDeposit {
    name: String,
    amount: i64,
    currency: String,
}

#[derive(Deserialize)]
struct CashDeposited {
    cash: i64,
}

#[derive(Serialize)]
struct Deposited {
    amount: i64,
}

fn from_cash(old: CashDeposited) -> Deposited {
    Deposited { amount: old.cash }
}

/// Whole numbers as text.
mod text {
    use super::*;

    pub fn serialize<S: serde::Serializer>(number: &i64, json: S) -> Result<S::Ok, S::Error> {
        json.collect_str(number)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(json: D) -> Result<i64, D::Error> {
        i64::from_str(&String::deserialize(json)?).map_err(serde::de::Error::custom)
    }
}
