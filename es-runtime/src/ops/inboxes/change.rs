//! Has keys tried again, and gives events up.

use super::args::Asked;
use super::find::{name, one};
use super::keys::all_set_aside;
use super::{Refusal, failed};
use crate::ops::command::by;
use crate::ops::confirm::confirm;
use crate::ops::words::counted;
use crate::store::{EventStore, InboxQuestion, Store};

pub(super) async fn retry(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = one(store, asked).await?;
    let inbox = name(&id);
    let keys = store.retry_inbox(&id, asked.key.as_deref()).await?;
    if keys == 0 {
        return match &asked.key {
            Some(key) => failed(format!("`{key}` is not set aside in {inbox}")),
            None => Ok(format!("no key is set aside in {inbox}\n")),
        };
    }
    let owners = store.inbox_state(&id).await?.parts;
    let when = match owners.iter().any(|part| part.owner.is_some()) {
        true => "tried again now",
        false => "tried again as soon as the consumer runs",
    };
    let keys = counted(keys, "key is", "keys are");
    Ok(format!(
        "{keys} {when}; `inbox set-aside {inbox}` shows what still fails\n"
    ))
}

pub(super) async fn give_up(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = one(store, asked).await?;
    let (inbox, position) = (name(&id), asked.position.unwrap_or_default());
    // It is not asked about what is not there.
    if all_set_aside(store, &id).await?.is_empty() {
        return failed(format!("nothing waits in {inbox}"));
    }
    let what = format!("The event at position {position} will have no effects in {inbox}");
    confirm(asked.yes, &what, &inbox)?;
    let (reason, by) = (
        asked.reason.clone().unwrap_or_default(),
        by(asked.by.as_ref()),
    );
    match store.give_up_inbox(&id, position, &reason, &by).await? {
        true => Ok(format!(
            "the event at position {position} is given up: `inbox dead-letters {inbox}` keeps it\n"
        )),
        false => failed(format!("no event waits at position {position} in {inbox}")),
    }
}

pub(super) async fn mended(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = one(store, asked).await?;
    let (inbox, subject) = (name(&id), asked.subject.clone().unwrap_or_default());
    let what = format!("What was handled ahead of `{subject}` will not be compared in {inbox}");
    confirm(asked.yes, &what, &inbox)?;
    let mended = InboxQuestion::Mended {
        subject: subject.clone(),
    };
    match store.ask_inbox(&id, &mended).await? > 0 {
        true => Ok(format!(
            "`{subject}` counts as mended: start the consumer again\n"
        )),
        false => failed(format!(
            "nothing was handled ahead of `{subject}` in {inbox}"
        )),
    }
}
