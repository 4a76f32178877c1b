//! Takes over the inbox of another version of the stream: asks the source where it goes on, and for the
//! events of keys that are set aside, in the form of this version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::detector::{Detector, Verdict};
use super::reader::{Open, PAGE};
use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::integration::{CloudEvent, IntegrationEvent, Place, StreamHash};
use crate::runtime::without;
use crate::store::{
    CarriedKey, EventStore, HeldEvent, InboxId, InboxKey, InboxPart, InboxTakeover, Store,
    StreamVersion,
};

/// More events than this do not wait for keys while their consumer moves.
const MOST: usize = 20_000;

/// The guard that who goes back the way they came is not told again what they had.
const ORIGIN: &str = "a place says how far both versions are";

/// One who takes inboxes over.
pub(super) struct Moving<E> {
    store: Store,
    inbox: InboxId,
    continues: Option<u32>,
    open: Open<E>,
    /// From which version, and what waits there, by its positions, as it is in this one, with its keys:
    /// between two tries little changes.
    from: u32,
    known: BTreeMap<Position, Vec<(String, HeldEvent)>>,
}

impl<E: IntegrationEvent> Moving<E> {
    pub(super) fn new(store: Store, inbox: InboxId, continues: Option<u32>, open: Open<E>) -> Self {
        Self {
            store,
            inbox,
            continues,
            open,
            from: 0,
            known: BTreeMap::new(),
        }
    }

    /// The inbox of another version.
    fn other(&self) -> InboxId {
        InboxId {
            consumer: self.inbox.consumer.clone(),
            stream: StreamVersion {
                stream: self.inbox.stream.stream.clone(),
                version: self.from,
            },
        }
    }

    /// How the inbox of version `from`, which has these parts, is taken over.
    ///
    /// # Errors
    /// When the source does not tell, or not yet, and when something is in the way.
    pub(super) async fn prepare<S: Source>(
        &mut self,
        source: &mut S,
        from: u32,
        parts: &[InboxPart],
    ) -> Result<InboxTakeover> {
        if std::mem::replace(&mut self.from, from) != from {
            self.known.clear();
        }
        let mut placed = Vec::with_capacity(parts.len());
        for part in parts {
            let origin = match without(ORIGIN) {
                true => Position::START,
                false => part.origin,
            };
            let place = self.place(source, part.cursor.position, origin).await?;
            if place.of != part.cursor {
                return Err(self.forked(part.cursor.position));
            }
            if place.until > part.cursor.position {
                return Err(Error::new(Kind::InsideEvent {
                    inbox: self.other().to_string(),
                    position: part.cursor.position,
                    until: place.until,
                }));
            }
            placed.push((part.clone(), place.at, place.origin));
        }
        let other = self.other();
        let aside = self.store.inbox_keys(&other, None, usize::MAX).await?;
        let carried = self.carry(source, &aside).await?;
        let known = |key: &InboxKey| (key.key.clone(), key.position, key.waiting);
        Ok(InboxTakeover {
            inbox: self.inbox.clone(),
            continues: self.continues,
            from,
            parts: placed,
            keys: aside.iter().map(known).collect(),
            carried,
        })
    }

    /// The place in this version of one who stands there in the other.
    async fn place<S: Source>(
        &self,
        source: &mut S,
        position: Position,
        origin: Position,
    ) -> Result<Place> {
        let stream = &self.inbox.stream;
        if (position, origin) == (Position::START, Position::START) {
            // Whoever has had nothing begins, also where nobody serves that version any more.
            return Ok(Place::default());
        }
        let place = source.place(stream, self.from, position, origin).await?;
        if place.of.position == position {
            return Ok(place);
        }
        let (stream, asked) = (stream.to_string(), self.other().stream);
        let why = format!("it tells the place of another position of `{asked}` than {position}");
        Err(Error::new(Kind::BadEnvelope { stream, why }))
    }

    fn forked(&self, position: Position) -> Error {
        let stream = self.other().stream.to_string();
        Error::new(Kind::Forked { stream, position })
    }

    /// The keys that are set aside, with their events in the form of this version.
    async fn carry<S: Source>(
        &mut self,
        source: &mut S,
        aside: &[InboxKey],
    ) -> Result<Vec<CarriedKey>> {
        let (from, mut carried) = (self.other(), BTreeMap::<String, CarriedKey>::new());
        let mut waiting = BTreeSet::new();
        for key in aside {
            let room = MOST - waiting.len();
            let events = self.store.inbox_events(&from, &key.key, room + 1).await?;
            if events.len() > room {
                let why = format!("more than {MOST} events wait for such keys");
                return Err(self.not_carried(&key.key, why));
            }
            let own: BTreeSet<_> = events.iter().map(|held| held.position).collect();
            for held in &events {
                if !self.known.contains_key(&held.position) {
                    self.again(source, &key.key, held, &own).await?;
                }
                let again = self.known.get(&held.position).into_iter().flatten();
                for (as_key, event) in again {
                    let carried = carried.entry(as_key.clone());
                    let carried = carried.or_insert_with(|| CarriedKey {
                        key: as_key.clone(),
                        events: Vec::new(),
                        reason: key.reason.clone(),
                        attempts: key.attempts,
                        since: key.since,
                        failed_at: key.failed_at,
                    });
                    carried.events.push(event.clone());
                }
            }
            waiting.extend(own);
        }
        self.known.retain(|position, _| waiting.contains(position));
        let mut carried: Vec<_> = carried.into_values().collect();
        for key in &mut carried {
            key.events.sort_by_key(|held| held.position);
        }
        Ok(carried)
    }

    /// Asks for what an event that waits is in this version, and what those are that were made of the
    /// same: they wait or go on together.
    async fn again<S: Source>(
        &mut self,
        source: &mut S,
        key: &str,
        held: &HeldEvent,
        waiting: &BTreeSet<Position>,
    ) -> Result<()> {
        let position = held.position;
        let event = serde_json::from_str::<CloudEvent>(&held.event);
        let event = event.map_err(|error| self.not_carried(key, error.to_string()))?;
        let Some(made_of) = event.causationid.clone() else {
            let why = format!("its event at position {position} does not say what it was made of");
            return Err(self.not_carried(key, why));
        };
        let before = Position::new(position.get().saturating_sub(1));
        let before = self.place(source, before, Position::START).await?;
        let after = self.place(source, position, Position::START).await?;
        if event.streamhash.parse().ok() != Some(StreamHash::from_bytes(after.of.hash)) {
            return Err(self.forked(position));
        }
        let positions = || (position.get()..=after.until.get()).map(Position::new);
        let is_whole = before.until < position && positions().all(|one| waiting.contains(&one));
        if !is_whole {
            let why = format!(
                "of what was one event at the publisher, the part at position {position} waits alone"
            );
            return Err(self.not_carried(key, why));
        }
        let mut found = Vec::new();
        for event in self.read(source, &before, &after).await? {
            if event.causationid.as_ref() == Some(&made_of) {
                let json = serde_json::to_string(&event).map_err(|error| {
                    let what = format!("the envelope of `{}`", event.id);
                    Error::caused_by(Kind::Unencodable { what }, error)
                })?;
                let position = event.position().unwrap_or_default();
                let event = self.open.key(&event, &self.inbox);
                found.push((
                    event,
                    HeldEvent {
                        position,
                        event: json,
                    },
                ));
            }
        }
        if found.is_empty() {
            let why = format!("nothing there is what its event at position {position} is here");
            return Err(self.not_carried(key, why));
        }
        self.known.extend(positions().map(|one| (one, Vec::new())));
        self.known.insert(position, found);
        Ok(())
    }

    /// The events of this version between two places, proven.
    async fn read<S: Source>(
        &self,
        source: &mut S,
        before: &Place,
        after: &Place,
    ) -> Result<Vec<CloudEvent>> {
        let stream = &self.inbox.stream;
        let (mut detector, mut found) = (Detector::new(stream.clone(), before.at), Vec::new());
        let wrong = |why: &str| {
            let (url, why) = (stream.to_string(), format!("{why}; asking again"));
            Error::new(Kind::Feed { url, why })
        };
        while detector.cursor().position < after.at.position {
            let (cursor, nothing) = (detector.cursor(), Duration::ZERO);
            let mut page = source.read(stream, cursor, PAGE, nothing).await?;
            page.events.sort_by_key(CloudEvent::position);
            for event in page.events {
                if event.position() > Some(after.at.position) {
                    break;
                }
                match detector.offer(&event) {
                    Verdict::Next => found.push(event),
                    Verdict::Duplicate => {}
                    Verdict::Hole { .. } => break,
                    Verdict::Forked | Verdict::Foreign { .. } => {
                        return Err(wrong("an event does not follow"));
                    }
                }
            }
            if detector.cursor() == cursor {
                return Err(wrong("events that wait are missing"));
            }
        }
        match detector.cursor() == after.at {
            true => Ok(found),
            false => Err(wrong("its places and its events differ")),
        }
    }

    fn not_carried(&self, key: &str, why: String) -> Error {
        Error::new(Kind::NotCarried {
            inbox: self.other().to_string(),
            to: self.inbox.stream.to_string(),
            key: key.to_owned(),
            why,
        })
    }
}
