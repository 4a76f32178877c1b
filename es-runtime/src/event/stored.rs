//! Events as the store keeps them: names and numbers in columns, the payload as JSON text.

use super::{CommandId, InvalidId, Position, StreamId, Timestamp};

/// An event as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub position: Position,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 1.
    pub version: u64,
    /// The stored name, `account.opened`.
    pub event_type: String,
    /// The schema version of the payload.
    pub schema_version: u32,
    /// The oldest schema version whose readers understand the payload.
    pub min_reader: u32,
    /// The command that emitted it.
    pub command_id: Option<CommandId>,
    /// The variant's fields as JSON.
    pub payload: String,
    /// Who and why, as JSON.
    pub metadata: Option<String>,
    /// When it happened, by the service's clock.
    pub time: Timestamp,
}

/// A [`StoredEvent`] whose texts lie elsewhere: in a page of them, or in a database's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredEventRef<'a> {
    /// Its place in the log.
    pub position: Position,
    /// The name of the stream it belongs to.
    pub stream: &'a str,
    /// Its place in the stream, from 1.
    pub version: u64,
    /// The stored name, `account.opened`.
    pub event_type: &'a str,
    /// The schema version of the payload.
    pub schema_version: u32,
    /// The oldest schema version whose readers understand the payload.
    pub min_reader: u32,
    /// The command that emitted it.
    pub command_id: Option<CommandId>,
    /// The variant's fields as JSON.
    pub payload: &'a str,
    /// Who and why, as JSON.
    pub metadata: Option<&'a str>,
    /// When it happened, by the service's clock.
    pub time: Timestamp,
}

impl<'a> StoredEventRef<'a> {
    /// The name of the aggregate whose stream it belongs to.
    pub fn aggregate(&self) -> &'a str {
        self.stream
            .split_once('-')
            .map_or(self.stream, |(aggregate, _)| aggregate)
    }

    /// The aggregate's id, as text.
    pub fn id(&self) -> &'a str {
        self.stream.split_once('-').map_or("", |(_, id)| id)
    }

    /// The event with texts of its own.
    ///
    /// # Errors
    /// [`InvalidId`] when the text names no stream.
    pub fn to_stored(self) -> Result<StoredEvent, InvalidId> {
        Ok(StoredEvent {
            position: self.position,
            stream: self.stream.parse()?,
            version: self.version,
            event_type: self.event_type.to_owned(),
            schema_version: self.schema_version,
            min_reader: self.min_reader,
            command_id: self.command_id,
            payload: self.payload.to_owned(),
            metadata: self.metadata.map(str::to_owned),
            time: self.time,
        })
    }
}

impl<'a> From<&'a StoredEvent> for StoredEventRef<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        Self {
            position: event.position,
            stream: event.stream.as_str(),
            version: event.version,
            event_type: &event.event_type,
            schema_version: event.schema_version,
            min_reader: event.min_reader,
            command_id: event.command_id,
            payload: &event.payload,
            metadata: event.metadata.as_deref(),
            time: event.time,
        }
    }
}

/// Events in order, in two pieces of memory however many they are.
///
/// ```
/// use es_runtime::event::{StoredEvent, StoredEvents};
/// fn payloads(page: &StoredEvents) -> Vec<&str> {
///     page.iter().map(|event| event.payload).collect()
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredEvents {
    /// Stream, type, payload and metadata of one event after the other.
    text: String,
    places: Vec<Place>,
}

/// An event without its texts, and where they end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    position: Position,
    version: u64,
    schema_version: u32,
    min_reader: u32,
    command_id: Option<CommandId>,
    time: Timestamp,
    start: usize,
    stream: usize,
    event_type: usize,
    payload: usize,
    metadata: Option<usize>,
}

impl StoredEvents {
    /// No events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event behind the others.
    pub fn push<'a>(&mut self, event: impl Into<StoredEventRef<'a>>) {
        let event = event.into();
        let start = self.text.len();
        let mut add = |text: &str| {
            self.text.push_str(text);
            self.text.len()
        };
        self.places.push(Place {
            start,
            stream: add(event.stream),
            event_type: add(event.event_type),
            payload: add(event.payload),
            metadata: event.metadata.map(add),
            position: event.position,
            version: event.version,
            schema_version: event.schema_version,
            min_reader: event.min_reader,
            command_id: event.command_id,
            time: event.time,
        });
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many bytes of text they hold.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The event behind the first `index` of them.
    pub fn get(&self, index: usize) -> Option<StoredEventRef<'_>> {
        self.places.get(index).map(|place| self.at(place))
    }

    /// Keeps the first `len` of them.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn truncate(&mut self, len: usize) {
        if let Some(first_out) = self.places.get(len) {
            self.text.truncate(first_out.start);
            self.places.truncate(len);
        }
    }

    /// The last of them.
    pub fn last(&self) -> Option<StoredEventRef<'_>> {
        self.places.last().map(|place| self.at(place))
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = StoredEventRef<'_>> + DoubleEndedIterator {
        self.places.iter().map(|place| self.at(place))
    }

    /// Each with texts of its own.
    ///
    /// # Errors
    /// [`InvalidId`] when a text names no stream.
    pub fn to_vec(&self) -> Result<Vec<StoredEvent>, InvalidId> {
        self.iter().map(StoredEventRef::to_stored).collect()
    }

    fn at(&self, place: &Place) -> StoredEventRef<'_> {
        let text = |from: usize, to: usize| &self.text[from..to];
        StoredEventRef {
            position: place.position,
            stream: text(place.start, place.stream),
            version: place.version,
            event_type: text(place.stream, place.event_type),
            schema_version: place.schema_version,
            min_reader: place.min_reader,
            command_id: place.command_id,
            payload: text(place.event_type, place.payload),
            metadata: place.metadata.map(|end| text(place.payload, end)),
            time: place.time,
        }
    }
}

impl<'a, E: Into<StoredEventRef<'a>>> FromIterator<E> for StoredEvents {
    fn from_iter<I: IntoIterator<Item = E>>(events: I) -> Self {
        let mut page = Self::new();
        events.into_iter().for_each(|event| page.push(event));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_back_what_was_put_in() {
        let event = |n: u64, payload: &str, metadata: Option<&str>| StoredEvent {
            position: Position::new(n),
            stream: "account-ü-1".parse().unwrap(),
            version: n + 7,
            event_type: "account.opened".into(),
            schema_version: 3,
            min_reader: 2,
            command_id: n
                .is_multiple_of(2)
                .then(|| CommandId::from_u128(u128::from(n))),
            payload: payload.into(),
            metadata: metadata.map(Into::into),
            time: Timestamp::from_micros(-5),
        };
        let events = [
            event(1, "{\"ø\":1}", None),
            event(2, "", Some("")),
            event(3, "\"\"", Some("{\"actor\":\"é\"}")),
        ];
        let page: StoredEvents = events.iter().collect();
        assert_eq!(page.to_vec().unwrap(), events);
        assert_eq!((page.len(), page.last().unwrap().version), (3, 10));
        assert_eq!(page.last().unwrap().aggregate(), "account");
        assert_eq!(page.last().unwrap().id(), "ü-1");
    }
}
