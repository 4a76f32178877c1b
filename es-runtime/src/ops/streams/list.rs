//! Shows every version.

use std::fmt::Write;
use std::time::Duration;

use super::args::Asked;
use super::facts::{Behind, Facts, Stream};
use super::{Now, Refusal, find};
use crate::ops::projections::facts::{Build, lag, standstill};
use crate::ops::projections::list::runs;
use crate::ops::words::{ago, between, columns, date, number};
use crate::store::{EventStore, Phase, ProjectionKind, Store};

const TITLES: [&str; 9] = [
    "STREAM",
    "PHASE",
    "SINCE",
    "EVENTS",
    "LAG",
    "CONSUMERS",
    "BEHIND",
    "SUNSET",
    "RUN BY",
];

/// Who was not seen for so long does not read any more.
const GONE: Duration = Duration::from_hours(24);

pub(super) async fn list(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let mut all = store.projections().await?;
    all.retain(|(id, _)| id.kind == ProjectionKind::Stream);
    if asked.name.is_some() {
        let found = find::find(store, asked.name.as_ref()).await?;
        let meant: Vec<_> = found.ids().collect();
        all.retain(|(id, _)| meant.contains(id));
    }
    let now = Now::of(store).await?;
    let mut streams = Vec::new();
    for (id, state) in &all {
        streams.push(Stream::of(store, id, state).await?);
    }
    if !asked.json {
        return Ok(text(&streams, &now));
    }
    let mut text = String::new();
    for stream in &streams {
        text += &serde_json::to_string(&Facts::of(stream, &now))?;
        text.push('\n');
    }
    Ok(text)
}

fn text(streams: &[Stream<'_>], now: &Now) -> String {
    let mut text = format!("the log is at position {}\n", number(now.head.get()));
    if streams.is_empty() {
        text.push_str("no instance has ever published a stream from it\n");
        return text;
    }
    let mut lines = vec![TITLES.map(str::to_owned).to_vec()];
    lines.extend(streams.iter().map(|stream| line(stream, now)));
    text.push('\n');
    text.push_str(&columns(&lines, &[3, 4, 5, 6]));
    let notes: String = streams.iter().map(|stream| notes(stream, now)).collect();
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes);
    }
    text
}

fn line(stream: &Stream<'_>, now: &Now) -> Vec<String> {
    let Stream {
        id,
        state,
        head,
        consumers,
    } = stream;
    let reads = |consumer: &&Behind| between(consumer.known.last_seen, now.time) <= GONE;
    let reads: Vec<_> = consumers.iter().filter(reads).collect();
    let slowest = reads.iter().map(|consumer| consumer.events()).max();
    let none = || "-".to_owned();
    vec![
        id.to_string(),
        state.phase.to_string(),
        ago(state.since, now.time),
        number(head.position.get()),
        match state.phase {
            Phase::Retired => none(),
            _ => number(lag(state, now)),
        },
        number(reads.len() as u64),
        slowest.map_or_else(none, number),
        state.sunset.map_or_else(none, date),
        runs(state, now),
    ]
}

/// What a person must know beside the table.
fn notes(stream: &Stream<'_>, now: &Now) -> String {
    let Stream { id, state, .. } = stream;
    let mut text = String::new();
    if let Some(build) = Build::of(state, now) {
        writeln!(text, "{id} is being built: {}", build.text()).ok();
    }
    if let Some(why) = standstill(state) {
        let since = ago(why.at, now.time);
        writeln!(text, "{id} stands still, since {since}: {}", why.reason).ok();
    }
    text
}
