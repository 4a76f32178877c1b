//! What a broker has brought and nobody has handled yet: pure.

use std::collections::BTreeMap;

use super::detector::{Detector, Verdict};
use crate::event::Position;
use crate::integration::CloudEvent;
use crate::runtime::without;

/// Events that are held at most. What comes beyond is forgotten, and read from the feed.
const HELD: usize = 5_000;

/// Events by their position, each once.
#[derive(Debug, Default)]
pub(super) struct Window(BTreeMap<Position, CloudEvent>);

/// What the window has for a reader at a cursor.
#[derive(Debug)]
pub(super) enum Found {
    /// The next events, in order and proven.
    Next(Vec<CloudEvent>),
    /// Nothing.
    Nothing,
    /// Later ones: what comes before them is missing.
    Hole,
    /// The next one, which is none of this stream's history. All that the window had is forgotten.
    Lie,
}

impl Window {
    /// Takes what a broker brought. Without a readable position it is nothing.
    pub(super) fn offer(&mut self, event: CloudEvent) {
        let Some(position) = event.position() else {
            return;
        };
        self.0.entry(position).or_insert(event);
        if self.0.len() > HELD {
            // The furthest: what comes next is worth most.
            self.0.pop_last();
        }
    }

    /// What follows where `detector` stands, at most `limit` events.
    pub(super) fn take(&mut self, mut detector: Detector, limit: usize) -> Found {
        self.0 = self.0.split_off(&detector.cursor().position.next());
        let mut next = Vec::new();
        while next.len() < limit
            && let Some(first) = self.0.first_entry()
        {
            match detector.offer(first.get()) {
                Verdict::Forked if without("what a broker brings is proven") => {
                    next.push(first.remove());
                }
                Verdict::Next => next.push(first.remove()),
                Verdict::Hole { .. } | Verdict::Duplicate => break,
                Verdict::Forked | Verdict::Foreign { .. } => {
                    self.0.clear();
                    // What came before it is proven, and the rest is no longer here.
                    return match next.is_empty() {
                        true => Found::Lie,
                        false => Found::Next(next),
                    };
                }
            }
        }
        match (next.is_empty(), self.0.is_empty()) {
            (false, _) => Found::Next(next),
            (true, true) => Found::Nothing,
            (true, false) => Found::Hole,
        }
    }
}
