//! What a projection does next: a pure state machine. The driver reads, writes and waits for it.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::event::{Position, StoredEvents};
use crate::runtime::backoff;
use crate::store::{Advanced, Claimed, Phase};

/// Events in one transaction, where it follows the log.
const PAGE: usize = 1000;
/// Events in one transaction, where it is far behind: rows that several of them touch are written
/// once.
const LARGE_PAGE: usize = 50_000;
/// The first pause between two attempts, and the longest.
const FIRST: Duration = Duration::from_millis(20);
const SLOWEST: Duration = Duration::from_secs(10);

/// How long nothing may happen before it is looked at what changed.
pub(crate) const LOOK: Duration = Duration::from_millis(500);
/// As [`LOOK`], where it goes on in a moment.
const GLANCE: Duration = Duration::from_millis(10);

/// The cursor of one part of a projection, and how its work goes.
#[derive(Debug)]
pub(crate) struct Runner {
    cursor: Position,
    epoch: u64,
    /// Where it must not go on.
    hold: Option<Position>,
    /// Whether it has a long way to go: the last page was full.
    behind: bool,
    failures: u32,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Take the part, and ask for all that must be known.
    Claim,
    /// Read the log after the cursor.
    Read { after: Position, limit: usize },
    /// Apply the page that was read, and move the cursor with it.
    Apply { from: Position, to: Position },
    /// There is nothing more: wait for the log to grow.
    Wait { after: Position },
    /// Nothing is to be done here for so long; then take the part.
    Rest { time: Duration },
    /// It is retired: there is nothing to do for ever.
    End,
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self {
            cursor: Position::START,
            epoch: 0,
            hold: None,
            behind: false,
            failures: 0,
        }
    }

    pub(crate) fn cursor(&self) -> Position {
        self.cursor
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The store told all that must be known; `version` is the one that this runs.
    pub(crate) fn claimed(&mut self, version: u32, claimed: &Claimed) -> Step {
        let Some(state) = claimed.lineage.versions.get(&version) else {
            return Step::Rest { time: LOOK };
        };
        (self.cursor, self.epoch) = (claimed.cursor, state.epoch);
        self.hold = state.hold.map(|hold| hold.at);
        if state.phase == Phase::Retired {
            return Step::End;
        }
        if !claimed.owned || state.paused.is_some() {
            return Step::Rest { time: LOOK };
        }
        self.read_on()
    }

    fn read_on(&self) -> Step {
        let after = self.cursor;
        match self.limit(after) {
            0 => Step::Rest { time: GLANCE },
            limit => Step::Read { after, limit },
        }
    }

    /// How many events may be read behind `after`.
    fn limit(&self, after: Position) -> usize {
        let page = if self.behind { LARGE_PAGE } else { PAGE };
        let room = self.hold.map(|hold| hold.get().saturating_sub(after.get()));
        room.map_or(page, |room| usize::try_from(room).unwrap_or(page).min(page))
    }

    /// What will be read once the present page, which ends at `to`, is applied; nothing where that
    /// is not worth while.
    pub(crate) fn ahead(&self, to: Position) -> Option<(Position, usize)> {
        let limit = self.limit(to);
        (self.behind && limit > 0).then_some((to, limit))
    }

    /// A page was read.
    ///
    /// # Errors
    /// When it does not continue where the cursor stands: positions are dense, so an event is
    /// missing, and nothing may be read on.
    pub(crate) fn read(&mut self, page: &StoredEvents) -> Result<Step> {
        let mut to = self.cursor;
        for event in page.iter() {
            if event.position != to.next() {
                let (after, found) = (to, event.position);
                return Err(Error::new(Kind::BrokenOrder { after, found }));
            }
            to = event.position;
        }
        let from = self.cursor;
        // A page may end before its limit, when it is large.
        self.behind = page.len() >= PAGE;
        if from != to {
            return Ok(Step::Apply { from, to });
        }
        Ok(Step::Wait { after: from })
    }

    /// It waited for the log to grow; `stale` says that what it knows is old: somebody may have
    /// changed something.
    pub(crate) fn waited(&self, stale: bool) -> Step {
        if stale { Step::Claim } else { self.read_on() }
    }

    /// A page was applied, or another instance was faster.
    pub(crate) fn applied(&mut self, to: Position, advanced: Advanced) -> Step {
        self.failures = 0;
        match advanced {
            Advanced::Moved => {
                self.cursor = to;
                self.read_on()
            }
            Advanced::Fenced => Step::Claim,
        }
    }

    /// Something failed: after a pause it asks where the cursor stands, since the last attempt may
    /// have succeeded.
    ///
    /// # Errors
    /// The same error when trying again cannot help: the projection stops, visibly.
    pub(crate) fn failed(&mut self, error: Error) -> Result<Step> {
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
    use crate::event::{StoredEvent, Timestamp};
    use crate::store::{Hold, Lineage, Noted, ProjectionState, life};

    fn page(positions: impl IntoIterator<Item = u64>) -> StoredEvents {
        let event = |n| StoredEvent {
            position: Position::new(n),
            stream: "account-a".parse().unwrap(),
            version: n,
            event_type: "account.opened".into(),
            schema_version: 1,
            min_reader: 1,
            command_id: None,
            payload: "{}".into(),
            metadata: None,
            time: Timestamp::default(),
        };
        let events: Vec<_> = positions.into_iter().map(event).collect();
        events.iter().collect()
    }

    fn claimed(owned: bool, cursor: u64, change: impl FnOnce(&mut ProjectionState)) -> Claimed {
        let mut lineage = Lineage::default();
        let at = life::Occasion::new(Timestamp::default(), Position::START);
        life::prepare(&mut lineage, 1, 1, &at);
        change(lineage.versions.get_mut(&1).unwrap());
        Claimed {
            owned,
            cursor: Position::new(cursor),
            lineage,
            parked: Vec::new(),
        }
    }

    fn at(cursor: u64) -> Runner {
        let mut runner = Runner::new();
        runner.claimed(1, &claimed(true, cursor, |_| {}));
        runner
    }

    #[test]
    fn a_page_moves_the_cursor_and_an_empty_one_waits() {
        let mut runner = at(4);
        let (from, to) = (Position::new(4), Position::new(7));
        assert_eq!(runner.read(&page(5..=7)).unwrap(), Step::Apply { from, to });
        let after = to;
        let next = runner.applied(to, Advanced::Moved);
        assert_eq!(next, Step::Read { after, limit: PAGE });
        assert_eq!(runner.read(&page([])).unwrap(), Step::Wait { after });
        assert_eq!(runner.waited(false), Step::Read { after, limit: PAGE });
        // Where nothing happens for long, it looks at what it must know.
        assert_eq!(runner.waited(true), Step::Claim);
    }

    #[test]
    fn a_missing_event_stops_it_before_anything_is_applied() {
        let mut runner = at(4);
        for broken in [page([6]), page([5, 7]), page([4]), page([6, 5])] {
            assert_eq!(runner.read(&broken).unwrap_err().code(), "ES0113");
        }
    }

    #[test]
    fn a_faster_instance_makes_it_ask_where_it_stands() {
        let mut runner = at(0);
        let fenced = runner.applied(Position::new(3), Advanced::Fenced);
        assert_eq!(fenced, Step::Claim);
        assert_eq!(runner.cursor(), Position::START);
        runner.claimed(1, &claimed(true, 9, |state| state.epoch = 4));
        assert_eq!((runner.cursor(), runner.epoch()), (Position::new(9), 4));
    }

    #[test]
    fn it_rests_where_it_has_nothing_to_do() {
        let mut runner = Runner::new();
        let others = claimed(false, 3, |_| {});
        assert_eq!(runner.claimed(1, &others), Step::Rest { time: LOOK });
        let (reason, at) = ("for a reason".to_owned(), Timestamp::default());
        let paused = claimed(true, 3, |s| s.paused = Some(Noted { reason, at }));
        assert_eq!(runner.claimed(1, &paused), Step::Rest { time: LOOK });
        let retired = claimed(false, 0, |s| s.phase = Phase::Retired);
        assert_eq!(runner.claimed(1, &retired), Step::End);
    }

    #[test]
    fn it_goes_as_far_as_it_is_held_and_no_further() {
        let hold = |s: &mut ProjectionState| {
            s.hold = Some(Hold {
                at: Position::new(5),
                until: Timestamp::default(),
            });
        };
        let mut runner = Runner::new();
        let after = Position::new(3);
        let next = runner.claimed(1, &claimed(true, 3, hold));
        assert_eq!(next, Step::Read { after, limit: 2 });
        let next = runner.applied(Position::new(5), Advanced::Moved);
        assert_eq!(next, Step::Rest { time: GLANCE });
    }

    #[test]
    fn pages_are_large_where_it_is_far_behind() {
        let mut runner = at(0);
        let full = u64::try_from(PAGE).unwrap();
        assert_eq!(runner.ahead(Position::new(full)), None);
        runner.read(&page(1..=full)).unwrap();
        let (to, limit) = (Position::new(full), LARGE_PAGE);
        assert_eq!(runner.ahead(to), Some((to, limit)));
        let next = runner.applied(to, Advanced::Moved);
        assert_eq!(next, Step::Read { after: to, limit });
        runner.read(&page([full + 1])).unwrap();
        let after = to.next();
        assert_eq!(runner.ahead(after), None);
        let next = runner.applied(after, Advanced::Moved);
        assert_eq!(next, Step::Read { after, limit: PAGE });
    }

    #[test]
    fn the_database_is_given_time_and_a_broken_event_is_not() {
        let mut runner = at(0);
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let Ok(Step::Rest { time }) = runner.failed(Error::database("reading", "away")) else {
                panic!("a lost database is no reason to stop");
            };
            assert!(time >= last && time <= SLOWEST);
            last = time;
        }
        let broken = Error::new(Kind::BrokenOrder {
            after: Position::new(1),
            found: Position::new(1),
        });
        assert_eq!(runner.failed(broken).unwrap_err().code(), "ES0113");
    }
}
