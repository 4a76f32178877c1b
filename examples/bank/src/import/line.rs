//! Lines of the input and what they ask for.

use std::io::{self, BufRead};
use std::str::FromStr;

use es_runtime::event::{CommandId, StreamId};
use es_runtime::prelude::Aggregate;
use es_runtime::{Receipt, Service};

use crate::accounts::{Account, AccountCommand, Payment};
use crate::transfers::Ends;

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
pub enum Request {
    /// A command to one account.
    Command {
        /// The account.
        account: String,
        /// The command.
        command: AccountCommand,
    },
    /// Money from one account to another.
    Transfer {
        /// The sender.
        from: String,
        /// The receiver.
        to: String,
        /// The money.
        payment: Payment,
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
    let fields = fields(line).map_err(|error| error.to_string())?;
    let columns: Vec<_> = fields.iter().map(str::trim).collect();
    let [kind, account, to, amount, currency, text] = columns[..] else {
        return Err(format!(
            "the line has {} columns instead of 6",
            columns.len()
        ));
    };
    let account = named("account", account)?;
    let text = text.to_owned();
    let currency = || field("currency", currency);
    let payment = |text| {
        let (amount, currency) = (field("amount", amount)?, currency()?);
        Ok::<_, String>(Payment {
            amount,
            currency,
            text,
        })
    };
    let command = match kind {
        "open" if text.is_empty() => return Err("`text` should name the owner".to_owned()),
        "open" => AccountCommand::Open {
            owner: text,
            currency: currency()?,
        },
        "deposit" => AccountCommand::Deposit(payment(text)?),
        "withdraw" => AccountCommand::Withdraw(payment(text)?),
        "close" => AccountCommand::Close,
        "transfer" => {
            let (to, payment) = (named("to", to)?, payment(text)?);
            return Ok(Request::Transfer {
                from: account,
                to,
                payment,
            });
        }
        _ => {
            return Err(format!(
                "`{kind}` is none of open, deposit, withdraw, transfer, close"
            ));
        }
    };
    Ok(Request::Command { account, command })
}

/// The columns of one line, however many there are.
fn fields(line: &str) -> csv::Result<csv::StringRecord> {
    let mut csv = csv::ReaderBuilder::new();
    csv.has_headers(false)
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'));
    let mut fields = csv::StringRecord::new();
    csv.from_reader(line.as_bytes()).read_record(&mut fields)?;
    Ok(fields)
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
            Self::Command { account, .. } => (account, None),
            Self::Transfer { from, to, .. } => (from, Some(to)),
        };
        std::iter::once(account).chain(other).map(String::as_str)
    }

    /// Does it, under an id that the same line always has: one command, or a transfer to its end. The
    /// receipt, or why it was refused.
    ///
    /// # Errors
    /// When nobody knows what became of it: ask again.
    pub async fn execute(
        &self,
        accounts: &Service,
        transfers: &Ends,
        id: &str,
    ) -> es_runtime::Result<Result<Receipt, String>> {
        match self.clone() {
            Self::Command { account, command } => {
                let execute = accounts.execute::<Account>(account, command);
                let execute = execute.id(CommandId::of(id)).correlation(id);
                match execute.actor("import").await {
                    Err(error) if error.is_rejected() => Ok(Err(error.to_string())),
                    executed => executed.map(Ok),
                }
            }
            Self::Transfer { from, to, payment } => {
                transfers.transfer(id, (&from, &to), payment).await
            }
        }
    }
}
