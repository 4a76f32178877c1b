//! Changes a life: promote, roll back, retire, pause, resume.

use super::args::Asked;
use super::find::{Found, find};
use super::{Refusal, failed};
use crate::ops::command;
use crate::ops::confirm::confirm;
use crate::store::{Change, EventStore, Lineage, Phase, ProjectionKind, Store};

/// Who asks.
pub(super) fn by(asked: &Asked) -> String {
    command::by(asked.by.as_ref())
}

/// Why it is done, of a command that needs a reason.
pub(super) fn reason(asked: &Asked) -> String {
    asked.reason.clone().unwrap_or_default()
}

pub(super) async fn promote(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find(store, asked.name.as_ref()).await?;
    let was = found.lineage.live();
    let promote = Change::Promote {
        fresh: asked.fresh,
        forced: asked.reason.clone(),
    };
    let lineage = store.change(&found.id, &promote, &by(asked)).await?;
    let id = &found.id;
    Ok(match was {
        Some(was) if was == id.version => format!("{id} is live already\n"),
        Some(was) => format!(
            "{id} is live; {} is {} and goes on beside it\n",
            found.of(was),
            phase(&lineage, was)
        ),
        None => format!("{id} is live\n"),
    })
}

pub(super) async fn roll_back(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find(store, asked.name.as_ref()).await?;
    let live = found.version.or(found.lineage.live());
    let Some(live) = live else {
        return failed(format!(
            "no version of `{}` is live: there is nothing to roll back",
            found.id.name
        ));
    };
    let reason = reason(asked);
    let back = Change::RollBack { reason };
    let lineage = store.change(&found.of(live), &back, &by(asked)).await?;
    let now = lineage.live().map(|version| found.of(version).to_string());
    Ok(format!(
        "{} is live again; {} is {} and waits beside it\n",
        now.unwrap_or_default(),
        found.of(live),
        phase(&lineage, live)
    ))
}

fn phase(lineage: &Lineage, version: u32) -> String {
    let state = lineage.versions.get(&version);
    state.map_or_else(String::new, |state| state.phase.to_string())
}

pub(super) async fn retire(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let Found { id, lineage, .. } = find(store, asked.name.as_ref()).await?;
    let retired = lineage.versions.get(&id.version);
    let retired = retired.is_some_and(|state| state.phase == Phase::Retired);
    let what = match id.kind {
        ProjectionKind::ReadModel => "its rows will be gone, and its number is never used again",
        ProjectionKind::Stream => "nobody will be told its events any more",
        ProjectionKind::Process => "it sends no commands any more, and its timers never fire",
    };
    if !retired {
        confirm(asked.yes, &format!("`{id}` ends: {what}"), &id.to_string())?;
    }
    let retire = Change::Retire {
        quiet: asked.unseen,
        forced: asked.reason.clone(),
    };
    store.change(&id, &retire, &by(asked)).await?;
    if id.kind == ProjectionKind::Stream {
        return Ok(format!("{id} is retired\n"));
    }
    match store.remove_rows(&id).await {
        Ok(()) => Ok(format!("{id} is retired, and its rows are gone\n")),
        Err(error) => failed(format!(
            "`{id}` is retired, but its rows are still there; say the same again to drop them: \
             {error}"
        )),
    }
}

pub(super) async fn pause(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find(store, asked.name.as_ref()).await?;
    let reason = reason(asked);
    let pause = Change::Pause { reason };
    store.change(&found.id, &pause, &by(asked)).await?;
    Ok(format!("{} stands still until it is resumed\n", found.id))
}

pub(super) async fn resume(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find(store, asked.name.as_ref()).await?;
    store.change(&found.id, &Change::Resume, &by(asked)).await?;
    Ok(format!("{} goes on\n", found.id))
}
