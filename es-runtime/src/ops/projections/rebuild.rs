//! Begins a version anew, and shows how it goes.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::args::Asked;
use super::change::{by, reason};
use super::diff::nobody_runs;
use super::facts::standstill;
use super::find::find;
use super::{Now, Refusal, failed};
use crate::ops::confirm::confirm;
use crate::ops::words::{counted, span};
use crate::store::{Change, EventStore, Phase, ProjectionId, Store};

/// How often the store is asked how far it is.
const POLL: Duration = Duration::from_millis(100);

pub(super) async fn rebuild(store: &Store, asked: &Asked) -> Result<String, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let what = format!("`{id}` is emptied, and nobody can read it until it is built again");
    confirm(asked.yes, &what, &id.to_string())?;
    let reason = reason(asked);
    let begin = Change::Rebuild { reason };
    store.change(&id, &begin, &by(asked)).await?;
    if asked.wait == Some(Duration::ZERO) {
        return Ok(format!("{id} is being built\n"));
    }
    let bar = bar();
    let began = Instant::now();
    let built = follow(store, &id, asked.wait, &bar).await;
    bar.finish_and_clear();
    let (phase, events) = built?;
    let (events, time) = (counted(events, "event", "events"), span(began.elapsed()));
    Ok(format!("{id} is {phase}: built from {events} in {time}\n"))
}

/// Waits until it is complete, and answers what it is then, and of how many events.
async fn follow(
    store: &Store,
    id: &ProjectionId,
    wait: Option<Duration>,
    bar: &ProgressBar,
) -> Result<(Phase, u64), Refusal> {
    let deadline = wait.map(|wait| Instant::now() + wait);
    loop {
        let Some(state) = store.projection(id).await? else {
            return failed(format!("`{id}` is gone"));
        };
        let now = Now::of(store).await?;
        bar.set_length(now.head.get());
        bar.set_position(state.cursor.get());
        if state.phase != Phase::Building {
            return Ok((state.phase, state.cursor.get()));
        }
        let stopped = standstill(&state).map(|why| format!("it stands still: {}", why.reason));
        if let Some(why) = stopped.or_else(|| nobody_runs(&state, &now)) {
            return failed(format!(
                "`{id}` has begun anew, and is at position {}; {why}",
                state.cursor
            ));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return failed(format!(
                "`{id}` is at position {} of {}, and goes on by itself: `projections show {id}` \
                 tells how far it is",
                state.cursor, now.head
            ));
        }
        sleep(POLL).await;
    }
}

/// Shows progress where somebody watches.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{bar:40} {human_pos} of {human_len} events, {per_sec:.0}, {eta} left";
    let style = ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}
