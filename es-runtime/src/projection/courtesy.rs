//! How the building of a version makes room for the commands beside it: pure.

use std::time::Duration;

use crate::event::Position;

/// Appends a second from which on a build rests for as long as it may.
const BUSY: f64 = 500.0;
/// How many times as long as it worked a build rests then.
const MOST: f64 = 1.5;
/// The least time between two looks: a shorter one says little.
const LOOK: Duration = Duration::from_millis(20);

/// What others append meanwhile, in any process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    seen: Option<(Duration, Position)>,
    /// Events a second, between the last two looks.
    rate: f64,
}

impl Traffic {
    /// Notes where the log ends at the moment `at`, since any fixed one.
    pub(crate) fn note(&mut self, at: Duration, head: Position) {
        let Some((before, end)) = self.seen else {
            self.seen = Some((at, head));
            return;
        };
        let time = at.saturating_sub(before);
        if time >= LOOK {
            let grown = head.get().saturating_sub(end.get());
            self.rate = grown as f64 / time.as_secs_f64();
            self.seen = Some((at, head));
        }
    }

    /// How long to rest after work that took so long: not at all where nobody appends.
    pub(crate) fn rest(&self, worked: Duration) -> Duration {
        worked.mul_f64((self.rate / BUSY).min(1.0) * MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_rests_as_others_append_and_not_otherwise() {
        let (mut traffic, page) = (Traffic::default(), Duration::from_millis(100));
        let at = |millis| Duration::from_millis(millis);
        // What was there before is no traffic.
        traffic.note(at(0), Position::new(1_000_000));
        assert_eq!(traffic.rest(page), Duration::ZERO);
        traffic.note(at(1000), Position::new(1_000_250));
        assert_eq!(traffic.rest(page), page.mul_f64(MOST / 2.0));
        traffic.note(at(1100), Position::new(1_100_000));
        assert_eq!(traffic.rest(page), page.mul_f64(MOST));
        // Too soon to tell anything else.
        traffic.note(at(1101), Position::new(1_100_000));
        assert_eq!(traffic.rest(page), page.mul_f64(MOST));
        traffic.note(at(1200), Position::new(1_100_000));
        assert_eq!(traffic.rest(page), Duration::ZERO);
    }
}
