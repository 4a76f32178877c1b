use es_runtime::prelude::*;

// What happened. Private to this service, stored for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
pub enum AccountEvent {
    Booked { amount: i64 },
}

// What somebody wants.
#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
pub enum AccountCommand {
    Deposit { amount: i64 },
    Withdraw { amount: i64 },
    PayOut,
}

// The state, and the decisions that it makes.
#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = Refused)]
pub struct Account {
    pub balance: i64,
}

impl Account {
    fn deposit(&self, amount: i64) -> Result<AccountEvent, Refused> {
        let amount = within(MOST - self.balance, amount)?;
        Ok(AccountEvent::Booked { amount })
    }

    fn withdraw(&self, amount: i64) -> Result<AccountEvent, Refused> {
        let amount = -within(self.balance, amount)?;
        Ok(AccountEvent::Booked { amount })
    }

    fn pay_out(&self) -> Result<Option<AccountEvent>, Refused> {
        Ok(self.withdraw(self.balance).ok())
    }

    fn on_booked(&mut self, amount: &i64) {
        self.balance += amount;
    }
}

// The rules: an amount is positive, a balance never negative, and never more than JSON keeps.
const MOST: i64 = (1 << 53) - 1;

fn within(most: i64, amount: i64) -> Result<i64, Refused> {
    let allowed = (1..=most).contains(&amount);
    allowed.then_some(amount).ok_or(Refused(most))
}

// Why the account says no: the most that it would have taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused(pub i64);

impl std::error::Error for Refused {}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an amount is positive, and here at most {}", self.0)
    }
}

// A read model: a table with a row per account.
#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "balances", version = 1)]
pub struct Balance {
    pub amount: i64,
}

impl Fold<AccountEvent> for Balance {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let AccountEvent::Booked { amount } = event.data;
        let amount = row.map_or(0, |row| row.amount) + amount;
        Some(Balance { amount })
    }
}

// What other services are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
pub enum Accounts {
    BalanceChanged { to: i64 },
}

impl Publish<Account> for Accounts {
    fn publish(_: &Recorded<AccountEvent>, after: &Account) -> impl IntoEvents<Self> {
        Accounts::BalanceChanged { to: after.balance }
    }
}
