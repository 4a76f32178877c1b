//! The commands `projections …`: every version's life, seen and changed by people.

mod args;
mod change;
mod diff;
pub(super) mod facts;
pub(super) mod find;
pub(super) mod list;
mod parked;
mod rebuild;
pub(super) mod show;

use std::ffi::OsString;

use self::args::{Asked, HELP, Verb};
use super::command::{Answer, Now, Refusal, failed, on};
use crate::store::Store;

pub(super) fn run(url: Option<String>, args: Vec<OsString>) -> Result<Answer, Refusal> {
    let asked = args::parse(args).map_err(|error| Refusal::Misused(error.to_string()))?;
    if asked.verb == Verb::Help {
        return Ok(HELP.to_owned().into());
    }
    on(asked.store.as_ref(), url, async |store| {
        obey(store, &asked).await
    })
}

async fn obey(store: &Store, asked: &Asked) -> Result<Answer, Refusal> {
    match asked.verb {
        Verb::Help => Ok(HELP.to_owned().into()),
        Verb::List => list::list(store, asked).await.map(Answer::from),
        Verb::Show => show::show(store, asked).await.map(Answer::from),
        Verb::Diff => diff::diff(store, asked).await,
        Verb::Promote => change::promote(store, asked).await.map(Answer::from),
        Verb::RollBack => change::roll_back(store, asked).await.map(Answer::from),
        Verb::Retire => change::retire(store, asked).await.map(Answer::from),
        Verb::Pause => change::pause(store, asked).await.map(Answer::from),
        Verb::Resume => change::resume(store, asked).await.map(Answer::from),
        Verb::Parked => parked::parked(store, asked).await.map(Answer::from),
        Verb::Retry => parked::retry(store, asked).await.map(Answer::from),
        Verb::Drop => parked::drop_key(store, asked).await.map(Answer::from),
        Verb::Rebuild => rebuild::rebuild(store, asked).await.map(Answer::from),
    }
}
