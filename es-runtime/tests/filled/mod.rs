//! Logs with something of everything in them.

use es_runtime::event::{CommandId, StreamId, Timestamp};
use es_runtime::store::{Append, Appended, EventStore, NewEvent};
use fastrand::Rng;

/// Payloads that a careless file would change.
const PAYLOADS: [&str; 6] = [
    "{}",
    r#"{"amount":1.10,"text":"it's \"ü\" \\ \u0000","amount":1e400}"#,
    "{\n  \"lines\":  [1, 2]\r\n}",
    " {\"spaces\": \"around\"} ",
    "null",
    "{\"u\":\"\u{2028}\"}",
];

/// Appends commands, some without events, to a few streams, and answers them.
pub(crate) async fn fill<S: EventStore>(
    store: &S,
    random: &mut Rng,
    commands: usize,
    most: usize,
) -> Vec<Append> {
    let name = random.u64(..);
    let mut appends = Vec::with_capacity(commands);
    for n in 0..commands {
        let event = |payload: &str| NewEvent {
            event_type: "account.deposited",
            schema_version: 3,
            min_reader: 2,
            payload: payload.to_owned(),
        };
        let stream = StreamId::new("account", random.usize(..commands / 10 + 1)).unwrap();
        let events = match random.u32(..4) {
            0 => 0,
            _ => random.usize(1..=most),
        };
        let events = (0..events).map(|_| event(random.choice(PAYLOADS).unwrap()));
        let mut append = Append {
            stream,
            expected: 0,
            command_id: CommandId::of(format!("{name}:{n}")),
            repeatable: true,
            events: events.collect(),
            metadata: random.bool().then(|| r#"{"actor":"a"}"#.to_owned()),
            correlation: random.bool().then(|| format!("visit {n}")),
            time: Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(n).unwrap()),
            known_instances: None,
        };
        while let Appended::Conflict { found } = store.append(append.clone()).await.unwrap() {
            append.expected = found;
        }
        appends.push(append);
    }
    appends
}

/// Whether the log knows each of these commands: a retry adds nothing.
pub(crate) async fn knows<S: EventStore>(store: &S, appends: &[Append]) {
    let head = store.head().await.unwrap();
    for append in appends {
        let again = store.append(append.clone()).await.unwrap();
        assert!(matches!(again, Appended::Already(_)), "{again:?}");
    }
    assert_eq!(store.head().await.unwrap(), head);
}
