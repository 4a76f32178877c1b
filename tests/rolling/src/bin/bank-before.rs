//! The bank as it was released first.

use std::time::Duration;

use es_rolling::{Release, run};
use es_runtime::prelude::*;
use es_runtime::{Error, Service};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: i64 },
    Noted { text: String },
}

#[derive(Clone, Command)]
#[command(aggregate = Account)]
enum AccountCommand {
    Open { owner: String },
    Deposit { amount: i64 },
    Note { text: String },
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
struct Account {
    owner: String,
    balance: i64,
    note: String,
}

impl Account {
    fn open(&self, owner: String) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Opened { owner })
    }

    fn deposit(&self, amount: i64) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Deposited { amount })
    }

    fn note(&self, text: String) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Noted { text })
    }

    fn on_opened(&mut self, owner: &String) {
        self.owner.clone_from(owner);
    }

    fn on_deposited(&mut self, amount: &i64) {
        self.balance += amount;
    }

    fn on_noted(&mut self, text: &String) {
        self.note.clone_from(text);
    }
}

impl Release for Account {
    fn command(name: &str, rest: &str) -> Option<AccountCommand> {
        let rest = rest.to_owned();
        Some(match name {
            "open" => AccountCommand::Open { owner: rest },
            "deposit" => AccountCommand::Deposit {
                amount: rest.parse().ok()?,
            },
            "note" => AccountCommand::Note { text: rest },
            _ => return None,
        })
    }

    fn balance(&self) -> i64 {
        self.balance
    }

    async fn read(
        bank: &Service,
        _: u32,
        account: &str,
        after: Position,
        within: Duration,
    ) -> Result<Option<es_rolling::Balance>, Error> {
        let view = bank.view::<Balance>().after(after).within(within);
        let row = view.get(account).await?;
        Ok(row.map(|row| (row.amount, row.deposits)))
    }
}

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "balances", version = 1)]
struct Balance {
    amount: i64,
    deposits: i64,
}

impl Fold<AccountEvent> for Balance {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let (sum, deposits) = row.map_or((0, 0), |row| (row.amount, row.deposits));
        Some(match event.data {
            AccountEvent::Deposited { amount } => Self {
                amount: sum + amount,
                deposits: deposits + 1,
            },
            _ => Self {
                amount: sum,
                deposits,
            },
        })
    }
}

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "activity", version = 1)]
struct Activity {
    events: i64,
}

impl Fold<AccountEvent> for Activity {
    fn fold(row: Option<Self>, _: &Recorded<AccountEvent>) -> Option<Self> {
        let events = row.map_or(0, |row| row.events) + 1;
        Some(Self { events })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    run::<Account>(|bank| {
        bank.project::<AccountEvent, Activity>()
            .project::<AccountEvent, Balance>()
    })
    .await
}
