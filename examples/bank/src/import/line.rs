//! Lines of the input and what they ask for.

use std::io::{self, BufRead};
use std::str::FromStr;

use es_runtime::event::{CommandId, StreamId};
use es_runtime::prelude::Aggregate;
use es_runtime::{Receipt, Result, Service};

use crate::accounts::{Account, AccountCommand, Currency, Payment, transfer};

/// The columns, in the first line of every input.
pub const HEADER: &str = "type,account,to,amount,currency,text";

/// One line of the input.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1, the header included.
    pub number: u64,
    /// What it asks for, or why nobody can tell.
    pub request: Result<Request, String>,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "the words of the input, as its reader knows them"
)]
pub enum Request {
    Open {
        account: String,
        owner: String,
        currency: Currency,
    },
    Deposit {
        account: String,
        payment: Payment,
    },
    Withdraw {
        account: String,
        payment: Payment,
    },
    Transfer {
        from: String,
        to: String,
        payment: Payment,
    },
    Close {
        account: String,
    },
}

/// The lines of an input after its header. A broken line costs itself and no other: a text holds no
/// line breaks, so an open quote ends with its line.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When the input cannot be read, or its first line is no header.
    pub fn new(input: R) -> io::Result<Self> {
        let mut lines = Self { input, number: 0 };
        let header = lines.read()?.unwrap_or_default();
        if header.trim_ascii() == HEADER.as_bytes() {
            return Ok(lines);
        }
        let why = format!("its first line is not `{HEADER}`");
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = self.input.read_until(b'\n', &mut bytes)?;
        self.number += 1;
        Ok((read > 0).then_some(bytes))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let bytes = match self.read().transpose()? {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
            if !bytes.trim_ascii().is_empty() {
                let (number, request) = (self.number, parse(&bytes));
                return Some(Ok(Line { number, request }));
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Request, String> {
    let line = std::str::from_utf8(bytes).map_err(|_| "the line is not UTF-8".to_owned())?;
    if line.matches('"').count() % 2 == 1 {
        return Err("a quote is not closed".to_owned());
    }
    let mut csv = csv::ReaderBuilder::new();
    let mut csv = csv
        .has_headers(false)
        .flexible(true)
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    csv.read_record(&mut record)
        .map_err(|error| error.to_string())?;
    let fields: Vec<_> = record.iter().map(str::trim).collect();
    let Ok([kind, account, to, amount, currency, text]) = <[&str; 6]>::try_from(&fields[..]) else {
        return Err(format!(
            "the line has {} columns instead of 6",
            fields.len()
        ));
    };
    let payment = || {
        let (amount, currency) = (field("amount", amount)?, field("currency", currency)?);
        Ok::<_, String>(Payment {
            amount,
            currency,
            text: text.to_owned(),
        })
    };
    let account = named("account", account)?;
    Ok(match kind {
        "open" if text.is_empty() => return Err("the owner's name is missing in `text`".to_owned()),
        "open" => Request::Open {
            account,
            owner: text.to_owned(),
            currency: field("currency", currency)?,
        },
        "deposit" => Request::Deposit {
            account,
            payment: payment()?,
        },
        "withdraw" => Request::Withdraw {
            account,
            payment: payment()?,
        },
        "transfer" => Request::Transfer {
            from: account,
            to: named("to", to)?,
            payment: payment()?,
        },
        "close" => Request::Close { account },
        _ => {
            return Err(format!(
                "`{kind}` is none of open, deposit, withdraw, transfer, close"
            ));
        }
    })
}

fn field<T: FromStr<Err: std::fmt::Display>>(column: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error| format!("`{text}` in `{column}`: {error}"))
}

/// An account's id, if it can be one.
fn named(column: &str, id: &str) -> Result<String, String> {
    StreamId::new(Account::NAME, id).map_err(|error| format!("`{column}`: {error}"))?;
    Ok(id.to_owned())
}

impl Request {
    /// The accounts that it touches.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        let (account, other) = match self {
            Self::Transfer { from, to, .. } => (from, Some(to)),
            Self::Open { account, .. }
            | Self::Deposit { account, .. }
            | Self::Withdraw { account, .. }
            | Self::Close { account } => (account, None),
        };
        std::iter::once(account).chain(other).map(String::as_str)
    }

    /// Does it, under an id that the same line always has: one command, or a transfer's two.
    ///
    /// # Errors
    /// As [`Service::execute`].
    pub async fn execute(&self, bank: &Service, id: &str) -> Result<Vec<Receipt>> {
        let (account, command) = match self.clone() {
            Self::Transfer { from, to, payment } => {
                return transfer(bank, id, (&from, &to), payment)
                    .await
                    .map(Vec::from);
            }
            Self::Open {
                account,
                owner,
                currency,
            } => (account, AccountCommand::Open { owner, currency }),
            Self::Deposit { account, payment } => (account, AccountCommand::Deposit(payment)),
            Self::Withdraw { account, payment } => (account, AccountCommand::Withdraw(payment)),
            Self::Close { account } => (account, AccountCommand::Close),
        };
        let execute = bank
            .execute::<Account>(account, command)
            .id(CommandId::of(id));
        Ok(vec![execute.correlation(id).await?])
    }
}
