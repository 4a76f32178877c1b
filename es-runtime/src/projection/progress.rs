//! How fast a version is built and how long it takes: pure, from positions and times.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::event::Position;

/// How far the building of a version has come.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The last position of the log that it reflects.
    pub position: Position,
    /// The end of the log.
    pub head: Position,
    /// Events a second, lately.
    pub rate_per_second: f64,
    /// How long it takes until it is complete, if it goes on as it did lately. Nothing while nobody
    /// can tell, and where the log grows as fast as it is worked through.
    pub left: Option<Duration>,
}

/// `41 %, 410000 of 1000000 events, 120000 a second, 5 s left`.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (position, head) = (self.position.get(), self.head.get());
        // Complete is what is complete, and not what rounds to it.
        let percent = (position.saturating_mul(100)).checked_div(head);
        let (percent, rate) = (percent.unwrap_or(100), self.rate_per_second);
        write!(
            f,
            "{percent} %, {position} of {head} events, {rate:.0} a second"
        )?;
        match self.left.map(|left| left.as_secs()) {
            None => Ok(()),
            Some(0) => write!(f, ", less than a second left"),
            Some(seconds @ ..100) => write!(f, ", {seconds} s left"),
            Some(seconds @ ..6_000) => write!(f, ", {} min left", seconds / 60),
            Some(seconds) => write!(f, ", {} h {} min left", seconds / 3600, seconds / 60 % 60),
        }
    }
}

/// What is looked back on.
const WINDOW: Duration = Duration::from_secs(10);
/// The least time between two looks that are kept.
const STEP: Duration = Duration::from_millis(200);

/// Estimates from what was seen in the last seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Estimator {
    seen: VecDeque<Look>,
}

/// Where cursor and head stood at a moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    position: Position,
    head: Position,
}

impl Estimator {
    /// Notes where the cursor and the log's end stand at the moment `at`, since any fixed one, and
    /// tells how it goes.
    pub(crate) fn note(&mut self, at: Duration, position: Position, head: Position) -> Progress {
        let head = head.max(position);
        if self
            .seen
            .back()
            .is_some_and(|last| position < last.position || at < last.at)
        {
            // Begun again, or another instance told: what was before says nothing.
            self.seen.clear();
        }
        let look = Look { at, position, head };
        // The last look is the present one; those before it stand apart.
        let before = self.seen.len().checked_sub(2).map(|n| self.seen[n].at);
        if before.is_some_and(|before| at < before + STEP) {
            self.seen.pop_back();
        }
        self.seen.push_back(look);
        // One that is older than the window stays, so that it is covered.
        while self
            .seen
            .get(1)
            .is_some_and(|second| second.at + WINDOW <= at)
        {
            self.seen.pop_front();
        }
        self.progress(look)
    }

    fn progress(&self, now: Look) -> Progress {
        let first = self.seen.front().copied().unwrap_or(now);
        let seconds = (now.at - first.at).as_secs_f64();
        let per_second = |from: Position, to: Position| match seconds {
            0.0 => 0.0,
            seconds => to.get().saturating_sub(from.get()) as f64 / seconds,
        };
        let rate = per_second(first.position, now.position);
        let behind = now.head.get() - now.position.get();
        let closing = rate - per_second(first.head, now.head);
        let left = match behind {
            0 => Some(Duration::ZERO),
            _ if closing <= 0.0 => None,
            behind => Duration::try_from_secs_f64(behind as f64 / closing).ok(),
        };
        Progress {
            position: now.position,
            head: now.head,
            rate_per_second: rate,
            left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn note(estimator: &mut Estimator, at: u64, position: u64, head: u64) -> Progress {
        estimator.note(millis(at), Position::new(position), Position::new(head))
    }

    #[test]
    fn the_first_look_tells_no_time() {
        let first = note(&mut Estimator::default(), 7, 0, 1000);
        assert_eq!((first.rate_per_second, first.left), (0.0, None));
        assert_eq!(first.to_string(), "0 %, 0 of 1000 events, 0 a second");
    }

    #[test]
    fn rate_and_time_left_follow_the_last_seconds() {
        let mut estimator = Estimator::default();
        let mut at = 0;
        let mut position = 0;
        // 100 events each 10 ms, then half of it, for longer than the window.
        for _ in 0..100 {
            (at, position) = (at + 10, position + 100);
            note(&mut estimator, at, position, 1_000_000);
        }
        let fast = note(&mut estimator, at, position, 1_000_000);
        assert!((fast.rate_per_second - 10_000.0).abs() < 1.0, "{fast:?}");
        assert_eq!(fast.left.unwrap().as_secs(), 99);
        for _ in 0..1200 {
            (at, position) = (at + 10, position + 50);
            note(&mut estimator, at, position, 1_000_000);
        }
        let slow = note(&mut estimator, at, position, 1_000_000);
        assert!((slow.rate_per_second - 5_000.0).abs() < 50.0, "{slow:?}");
        // A look about each 200 ms in 10 seconds, and no more.
        assert!(estimator.seen.len() <= 60, "{}", estimator.seen.len());
        assert_eq!(
            slow.to_string(),
            "7 %, 70000 of 1000000 events, 5000 a second, 3 min left"
        );
    }

    #[test]
    fn a_log_that_grows_as_fast_is_never_caught_up() {
        let mut estimator = Estimator::default();
        note(&mut estimator, 0, 0, 1000);
        let chasing = note(&mut estimator, 1000, 500, 1500);
        assert_eq!(chasing.left, None);
        let gaining = note(&mut estimator, 2000, 1500, 2000);
        assert_eq!(gaining.left, Some(Duration::from_secs(2)));
        let there = note(&mut estimator, 3000, 2000, 2000);
        assert_eq!(
            (there.left, there.position),
            (Some(Duration::ZERO), there.head)
        );
    }

    #[test]
    fn what_was_begun_again_has_no_past() {
        let mut estimator = Estimator::default();
        note(&mut estimator, 0, 0, 1000);
        note(&mut estimator, 1000, 900, 1000);
        let again = note(&mut estimator, 1100, 0, 1000);
        assert_eq!((again.rate_per_second, again.left), (0.0, None));
    }
}
