//! What the five releases wrote, as it stands in databases for ever.

use es_runtime::event::{Position, StoredEvent, StreamId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Golden<'a> {
    pub(crate) stream: &'a str,
    pub(crate) version: u64,
    pub(crate) event_type: &'a str,
    pub(crate) schema_version: u32,
    pub(crate) min_reader: u32,
    pub(crate) payload: &'a str,
}

impl<'a> Golden<'a> {
    pub(crate) fn of(event: &'a StoredEvent) -> Self {
        Self {
            stream: event.stream.as_str(),
            version: event.version,
            event_type: &event.event_type,
            schema_version: event.schema_version,
            min_reader: event.min_reader,
            payload: &event.payload,
        }
    }

    pub(crate) fn stored(&self) -> StoredEvent {
        StoredEvent {
            position: Position::new(1),
            stream: self.stream.parse::<StreamId>().unwrap(),
            version: self.version,
            event_type: self.event_type.to_owned(),
            schema_version: self.schema_version,
            min_reader: self.min_reader,
            command_id: None,
            payload: self.payload.to_owned(),
            metadata: None,
            time: Timestamp::default(),
        }
    }
}

const fn golden(
    stream: &'static str,
    version: u64,
    event_type: &'static str,
    schema: (u32, u32),
    payload: &'static str,
) -> Golden<'static> {
    let (schema_version, min_reader) = schema;
    Golden {
        stream,
        version,
        event_type,
        schema_version,
        min_reader,
        payload,
    }
}

/// Never edited: a line that would have to change is a release that can no longer be read.
pub(crate) const GOLDEN: &[Golden<'static>] = &[
    golden(
        "account-v1",
        1,
        "account.created",
        (1, 1),
        r#"{"name":"Anna Berg","ccy":"DKK","note":"x"}"#,
    ),
    golden(
        "account-v1",
        2,
        "account.opened-with-deposit",
        (1, 1),
        r#"{"name":"Anna Berg","amount":500}"#,
    ),
    golden(
        "account-v1",
        3,
        "account.cash-deposited",
        (1, 1),
        r#"{"cash":250}"#,
    ),
    golden("account-v1", 4, "account.viewed", (1, 1), r#"{"by":"Bo"}"#),
    golden(
        "account-v1",
        5,
        "account.noted",
        (1, 1),
        r#""a good customer""#,
    ),
    golden(
        "account-v2",
        1,
        "account.created",
        (2, 2),
        r#"{"name":"Anna Berg","currency":"DKK","note":"x"}"#,
    ),
    golden(
        "account-v2",
        2,
        "account.opened-with-deposit",
        (2, 1),
        r#"{"name":"Anna Berg","amount":500,"currency":"DKK"}"#,
    ),
    golden(
        "account-v2",
        3,
        "account.cash-deposited",
        (1, 1),
        r#"{"cash":250}"#,
    ),
    golden("account-v2", 4, "account.viewed", (1, 1), r#"{"by":"Bo"}"#),
    golden(
        "account-v2",
        5,
        "account.noted",
        (1, 1),
        r#""a good customer""#,
    ),
    golden(
        "account-v3",
        1,
        "account.created",
        (3, 3),
        r#"{"name":"Anna Berg","currency":"Dkk","note":"x"}"#,
    ),
    golden(
        "account-v3",
        2,
        "account.opened-with-deposit",
        (2, 1),
        r#"{"name":"Anna Berg","amount":500,"currency":"DKK"}"#,
    ),
    golden(
        "account-v3",
        3,
        "account.deposited",
        (1, 1),
        r#"{"cents":"250"}"#,
    ),
    golden("account-v3", 4, "account.viewed", (1, 1), r#"{"by":"Bo"}"#),
    golden(
        "account-v3",
        5,
        "account.noted",
        (1, 1),
        r#""a good customer""#,
    ),
    golden(
        "account-v4",
        1,
        "account.opened",
        (4, 4),
        r#"{"first":"Anna","last":"Berg","currency":"Dkk","note":"x"}"#,
    ),
    golden(
        "account-v4",
        2,
        "account.deposited",
        (2, 2),
        r#"{"amount":500}"#,
    ),
    golden(
        "account-v4",
        3,
        "account.noted",
        (1, 1),
        r#""a good customer""#,
    ),
    golden(
        "account-v5",
        1,
        "account.opened",
        (5, 5),
        r#"{"first":"Anna","last":"Berg","currency":"Dkk","country":"SE"}"#,
    ),
    golden(
        "account-v5",
        2,
        "account.deposited",
        (2, 2),
        r#"{"amount":500}"#,
    ),
];
