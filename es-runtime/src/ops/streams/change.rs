//! Changes a life: deprecate, reinstate, retire.

use std::time::Duration;

use super::args::Asked;
use super::facts::Stream;
use super::find::find;
use super::{Now, Refusal};
use crate::error::Result as Checked;
use crate::ops::command::by;
use crate::ops::confirm::confirm;
use crate::ops::words::date;
use crate::store::life::{self, Occasion};
use crate::store::{Change, EventStore, Lineage, Phase, Store};

pub(super) async fn deprecate(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let sunset = asked.sunset;
    let deprecate = Change::Deprecate { sunset };
    store
        .change(&id, &deprecate, &by(asked.by.as_ref()))
        .await?;
    let told = match sunset {
        Some(sunset) => format!(", and that it may be gone from {} on", date(sunset)),
        None => String::new(),
    };
    Ok(format!(
        "{id} is deprecated: its readers are told to move to another version{told}\n"
    ))
}

pub(super) async fn reinstate(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let by = by(asked.by.as_ref());
    store.change(&id, &Change::Reinstate, &by).await?;
    Ok(format!(
        "{id} is live again: its readers are told to move no more, unless the code says so\n"
    ))
}

/// Whether the rules allow a version to end, as it is now.
pub(super) fn may_retire(
    lineage: &Lineage,
    stream: &Stream<'_>,
    quiet: Duration,
    now: &Now,
) -> Checked<()> {
    let retire = Change::Retire {
        quiet,
        forced: None,
    };
    let consumers = stream.consumers.iter().map(|c| c.known.clone()).collect();
    let at = Occasion {
        consumers,
        ..Occasion::new(now.time, now.head)
    };
    life::change(stream.id, &mut lineage.clone(), &retire, &at).map(drop)
}

pub(super) async fn retire(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let found = find(store, asked.name.as_ref()).await?;
    let (id, now) = (&found.id, Now::of(store).await?);
    let state = found.lineage.versions.get(&id.version);
    if let Some(state) = state.filter(|state| state.phase != Phase::Retired) {
        if !asked.force {
            let stream = Stream::of(store, id, state).await?;
            may_retire(&found.lineage, &stream, asked.unread, &now)?;
        }
        if asked.check {
            return Ok(format!("{id} may be retired: nobody reads it\n"));
        }
        let what = format!("`{id}` ends: nobody will be told its events any more");
        confirm(asked.yes, &what, &id.to_string())?;
    }
    let retire = Change::Retire {
        quiet: asked.unread,
        forced: asked.reason.clone(),
    };
    store.change(id, &retire, &by(asked.by.as_ref())).await?;
    Ok(format!(
        "{id} is retired: whoever asks for it is told that it is gone\n"
    ))
}
