//! Shows all that is known of a version.

use std::fmt::Write;

use serde::Serialize;

use super::args::Asked;
use super::change::may_retire;
use super::consumers::table;
use super::facts::{Facts, Reads, Stream};
use super::{Now, Refusal, find};
use crate::integration::StreamHash;
use crate::ops::projections::facts::{Build, Entry, lag};
use crate::ops::projections::list::runs;
use crate::ops::projections::show::{life_of, pair, seen};
use crate::ops::words::{ago, columns, counted, date, moment, number};
use crate::store::{EventStore, LifeEntry, Phase, Store};

pub(super) async fn show(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find::find(store, asked.name.as_ref()).await?;
    let life = store.life(&found.id).await?;
    let now = Now::of(store).await?;
    let mut texts = Vec::new();
    for id in found.ids() {
        let Some(state) = found.lineage.versions.get(&id.version) else {
            continue;
        };
        let stream = Stream::of(store, &id, state).await?;
        let may_retire = may_retire(&found.lineage, &stream, asked.unread, &now);
        let why_not = may_retire.err().map(|error| error.to_string());
        let life: Vec<_> = life.iter().filter(|e| e.projection == id).collect();
        texts.push(match asked.json {
            true => json(&stream, why_not, &life, &now)?,
            false => text(&stream, why_not, &life, &now),
        });
    }
    Ok(texts.join(if asked.json { "" } else { "\n" }))
}

/// All that is known of a version, as JSON has it.
#[derive(Serialize)]
struct AllFacts<'a> {
    #[serde(flatten)]
    facts: Facts<'a>,
    readers: Vec<Reads<'a>>,
    may_retire: bool,
    why_not: Option<String>,
    life: Vec<Entry<'a>>,
}

fn json(
    stream: &Stream<'_>,
    why_not: Option<String>,
    life: &[&LifeEntry],
    now: &Now,
) -> Result<String, Refusal> {
    let all = AllFacts {
        facts: Facts::of(stream, now),
        readers: stream.consumers.iter().map(|c| Reads::of(c, now)).collect(),
        may_retire: why_not.is_none(),
        why_not,
        life: life.iter().copied().map(Entry::of).collect(),
    };
    Ok(format!("{}\n", serde_json::to_string(&all)?))
}

fn text(stream: &Stream<'_>, why_not: Option<String>, life: &[&LifeEntry], now: &Now) -> String {
    let Stream {
        id,
        state,
        head,
        consumers,
    } = stream;
    let since = format!("{} ({})", moment(state.since), ago(state.since, now.time));
    let mut lines = vec![
        pair(&id.to_string(), "stream"),
        pair("phase", &format!("{} since {since}", state.phase)),
    ];
    if let Some(sunset) = state.sunset {
        lines.push(pair(
            "sunset",
            &format!("may be gone from {} on", date(sunset)),
        ));
    }
    lines.push(pair("events", &number(head.position.get())));
    lines.push(pair("hash", &StreamHash::from_bytes(head.hash).to_string()));
    if state.phase != Phase::Retired {
        let (cursor, log) = (number(state.cursor.get()), number(now.head.get()));
        let lag = match lag(state, now) {
            0 => String::new(),
            lag => format!(", {} behind", counted(lag, "event", "events")),
        };
        lines.push(pair(
            "cursor",
            &format!("{cursor} of {log} in the log{lag}"),
        ));
        lines.push(pair("run by", &runs(state, now)));
    }
    if let Some(build) = Build::of(state, now) {
        lines.push(pair("build", &build.text()));
    }
    for (what, why) in [("paused", &state.paused)].into_iter().chain(
        state
            .slices
            .iter()
            .map(|slice| ("stands still", &slice.failure)),
    ) {
        if let Some(why) = why {
            let since = ago(why.at, now.time);
            lines.push(pair(what, &format!("{} ({since})", why.reason)));
        }
    }
    lines.push(pair(
        "read by",
        &match consumers.len() {
            0 => "nobody who gave a name".to_owned(),
            some => counted(some as u64, "consumer", "consumers"),
        },
    ));
    if state.read.is_some() {
        lines.push(pair(
            "nameless",
            &format!("readers, as {}", seen(&state.read, now)),
        ));
    }
    if state.phase != Phase::Retired {
        let may = why_not.unwrap_or_else(|| "yes: nobody reads it".to_owned());
        lines.push(pair("retire?", &may));
    }
    let mut text = columns(&lines, &[]);
    if !consumers.is_empty() {
        write!(
            text,
            "\nits consumers\n{}",
            indented(&table(consumers, now))
        )
        .ok();
    }
    text + &life_of(life)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
