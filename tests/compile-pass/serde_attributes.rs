//! serde's attributes that shape fields, or rename: all of them may stay.
#![deny(warnings)]
#![allow(dead_code)]

use es_runtime::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", dispatch = manual)]
#[serde(rename_all = "camelCase", rename_all_fields = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
#[serde(expecting = "an event of an account")]
enum AccountEvent {
    #[serde(rename = "o", alias = "p", rename_all = "kebab-case")]
    Opened {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_owner: Option<String>,
        #[serde(skip)]
        cached: u8,
        #[serde(rename = "type")]
        kind: u8,
    },
    Noted(Note),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
#[serde(rename_all = "camelCase")]
enum Accounts {
    AccountOpened {
        #[serde(flatten)]
        note: Note,
    },
}

fn main() {}
