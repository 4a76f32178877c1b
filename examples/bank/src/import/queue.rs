//! The order of an import, pure: lines that touch the same account keep theirs, all others may be
//! executed together.

use std::collections::HashSet;

use super::Request;

/// A line that can be executed.
pub(super) type Numbered = (u64, Request);

/// Lines in the input's order. A line may start when no unfinished line before it touches one of
/// its accounts.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Vec<Numbered>,
    busy: HashSet<String>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, line: Numbered) {
        self.waiting.push(line);
    }

    /// Takes out the lines that may start now.
    pub(super) fn start(&mut self) -> Vec<Numbered> {
        let mut taken = self.busy.clone();
        let may_start = |(_, request): &Numbered| {
            let free = request.accounts().all(|account| !taken.contains(account));
            taken.extend(request.accounts().map(str::to_owned));
            free
        };
        let (start, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(may_start);
        self.waiting = waiting;
        for (_, request) in &start {
            self.busy.extend(request.accounts().map(str::to_owned));
        }
        start
    }

    /// Notes that a line is done.
    pub(super) fn finish(&mut self, request: &Request) {
        for account in request.accounts() {
            self.busy.remove(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(from: &str, to: &str) -> Request {
        let payment = crate::accounts::Payment {
            amount: crate::accounts::Money::ZERO,
            currency: crate::accounts::Currency::Dkk,
            text: String::new(),
        };
        Request::Transfer {
            from: from.into(),
            to: to.into(),
            payment,
        }
    }

    fn numbers(lines: &[Numbered]) -> Vec<u64> {
        lines.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn a_line_waits_for_all_before_it_that_touch_its_accounts() {
        let mut queue = Queue::default();
        let lines = [("a", "b"), ("c", "d"), ("b", "e"), ("e", "f"), ("g", "g")];
        for ((from, to), number) in lines.into_iter().zip(1..) {
            queue.push((number, transfer(from, to)));
        }
        // 4 touches nothing that runs, but `e`, which 3 touches before it.
        assert_eq!(numbers(&queue.start()), [1, 2, 5]);
        queue.finish(&transfer("c", "d"));
        assert!(queue.start().is_empty());
        queue.finish(&transfer("a", "b"));
        assert_eq!(numbers(&queue.start()), [3]);
        queue.finish(&transfer("b", "e"));
        assert_eq!(numbers(&queue.start()), [4]);
        assert_eq!(queue.len(), 0);
    }
}
