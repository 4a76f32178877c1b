//! A stream of balances, as the pages that a feed answers with.

use std::sync::Arc;
use std::time::Duration;

use es_runtime::Result;
use es_runtime::consume::{Page, Source};
use es_runtime::event::{Position, Timestamp};
use es_runtime::integration::{CloudEvent, Salt, StreamHash};
use es_runtime::prelude::*;
use es_runtime::store::{PublishedEvent, StreamCursor, StreamVersion};

/// Events of a page, and of a transaction.
pub(crate) const PAGE: usize = 500;
const ACCOUNTS: usize = 10_000;

#[derive(Clone, Debug, Serialize, Deserialize, IntegrationEvent)]
#[integration(stream = "accounts", version = 1)]
pub(crate) enum Accounts {
    BalanceChanged {
        account: String,
        balance: i64,
        reference: String,
    },
}

/// The pages of a stream of so many events.
pub(crate) fn pages(events: usize) -> Arc<[Vec<u8>]> {
    let mut random = fastrand::Rng::with_seed(events as u64);
    let stream = StreamVersion {
        stream: "accounts".to_owned(),
        version: 1,
    };
    let mut hash = StreamHash::START;
    let mut event = |position: u64| {
        let position = Position::new(position);
        let (account, balance) = (random.usize(..ACCOUNTS), random.i64(..1_000_000));
        let payload = format!(
            r#"{{"account":"{account}","balance":{balance},"reference":"a payment for something that was bought in a shop around the corner, {position}"}}"#
        );
        let event_type = "bench.balance-changed.v1";
        let salt = Salt::from_bytes(random.u128(..).to_be_bytes());
        hash = hash.after(position, event_type, salt, &payload);
        let published = PublishedEvent {
            position,
            source: position,
            event_type: event_type.to_owned(),
            subject: account.to_string(),
            payload,
            metadata: None,
            time: Timestamp::from_micros(1_770_000_000_000_000),
            recorded: Timestamp::from_micros(1_770_000_000_000_000),
            salt: *salt.as_bytes(),
            hash: *hash.as_bytes(),
        };
        CloudEvent::new("bench", &stream, published).expect("an event")
    };
    let all: Vec<_> = (1..=events as u64).map(&mut event).collect();
    let page = |page: &[CloudEvent]| serde_json::to_vec(page).expect("JSON");
    all.chunks(PAGE).map(page).collect()
}

/// Answers with pages that are in memory, as a feed does.
pub(crate) struct Pages(pub(crate) Arc<[Vec<u8>]>);

impl Source for Pages {
    async fn read(
        &mut self,
        _: &StreamVersion,
        after: StreamCursor,
        _: usize,
        wait: Duration,
    ) -> Result<Page> {
        let page = usize::try_from(after.position.get()).expect("a position") / PAGE;
        let Some(page) = self.0.get(page) else {
            tokio::time::sleep(wait).await;
            return Ok(Page::default());
        };
        let events = serde_json::from_slice(page).expect("a page");
        Ok(Page { events })
    }
}
