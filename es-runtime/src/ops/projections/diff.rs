//! Has a version compared with the live one, and shows the result.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::args::Asked;
use super::change::by;
use super::facts::{kind, owners, standstill};
use super::{Answer, Now, Refusal, failed, find};
use crate::ops::words::{ago, between, counted, number, span};
use crate::store::{
    Change, Comparison, EventStore, ProjectionId, ProjectionKind, ProjectionState, Store,
};

/// How long somebody waits for an instance unless something is said.
pub(super) const WAIT: Duration = Duration::from_mins(1);
/// How often the store is asked whether it is done.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// Who was not seen for so long does not run.
const QUIET: Duration = Duration::from_mins(1);

pub(super) async fn diff(store: &Store, asked: &Asked) -> Result<Answer, Refusal> {
    let found = find::find(store, asked.name.as_ref()).await?;
    let id = found.id;
    if id.kind == ProjectionKind::Stream {
        return failed(format!(
            "`{id}` is a {}: its versions say different things, and are never compared",
            kind(&id).1
        ));
    }
    let state = found.lineage.versions.get(&id.version);
    let before = state.and_then(|state| state.comparison.clone());
    let compared = match asked.recorded {
        true => before,
        false => Some(compare(store, &id, before, asked).await?),
    };
    let Some(compared) = compared else {
        return failed(format!(
            "`{id}` was never compared, or was begun anew since: leave out --recorded"
        ));
    };
    let now = Now::of(store).await?;
    let text = match asked.json {
        true => {
            let json = serde_json::to_string(&compared);
            let json = json.map_err(|error| Refusal::Failed(error.to_string()))?;
            format!("{json}\n")
        }
        false => told(&id, &compared, &now),
    };
    let code = match compared.differing {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    };
    Ok(Answer { text, code })
}

/// Asks for a comparison and waits until an instance has recorded it.
async fn compare(
    store: &Store,
    id: &ProjectionId,
    before: Option<Comparison>,
    asked: &Asked,
) -> Result<Comparison, Refusal> {
    let wait = asked.wait.unwrap_or(WAIT);
    let deadline = Instant::now() + wait;
    store
        .change(id, &Change::WantComparison, &by(asked))
        .await?;
    loop {
        let Some(state) = store.projection(id).await? else {
            return failed(format!("`{id}` is gone"));
        };
        let new = state
            .comparison
            .as_ref()
            .filter(|_| !state.comparison_wanted);
        if let Some(found) = new.filter(|new| before.as_ref() != Some(new)) {
            return Ok(found.clone());
        }
        if Instant::now() >= deadline {
            let why = why_not(&state, &Now::of(store).await?);
            let waited = span(wait);
            return failed(format!(
                "no comparison came within {waited}: {why}. It stays asked for"
            ));
        }
        sleep(POLL).await;
    }
}

/// What a person can do about a comparison that does not come.
fn why_not(state: &ProjectionState, now: &Now) -> String {
    if let Some(why) = standstill(state) {
        return format!("the version stands still: {}", why.reason);
    }
    if let Some(nobody) = nobody_runs(state, now) {
        return nobody;
    }
    if let Some(why) = &state.not_compared {
        return format!(
            "an instance tried {}: {}",
            ago(why.at, now.time),
            why.reason
        );
    }
    "an instance compares only where its builder says how (`Builder::compare`), and when both \
     versions keep up"
        .to_owned()
}

/// Says so if no instance runs the version's code.
pub(super) fn nobody_runs(state: &ProjectionState, now: &Now) -> Option<String> {
    if !owners(state).is_empty() {
        return None;
    }
    match &state.run {
        Some(seen) if between(seen.at, now.time) < QUIET => None,
        Some(seen) => Some(format!(
            "no instance that runs its code was seen since {}: start one",
            ago(seen.at, now.time)
        )),
        None => Some("no instance that runs its code was ever seen: start one".to_owned()),
    }
}

/// A comparison for people.
pub(super) fn told(id: &ProjectionId, found: &Comparison, now: &Now) -> String {
    let with = ProjectionId {
        version: found.with,
        ..id.clone()
    };
    let mut text = format!(
        "{id} compared with {with} at position {}, {} by {}\n  {}: ",
        number(found.position.get()),
        ago(found.at, now.time),
        found.by,
        counted(found.keys, "key", "keys"),
    );
    if found.differing == 0 && found.expected == 0 {
        text.push_str("all the same\n");
        return text;
    }
    writeln!(
        text,
        "{} as declared, {} that should not",
        counted(found.expected, "differs", "differ"),
        counted(found.differing, "differs", "differ"),
    )
    .ok();
    for difference in &found.sample {
        let row = |row: &Option<String>| row.clone().unwrap_or("no row".to_owned());
        writeln!(text, "  {}", difference.key).ok();
        writeln!(text, "    {with}  {}", row(&difference.old)).ok();
        writeln!(text, "    {id}  {}", row(&difference.new)).ok();
    }
    let shown = u64::try_from(found.sample.len()).unwrap_or(u64::MAX);
    if found.differing > shown {
        writeln!(text, "  and {} more", number(found.differing - shown)).ok();
    }
    text
}
