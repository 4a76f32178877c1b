//! Shows every version.

use std::fmt::Write;

use super::args::Asked;
use super::facts::{Build, Facts, compared, kind, lag, owners, standstill};
use super::{Now, Refusal, find};
use crate::ops::words::{ago, columns, counted, number};
use crate::store::{EventStore, Phase, ProjectionId, ProjectionState, Sighting, Store};

const TITLES: [&str; 10] = [
    "PROJECTION",
    "KIND",
    "PHASE",
    "SINCE",
    "CURSOR",
    "LAG",
    "RUN BY",
    "READ BY",
    "COMPARED",
    "PARKED",
];

pub(super) async fn list(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let mut all = store.projections().await?;
    if asked.name.is_some() {
        let found = find::find(store, asked.name.as_ref()).await?;
        let meant: Vec<_> = found.ids().collect();
        all.retain(|(id, _)| meant.contains(id));
    }
    let now = Now::of(store).await?;
    match asked.json {
        true => json(&all, &now),
        false => Ok(text(&all, &now)),
    }
}

fn json(all: &[(ProjectionId, ProjectionState)], now: &Now) -> Result<String, Refusal> {
    let mut text = String::new();
    for (id, state) in all {
        let facts = serde_json::to_string(&Facts::of(id, state, now));
        let facts = facts.map_err(|error| Refusal::Failed(error.to_string()))?;
        text.push_str(&facts);
        text.push('\n');
    }
    Ok(text)
}

fn text(all: &[(ProjectionId, ProjectionState)], now: &Now) -> String {
    let mut text = format!("the log is at position {}\n", number(now.head.get()));
    if all.is_empty() {
        text.push_str("no instance has ever run a projection on it\n");
        return text;
    }
    let mut lines = vec![TITLES.map(str::to_owned).to_vec()];
    lines.extend(all.iter().map(|(id, state)| line(id, state, now)));
    text.push('\n');
    text.push_str(&columns(&lines, &[4, 5]));
    let notes: String = all
        .iter()
        .map(|(id, state)| notes(id, state, now))
        .collect();
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes);
    }
    text
}

fn line(id: &ProjectionId, state: &ProjectionState, now: &Now) -> Vec<String> {
    let (cursor, lag) = match state.phase {
        Phase::Retired => ("-".to_owned(), "-".to_owned()),
        _ => (number(state.cursor.get()), number(lag(state, now))),
    };
    vec![
        id.to_string(),
        kind(id).1.to_owned(),
        state.phase.to_string(),
        ago(state.since, now.time),
        cursor,
        lag,
        runs(state, now),
        seen(&state.read, now),
        compared(state),
        match state.parked {
            0 => "-".to_owned(),
            keys => counted(keys, "key", "keys"),
        },
    ]
}

fn seen(who: &Option<Sighting>, now: &Now) -> String {
    let seen = who.as_ref();
    seen.map_or("-".to_owned(), |seen| {
        format!("{}, {}", seen.who, ago(seen.at, now.time))
    })
}

/// Who works on it; where nobody does, who ran its code last.
pub(in crate::ops) fn runs(state: &ProjectionState, now: &Now) -> String {
    match owners(state).as_slice() {
        [] => seen(&state.run, now),
        [one] => (*one).to_owned(),
        [one, others @ ..] => format!("{one} and {} more", others.len()),
    }
}

/// What a person must know beside the table.
fn notes(id: &ProjectionId, state: &ProjectionState, now: &Now) -> String {
    let mut text = String::new();
    if let Some(build) = Build::of(state, now) {
        writeln!(text, "{id} is being built: {}", build.text()).ok();
    }
    if let Some(why) = standstill(state) {
        let since = ago(why.at, now.time);
        writeln!(text, "{id} stands still, since {since}: {}", why.reason).ok();
    }
    if let Some(why) = &state.not_compared {
        let tried = ago(why.at, now.time);
        writeln!(
            text,
            "{id} could not be compared, tried {tried}: {}",
            why.reason
        )
        .ok();
    }
    text
}
