//! Callers that give up: a dropped future leaves all of its effect or none.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use fastrand::Rng;
use tokio::task::yield_now;

use super::{Check, append, law, log, rows, stream};
use crate::error::Result;
use crate::event::Position;
use crate::store::{Advanced, Append, Appended, EventStore, Outcome, Value};

const CALLS: u64 = 60;

/// Drops the call after some polls, unless it is done before: as often after none to three of them,
/// where a store does one thing after the other at once, as after many.
pub(super) async fn give_up(call: impl Future, random: &mut Rng) {
    let mut call = pin!(call);
    let most = if random.bool() {
        4
    } else {
        1 << random.u32(..12)
    };
    for _ in 0..random.u32(..most) {
        if poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await {
            return;
        }
        yield_now().await;
    }
}

/// Calls until the append is in the log, and answers what it did there.
async fn settle<S: EventStore>(store: &S, mut append: Append) -> Result<Outcome> {
    loop {
        match store.append(append.clone()).await? {
            Appended::New(outcome) | Appended::Already(outcome) => return Ok(outcome),
            Appended::Conflict { found } => append.expected = found,
        }
    }
}

pub(super) async fn appends_are_whole<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "a dropped append leaves all of its events or none";
    const EVENTS: usize = 3;
    let (a, mut random) = (stream("a")?, Rng::with_seed(seed));
    for n in 0..CALLS {
        let call = append(&a, n * EVENTS as u64, &n.to_string(), EVENTS);
        give_up(store.append(call.clone()), &mut random).await;
        // The same command again finds out.
        let outcome = settle(&store, call.clone()).await?;
        let events = log(&store, Position::new(n * EVENTS as u64), 10).await?;
        let own = events
            .iter()
            .filter(|event| event.command_id == Some(call.command_id));
        let own = own.count();
        law!(
            LAW,
            outcome.count as usize == EVENTS && own == EVENTS && events.len() == EVENTS,
            "call {n} is {outcome:?}, with {own} of {EVENTS} events"
        );
    }
    Ok(())
}

pub(super) async fn rows_and_cursor_are_whole<S: EventStore>(store: S, seed: u64) -> Check {
    const LAW: &str = "a dropped move leaves cursor and rows or neither";
    let (table, mut random) = (rows::table(1), Rng::with_seed(seed));
    store.prepare_table(&table).await?;
    for n in 0..CALLS {
        let (key, amount) = (n.to_string(), i64::try_from(n).unwrap_or_default());
        let advance = rows::advance(&table, n, n + 1);
        let row = |by: i64| vec![rows::change(&key, Some(rows::bare(amount * 2 + by)))];
        let dropped = store.advance_rows(advance.clone(), &table, row(0).into());
        give_up(dropped, &mut random).await;
        // The same move again finds out.
        let by = match store.advance_rows(advance, &table, row(1).into()).await? {
            Advanced::Moved => 1,
            Advanced::Fenced => 0,
        };
        let kept = store.read_rows(&table, vec![key.clone()]).await?;
        let kept = kept.first().map(|(_, row)| row[0].clone());
        law!(
            LAW,
            kept == Some(Value::Integer(amount * 2 + by)),
            "move {n} was made by call {by} and left {kept:?}"
        );
    }
    Ok(())
}
