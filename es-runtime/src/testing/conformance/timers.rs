//! Timers of processes: set and cancelled with the cursor, in the order in which they fire.

use std::time::Duration;

use super::rows::advance;
use super::{Check, Subject, law};
use crate::event::{CommandId, Position, Timestamp};
use crate::store::{
    Advanced, EventStore, NewReaction, NewTimer, ProcessPage, ProjectionId, Timer, TimerChange,
    TimerPlace,
};

const LAW: &str = "timers move with the cursor, and fire in order";
const PROCESS: &str = "transfer";

/// A timer that is due so many microseconds after 2026 began.
fn timer(key: &str, name: &str, due: i64, set: &str) -> TimerChange {
    TimerChange::Set(NewTimer {
        place: TimerPlace {
            due: Timestamp::from_micros(1_767_225_600_000_000 + due),
            key: key.to_owned(),
            name: name.to_owned(),
        },
        command_id: CommandId::of(set),
        payload: format!(r#"{{"set":"{set}","text":"it's \"ü\" \\"}}"#),
    })
}

fn cancel(key: &str, name: &str) -> TimerChange {
    TimerChange::Cancel {
        key: key.to_owned(),
        name: name.to_owned(),
    }
}

fn page(timers: impl IntoIterator<Item = TimerChange>) -> ProcessPage {
    let mut page = ProcessPage::default();
    page.timers.extend(timers);
    page
}

fn names(timers: &[Timer]) -> Vec<String> {
    let name = |timer: &Timer| format!("{}/{}", timer.place.key, timer.place.name);
    timers.iter().map(name).collect()
}

pub(super) async fn they_move_with_the_cursor<S: Subject>(subject: &S) -> Check {
    let store = subject.fresh().await;
    let id = ProjectionId::process(PROCESS);
    let state = store.prepare_process(PROCESS).await?;
    let known = store.projection(&id).await?;
    law!(LAW, known == Some(state), "a process is known: {known:?}");
    let mut first = page([
        timer("b", "late", 9, "1"),
        timer("a", "x", 5, "2"),
        timer("b", "x", 5, "3"),
        timer("a", "soon", 1, "4"),
        timer("é", "gone", 2, "5"),
        cancel("é", "gone"),
        cancel("a", "never set"),
    ]);
    first.tasks.push(NewReaction {
        key: "a".to_owned(),
        position: Position::new(1),
        part: 0,
        number: 0,
        family: PROCESS,
        payload: "{}".to_owned(),
    });
    let moved = store
        .advance_process(advance(id.clone(), 0, 1), first.clone())
        .await?;
    law!(LAW, moved == Advanced::Moved, "the first page: {moved:?}");
    let tasks = store.reaction_queues("process:transfer", None, 9).await?;
    law!(LAW, tasks.len() == 1, "what is to be done: {tasks:?}");
    let late = page([cancel("a", "soon"), timer("a", "x", 0, "6")]);
    let fenced = store
        .advance_process(advance(id.clone(), 0, 1), late)
        .await?;
    law!(LAW, fenced == Advanced::Fenced, "who is late: {fenced:?}");

    let store = subject.reopen(store).await;
    let all = store.timers(PROCESS, None, 9).await?;
    let order = ["a/soon", "a/x", "b/x", "b/late"];
    law!(LAW, names(&all) == order, "in the order {:?}", names(&all));
    let TimerChange::Set(set) = timer("a", "soon", 1, "4") else {
        return Ok(());
    };
    let same = |kept: &Timer| {
        kept.place == set.place
            && kept.command_id == set.command_id
            && kept.payload == set.payload
            && kept.attempts == 0
            && kept.failure.is_none()
    };
    law!(LAW, same(&all[0]), "kept otherwise than set: {:?}", all[0]);
    for (at, expected) in order.iter().enumerate().skip(1) {
        let after = Some(&all[at - 1].place);
        let next = store.timers(PROCESS, after, 1).await?;
        law!(
            LAW,
            names(&next) == [*expected],
            "after the first {at}: {next:?}"
        );
    }
    let others = store.timers("another", None, 9).await?;
    law!(LAW, others.is_empty(), "of another process: {others:?}");

    // Set anew since it was read: neither a firing nor a failure is about it any more.
    let (soon, x) = (all[0].clone(), all[1].clone());
    let anew = page([timer("a", "soon", 7, "7")]);
    store
        .advance_process(advance(id.clone(), 1, 2), anew)
        .await?;
    store
        .note_timer_failure(PROCESS, &soon, "it's broken")
        .await?;
    store.note_timer_failure(PROCESS, &x, "it's broken").await?;
    store.note_timer_failure(PROCESS, &x, "still").await?;
    store
        .finish_timers(PROCESS, &[soon, all[2].clone()])
        .await?;
    let left = store.timers(PROCESS, None, 9).await?;
    law!(
        LAW,
        names(&left) == ["a/x", "a/soon", "b/late"],
        "left: {:?}",
        names(&left)
    );
    let told = left[0].failure.as_ref().map(|failure| &*failure.reason);
    law!(
        LAW,
        (left[0].attempts, told) == (2, Some("still")),
        "its failures: {:?}",
        left[0]
    );
    law!(
        LAW,
        left[1].attempts == 0,
        "a new one has not failed: {:?}",
        left[1]
    );
    let again = page([timer("a", "x", 5, "8")]);
    store
        .advance_process(advance(id.clone(), 2, 3), again)
        .await?;
    let x = store.timers(PROCESS, None, 1).await?;
    law!(
        LAW,
        x[0].attempts == 0 && x[0].failure.is_none(),
        "set anew: {:?}",
        x[0]
    );
    is_live(&store, &id).await
}

/// A process has one version, which is live as soon as it is complete, and nothing else of a life.
async fn is_live<S: EventStore>(store: &S, id: &ProjectionId) -> Check {
    use crate::store::{Change, Phase};
    const HOUR: Duration = Duration::from_hours(1);
    let lineage = store.change(id, &Change::Complete, "test").await?;
    law!(LAW, lineage.live() == Some(1), "complete: {lineage:?}");
    let refused = store
        .change(id, &Change::Deprecate { sunset: None }, "test")
        .await;
    let is_refused = refused.as_ref().is_err_and(crate::Error::is_refused);
    law!(LAW, is_refused, "a process was deprecated: {refused:?}");
    let reason = || "test".to_owned();
    let rebuild = Change::Rebuild { reason: reason() };
    let lineage = store.change(id, &rebuild, "test").await?;
    let state = lineage.versions.get(&1);
    let (cursor, epoch) = state.map_or_else(Default::default, |s| (s.cursor, s.epoch));
    law!(LAW, cursor == Position::START, "begun anew: {lineage:?}");
    let left = store.timers(PROCESS, None, 9).await?;
    law!(
        LAW,
        left.is_empty(),
        "timers are set anew from the log: {left:?}"
    );
    let again = advance(id.clone(), 0, 1).knowing(epoch);
    let moved = store
        .advance_process(again, page([timer("a", "x", 5, "9")]))
        .await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the first page again: {moved:?}"
    );
    let forced = Some(reason());
    let retire = Change::Retire {
        quiet: HOUR,
        forced,
    };
    let lineage = store.change(id, &retire, "test").await?;
    let phase = lineage.versions.get(&1).map(|state| state.phase);
    law!(LAW, phase == Some(Phase::Retired), "retired: {lineage:?}");
    store.remove_rows(id).await?;
    let left = store.timers(PROCESS, None, 9).await?;
    law!(
        LAW,
        left.is_empty(),
        "timers of a retired process: {left:?}"
    );
    Ok(())
}
