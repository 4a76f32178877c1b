//! The derives in crates that are set up in another way than those of the workspace.

#[path = "../budget/crates.rs"]
#[allow(dead_code)]
mod crates;

use crates::{Build, Package, check_in};

/// All five derives, with a history and with two versions of a stream.
const PROGRAM: &str = r#"
use events::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
pub enum AccountEvent {
    Opened { #[event(since = 2, was = "who")] owner: String },
    Moved { #[event(since = 2, was_type = u32, with = i64::from)] by: i64 },
}

#[derive(Clone, Debug, Command)]
#[command(aggregate = Account)]
pub enum AccountCommand {
    Open { owner: String },
    Move(i64),
}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
pub struct Account {
    sum: i64,
}

impl Account {
    fn open(&self, owner: String) -> Result<AccountEvent, std::fmt::Error> {
        Ok(AccountEvent::Opened { owner })
    }

    fn r#move(&self, by: i64) -> Result<Option<AccountEvent>, std::fmt::Error> {
        Ok(Some(AccountEvent::Moved { by }))
    }

    fn on_opened(&mut self, _owner: &str) {}

    fn on_moved(&mut self, by: &i64) {
        self.sum += by;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 2)]
pub enum Accounts {
    AccountOpened { #[integration(since = 2, was = "who")] owner: String },
}

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "sums", version = 1)]
pub struct Sum {
    #[projection(index)]
    pub sum: i64,
}

fn main() {
    given::<Account>([]).when(AccountCommand::Move(1)).then([AccountEvent::Moved { by: 1 }]);
}
"#;

/// The head of a crate whose dependency has another name: one line, which gives it back the name that
/// the derives look for.
const RENAMED: &str = "#![deny(warnings)]\nextern crate events as es_runtime;\n";

#[test]
fn the_derives_work_under_another_name_in_both_editions() {
    for (name, edition) in [("edition_2021", "2021"), ("edition_2024", "2024")] {
        let package = Package {
            name,
            edition,
            runtime: "events",
        };
        check_in(&package, name, &format!("{RENAMED}{PROGRAM}"), Build::Again);
    }
}
