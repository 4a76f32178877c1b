//! Shows all that is known of a version, and its life.

use std::fmt::Write;

use super::args::Asked;
use super::diff::told;
use super::facts::{AllFacts, Build, Entry, Facts, Reacts, Slice, kind, lag};
use super::{Now, Refusal, find};
use crate::ops::words::{ago, columns, counted, moment, number};
use crate::store::{
    EventStore, Handover, LifeEntry, Noted, Phase, ProjectionId, ProjectionState, Sighting, Store,
};

pub(super) async fn show(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find::find(store, asked.name.as_ref()).await?;
    let life = store.life(&found.id).await?;
    let now = Now::of(store).await?;
    let mut texts = Vec::new();
    for id in found.ids() {
        let Some(state) = found.lineage.versions.get(&id.version) else {
            continue;
        };
        let life: Vec<_> = life.iter().filter(|e| e.projection == id).collect();
        let handovers = &found.lineage.handovers;
        texts.push(match asked.json {
            true => json(&id, state, handovers, &life, &now)?,
            false => text(&id, state, handovers, &life, &now),
        });
    }
    Ok(texts.join(if asked.json { "" } else { "\n" }))
}

fn json(
    id: &ProjectionId,
    state: &ProjectionState,
    handovers: &[Handover],
    life: &[&LifeEntry],
    now: &Now,
) -> Result<String, Refusal> {
    let all = AllFacts {
        facts: Facts::of(id, state, now),
        slices: state.slices.iter().map(Slice::of).collect(),
        hold: state.hold.as_ref(),
        reacts: Reacts::of(id.version, handovers),
        life: life.iter().copied().map(Entry::of).collect(),
    };
    let all = serde_json::to_string(&all);
    let all = all.map_err(|error| Refusal::Failed(error.to_string()))?;
    Ok(format!("{all}\n"))
}

fn text(
    id: &ProjectionId,
    state: &ProjectionState,
    handovers: &[Handover],
    life: &[&LifeEntry],
    now: &Now,
) -> String {
    let since = format!("{} ({})", moment(state.since), ago(state.since, now.time));
    let mut lines = vec![
        pair(&id.to_string(), kind(id).1),
        pair("phase", &format!("{} since {since}", state.phase)),
    ];
    if state.phase != Phase::Retired {
        let (cursor, head) = (number(state.cursor.get()), number(now.head.get()));
        let lag = match lag(state, now) {
            0 => String::new(),
            lag => format!(", {} behind", counted(lag, "event", "events")),
        };
        lines.push(pair("cursor", &format!("{cursor} of {head}{lag}")));
    }
    if let Some(build) = Build::of(state, now) {
        lines.push(pair("build", &build.text()));
    }
    lines.push(pair("run by", &seen(&state.run, now)));
    lines.push(pair("read by", &seen(&state.read, now)));
    if let Some(why) = &state.paused {
        lines.push(pair("paused", &noted(why, now)));
    }
    if let Some(hold) = &state.hold {
        let until = moment(hold.until);
        let hold = format!("at {} until {until}, to be compared", number(hold.at.get()));
        lines.push(pair("held", &hold));
    }
    for slice in &state.slices {
        let (from, until) = (slice.slices.start, slice.slices.end);
        let owner = slice.owner.as_deref().unwrap_or("nobody");
        let at = number(slice.cursor.get());
        let part = format!("slices {from} to {until} at {at}, worked on by {owner}");
        lines.push(pair("part", &part));
        if let Some(why) = &slice.failure {
            lines.push(pair("", &format!("stands still: {}", noted(why, now))));
        }
    }
    if state.parked > 0 {
        let keys = counted(state.parked, "key", "keys");
        lines.push(pair(
            "parked",
            &format!("{keys}: `projections parked {id}`"),
        ));
    }
    for stretch in Reacts::of(id.version, handovers) {
        let after = number(stretch.after.get());
        let text = match stretch.until {
            Some(until) => format!("to the events after {after}, up to {}", number(until.get())),
            None => format!("to the events after {after}"),
        };
        lines.push(pair("reacts", &text));
    }
    let mut text = columns(&lines, &[]);
    if let Some(found) = &state.comparison {
        write!(text, "\n{}", told(id, found, now)).ok();
    }
    if let Some(why) = &state.not_compared {
        writeln!(text, "\nit could not be compared: {}", noted(why, now)).ok();
    } else if state.comparison_wanted {
        text.push_str("\na comparison was asked for, and is not there yet\n");
    }
    text + &life_of(life)
}

/// What happened in its life, if anything did.
pub(in crate::ops) fn life_of(life: &[&LifeEntry]) -> String {
    if life.is_empty() {
        return String::new();
    }
    let entries: Vec<_> = life.iter().map(|entry| line(entry)).collect();
    format!("\nits life\n{}", columns(&entries, &[3]))
}

pub(in crate::ops) fn pair(what: &str, is: &str) -> Vec<String> {
    vec![what.to_owned(), is.to_owned()]
}

pub(in crate::ops) fn seen(sighting: &Option<Sighting>, now: &Now) -> String {
    match sighting {
        Some(seen) => format!("{}, seen {}", seen.who, ago(seen.at, now.time)),
        None => "nobody".to_owned(),
    }
}

fn noted(why: &Noted, now: &Now) -> String {
    format!("{} ({})", why.reason, ago(why.at, now.time))
}

fn line(entry: &LifeEntry) -> Vec<String> {
    let reason = entry.reason.as_deref();
    vec![
        format!("  {}", moment(entry.at)),
        entry.what.clone(),
        format!("is {}", entry.phase),
        format!("at {}", number(entry.cursor.get())),
        format!("by {}", entry.by),
        reason.map_or_else(String::new, |why| format!("“{why}”")),
    ]
}
