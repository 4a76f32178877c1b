//! A source without a network, which loses, doubles and reorders as it is told.

use std::time::Duration;

use es_runtime::consume::{Page, Source};
use es_runtime::event::Position;
use es_runtime::integration::CloudEvent;
use es_runtime::store::{EventStore, StreamCursor, StreamVersion};
use es_runtime::{Error, Result, Store};
use fastrand::Rng;

/// Reads a stream straight from the publisher's store, and lets `Faults` loose on it.
pub(crate) struct Direct<F> {
    pub(crate) upstream: Store,
    pub(crate) faults: F,
}

pub(crate) trait Faults: Send + 'static {
    fn disturb(&mut self, events: &mut Vec<CloudEvent>) -> Result<()>;
}

impl<F: FnMut(&mut Vec<CloudEvent>) -> Result<()> + Send + 'static> Faults for F {
    fn disturb(&mut self, events: &mut Vec<CloudEvent>) -> Result<()> {
        self(events)
    }
}

impl<F: Faults> Source for Direct<F> {
    async fn head(&mut self, stream: &StreamVersion) -> Result<Position> {
        Ok(self.upstream.published_head(stream).await?.position)
    }

    async fn read(
        &mut self,
        stream: &StreamVersion,
        after: StreamCursor,
        limit: usize,
        _: Duration,
    ) -> Result<Page> {
        let events = self
            .upstream
            .read_published(stream, after.position, limit)
            .await?;
        let envelope = |event| CloudEvent::new("bank", stream, event);
        let mut events = events.into_iter().map(envelope).collect::<Result<_>>()?;
        self.faults.disturb(&mut events)?;
        Ok(Page { events })
    }
}

pub(crate) fn no_faults(_: &mut Vec<CloudEvent>) -> Result<()> {
    Ok(())
}

/// Loses, doubles, reorders, answers nothing, and is away, each now and then.
pub(crate) fn hostile(mut random: Rng) -> impl Faults {
    move |events: &mut Vec<CloudEvent>| {
        match random.u8(..10) {
            0 => return Err(Error::database("reading", "the network is away")),
            1 => events.clear(),
            2 => random.shuffle(events),
            _ => {}
        }
        let from = random.usize(..=events.len());
        let again = events[from..].to_vec();
        events.retain(|_| random.u8(..10) > 0);
        if random.bool() {
            events.extend(again);
        }
        Ok(())
    }
}
