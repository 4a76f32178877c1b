//! What a projection does next: a pure state machine. The driver reads, writes and waits for it.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::event::{Position, StoredEvents};
use crate::store::Advanced;

/// Events in one transaction.
const PAGE: usize = 1000;
/// The longest pause between two attempts.
const SLOWEST: Duration = Duration::from_secs(10);

/// One projection's cursor and how its work goes.
#[derive(Debug)]
pub(crate) struct Runner {
    cursor: Position,
    failures: u32,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the log after the cursor.
    Read { after: Position, limit: usize },
    /// Apply the page that was read, and move the cursor with it.
    Apply { from: Position, to: Position },
    /// There is nothing more: wait for the log to grow.
    Wait { after: Position },
    /// Another instance moved the cursor: ask the store where it stands.
    Reload,
    /// Pause, then ask the store where the cursor stands: the last attempt may have succeeded.
    Retry { after: Duration },
}

impl Runner {
    pub(crate) fn at(cursor: Position) -> Self {
        Self {
            cursor,
            failures: 0,
        }
    }

    pub(crate) fn cursor(&self) -> Position {
        self.cursor
    }

    pub(crate) fn next(&self) -> Step {
        Step::Read {
            after: self.cursor,
            limit: PAGE,
        }
    }

    /// A page was read.
    ///
    /// # Errors
    /// When it does not continue where the cursor stands: positions are dense, so an event is
    /// missing, and nothing may be read on.
    pub(crate) fn read(&self, page: &StoredEvents) -> Result<Step> {
        let mut to = self.cursor;
        for event in page.iter() {
            if event.position != to.next() {
                let (after, found) = (to, event.position);
                return Err(Error::new(Kind::BrokenOrder { after, found }));
            }
            to = event.position;
        }
        let from = self.cursor;
        Ok(if from == to {
            Step::Wait { after: from }
        } else {
            Step::Apply { from, to }
        })
    }

    /// A page was applied, or another instance was faster.
    pub(crate) fn applied(&mut self, to: Position, advanced: Advanced) -> Step {
        self.failures = 0;
        match advanced {
            Advanced::Moved => {
                self.cursor = to;
                self.next()
            }
            Advanced::Fenced => Step::Reload,
        }
    }

    /// The store told where the cursor stands.
    pub(crate) fn reloaded(&mut self, cursor: Position) -> Step {
        self.cursor = cursor;
        self.next()
    }

    /// Something failed.
    ///
    /// # Errors
    /// The same error when trying again cannot help: the projection stops, visibly.
    pub(crate) fn failed(&mut self, error: Error) -> Result<Step> {
        if !error.is_transient() {
            return Err(error);
        }
        let after = Duration::from_millis(20).saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        Ok(Step::Retry {
            after: after.min(SLOWEST),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{StoredEvent, Timestamp};

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

    #[test]
    fn a_page_moves_the_cursor_and_an_empty_one_waits() {
        let mut runner = Runner::at(Position::new(4));
        let (from, to) = (Position::new(4), Position::new(7));
        assert_eq!(runner.read(&page(5..=7)).unwrap(), Step::Apply { from, to });
        let next = runner.applied(to, Advanced::Moved);
        assert_eq!(
            next,
            Step::Read {
                after: to,
                limit: PAGE
            }
        );
        assert_eq!(runner.read(&page([])).unwrap(), Step::Wait { after: to });
    }

    #[test]
    fn a_missing_event_stops_it_before_anything_is_applied() {
        let runner = Runner::at(Position::new(4));
        for broken in [page([6]), page([5, 7]), page([4]), page([6, 5])] {
            assert_eq!(runner.read(&broken).unwrap_err().code(), "ES0113");
        }
    }

    #[test]
    fn a_faster_instance_makes_it_ask_where_it_stands() {
        let mut runner = Runner::at(Position::START);
        assert_eq!(
            runner.applied(Position::new(3), Advanced::Fenced),
            Step::Reload
        );
        assert_eq!(runner.cursor(), Position::START);
        runner.reloaded(Position::new(9));
        assert_eq!(runner.cursor(), Position::new(9));
    }

    #[test]
    fn the_database_is_given_time_and_a_broken_event_is_not() {
        let mut runner = Runner::at(Position::START);
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let Ok(Step::Retry { after }) = runner.failed(Error::database("reading", "away"))
            else {
                panic!("a lost database is no reason to stop");
            };
            assert!(after >= last && after <= SLOWEST);
            last = after;
        }
        let unknown = Error::new(Kind::BrokenOrder {
            after: last_position(),
            found: last_position(),
        });
        assert_eq!(runner.failed(unknown).unwrap_err().code(), "ES0113");
    }

    fn last_position() -> Position {
        Position::new(1)
    }
}
