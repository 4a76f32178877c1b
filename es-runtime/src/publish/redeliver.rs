//! Sending events again to one consumer.

use std::ops::RangeInclusive;

use super::{Message, Route, Transport};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::store::EventStore;

/// Events that are sent at once.
const PAGE: u64 = 500;

/// Sends events of a stream version again to one place alone, a queue or a subject: to a consumer that
/// lost something, or a new one. Nobody else gets them, and no cursor moves. Answers how many there
/// were.
///
/// The law: they are the same events with the same ids, in the order that is said, so that a consumer
/// who has handled one knows it again.
///
/// ```no_run
/// use es_runtime::event::Position;
/// use es_runtime::publish::{RabbitMq, Route, redeliver};
/// # async fn again(bank: &es_runtime::Service, stream: es_runtime::store::StreamVersion) -> es_runtime::Result<()> {
///
/// let broker = RabbitMq::at("amqp://localhost/%2f");
/// let route = Route::new(bank.name(), stream);
/// let lost = [Position::new(17)..=Position::new(17), Position::new(40)..=Position::new(45)];
/// let sent = redeliver(bank.store(), &route, &lost, &broker, "mail").await?;
/// assert_eq!(sent, 7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the stream version does not have all of these positions, which is known before anything is
/// sent; when there is no such place; and when the broker fails: then some of them may have arrived.
pub async fn redeliver<S: EventStore, T: Transport>(
    store: &S,
    route: &Route,
    positions: &[RangeInclusive<Position>],
    transport: &T,
    to: &str,
) -> Result<u64> {
    let head = store.published_head(&route.stream).await?.position;
    for range in positions {
        let ends = [*range.start(), *range.end()];
        let beyond = |place: &&Position| **place == Position::START || **place > head;
        if let Some(&position) = ends.iter().find(beyond) {
            let stream = route.stream.to_string();
            return Err(Error::new(Kind::Unpublished {
                stream,
                position,
                head,
            }));
        }
    }
    let mut sent = 0;
    for range in positions {
        let (mut next, last) = (range.start().get(), range.end().get());
        while next <= last {
            let many = (last - next + 1).min(PAGE);
            let (after, limit) = (
                Position::new(next - 1),
                usize::try_from(many).unwrap_or(usize::MAX),
            );
            let events = store.read_published(&route.stream, after, limit).await?;
            let messages = events.into_iter().map(|event| Message::new(route, event));
            let messages = messages.collect::<Result<Vec<_>>>()?;
            let found = messages.len() as u64;
            if found < many {
                let (after, found) = (Position::new(next - 1 + found), head);
                return Err(Error::new(Kind::BrokenOrder { after, found }));
            }
            transport.redeliver(to, messages).await?;
            (sent, next) = (sent + many, next + many);
        }
    }
    Ok(sent)
}
