//! The work of an integration stream: map, number, chain, and write with the cursor.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::states::remember;
use super::{IntegrationType, Mapper, StreamHash};
use crate::error::{Error, Kind, Result};
use crate::event::{Clock, LogIdentity, StoredEventRef, StoredEvents, at};
use crate::integration::envelope;
use crate::integration::proof::Salts;
use crate::projection::Work;
use crate::store::{
    Advance, Advanced, Claimed, EventStore, ProjectionId, ProjectionState, PublishedEvent,
    StreamCursor, StreamVersion,
};

/// One version of an integration stream with the aggregates that feed it.
pub(crate) struct IntegrationStream {
    stream: StreamVersion,
    event_types: Vec<String>,
    mappers: Vec<Box<dyn Mapper>>,
    clock: Arc<dyn Clock>,
    /// The stream's head as this instance left it.
    head: Option<StreamCursor>,
}

impl IntegrationStream {
    /// A stream with the events `types`, which `mappers` make, one for each aggregate.
    pub(crate) fn new(
        stream: StreamVersion,
        types: &[IntegrationType],
        mappers: Vec<Box<dyn Mapper>>,
        namespace: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let named = |event| envelope::type_of(namespace, event, stream.version);
        Self {
            event_types: types.iter().map(named).collect(),
            stream,
            mappers,
            clock,
            head: None,
        }
    }

    /// The events that the page makes, placed and chained after `head`.
    async fn make<S: EventStore>(
        &mut self,
        store: &S,
        page: &StoredEvents,
        mut head: StreamCursor,
    ) -> Result<Vec<PublishedEvent>> {
        let mut made = Vec::with_capacity(page.len());
        let (salts, recorded) = (Salts::fresh(), self.clock.now());
        for event in page.iter() {
            let mine = |mapper: &&mut Box<dyn Mapper>| mapper.aggregate() == event.aggregate();
            let Some(mapper) = self.mappers.iter_mut().find(mine) else {
                continue;
            };
            remember(store, mapper.states(), event).await?;
            for (variant, payload) in mapper.publish(event)? {
                let event_type = &self.event_types[variant];
                let position = head.position.next();
                let salt = salts.at(position);
                let hash =
                    StreamHash::from_bytes(head.hash).after(position, event_type, salt, &payload);
                head = StreamCursor {
                    position,
                    hash: *hash.as_bytes(),
                };
                made.push(PublishedEvent {
                    position,
                    source: event.position,
                    event_type: event_type.clone(),
                    subject: event.id().to_owned(),
                    payload,
                    metadata: public_metadata(event, store.identity())?,
                    time: event.time,
                    recorded,
                    salt: *salt.as_bytes(),
                    hash: head.hash,
                });
            }
        }
        Ok(made)
    }
}

/// What the world may know of who and why, in the form of [`Metadata`](crate::event::Metadata): no
/// actor, no command.
#[derive(Default, Serialize, Deserialize)]
struct Public<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    correlation: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    causation: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
}

fn public_metadata(event: StoredEventRef<'_>, log: LogIdentity) -> Result<Option<String>> {
    let undecodable = |error| Error::caused_by(Kind::Undecodable(at(event)), error);
    let inner: Public<'_> = match event.metadata {
        Some(json) => serde_json::from_str(json).map_err(undecodable)?,
        None => Public::default(),
    };
    let command = || event.command_id.map(|id| id.to_string().into());
    let public = Public {
        correlation: inner.correlation.or_else(command),
        causation: Some(log.event_id(event.position).to_string().into()),
        traceparent: inner.traceparent,
    };
    serde_json::to_string(&public)
        .map(Some)
        .map_err(undecodable)
}

impl<S: EventStore> Work<S> for IntegrationStream {
    fn id(&self) -> ProjectionId {
        (&self.stream).into()
    }

    /// Positions are dense: one writer alone.
    fn another(&self) -> Option<Self> {
        None
    }

    async fn complete(&mut self, _: &S) -> Result<()> {
        Ok(())
    }

    fn claimed(&mut self, _: &Range<u16>, _: &Claimed) {
        self.head = None;
    }

    async fn prepare(&mut self, store: &S) -> Result<ProjectionState> {
        store.prepare_stream(&self.stream).await
    }

    async fn apply(
        &mut self,
        store: &S,
        advance: Advance,
        page: &StoredEvents,
    ) -> Result<Advanced> {
        // Until the move succeeds, nobody knows where the head is: taken, not copied.
        let head = match self.head.take() {
            Some(head) => head,
            None => store.published_head(&self.stream).await?,
        };
        let events = self.make(store, page, head).await?;
        let after = events.last().map(|e| StreamCursor {
            position: e.position,
            hash: e.hash,
        });
        let advanced = store.advance_stream(advance, &self.stream, events).await?;
        if advanced == Advanced::Moved {
            self.head = Some(after.unwrap_or(head));
        }
        Ok(advanced)
    }
}
