//! The cursors of relays, in memory.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::event::{Clock, Position, SystemClock};
use crate::runtime::without;
use crate::store::{Advanced, Noted, RelayClaim, RelayId, RelayMove, RelayState};

#[derive(Debug, Default)]
pub(super) struct Relays(BTreeMap<RelayId, Kept>);

#[derive(Debug)]
struct Kept {
    state: RelayState,
    until: Instant,
}

impl Kept {
    /// As it is at this moment: a lease ends by itself.
    fn state(&self) -> RelayState {
        let lasts = self.until > Instant::now();
        RelayState {
            owner: self.state.owner.clone().filter(|_| lasts),
            ..self.state.clone()
        }
    }
}

impl Relays {
    pub(super) fn claim(&mut self, claim: &RelayClaim) -> RelayState {
        let now = Instant::now();
        let new = || Kept {
            state: RelayState {
                relay: claim.relay.clone(),
                position: Position::START,
                epoch: 0,
                owner: None,
                failure: None,
            },
            until: now,
        };
        let kept = self.0.entry(claim.relay.clone()).or_insert_with(new);
        let own = kept.state.owner.as_ref() == Some(&claim.owner);
        if own || kept.state.owner.is_none() || kept.until <= now {
            kept.state.epoch += u64::from(!own);
            kept.state.owner = Some(claim.owner.clone());
            kept.until = now + claim.lease;
        }
        kept.state()
    }

    pub(super) fn advance(&mut self, step: &RelayMove) -> Advanced {
        let Some(Kept { state, .. }) = self.0.get_mut(&step.relay) else {
            return Advanced::Fenced;
        };
        let stands = (state.epoch, state.position) == (step.epoch, step.from);
        if !stands && !without(RelayMove::FENCE) {
            return Advanced::Fenced;
        }
        state.position = step.to;
        state.failure = None;
        Advanced::Moved
    }

    pub(super) fn note_failure(&mut self, relay: &RelayId, epoch: u64, reason: &str) {
        let kept = self.0.get_mut(relay);
        if let Some(Kept { state, .. }) = kept.filter(|kept| kept.state.epoch == epoch) {
            let (reason, at) = (reason.to_owned(), SystemClock.now());
            state.failure = Some(Noted { reason, at });
        }
    }

    pub(super) fn release(&mut self, owner: &str) {
        let of = |kept: &&mut Kept| kept.state.owner.as_deref() == Some(owner);
        self.0
            .values_mut()
            .filter(of)
            .for_each(|kept| kept.state.owner = None);
    }

    pub(super) fn all(&self) -> Vec<RelayState> {
        self.0.values().map(Kept::state).collect()
    }
}
