//! The cursors of relays.

use std::time::Duration;

use super::{Check, Subject, law};
use crate::event::Position;
use crate::store::{
    Advanced, EventStore, RelayClaim, RelayId, RelayMove, RelayState, StreamVersion,
};

const LAW: &str = "one relay at a time moves its cursor";
const LONG: Duration = Duration::from_hours(1);

fn relay(transport: &str, version: u32) -> RelayId {
    RelayId {
        transport: transport.to_owned(),
        stream: StreamVersion {
            stream: "accounts".to_owned(),
            version,
        },
    }
}

fn claim(relay: &RelayId, owner: &str, lease: Duration) -> RelayClaim {
    RelayClaim {
        relay: relay.clone(),
        owner: owner.to_owned(),
        lease,
    }
}

fn step(held: &RelayState, from: u64, to: u64) -> RelayMove {
    RelayMove {
        relay: held.relay.clone(),
        epoch: held.epoch,
        from: Position::new(from),
        to: Position::new(to),
    }
}

pub(super) async fn one_moves_its_cursor<S: Subject>(subject: &S) -> Check {
    let store = subject.fresh().await;
    let none = store.relays().await?;
    law!(LAW, none.is_empty(), "a fresh log has the relays {none:?}");
    let (mine, other) = (relay("rabbitmq", 1), relay("rabbitmq", 2));
    let early = RelayState {
        relay: mine.clone(),
        position: Position::START,
        epoch: 1,
        owner: None,
        failure: None,
    };
    let moved = store.advance_relay(&step(&early, 0, 1)).await?;
    law!(
        LAW,
        moved == Advanced::Fenced,
        "nobody is the relay: {moved:?}"
    );

    let a = store.claim_relay(&claim(&mine, "a", LONG)).await?;
    let fresh = (a.position, a.owner.as_deref(), &a.failure);
    law!(
        LAW,
        fresh == (Position::START, Some("a"), &None),
        "`a` claimed it: {a:?}"
    );
    let moved = store.advance_relay(&step(&a, 0, 5)).await?;
    law!(
        LAW,
        moved == Advanced::Moved,
        "the first move was {moved:?}"
    );
    let stale = store.advance_relay(&step(&a, 0, 3)).await?;
    law!(
        LAW,
        stale == Advanced::Fenced,
        "a move from where it is not was {stale:?}"
    );
    // While it is somebody's, it is nobody else's; the same one keeps it under the same epoch.
    let b = store.claim_relay(&claim(&mine, "b", LONG)).await?;
    law!(
        LAW,
        b.owner.as_deref() == Some("a"),
        "`a` has it, and `b` claimed: {b:?}"
    );
    let again = store
        .claim_relay(&claim(&mine, "a", Duration::ZERO))
        .await?;
    let same = (again.epoch, again.position) == (a.epoch, Position::new(5));
    law!(LAW, same, "`a` claimed it again: {a:?}, then {again:?}");

    // Its lease ended: whoever comes is another one, and the one before moves nothing any more.
    let b = store.claim_relay(&claim(&mine, "b", LONG)).await?;
    let taken = b.owner.as_deref() == Some("b") && b.epoch > a.epoch;
    law!(
        LAW,
        taken && b.position == Position::new(5),
        "`b` took over from {a:?}: {b:?}"
    );
    let late = store.advance_relay(&step(&a, 5, 9)).await?;
    law!(
        LAW,
        late == Advanced::Fenced,
        "`a` woke up late, and its move was {late:?}"
    );
    store
        .note_relay_failure(&mine, a.epoch, "of the past")
        .await?;
    store
        .note_relay_failure(&mine, b.epoch, "the broker is away")
        .await?;
    store.claim_relay(&claim(&other, "b", LONG)).await?;

    let store = subject.reopen(store).await;
    let all = store.relays().await?;
    let names: Vec<_> = all.iter().map(|state| &state.relay).collect();
    law!(LAW, names == [&mine, &other], "there are {all:?}");
    let why = all[0]
        .failure
        .as_ref()
        .map(|failure| failure.reason.as_str());
    law!(
        LAW,
        why == Some("the broker is away"),
        "`b` noted why: {all:?}"
    );
    let stands = (all[0].position, all[0].epoch, all[0].owner.as_deref());
    law!(
        LAW,
        stands == (Position::new(5), b.epoch, Some("b")),
        "after a restart: {all:?}"
    );
    let moved = store.advance_relay(&step(&b, 5, 7)).await?;
    law!(LAW, moved == Advanced::Moved, "`b` goes on: {moved:?}");
    let all = store.relays().await?;
    law!(LAW, all[0].failure.is_none(), "it went on: {all:?}");

    // Given back, it is anybody's at once.
    store.release("b").await?;
    let c = store.claim_relay(&claim(&mine, "c", LONG)).await?;
    let taken = (c.owner.as_deref(), c.position) == (Some("c"), Position::new(7));
    law!(LAW, taken && c.epoch > b.epoch, "`c` came after `b`: {c:?}");
    let other = store.claim_relay(&claim(&other, "c", LONG)).await?;
    law!(
        LAW,
        other.owner.as_deref() == Some("c"),
        "`b` gave back all: {other:?}"
    );
    Ok(())
}
