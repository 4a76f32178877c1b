//! A stream that is filled without commands, with whatever a test wants in it.

use es_runtime::event::{Position, Timestamp};
use es_runtime::feed::Serve;
use es_runtime::integration::{Salt, StreamHash, StreamVersion};
use es_runtime::store::{Advance, Advanced, EventStore, PublishedEvent};
use es_runtime::{Result, Service, Store};

use crate::domain::{Account, v1};

pub(crate) const TYPES: [&str; 2] = [
    "dk.example.account-opened.v1",
    "dk.example.balance-changed.v1",
];

/// The stream of accounts.
pub(crate) fn accounts() -> StreamVersion {
    StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    }
}

/// A chain of events: the type and the subject of each, and a payload of about this size.
pub(crate) fn chain(
    what: impl IntoIterator<Item = (usize, String)>,
    bytes: usize,
) -> Vec<PublishedEvent> {
    let mut hash = StreamHash::START;
    let mut events = Vec::new();
    for (n, (of, subject)) in (1..).zip(what) {
        let position = Position::new(n);
        let salt = Salt::from_bytes([7; 16]);
        let payload = format!(
            "{{\"account\":\"{subject}\",\"balance\":{n},\"padding\":\"{}\"}}",
            "x".repeat(bytes)
        );
        hash = hash.after(position, TYPES[of], salt, &payload);
        events.push(PublishedEvent {
            position,
            source: position,
            event_type: TYPES[of].to_owned(),
            subject,
            payload,
            metadata: None,
            time: Timestamp::from_micros(1_700_000_000_000_000),
            recorded: Timestamp::from_micros(1_700_000_000_000_001),
            salt: *salt.as_bytes(),
            hash: *hash.as_bytes(),
        });
    }
    events
}

/// Adds events behind the position `after`, whatever became of the stream since.
pub(crate) async fn add(store: &Store, after: u64, events: &[PublishedEvent]) -> Result<()> {
    let state = store.projection(&(&accounts()).into()).await?;
    let epoch = state.map_or(0, |state| state.epoch);
    let to = Position::new(after + events.len() as u64);
    let advance = Advance::new(&accounts(), Position::new(after), to).knowing(epoch);
    let moved = store
        .advance_stream(advance, &accounts(), events.to_vec())
        .await?;
    assert_eq!(moved, Advanced::Moved);
    Ok(())
}

/// A service that serves such a stream. Its own worker waits: the log ends far before the cursor.
pub(crate) async fn filled(
    events: &[PublishedEvent],
    serve: Serve,
) -> Result<(Service, Store, String)> {
    let store = Store::connect("memory:").await?;
    store.prepare_stream(&accounts()).await?;
    add(&store, 0, events).await?;
    let bank = Service::builder("bank")
        .namespace("dk.example")
        .store(store.clone())
        .aggregate::<Account>()
        .publish::<Account, v1::Accounts>()
        .serve(serve)
        .start()
        .await?;
    bank.caught_up().await?;
    let url = format!("http://{}", bank.feed_address().unwrap());
    Ok((bank, store, url))
}
