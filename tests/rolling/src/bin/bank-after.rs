//! The bank as it was released next: owners are holders, amounts are in cents and say so, notes have
//! lines, and the read models have another version. With the argument `last`, it is the release
//! after that, which knows the older version of the balances no more.

use std::time::Duration;

use es_rolling::{Release, run};
use es_runtime::prelude::*;
use es_runtime::{Error, Service};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {
    Opened {
        #[event(since = 2, was = "owner")]
        holder: String,
        #[event(since = 3, default = "DKK".to_owned())]
        currency: String,
    },
    Deposited {
        #[event(since = 2, was_type = i64, with = Money::of, down = Money::amount)]
        amount: Money,
    },
    Noted {
        #[event(since = 2, was_type = String, with = lines)]
        text: Vec<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Money {
    cents: i64,
}

impl Money {
    fn of(cents: i64) -> Self {
        Self { cents }
    }

    fn amount(self) -> i64 {
        self.cents
    }
}

fn lines(text: String) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

#[derive(Clone, Command)]
#[command(aggregate = Account)]
enum AccountCommand {
    Open { holder: String },
    Deposit { amount: i64 },
    Note { text: String },
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
struct Account {
    holder: String,
    currency: String,
    balance: i64,
    note: Vec<String>,
}

impl Account {
    fn open(&self, holder: String) -> Result<AccountEvent, std::fmt::Error> {
        let currency = "SEK".to_owned();
        Ok(AccountEvent::Opened { holder, currency })
    }

    fn deposit(&self, amount: i64) -> Result<AccountEvent, std::fmt::Error> {
        let amount = Money::of(amount);
        Ok(AccountEvent::Deposited { amount })
    }

    fn note(&self, text: String) -> Result<AccountEvent, std::fmt::Error> {
        let text = lines(text);
        Ok(AccountEvent::Noted { text })
    }

    fn on_opened(&mut self, holder: &String, currency: &String) {
        self.holder.clone_from(holder);
        self.currency.clone_from(currency);
    }

    fn on_deposited(&mut self, amount: &Money) {
        self.balance += amount.cents;
    }

    fn on_noted(&mut self, text: &Vec<String>) {
        self.note.clone_from(text);
    }
}

impl Release for Account {
    fn command(name: &str, rest: &str) -> Option<AccountCommand> {
        let rest = rest.to_owned();
        Some(match name {
            "open" => AccountCommand::Open { holder: rest },
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
        version: u32,
        account: &str,
        after: Position,
        within: Duration,
    ) -> Result<Option<es_rolling::Balance>, Error> {
        if version == 1 {
            let view = bank.view::<v1::Balance>().after(after).within(within);
            let row = view.get(account).await?;
            return Ok(row.map(|row| (row.amount, row.deposits)));
        }
        let view = bank.view::<Balance>().after(after).within(within);
        let row = view.get(account).await?;
        Ok(row.map(|row| (row.amount, row.deposits)))
    }
}

mod v1 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Projection)]
    #[projection(name = "balances", version = 1)]
    pub(super) struct Balance {
        pub(super) amount: i64,
        pub(super) deposits: i64,
    }

    impl Fold<AccountEvent> for Balance {
        fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
            let (sum, deposits) = row.map_or((0, 0), |row| (row.amount, row.deposits));
            Some(match &event.data {
                AccountEvent::Deposited { amount } => Self {
                    amount: sum + amount.cents,
                    deposits: deposits + 1,
                },
                _ => Self {
                    amount: sum,
                    deposits,
                },
            })
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Projection)]
#[projection(name = "balances", version = 2)]
struct Balance {
    largest: i64,
    deposits: i64,
    amount: i64,
}

impl From<Balance> for v1::Balance {
    fn from(new: Balance) -> Self {
        Self {
            amount: new.amount,
            deposits: new.deposits,
        }
    }
}

impl Fold<AccountEvent> for Balance {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let row = row.unwrap_or_default();
        Some(match &event.data {
            AccountEvent::Deposited { amount } => Self {
                largest: row.largest.max(amount.cents),
                deposits: row.deposits + 1,
                amount: row.amount + amount.cents,
            },
            _ => row,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "activity", version = 2)]
struct Activity {
    events: i64,
    lines: i64,
}

impl Fold<AccountEvent> for Activity {
    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        let row = row.unwrap_or(Self {
            events: 0,
            lines: 0,
        });
        let new = match &event.data {
            AccountEvent::Noted { text } => i64::try_from(text.len()).unwrap_or(i64::MAX),
            _ => 0,
        };
        Some(Self {
            events: row.events + 1,
            lines: row.lines + new,
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let last = std::env::args()
        .nth(2)
        .is_some_and(|release| release == "last");
    run::<Account>(|bank| {
        let bank = bank
            .project::<AccountEvent, Activity>()
            .project::<AccountEvent, Balance>();
        if last {
            return bank;
        }
        bank.project::<AccountEvent, v1::Balance>()
            .compare::<v1::Balance, Balance>()
    })
    .await
}
