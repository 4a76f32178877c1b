//! What to do with the next event of a stream: pure.

use crate::event::Position;
use crate::integration::{CloudEvent, StreamHash};
use crate::store::{StreamCursor, StreamVersion};

/// Watches one stream from a cursor: what comes next, what came before, what is missing, and what
/// is not the stream that was read so far.
///
/// ```
/// use es_runtime::consume::Detector;
/// use es_runtime::store::{StreamCursor, StreamVersion};
///
/// let stream = StreamVersion { stream: "accounts".into(), version: 1 };
/// let detector = Detector::new(stream, StreamCursor::default());
/// assert_eq!(detector.cursor().position.get(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    stream: StreamVersion,
    prefix: String,
    cursor: StreamCursor,
}

/// What an event is to a consumer at a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one: handle it.
    Next,
    /// It was handled before: drop it.
    Duplicate,
    /// Something before it is missing: ask again from the cursor.
    Hole {
        /// The position that should have come.
        wanted: Position,
    },
    /// It is at the right place, but what came before is not what was read: stop.
    Forked,
    /// It is no event of this stream: stop.
    Foreign {
        /// What is wrong with it.
        why: String,
    },
}

impl Detector {
    /// A consumer of `stream` that has handled everything up to `cursor`.
    pub fn new(stream: StreamVersion, cursor: StreamCursor) -> Self {
        let prefix = format!("{}-", stream.address());
        Self {
            stream,
            prefix,
            cursor,
        }
    }

    /// Where it stands.
    pub fn cursor(&self) -> StreamCursor {
        self.cursor
    }

    /// The stream that it watches.
    pub fn stream(&self) -> &StreamVersion {
        &self.stream
    }

    /// Judges an event. [`Verdict::Next`] moves the cursor to it.
    pub fn offer(&mut self, event: &CloudEvent) -> Verdict {
        let foreign = |why: String| Verdict::Foreign { why };
        let Some(position) = event.position() else {
            return foreign(format!(
                "`{}` has the sequence `{}`",
                event.id, event.sequence
            ));
        };
        if event.id.strip_prefix(&self.prefix) != Some(&position.to_string()) {
            return foreign(format!("`{}` at position {position}", event.id));
        }
        if position <= self.cursor.position {
            return Verdict::Duplicate;
        }
        let wanted = self.cursor.position.next();
        if position != wanted {
            return Verdict::Hole { wanted };
        }
        let proof = event.proof(StreamHash::from_bytes(self.cursor.hash));
        match proof.filter(|proof| event.streamhash.parse() == Ok(*proof)) {
            Some(proof) => {
                self.cursor = StreamCursor {
                    position,
                    hash: *proof.as_bytes(),
                };
                Verdict::Next
            }
            None => Verdict::Forked,
        }
    }

    /// Goes back to a cursor that was kept: what was offered since is offered again.
    pub fn rewind(&mut self, cursor: StreamCursor) {
        self.cursor = cursor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integration::Salt;
    use crate::store::PublishedEvent;

    fn accounts() -> StreamVersion {
        StreamVersion {
            stream: "accounts".into(),
            version: 1,
        }
    }

    /// A stream of `n` events, chained.
    fn stream(n: u64, payload: &str) -> Vec<CloudEvent> {
        let mut hash = StreamHash::START;
        let event = |position| {
            let salt = Salt::from_bytes([5; 16]);
            hash = hash.after(position, "bank.opened.v1", salt, payload);
            let published = PublishedEvent {
                position,
                source: position,
                event_type: "bank.opened.v1".into(),
                subject: "a".into(),
                payload: payload.into(),
                metadata: None,
                time: Default::default(),
                recorded: Default::default(),
                salt: *salt.as_bytes(),
                hash: *hash.as_bytes(),
            };
            CloudEvent::new("bank", &accounts(), published).unwrap()
        };
        (1..=n).map(Position::new).map(event).collect()
    }

    #[test]
    fn it_takes_the_next_drops_the_known_and_misses_the_rest() {
        let events = stream(5, "{}");
        let mut detector = Detector::new(accounts(), StreamCursor::default());
        let hole = Verdict::Hole {
            wanted: Position::new(2),
        };
        for (n, verdict) in [
            (1, Verdict::Next),
            (1, Verdict::Duplicate),
            (3, hole.clone()),
            (5, hole),
            (2, Verdict::Next),
            (1, Verdict::Duplicate),
            (3, Verdict::Next),
        ] {
            assert_eq!(detector.offer(&events[n - 1]), verdict, "event {n}");
        }
        assert_eq!(detector.cursor().position, Position::new(3));
    }

    #[test]
    fn another_history_is_not_read_on() {
        let (ours, theirs) = (stream(3, "{}"), stream(3, "{\"other\":1}"));
        let mut detector = Detector::new(accounts(), StreamCursor::default());
        assert_eq!(detector.offer(&ours[0]), Verdict::Next);
        assert_eq!(detector.offer(&theirs[1]), Verdict::Forked);
        assert_eq!(detector.offer(&ours[1]), Verdict::Next);
    }

    #[test]
    fn what_was_changed_on_the_way_does_not_fit() {
        let mut changed = stream(1, "{\"amount\":1}").remove(0);
        changed.data = serde_json::value::RawValue::from_string("{\"amount\":2}".into()).unwrap();
        let mut detector = Detector::new(accounts(), StreamCursor::default());
        assert_eq!(detector.offer(&changed), Verdict::Forked);
    }

    #[test]
    fn an_event_of_another_stream_is_refused() {
        let event = stream(1, "{}").remove(0);
        let two = StreamVersion {
            version: 2,
            ..accounts()
        };
        let mut detector = Detector::new(two, StreamCursor::default());
        assert!(matches!(detector.offer(&event), Verdict::Foreign { .. }));
        let mut lying = event;
        lying.sequence = "7".into();
        let mut detector = Detector::new(accounts(), StreamCursor::default());
        assert!(matches!(detector.offer(&lying), Verdict::Foreign { .. }));
    }
}
