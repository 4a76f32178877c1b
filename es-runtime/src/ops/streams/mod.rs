//! The commands `streams …`: what is published, who reads it, and how a version ends.

mod args;
mod change;
mod consumers;
mod facts;
mod list;
mod redeliver;
mod show;
mod tail;
mod verify;

use std::ffi::OsString;

use self::args::{Asked, HELP, Verb};
use super::command::{Answer, Now, Refusal, failed, on};
use super::projections::find;
use crate::store::{ProjectionId, Store, StreamVersion};

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
        Verb::Tail => tail::tail(store, asked).await,
        Verb::Consumers => consumers::consumers(store, asked).await.map(Answer::from),
        Verb::Verify => verify::verify(store, asked).await,
        Verb::Redeliver => redeliver::redeliver(store, asked).await,
        Verb::Deprecate => change::deprecate(store, asked).await.map(Answer::from),
        Verb::Reinstate => change::reinstate(store, asked).await.map(Answer::from),
        Verb::Retire => change::retire(store, asked).await.map(Answer::from),
    }
}

/// The stream version that an id is of.
fn stream(id: &ProjectionId) -> StreamVersion {
    StreamVersion {
        stream: id.name.clone(),
        version: id.version,
    }
}
