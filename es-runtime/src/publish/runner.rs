//! What a relay does next: a pure state machine. The driver claims, reads, sends and waits for it.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::Position;
use crate::runtime::{backoff, without};
use crate::store::{Advanced, Phase, RelayState};

/// Events that are under way at most, and unconfirmed.
pub(super) const WINDOW: u64 = 512;
/// The first pause between two attempts, and the longest.
const FIRST: Duration = Duration::from_millis(20);
const SLOWEST: Duration = Duration::from_secs(10);
/// How long a relay rests that has nothing to do, since it is another one's turn.
const LOOK: Duration = Duration::from_millis(500);

/// How far one stream version went out over one transport.
#[derive(Debug, Default)]
pub(super) struct Runner {
    epoch: u64,
    /// Where the cursor in the store stands.
    cursor: Position,
    /// The broker has all up to here.
    confirmed: Position,
    /// All up to here was sent.
    sent: Position,
    failures: u32,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Become the relay, and ask where the cursor stands.
    Claim,
    /// Nothing is to be done here for so long; then claim.
    Rest { time: Duration },
    /// Connect, and send what follows.
    Send,
    /// The stream version is retired: there is nothing to do for ever.
    End,
}

impl Runner {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn cursor(&self) -> Position {
        self.cursor
    }

    pub(super) fn sent_to(&self) -> Position {
        self.sent
    }

    pub(super) fn confirmed_to(&self) -> Position {
        self.confirmed
    }

    /// Somebody is the relay, which is `ours` or not.
    pub(super) fn claimed(&mut self, ours: bool, state: &RelayState, phase: Phase) -> Step {
        self.cursor = state.position;
        if phase == Phase::Retired {
            return Step::End;
        }
        if !ours || !phase.is_complete() {
            return Step::Rest { time: LOOK };
        }
        if state.epoch != self.epoch {
            // Others may have sent more since.
            (self.epoch, self.confirmed) = (state.epoch, state.position);
            self.sent = self.confirmed;
        }
        self.confirmed = self.confirmed.max(self.cursor);
        if !without("what is not confirmed is sent again") || self.sent < self.confirmed {
            self.sent = self.confirmed;
        }
        Step::Send
    }

    /// Whether it goes on as it was: nobody else was the relay since.
    pub(super) fn is_still(&self, ours: bool, state: &RelayState, phase: Phase) -> bool {
        ours && phase.is_complete() && state.epoch == self.epoch
    }

    /// The broker itself says what it has: that counts, whether it is more or less.
    pub(super) fn opened(&mut self, has: Option<Position>) {
        if let Some(has) = has {
            (self.confirmed, self.sent) = (has, has);
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.sent.get().saturating_sub(self.confirmed.get())
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight() < WINDOW
    }

    pub(super) fn sent(&mut self, position: Position) {
        self.sent = position;
    }

    pub(super) fn confirmed(&mut self, to: Position) {
        self.confirmed = self.confirmed.max(to.min(self.sent));
        self.failures = 0;
    }

    /// The cursor's next step: where nothing is under way, or enough was confirmed to be worth a
    /// write.
    pub(super) fn to_move(&self) -> Option<(Position, Position)> {
        let to = match without("a relay's cursor follows what is confirmed") {
            true => self.sent,
            false => self.confirmed,
        };
        let worth = to == self.sent || to.get() >= self.cursor.get() + WINDOW;
        (to > self.cursor && worth).then_some((self.cursor, to))
    }

    /// The cursor's last step.
    pub(super) fn rest_to_move(&self) -> Option<(Position, Position)> {
        (self.confirmed > self.cursor).then_some((self.cursor, self.confirmed))
    }

    /// The cursor was moved, or somebody else is the relay. Answers whether it goes on.
    pub(super) fn moved(&mut self, to: Position, advanced: Advanced) -> bool {
        match advanced {
            Advanced::Moved => self.cursor = to,
            // What was confirmed here is not all that there is to know.
            Advanced::Fenced => self.epoch = 0,
        }
        advanced == Advanced::Moved
    }

    /// Something failed: after a pause it claims again.
    ///
    /// # Errors
    /// The same error when trying again cannot help: the relay stops, visibly.
    pub(super) fn failed(&mut self, error: Error) -> Result<Step> {
        if error.is_held() {
            return Ok(Step::Rest { time: LOOK });
        }
        if !error.is_transient() {
            return Err(error);
        }
        let time = backoff(FIRST, self.failures, SLOWEST);
        self.failures = self.failures.saturating_add(1);
        Ok(Step::Rest { time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::store::{RelayId, StreamVersion};

    fn state(epoch: u64, position: u64) -> RelayState {
        RelayState {
            relay: RelayId {
                transport: "rabbitmq".to_owned(),
                stream: StreamVersion {
                    stream: "accounts".to_owned(),
                    version: 1,
                },
            },
            position: Position::new(position),
            epoch,
            owner: None,
            failure: None,
        }
    }

    fn at(position: u64) -> Runner {
        let mut runner = Runner::default();
        let step = runner.claimed(true, &state(1, position), Phase::Live);
        assert_eq!(step, Step::Send);
        runner
    }

    fn places(step: Option<(Position, Position)>) -> Option<(u64, u64)> {
        step.map(|(from, to)| (from.get(), to.get()))
    }

    #[test]
    fn the_cursor_follows_what_is_confirmed() {
        let mut runner = at(4);
        assert_eq!(places(runner.to_move()), None);
        runner.sent(Position::new(9));
        assert_eq!((runner.in_flight(), places(runner.to_move())), (5, None));
        runner.confirmed(Position::new(7));
        // Not worth a write, unless it is the last one.
        assert_eq!(places(runner.to_move()), None);
        assert_eq!(places(runner.rest_to_move()), Some((4, 7)));
        runner.confirmed(Position::new(9));
        assert_eq!(places(runner.to_move()), Some((4, 9)));
        assert!(runner.moved(Position::new(9), Advanced::Moved));
        assert_eq!(places(runner.to_move()), None);
        // Under load it is written now and then.
        runner.sent(Position::new(9 + 2 * WINDOW));
        runner.confirmed(Position::new(9 + WINDOW));
        assert_eq!(places(runner.to_move()), Some((9, 9 + WINDOW)));
        // Nobody confirms what was not sent.
        runner.confirmed(Position::new(u64::MAX >> 2));
        assert_eq!(runner.in_flight(), 0);
    }

    #[test]
    fn no_more_is_under_way_than_fits() {
        let mut runner = at(0);
        runner.sent(Position::new(WINDOW - 1));
        assert!(runner.has_room());
        runner.sent(Position::new(WINDOW));
        assert!(!runner.has_room());
        runner.confirmed(Position::new(1));
        assert!(runner.has_room());
    }

    #[test]
    fn it_goes_on_with_the_first_that_is_not_confirmed() {
        let mut runner = at(4);
        runner.sent(Position::new(9));
        runner.confirmed(Position::new(6));
        let lost = Error::broker("sending", "the connection is lost");
        assert!(matches!(runner.failed(lost), Ok(Step::Rest { .. })));
        // Nobody else was the relay: what it knows counts.
        let step = runner.claimed(true, &state(1, 4), Phase::Live);
        assert_eq!((step, runner.sent_to().get()), (Step::Send, 6));
        // Somebody else was: the cursor counts.
        runner.sent(Position::new(9));
        runner.claimed(true, &state(3, 5), Phase::Live);
        assert_eq!((runner.sent_to().get(), runner.in_flight()), (5, 0));
        assert!(runner.is_still(true, &state(3, 5), Phase::Deprecated));
        assert!(!runner.is_still(true, &state(4, 5), Phase::Live));
        assert!(!runner.is_still(false, &state(3, 5), Phase::Live));
        assert!(!runner.is_still(true, &state(3, 5), Phase::Retired));
    }

    #[test]
    fn a_broker_that_knows_what_it_has_is_believed() {
        let mut runner = at(4);
        runner.opened(None);
        assert_eq!(runner.sent_to().get(), 4);
        // It took more than it could confirm.
        runner.opened(Some(Position::new(6)));
        assert_eq!(runner.sent_to().get(), 6);
        assert_eq!(places(runner.to_move()), Some((4, 6)));
        // It lost what it had confirmed: that is sent again, and the cursor stays until then.
        runner.opened(Some(Position::new(2)));
        assert_eq!(
            (runner.sent_to().get(), places(runner.to_move())),
            (2, None)
        );
        runner.sent(Position::new(5));
        runner.confirmed(Position::new(5));
        assert_eq!(places(runner.to_move()), Some((4, 5)));
    }

    #[test]
    fn whoever_is_fenced_believes_the_store() {
        let mut runner = at(4);
        runner.sent(Position::new(9));
        runner.confirmed(Position::new(9));
        assert!(!runner.moved(Position::new(9), Advanced::Fenced));
        runner.claimed(true, &state(1, 4), Phase::Live);
        assert_eq!(runner.sent_to().get(), 4);
    }

    #[test]
    fn it_rests_where_it_has_nothing_to_do() {
        let mut runner = Runner::default();
        let rest = Step::Rest { time: LOOK };
        assert_eq!(runner.claimed(false, &state(1, 3), Phase::Live), rest);
        // Others see how far it went.
        assert_eq!(runner.cursor().get(), 3);
        assert_eq!(runner.claimed(true, &state(1, 3), Phase::Building), rest);
        let end = runner.claimed(true, &state(1, 3), Phase::Retired);
        assert_eq!(end, Step::End);
    }

    #[test]
    fn a_broker_is_given_time_and_a_broken_stream_is_not() {
        let mut runner = at(0);
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let Ok(Step::Rest { time }) = runner.failed(Error::broker("connecting", "away")) else {
                panic!("a lost broker is no reason to stop");
            };
            assert!(time >= last && time <= SLOWEST);
            last = time;
        }
        assert_eq!(last, SLOWEST);
        let held = runner.failed(Error::held("accounts.v1"));
        assert_eq!(held.unwrap(), Step::Rest { time: LOOK });
        // What was taken counts as a success.
        runner.sent(Position::new(1));
        runner.confirmed(Position::new(1));
        let Ok(Step::Rest { time }) = runner.failed(Error::broker("connecting", "away")) else {
            panic!("a lost broker is no reason to stop");
        };
        assert!(time < LOOK);
        let broken = Error::new(Kind::BrokenOrder {
            after: Position::new(1),
            found: Position::new(3),
        });
        assert_eq!(runner.failed(broken).unwrap_err().code(), "ES0113");
    }
}
