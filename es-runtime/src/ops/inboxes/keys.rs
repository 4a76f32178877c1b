//! Shows the keys that are set aside, what waits for them, and what was given up.

use std::fmt::Write;

use serde::Serialize;

use super::args::Asked;
use super::find::{all, name, one};
use super::{Refusal, failed};
use crate::event::{Clock, Position, SystemClock, Timestamp};
use crate::ops::words::{ago, columns, counted, number, span};
use crate::store::{DeadLetter, EventStore, InboxId, InboxKey, Store};

/// How many are read at once.
const PAGE: usize = 1000;

const KEYS: [&str; 8] = [
    "INBOX", "KEY", "SINCE", "AT", "WAITING", "TRIED", "AGAIN", "WHY",
];

const LETTERS: [&str; 7] = ["INBOX", "AT", "KEY", "GIVEN UP", "BY", "FAILURE", "WHY"];

/// A key that is set aside, as JSON has it. The names of the fields stay.
#[derive(Serialize)]
struct SetAside<'a> {
    inbox: String,
    key: &'a str,
    position: Position,
    since: Timestamp,
    failed_at: Timestamp,
    waiting: u64,
    attempts: u32,
    reason: &'a str,
}

/// A dead letter, as JSON has it. The names of the fields stay.
#[derive(Serialize)]
struct Letter<'a> {
    inbox: String,
    position: Position,
    key: &'a str,
    at: Timestamp,
    by: &'a str,
    failure: &'a str,
    reason: &'a str,
    event: serde_json::Value,
}

pub(super) async fn all_set_aside(store: &Store, id: &InboxId) -> Result<Vec<InboxKey>, Refusal> {
    let mut all: Vec<InboxKey> = Vec::new();
    loop {
        let after = all.last().map(|last| last.key.clone());
        let page = store.inbox_keys(id, after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

pub(super) async fn all_dead(store: &Store, id: &InboxId) -> Result<Vec<DeadLetter>, Refusal> {
    let mut all: Vec<DeadLetter> = Vec::new();
    loop {
        let after = all.last().map_or(Position::START, |last| last.position);
        let page = store.dead_letters(id, after, PAGE).await?;
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

pub(super) async fn set_aside(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let now = SystemClock.now();
    let mut lines = vec![KEYS.map(str::to_owned).to_vec()];
    let mut json = String::new();
    for id in all(store, asked).await? {
        for key in all_set_aside(store, &id).await? {
            match asked.json {
                true => {
                    let object = serde_json::to_string(&SetAside {
                        inbox: name(&id),
                        key: &key.key,
                        position: key.position,
                        since: key.since,
                        failed_at: key.failed_at,
                        waiting: key.waiting,
                        attempts: key.attempts,
                        reason: &key.reason,
                    })?;
                    writeln!(json, "{object}").ok();
                }
                false => lines.push(vec![
                    name(&id),
                    key.key.clone(),
                    ago(key.since, now),
                    number(key.position.get()),
                    counted(key.waiting, "event", "events"),
                    counted(key.attempts.into(), "time", "times"),
                    format!("in {}", span(key.again)),
                    key.reason.clone(),
                ]),
            }
        }
    }
    Ok(match (asked.json, lines.len()) {
        (true, _) => json,
        (false, 1) => "no key is set aside\n".to_owned(),
        (false, _) => columns(&lines, &[3, 4, 5]),
    })
}

/// The events that wait for a key, as they came.
pub(super) async fn waiting(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = one(store, asked).await?;
    let key = asked.key.clone().unwrap_or_default();
    let events = store.inbox_events(&id, &key, usize::MAX >> 1).await?;
    if events.is_empty() {
        return failed(format!("nothing waits for `{key}` in {}", name(&id)));
    }
    Ok(events.into_iter().map(|held| held.event + "\n").collect())
}

pub(super) async fn dead_letters(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let now = SystemClock.now();
    let mut lines = vec![LETTERS.map(str::to_owned).to_vec()];
    let mut json = String::new();
    for id in all(store, asked).await? {
        for letter in all_dead(store, &id).await? {
            match asked.json {
                true => {
                    let object = serde_json::to_string(&Letter {
                        inbox: name(&id),
                        position: letter.position,
                        key: &letter.key,
                        at: letter.at,
                        by: &letter.by,
                        failure: &letter.failure,
                        reason: &letter.reason,
                        event: serde_json::from_str(&letter.event)?,
                    })?;
                    writeln!(json, "{object}").ok();
                }
                false => lines.push(vec![
                    name(&id),
                    number(letter.position.get()),
                    letter.key,
                    ago(letter.at, now),
                    letter.by,
                    letter.failure,
                    letter.reason,
                ]),
            }
        }
    }
    Ok(match (asked.json, lines.len()) {
        (true, _) => json,
        (false, 1) => "nothing was given up\n".to_owned(),
        (false, _) => columns(&lines, &[1]),
    })
}
