//! Shows all that is known of a version.

use std::fmt::Write;

use serde::Serialize;

use super::args::Asked;
use super::change::may_retire;
use super::consumers::table;
use super::facts::{Facts, Reads, Stream};
use super::{Now, Refusal, find, stream as stream_of};
use crate::event::Position;
use crate::integration::StreamHash;
use crate::ops::projections::facts::{Build, Entry, lag};
use crate::ops::projections::list::runs;
use crate::ops::projections::show::{life_of, pair, seen};
use crate::ops::words::{ago, columns, counted, date, moment, number};
use crate::store::{EventStore, LifeEntry, Noted, Phase, RelayState, Store};

pub(super) async fn show(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find::find(store, asked.name.as_ref()).await?;
    let life = store.life(&found.id).await?;
    let relays = store.relays().await?;
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
        let own = stream_of(&id);
        let relays: Vec<_> = relays.iter().filter(|r| r.relay.stream == own).collect();
        texts.push(match asked.json {
            true => json(&stream, &relays, why_not, &life, &now)?,
            false => text(&stream, &relays, why_not, &life, &now),
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
    relays: Vec<Relayed<'a>>,
    may_retire: bool,
    why_not: Option<String>,
    life: Vec<Entry<'a>>,
}

/// How far a version went out over a transport.
#[derive(Serialize)]
struct Relayed<'a> {
    transport: &'a str,
    position: Position,
    lag: u64,
    owner: Option<&'a str>,
    failure: Option<&'a Noted>,
}

impl<'a> Relayed<'a> {
    fn of(relay: &'a RelayState, head: Position) -> Self {
        Self {
            transport: &relay.relay.transport,
            position: relay.position,
            lag: head.get().saturating_sub(relay.position.get()),
            owner: relay.owner.as_deref(),
            failure: relay.failure.as_ref(),
        }
    }

    fn text(&self, now: &Now) -> String {
        let behind = match self.lag {
            0 => "all".to_owned(),
            lag => format!(
                "{}, {} behind",
                number(self.position.get()),
                counted(lag, "event", "events")
            ),
        };
        let by = self
            .owner
            .map_or_else(|| "by nobody now".to_owned(), |owner| format!("by {owner}"));
        let failure = self
            .failure
            .map(|of| format!(": {} ({})", of.reason, ago(of.at, now.time)));
        format!(
            "{behind} over {}, {by}{}",
            self.transport,
            failure.unwrap_or_default()
        )
    }
}

fn json(
    stream: &Stream<'_>,
    relays: &[&RelayState],
    why_not: Option<String>,
    life: &[&LifeEntry],
    now: &Now,
) -> Result<String, Refusal> {
    let all = AllFacts {
        facts: Facts::of(stream, now),
        readers: stream.consumers.iter().map(|c| Reads::of(c, now)).collect(),
        relays: relays
            .iter()
            .map(|relay| Relayed::of(relay, stream.head.position))
            .collect(),
        may_retire: why_not.is_none(),
        why_not,
        life: life.iter().copied().map(Entry::of).collect(),
    };
    Ok(format!("{}\n", serde_json::to_string(&all)?))
}

fn text(
    stream: &Stream<'_>,
    relays: &[&RelayState],
    why_not: Option<String>,
    life: &[&LifeEntry],
    now: &Now,
) -> String {
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
    for relay in relays {
        lines.push(pair("sent", &Relayed::of(relay, head.position).text(now)));
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
