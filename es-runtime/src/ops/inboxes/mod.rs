//! The commands `inbox …`: how far the consumers in a database have come, what waits, and whether it is
//! what their publishers have.

mod args;
mod change;
mod find;
mod keys;
mod list;
mod verify;

use std::ffi::OsString;

use self::args::{Asked, HELP, Verb};
use super::command::{Answer, Refusal, failed, on};
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
        Verb::SetAside => keys::set_aside(store, asked).await.map(Answer::from),
        Verb::Waiting => keys::waiting(store, asked).await.map(Answer::from),
        Verb::DeadLetters => keys::dead_letters(store, asked).await.map(Answer::from),
        Verb::Retry => change::retry(store, asked).await.map(Answer::from),
        Verb::GiveUp => change::give_up(store, asked).await.map(Answer::from),
        Verb::Mended => change::mended(store, asked).await.map(Answer::from),
        Verb::Verify => verify::verify(store, asked).await,
    }
}
