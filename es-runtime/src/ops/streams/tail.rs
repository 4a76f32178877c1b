//! Prints the events of a version as they come.

use std::io::{self, Write};

use super::args::Asked;
use super::find::find;
use super::{Answer, Refusal, failed, stream};
use crate::event::Position;
use crate::integration::CloudEvent;
use crate::store::{EventStore, Phase, ProjectionState, Store};

/// Events that are read at once.
const PAGE: usize = 1000;
/// Events that are shown of those that are there, unless something is said.
const LAST: u64 = 10;

pub(super) async fn tail(store: &Store, asked: &Asked) -> Result<Answer, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let stream = stream(&id);
    let head = store.published_head(&stream).await?.position;
    let last = || Position::new(head.get().saturating_sub(LAST));
    let mut after = asked.after.unwrap_or_else(last);
    if after > head {
        return failed(format!(
            "`{id}` ends at position {head}: nothing comes after {after} yet"
        ));
    }
    let mut service = asked.service.clone();
    let mut left = asked.limit.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(state) = store.projection(&id).await? else {
            break;
        };
        if state.phase == Phase::Building {
            return failed(format!(
                "`{id}` is still being built, and nobody is told its events before it is complete"
            ));
        }
        let page = store.read_published(&stream, after, left.min(PAGE)).await?;
        if page.is_empty() {
            if !asked.follow || state.phase == Phase::Retired {
                break;
            }
            store.wait_for_published(&stream, after).await;
            continue;
        }
        let service = match &mut service {
            Some(service) => service,
            unsaid => unsaid.insert(publisher(&state)?),
        };
        let mut lines = Vec::new();
        for event in page {
            (after, left) = (event.position, left - 1);
            let event = CloudEvent::new(service, &stream, event)?;
            serde_json::to_writer(&mut lines, &event)?;
            lines.push(b'\n');
        }
        let mut out = io::stdout().lock();
        // A reader that has gone away has read enough.
        if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(String::new().into())
}

/// Who publishes: it stands in the events' source, and in the name of the instance that did it last.
pub(super) fn publisher(state: &ProjectionState) -> Result<String, Refusal> {
    let unknown = || Refusal::Misused("say --service: nobody knows who publishes it".to_owned());
    let run = state.run.as_ref().ok_or_else(unknown)?;
    let service = run.who.rsplitn(3, '-').nth(2).ok_or_else(unknown)?;
    Ok(service.to_owned())
}
