//! The keys that are parked: shown, tried again, or given up.

use std::fmt::Write;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::args::Asked;
use super::change::{by, reason};
use super::diff::{POLL, WAIT, nobody_runs};
use super::find::find;
use super::{Now, Refusal, failed};
use crate::event::{Position, Timestamp};
use crate::ops::confirm::confirm;
use crate::ops::words::{ago, columns, counted, number, span};
use crate::store::{Change, EventStore, ParkedKey, ProjectionId, Store};

/// How many are read at once.
const PAGE: usize = 1000;

const TITLES: [&str; 7] = [
    "PROJECTION",
    "KEY",
    "SINCE",
    "AT",
    "WAITING",
    "TRIED",
    "WHY",
];

/// A parked key, as JSON has it.
#[derive(Serialize)]
struct Parked<'a> {
    projection: String,
    key: &'a str,
    position: Position,
    since: Timestamp,
    waiting: u64,
    attempts: u32,
    requested: bool,
    reason: &'a str,
}

pub(super) async fn parked(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let ids: Vec<_> = match &asked.name {
        Some(_) => find(store, asked.name.as_ref()).await?.ids().collect(),
        None => store
            .projections()
            .await?
            .into_iter()
            .map(|(id, _)| id)
            .collect(),
    };
    let now = Now::of(store).await?;
    let mut lines = vec![TITLES.map(str::to_owned).to_vec()];
    let mut json = String::new();
    for id in ids {
        for key in all(store, &id).await? {
            match asked.json {
                true => json.push_str(&object(&id, &key)?),
                false => lines.push(line(&id, &key, &now)),
            }
        }
    }
    Ok(match (asked.json, lines.len()) {
        (true, _) => json,
        (false, 1) => "no key is parked\n".to_owned(),
        (false, _) => columns(&lines, &[3, 4, 5]),
    })
}

/// All keys of a version that are parked.
async fn all(store: &Store, id: &ProjectionId) -> Result<Vec<ParkedKey>, Refusal> {
    let mut all: Vec<ParkedKey> = Vec::new();
    loop {
        let after = all.last().map(|last| last.key.clone());
        let page = store.parked(id, after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

fn object(id: &ProjectionId, key: &ParkedKey) -> Result<String, Refusal> {
    let object = serde_json::to_string(&Parked {
        projection: id.to_string(),
        key: &key.key,
        position: key.position,
        since: key.since,
        waiting: key.waiting,
        attempts: key.attempts,
        requested: key.requested,
        reason: &key.reason,
    });
    let object = object.map_err(|error| Refusal::Failed(error.to_string()))?;
    Ok(format!("{object}\n"))
}

fn line(id: &ProjectionId, key: &ParkedKey, now: &Now) -> Vec<String> {
    let tried = match key.attempts {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    vec![
        id.to_string(),
        key.key.clone(),
        ago(key.since, now.time),
        number(key.position.get()),
        counted(key.waiting, "event", "events"),
        tried,
        key.reason.clone(),
    ]
}

/// Has keys tried again, and waits until an instance has.
pub(super) async fn retry(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let before = meant(store, &id, asked).await?;
    let key = asked.key.clone();
    store
        .change(&id, &Change::RetryParked { key }, &by(asked))
        .await?;
    let after = tried(store, &id, asked).await?;
    let healed = before.len().saturating_sub(after.len());
    let mut text = match healed {
        0 => format!("no key of {id} is up to date again\n"),
        1 => format!("1 key of {id} is up to date again\n"),
        keys => format!("{keys} keys of {id} are up to date again\n"),
    };
    if after.is_empty() {
        return Ok(text);
    }
    text.push_str("still parked:\n");
    for key in &after {
        writeln!(text, "  {}: {}", key.key, key.reason).ok();
    }
    failed(text.trim_end())
}

/// Gives up what waits for a key.
pub(super) async fn drop_key(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let waiting: u64 = meant(store, &id, asked)
        .await?
        .iter()
        .map(|key| key.waiting)
        .sum();
    let key = asked.key.clone().unwrap_or_default();
    let waiting = counted(waiting, "event", "events");
    let what = format!("{waiting} that `{key}` of `{id}` waits for will never be in its row");
    confirm(asked.yes, &what, &key)?;
    let dropped = Change::DropParked {
        key: key.clone(),
        reason: reason(asked),
    };
    store.change(&id, &dropped, &by(asked)).await?;
    Ok(format!(
        "{waiting} of `{key}` are given up; {id} goes on with it from the next one\n"
    ))
}

/// The keys that are meant, at least one.
async fn meant(store: &Store, id: &ProjectionId, asked: &Asked) -> Result<Vec<ParkedKey>, Refusal> {
    let mut keys = all(store, id).await?;
    keys.retain(|parked| asked.key.as_ref().is_none_or(|key| *key == parked.key));
    match (keys.is_empty(), &asked.key) {
        (true, Some(key)) => failed(format!("`{key}` of `{id}` is not parked")),
        (true, None) => failed(format!("no key of `{id}` is parked")),
        (false, _) => Ok(keys),
    }
}

/// Waits until an instance has tried them, and answers those that are left.
async fn tried(store: &Store, id: &ProjectionId, asked: &Asked) -> Result<Vec<ParkedKey>, Refusal> {
    let wait = asked.wait.unwrap_or(WAIT);
    let deadline = Instant::now() + wait;
    loop {
        let mut left = all(store, id).await?;
        left.retain(|parked| asked.key.as_ref().is_none_or(|key| *key == parked.key));
        if !left.iter().any(|key| key.requested) {
            return Ok(left);
        }
        if Instant::now() >= deadline {
            let Some(state) = store.projection(id).await? else {
                return failed(format!("`{id}` is gone"));
            };
            let busy = "the instances that run it have not come to it".to_owned();
            let why = nobody_runs(&state, &Now::of(store).await?).unwrap_or(busy);
            let waited = span(wait);
            return failed(format!(
                "nothing was tried within {waited}: {why}. It stays asked for"
            ));
        }
        sleep(POLL).await;
    }
}
