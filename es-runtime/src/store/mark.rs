//! The places that an inbox has passed: with them, any range of what was consumed can be compared with
//! the stream later.

use super::inbox::{InboxEntity, InboxPart, StreamCursor};
use crate::event::Position;

/// A place is marked where a part comes into another thousand.
const EVERY: u64 = 1000;
/// So many of the newest are all kept; behind them, each so many again are half as dense.
const DENSE: u64 = 64;

/// All that an inbox knows of where it stands, and where it stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxState {
    /// Its parts, by their slices; none if nobody ever claimed it.
    pub parts: Vec<InboxPart>,
    /// Places that it has passed, in order: first where it began, and then the fewer, the longer ago.
    pub marks: Vec<StreamCursor>,
    /// Entities that were asked for ahead of the others.
    pub entities: Vec<InboxEntity>,
}

/// The number of a place's mark. Number 0 is where the inbox began.
fn number(position: Position) -> u64 {
    position.get() / EVERY
}

/// The number of the mark that a move makes, if it makes one.
pub(crate) fn marked(from: Position, to: Position) -> Option<u64> {
    (number(to) > number(from)).then(|| number(to))
}

/// The numbers of the marks that nobody needs any more after a move: those that were new enough to be
/// kept until now.
pub(crate) fn thinned(from: Position, to: Position) -> Vec<u64> {
    let mut thinned = Vec::new();
    // A part that jumps leaves nothing behind that would have to go.
    let first = number(from).max(number(to).saturating_sub(DENSE));
    for number in first + 1..=number(to) {
        let ages = (0..).map(|level| (level, DENSE << level));
        let old = ages.map_while(|(level, age)| Some((level, number.checked_sub(age)?)));
        let once = old.filter(|(level, old)| *old > 0 && old.trailing_zeros() == *level);
        thinned.extend(once.map(|(_, old)| old));
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Runs moves over a long stream, as a store does.
    fn after(steps: impl Iterator<Item = u64>) -> (u64, BTreeSet<u64>) {
        let (mut at, mut marks) = (0, BTreeSet::new());
        for step in steps {
            let (from, to) = (Position::new(at), Position::new(at + step));
            marks.extend(marked(from, to));
            for old in thinned(from, to) {
                marks.remove(&old);
            }
            at += step;
        }
        (at / EVERY, marks)
    }

    #[test]
    fn marks_stay_few_and_the_newest_are_all_there() {
        for step in [1, 499, 500, 999] {
            let many = usize::try_from(3_000_000 / step).unwrap();
            let (last, marks) = after(std::iter::repeat_n(step, many));
            assert!(
                marks.len() < 700,
                "{} marks with steps of {step}",
                marks.len()
            );
            for number in last - DENSE + 1..=last {
                assert!(marks.contains(&number), "{number} of {last}");
            }
            // However far back, the next mark is not further away than the age.
            for number in 1..last {
                let next = marks.range(number..).next().unwrap() - number;
                assert!(
                    next <= (last - number) / DENSE * 2 + 1,
                    "{number} of {last}"
                );
            }
        }
    }

    #[test]
    fn a_move_within_a_thousand_marks_nothing() {
        let at = Position::new;
        assert_eq!(marked(at(0), at(999)), None);
        assert_eq!(marked(at(999), at(1000)), Some(1));
        assert_eq!(marked(at(1000), at(1999)), None);
        assert_eq!(marked(at(999), at(3001)), Some(3));
    }
}
