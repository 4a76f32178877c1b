//! The account: what happened to it, what may be asked of it, and what it answers. Pure.

use std::fmt;

use es_runtime::prelude::*;

use super::{Currency, Money};

/// Money on its way, with what the payer wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Payment {
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// What for.
    pub text: String,
}

/// What happened to an account. Private to this service, stored for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[event(name = "account", aggregate = Account)]
pub enum AccountEvent {
    /// Somebody became a customer.
    Opened {
        /// The customer's name.
        owner: String,
        /// What the account is kept in.
        currency: Currency,
    },
    /// Money came in over the counter.
    Deposited(Payment),
    /// Money went out over the counter.
    Withdrawn(Payment),
    /// Money left for another account.
    Sent {
        /// The receiver's account.
        to: String,
        /// The money.
        payment: Payment,
    },
    /// Money arrived from another account.
    Received {
        /// The sender's account.
        from: String,
        /// The money.
        payment: Payment,
    },
    /// Sent money came back, since the receiver refused it.
    Returned(Payment),
    /// The customer left.
    Closed,
}

impl AccountEvent {
    /// The money that moved, if any did.
    pub fn payment(&self) -> Option<&Payment> {
        match self {
            Self::Deposited(payment)
            | Self::Withdrawn(payment)
            | Self::Sent { payment, .. }
            | Self::Received { payment, .. }
            | Self::Returned(payment) => Some(payment),
            Self::Opened { .. } | Self::Closed => None,
        }
    }

    /// By how much the balance changes.
    pub fn change(&self) -> Money {
        let amount = self.payment().map_or(Money::ZERO, |payment| payment.amount);
        match self {
            Self::Withdrawn(_) | Self::Sent { .. } => -amount,
            _ => amount,
        }
    }
}

/// What somebody wants of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Command)]
#[command(aggregate = Account)]
pub enum AccountCommand {
    /// Become a customer.
    Open {
        /// The customer's name.
        owner: String,
        /// What to keep the account in.
        currency: Currency,
    },
    /// Put money in.
    Deposit(Payment),
    /// Take money out.
    Withdraw(Payment),
    /// The first half of a transfer.
    Send {
        /// The receiver's account.
        to: String,
        /// The money.
        payment: Payment,
    },
    /// The second half of a transfer.
    Receive {
        /// The sender's account.
        from: String,
        /// The money.
        payment: Payment,
    },
    /// Take sent money back, since the receiver refused it.
    TakeBack(Payment),
    /// Leave.
    Close,
}

/// An account as its events left it.
#[derive(Clone, Debug, Default, PartialEq, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = AccountError)]
pub struct Account {
    status: Status,
    currency: Currency,
    balance: Money,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Status {
    #[default]
    Unknown,
    Open,
    Closed,
}

/// Why an account says no.
#[derive(Clone, Debug, PartialEq)]
pub enum AccountError {
    /// It was opened before, and perhaps closed since.
    AlreadyOpened,
    /// Nobody opened it.
    NotOpened,
    /// It is closed.
    Closed,
    /// Nobody moves nothing, or less.
    NotPositive,
    /// It is kept in another currency.
    KeptIn(Currency),
    /// There is not enough money.
    Insufficient {
        /// How much is missing.
        short: Money,
    },
    /// It would hold more than [`Account::LIMIT`].
    TooMuch,
    /// An account is closed when it is empty.
    NotEmpty {
        /// What is left.
        balance: Money,
    },
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyOpened => f.write_str("the account was opened before"),
            Self::NotOpened => f.write_str("there is no such account"),
            Self::Closed => f.write_str("the account is closed"),
            Self::NotPositive => f.write_str("the amount must be more than zero"),
            Self::KeptIn(currency) => write!(f, "the account is kept in {currency}"),
            Self::Insufficient { short } => write!(f, "not enough money, {short} short"),
            Self::TooMuch => write!(f, "an account holds at most {}", Account::LIMIT),
            Self::NotEmpty { balance } => write!(f, "{balance} is left in the account"),
        }
    }
}

impl std::error::Error for AccountError {}

/// What the account answers to each command: the event that happens, or why not.
impl Account {
    fn open(&self, owner: String, currency: Currency) -> Result<AccountEvent, AccountError> {
        match self.status {
            Status::Unknown => Ok(AccountEvent::Opened { owner, currency }),
            Status::Open | Status::Closed => Err(AccountError::AlreadyOpened),
        }
    }

    fn deposit(&self, payment: Payment) -> Result<AccountEvent, AccountError> {
        self.can_take(&payment)?;
        Ok(AccountEvent::Deposited(payment))
    }

    fn withdraw(&self, payment: Payment) -> Result<AccountEvent, AccountError> {
        self.can_give(&payment)?;
        Ok(AccountEvent::Withdrawn(payment))
    }

    fn send(&self, to: String, payment: Payment) -> Result<AccountEvent, AccountError> {
        self.can_give(&payment)?;
        Ok(AccountEvent::Sent { to, payment })
    }

    fn receive(&self, from: String, payment: Payment) -> Result<AccountEvent, AccountError> {
        self.can_take(&payment)?;
        Ok(AccountEvent::Received { from, payment })
    }

    fn take_back(&self, payment: Payment) -> Result<AccountEvent, AccountError> {
        self.can_take(&payment)?;
        Ok(AccountEvent::Returned(payment))
    }

    /// Closing a closed account leaves nothing to do.
    fn close(&self) -> Result<Option<AccountEvent>, AccountError> {
        let balance = self.balance;
        match self.status {
            Status::Unknown => Err(AccountError::NotOpened),
            Status::Closed => Ok(None),
            Status::Open if balance.is_positive() => Err(AccountError::NotEmpty { balance }),
            Status::Open => Ok(Some(AccountEvent::Closed)),
        }
    }

    fn can_take(&self, payment: &Payment) -> Result<(), AccountError> {
        self.can_move(payment)?;
        match self.balance.checked_add(payment.amount) {
            Some(balance) if balance <= Self::LIMIT => Ok(()),
            _ => Err(AccountError::TooMuch),
        }
    }

    fn can_give(&self, payment: &Payment) -> Result<(), AccountError> {
        self.can_move(payment)?;
        if payment.amount > self.balance {
            let short = payment.amount - self.balance;
            return Err(AccountError::Insufficient { short });
        }
        Ok(())
    }

    fn can_move(&self, payment: &Payment) -> Result<(), AccountError> {
        match self.status {
            Status::Unknown => Err(AccountError::NotOpened),
            Status::Closed => Err(AccountError::Closed),
            Status::Open if !payment.amount.is_positive() => Err(AccountError::NotPositive),
            Status::Open if payment.currency != self.currency => {
                Err(AccountError::KeptIn(self.currency))
            }
            Status::Open => Ok(()),
        }
    }
}

/// What each event changes.
impl Account {
    fn on_opened(&mut self, _owner: &str, currency: &Currency) {
        (self.status, self.currency) = (Status::Open, *currency);
    }

    fn on_deposited(&mut self, payment: &Payment) {
        self.balance += payment.amount;
    }

    fn on_withdrawn(&mut self, payment: &Payment) {
        self.balance -= payment.amount;
    }

    fn on_sent(&mut self, _to: &str, payment: &Payment) {
        self.balance -= payment.amount;
    }

    fn on_received(&mut self, _from: &str, payment: &Payment) {
        self.balance += payment.amount;
    }

    fn on_returned(&mut self, payment: &Payment) {
        self.balance += payment.amount;
    }

    fn on_closed(&mut self) {
        self.status = Status::Closed;
    }

    /// The most that it holds: a billion.
    pub const LIMIT: Money = Money::units(1_000_000_000);

    /// The money in the account.
    pub fn balance(&self) -> Money {
        self.balance
    }

    /// What it is kept in.
    pub fn currency(&self) -> Currency {
        self.currency
    }
}
