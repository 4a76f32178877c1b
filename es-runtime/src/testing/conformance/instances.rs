//! Who runs on a log, and what that means for those who write.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinSet, yield_now};

use super::{Check, Subject, Violation, accepted, append, law, stream};
use crate::error::Result;
use crate::event::Position;
use crate::store::{Append, Appended, EventStore, Instance, Knowledge, NewInstance};

const WRITERS: usize = 6;
const APPENDS: usize = 20;
const LONG: Duration = Duration::from_hours(1);

fn instance(service: &str, timeout: Duration) -> NewInstance {
    let knows = format!(r#"{{"account":{{"account.opened":{}}}}}"#, service.len());
    NewInstance {
        service: service.to_owned(),
        knows: serde_json::from_str::<Knowledge>(&knows).unwrap_or_default(),
        timeout,
    }
}

fn numbers(all: &[Instance]) -> Vec<u64> {
    all.iter().map(|instance| instance.number).collect()
}

fn knowing(append: Append, known: u64) -> Append {
    let known_instances = Some(known);
    Append {
        known_instances,
        ..append
    }
}

pub(super) async fn they_are_known_to_each_other<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "instances know of each other";
    let store = subject.fresh().await;
    let none = store.instances().await?;
    law!(LAW, none.is_empty(), "a fresh log has {none:?}");
    let one = store.register(&instance("one", LONG)).await?;
    let both = store.register(&instance("other", LONG)).await?;
    let [first, second] = &both[..] else {
        let what = format!("two registered: {both:?}");
        return Err(Violation { law: LAW, what });
    };
    let (a, b) = (first.number, second.number);
    law!(LAW, numbers(&one) == [a] && a < b, "{one:?}, then {both:?}");
    for (known, new) in both
        .iter()
        .zip([instance("one", LONG), instance("other", LONG)])
    {
        let same = known.service == new.service && known.knows == new.knows;
        law!(LAW, same && known.alive, "{new:?} is {known:?}");
    }
    let kept = store.keep_alive(a, LONG).await?.unwrap_or_default();
    law!(
        LAW,
        numbers(&kept) == [a, b],
        "{a} is alive beside {kept:?}"
    );

    // Not heard of within its time, it is not alive, and has to come again.
    let late = store.keep_alive(a, Duration::ZERO).await?.is_some();
    let all = store.instances().await?;
    law!(
        LAW,
        late && !all[0].alive && all[1].alive,
        "{a} is late: {all:?}"
    );
    let again = store.keep_alive(a, LONG).await?;
    law!(LAW, again.is_none(), "{a} was late and is among {again:?}");

    let store = subject.reopen(store).await;
    store.deregister(b).await?;
    let left = store.instances().await?;
    law!(LAW, numbers(&left) == [a], "{b} left {left:?}");
    let gone = store.keep_alive(b, LONG).await?;
    law!(LAW, gone.is_none(), "{b} left and is among {gone:?}");
    store.deregister(b).await?;
    let all = store.register(&instance("third", LONG)).await?;
    let third = numbers(&all).last().copied().unwrap_or_default();
    law!(LAW, third > b, "after {b} comes {all:?}");

    // An append is asked for whom it knows when it is written.
    let account = stream("a")?;
    let behind = store.append(knowing(append(&account, 0, "1", 2), b)).await;
    law!(
        LAW,
        behind.as_ref().is_err_and(crate::Error::is_outdated),
        "an append knows {b} and not {third}: {behind:?}"
    );
    let head = store.head().await?;
    law!(
        LAW,
        head == Position::START,
        "it was refused, and {head} is the head"
    );
    accepted(&store, knowing(append(&account, 0, "1", 2), third)).await?;
    accepted(&store, append(&account, 2, "2", 1)).await?;
    store.deregister(third).await?;
    // Who has left wants nothing any more.
    accepted(&store, knowing(append(&account, 3, "3", 1), b)).await?;
    Ok(())
}

/// Writers choose by whom they know, while others come: from the moment on that one was told that it
/// is registered, every append knows it.
pub(super) async fn they_are_known_before_anything_is_written<S: EventStore>(
    store: S,
    seed: u64,
) -> Check {
    const LAW: &str = "nobody writes without knowing who came before";
    let mut random = Rng::with_seed(seed);
    let (mut writers, mut comers) = (JoinSet::new(), JoinSet::new());
    for n in 0..WRITERS {
        writers.spawn(write(store.clone(), n, random.fork()));
    }
    for _ in 0..2 {
        comers.spawn(come(store.clone(), random.fork()));
    }
    let (written, came) = tokio::join!(writers.join_all(), comers.join_all());
    let mut known = Vec::new();
    for part in written {
        known.extend(part?);
    }
    for part in came {
        for (number, head) in part? {
            let behind = |(position, known): &&(Position, u64)| *position > head && *known < number;
            let behind = known.iter().find(behind);
            law!(
                LAW,
                behind.is_none(),
                "{number} was registered when the head was {head}, and then came {behind:?}"
            );
        }
    }
    Ok(())
}

/// Appends, and tells where each append went and whom it knew.
async fn write<S: EventStore>(store: S, n: usize, mut random: Rng) -> Result<Vec<(Position, u64)>> {
    let own = stream(n)?;
    let mut written = Vec::new();
    while written.len() < APPENDS {
        let all = store.instances().await?;
        let known = numbers(&all).last().copied().unwrap_or_default();
        for _ in 0..random.u8(..4) {
            yield_now().await;
        }
        let version = written.len() as u64;
        let append = append(&own, version, &format!("{n}/{version}"), 1);
        match store.append(knowing(append, known)).await {
            Ok(appended) => {
                if let Appended::New(outcome) = appended {
                    written.push((outcome.first, known));
                }
            }
            // Somebody came.
            Err(error) if error.is_outdated() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Registers, and tells the numbers and where the log ended then.
async fn come<S: EventStore>(store: S, mut random: Rng) -> Result<Vec<(u64, Position)>> {
    let mut came = Vec::new();
    for _ in 0..8 {
        let all = store.register(&instance("comer", LONG)).await?;
        let number = numbers(&all).last().copied().unwrap_or_default();
        came.push((number, store.head().await?));
        for _ in 0..random.u8(..16) {
            yield_now().await;
        }
    }
    Ok(came)
}
