//! Two releases of one service.
#![allow(dead_code, missing_docs, unreachable_pub)]

use es_runtime::prelude::*;

/// The aggregate around a release's events: it remembers them, and lets everything happen.
macro_rules! aggregate {
    ($name:ident = $stored:literal, $event:ty, $happen:ident) => {
        #[derive(Clone)]
        pub struct $happen(pub Vec<$event>);

        impl Command for $happen {
            fn name(&self) -> &'static str {
                "happen"
            }
        }

        #[derive(Clone, Debug, Default, Aggregate)]
        #[aggregate(name = $stored, event = $event, command = $happen, error = std::fmt::Error)]
        pub struct $name {
            pub seen: Vec<$event>,
        }

        impl Decide for $name {
            fn decide(&self, command: $happen) -> Result<Vec<$event>, std::fmt::Error> {
                Ok(command.0)
            }
        }

        impl Evolve for $name {
            fn evolve(&mut self, event: &$event) {
                self.seen.push(event.clone());
            }
        }
    };
}

pub mod before {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    pub enum AccountEvent {
        Opened { owner: String },
        Deposited { amount: i64 },
        Noted { text: String },
    }

    aggregate!(Account = "account", AccountEvent, Happen);
}

pub mod after {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
    #[event(name = "account", dispatch = manual)]
    pub enum AccountEvent {
        /// Renamed, which goes back by itself, and then a field more.
        Opened {
            #[event(since = 2, was = "owner")]
            holder: String,
            #[event(since = 3, default = "DKK".to_owned())]
            currency: String,
        },
        /// Retyped, with a way back for some of its values.
        Deposited {
            #[event(since = 2, was_type = i64, with = text, down = number)]
            amount: String,
        },
        /// Retyped, without a way back.
        Noted {
            #[event(since = 2, was_type = String, with = lines)]
            text: Vec<String>,
        },
        /// New.
        Frozen { by: String },
    }

    fn text(amount: i64) -> String {
        amount.to_string()
    }

    fn number(amount: String) -> Result<i64, std::num::ParseIntError> {
        amount.parse()
    }

    fn lines(text: String) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    aggregate!(Account = "account", AccountEvent, Happen);

    pub fn opened() -> AccountEvent {
        AccountEvent::Opened {
            holder: "Anna".into(),
            currency: "SEK".into(),
        }
    }

    pub fn deposited(amount: &str) -> AccountEvent {
        let amount = amount.to_owned();
        AccountEvent::Deposited { amount }
    }

    pub fn noted() -> AccountEvent {
        let text = vec!["a good".to_owned(), "customer".to_owned()];
        AccountEvent::Noted { text }
    }

    pub fn frozen() -> AccountEvent {
        AccountEvent::Frozen { by: "Bo".into() }
    }
}

/// What both releases have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "card", dispatch = manual)]
pub enum CardEvent {
    Issued,
}

aggregate!(Card = "card", CardEvent, Swipe);

/// How many events an account has: the same read model in both releases.
#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "counts", version = 1)]
pub struct Count {
    pub events: i64,
}

macro_rules! counts {
    ($row:ident, $($event:ty),+) => {$(
        impl Fold<$event> for $row {
            fn fold(row: Option<Self>, _: &Recorded<$event>) -> Option<Self> {
                let events = row.map_or(0, |row| row.events) + 1;
                Some(Self { events })
            }
        }
    )+};
}

counts!(Count, before::AccountEvent, after::AccountEvent);

#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "cards", version = 1)]
pub struct Cards {
    pub events: i64,
}

counts!(Cards, CardEvent);
