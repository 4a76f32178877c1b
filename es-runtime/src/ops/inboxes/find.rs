//! Which inboxes a name means.

use super::args::Asked;
use super::{Refusal, failed};
use crate::store::{EventStore, InboxId, Store};

/// As it is named: `letters/accounts@1`.
pub(super) fn name(id: &InboxId) -> String {
    format!("{}/{}", id.consumer, id.stream)
}

/// All that are meant; all there are, if none is named.
pub(super) async fn all(store: &Store, asked: &Asked) -> Result<Vec<InboxId>, Refusal> {
    let mut all = store.inboxes().await?;
    let Some(wanted) = &asked.name else {
        return Ok(all);
    };
    let known: Vec<_> = all.iter().map(name).collect();
    all.retain(|id| id.consumer == *wanted || name(id) == *wanted);
    if all.is_empty() {
        return failed(match known.is_empty() {
            true => "no consumer has an inbox in this database".to_owned(),
            false => format!(
                "there is no inbox `{wanted}`: there are {}",
                known.join(", ")
            ),
        });
    }
    Ok(all)
}

/// The one that is meant.
pub(super) async fn one(store: &Store, asked: &Asked) -> Result<InboxId, Refusal> {
    let mut all = all(store, asked).await?;
    match all.len() {
        1 => Ok(all.remove(0)),
        _ => {
            let names: Vec<_> = all.iter().map(name).collect();
            failed(format!("say which of them: {}", names.join(", ")))
        }
    }
}
