//! Sends events of a version again, to one place at a broker.

use std::ops::RangeInclusive;

use super::args::Asked;
use super::find::find;
use super::tail::publisher;
use super::{Answer, Refusal, stream};
use crate::event::Position;
use crate::publish::{Route, Transport};
use crate::store::{EventStore, Store};

pub(super) async fn redeliver(store: &Store, asked: &Asked) -> Result<Answer, Refusal> {
    let id = find(store, asked.name.as_ref()).await?.id;
    let service = match (&asked.service, store.projection(&id).await?) {
        (Some(service), _) => service.clone(),
        (None, Some(state)) => publisher(&state)?,
        (None, None) => return Err(Refusal::Misused("say --service".to_owned())),
    };
    let route = Route::new(service, stream(&id));
    let (Some(broker), Some(to)) = (asked.broker.as_deref(), asked.to.as_deref()) else {
        return Err(Refusal::Misused("say --broker and --to".to_owned()));
    };
    let Some(sent) = send(store, &route, &asked.positions, broker, to).await? else {
        let what = "this program knows no such broker: give it a URL that begins with amqp:// \
                    or nats://, and build it with the feature `rabbitmq` or `nats`";
        return Err(Refusal::Misused(what.to_owned()));
    };
    let events = if sent == 1 { "event" } else { "events" };
    Ok(format!("sent {sent} {events} of `{id}` again, to `{to}` alone\n").into())
}

/// Sends them, and answers how many; nothing for a URL of no broker that is known here: that depends
/// on the features.
#[cfg_attr(not(any(feature = "rabbitmq", feature = "nats")), allow(unused))]
async fn send(
    store: &Store,
    route: &Route,
    positions: &[RangeInclusive<Position>],
    broker: &str,
    to: &str,
) -> Result<Option<u64>, Refusal> {
    let (scheme, _) = broker.split_once("://").unwrap_or_default();
    Ok(match scheme {
        #[cfg(feature = "rabbitmq")]
        "amqp" | "amqps" => {
            let broker = crate::publish::RabbitMq::at(broker);
            Some(send_over(store, route, positions, &broker, to).await?)
        }
        #[cfg(feature = "nats")]
        "nats" | "tls" => {
            let broker = crate::publish::Nats::at(broker);
            Some(send_over(store, route, positions, &broker, to).await?)
        }
        _ => None,
    })
}

#[cfg_attr(not(any(feature = "rabbitmq", feature = "nats")), allow(unused))]
async fn send_over(
    store: &Store,
    route: &Route,
    positions: &[RangeInclusive<Position>],
    broker: &impl Transport,
    to: &str,
) -> Result<u64, Refusal> {
    broker.check()?;
    Ok(crate::publish::redeliver(store, route, positions, broker, to).await?)
}

/// `17`, `3..9`, `3..9,17`: single positions and ranges with both ends.
pub(super) fn positions(text: &str) -> Result<Vec<RangeInclusive<Position>>, &'static str> {
    const WRONG: &str = "positions are numbers and ranges, `3..9,17`: from 1, with both ends";
    let number = |text: &str| text.trim().parse().map_err(|_| WRONG);
    let range = |part: &str| {
        let (from, to) = part.split_once("..").unwrap_or((part, part));
        let (from, to) = (number(from)?, number(to)?);
        match from > 0 && from <= to {
            true => Ok(Position::new(from)..=Position::new(to)),
            false => Err(WRONG),
        }
    };
    text.split(',').map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_numbers_and_ranges() {
        let found = |text| {
            let ranges = positions(text).ok()?;
            let ends = |range: &RangeInclusive<Position>| (range.start().get(), range.end().get());
            Some(ranges.iter().map(ends).collect::<Vec<_>>())
        };
        assert_eq!(found("17"), Some(vec![(17, 17)]));
        assert_eq!(
            found("3..9,17, 20..20"),
            Some(vec![(3, 9), (17, 17), (20, 20)])
        );
        for wrong in ["", "0", "9..3", "a", "3..", "3,,4", "-1", "1..2..3"] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
    }
}
