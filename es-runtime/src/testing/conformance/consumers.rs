//! Who reads the integration streams, and that no stream ends under its readers.

use std::time::Duration;

use tokio::task::yield_now;

use super::{Check, Subject, law};
use crate::event::Position;
use crate::store::{
    Change, ConsumerState, EventStore, Phase, ProjectionId, Reading, StreamVersion,
};

fn accounts(version: u32) -> StreamVersion {
    let stream = "accounts".to_owned();
    StreamVersion { stream, version }
}

fn reading(consumer: &str, version: u32, position: u64) -> Reading {
    Reading {
        consumer: consumer.to_owned(),
        stream: accounts(version),
        position: Position::new(position),
        hash: None,
        via: "feed".to_owned(),
    }
}

fn readings(known: &[ConsumerState]) -> Vec<Reading> {
    known.iter().map(|known| known.reading.clone()).collect()
}

pub(super) async fn they_are_known_by_what_they_read<S: Subject>(subject: &S) -> Check {
    const LAW: &str = "a consumer is known by what it read last";
    let store = subject.fresh().await;
    let (mail, stats) = (reading("mail", 1, 7), reading("stats", 1, 0));
    let newer = Reading {
        hash: Some([9; 32]),
        ..reading("mail", 2, 1)
    };
    // In no order, and one of them twice.
    let noted = [&newer, &stats, &reading("mail", 1, 3), &mail].map(Clone::clone);
    store.note_consumers(&noted).await?;
    store.note_consumers(&[]).await?;
    let known = store.consumers(None).await?;
    let expected = [mail.clone(), stats.clone(), newer.clone()];
    law!(LAW, readings(&known) == expected, "{known:?} are known");
    let began: Vec<_> = known.iter().map(|known| known.first_seen).collect();
    // The clock goes on before it is heard of again: it has begun anew, another way.
    let again = Reading {
        via: "a queue".to_owned(),
        ..reading("mail", 1, 2)
    };
    loop {
        store.note_consumers(std::slice::from_ref(&again)).await?;
        let known = store.consumers(Some(&accounts(1))).await?;
        if known.first().is_some_and(|mail| mail.last_seen > began[0]) {
            break;
        }
        yield_now().await;
    }
    let store = subject.reopen(store).await;
    let known = store.consumers(Some(&accounts(1))).await?;
    law!(
        LAW,
        readings(&known) == [again, stats],
        "after a restart {known:?} are known"
    );
    let first: Vec<_> = known.iter().map(|known| known.first_seen).collect();
    law!(
        LAW,
        first == began[..2],
        "{known:?} were known since {began:?}"
    );
    law!(
        LAW,
        known[1].last_seen == began[1],
        "{:?} was not heard of again",
        known[1]
    );
    let none = store.consumers(Some(&accounts(3))).await?;
    law!(
        LAW,
        none.is_empty(),
        "of another version {none:?} are known"
    );
    Ok(())
}

pub(super) async fn no_stream_ends_under_them<S: EventStore>(store: S) -> Check {
    const LAW: &str = "no stream ends under its readers";
    let id = |version| ProjectionId::from(&accounts(version));
    let retire = |quiet| Change::Retire {
        quiet,
        forced: None,
    };
    let day = Duration::from_hours(24);
    for version in 1..=2 {
        store.prepare_stream(&accounts(version)).await?;
        store
            .change(&id(version), &Change::Complete, "suite")
            .await?;
    }
    store.note_consumers(&[reading("mail", 1, 7)]).await?;
    let refused = store.change(&id(1), &retire(day), "suite").await;
    let named = refused.as_ref().err().map(ToString::to_string);
    let named = named.unwrap_or_default();
    law!(
        LAW,
        named.contains("`mail`") && named.contains("position 7"),
        "the answer to a retirement under `mail` at position 7 was {refused:?}"
    );
    store.note_seen("feed", &[], &[id(2)]).await?;
    let refused = store.change(&id(2), &retire(day), "suite").await;
    law!(
        LAW,
        refused.is_err(),
        "a nameless reader was not heeded: {refused:?}"
    );
    // Silent for no time at all is everybody.
    let retired = store
        .change(&id(1), &retire(Duration::ZERO), "suite")
        .await?;
    let phase = retired.versions[&1].phase;
    law!(
        LAW,
        phase == Phase::Retired,
        "with all silent it is {phase:?}"
    );
    Ok(())
}
