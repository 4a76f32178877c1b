use es_runtime::prelude::*;

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
enum AccountEvent {
    Opened { owner: String },
    Withdrawn { amount: i64 },
}

#[derive(Clone, Command)]
#[command(aggregate = Account)]
enum AccountCommand {
    Withdraw { amount: i64 },
}

#[derive(Clone, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = Refused)]
struct Account;

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl Account {
    async fn withdraw(&self, amount: i64) -> Result<AccountEvent, Refused> {
        Ok(AccountEvent::Withdrawn { amount })
    }
    fn on_opened(&mut self, _owner: &str) {}
    fn on_withdrawn(&mut self, _amount: &i64) {}
}

fn main() {}
