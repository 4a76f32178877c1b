//! Accounts, and a read model in any version whose rows tell whether an event was left out, met
//! twice, or met too early.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use es_runtime::error::Result;
use es_runtime::event::{CommandId, StoredEvent, StreamId};
use es_runtime::prelude::*;
use es_runtime::projection::OutOfRange;
use es_runtime::store::{
    Append, Appended, ColumnDef, EventStore, NewEvent, ProjectionId, ProjectionKind, Row, Store,
};
use es_runtime::{Builder, Service};
use tokio::sync::oneshot;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(name = "account", aggregate = Account)]
pub(crate) enum AccountEvent {
    Booked { amount: i64 },
    Closed {},
}

#[derive(Clone, Command)]
#[command(aggregate = Account)]
pub(crate) enum AccountCommand {}

#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(name = "account", event = AccountEvent, command = AccountCommand, error = std::fmt::Error)]
pub(crate) struct Account;

impl Account {
    fn on_booked(&mut self, _: &i64) {}

    fn on_closed(&mut self) {}
}

/// The columns of a trail.
#[derive(Clone, Debug, PartialEq, Projection)]
#[projection(name = "columns", version = 1)]
struct Columns {
    events: i64,
    digest: i64,
}

/// What happened on a key: how many events, and a digest of their positions in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trail<const VERSION: u32>(Columns);

/// Every fourth version is divided.
pub(crate) const fn slices(version: u32) -> u16 {
    if version.is_multiple_of(4) { 8 } else { 1 }
}

impl<const VERSION: u32> Projection for Trail<VERSION> {
    const NAME: &'static str = "trail";
    const VERSION: u32 = VERSION;
    const SLICES: u16 = slices(VERSION);
    const COLUMNS: &'static [ColumnDef] = Columns::COLUMNS;

    fn to_row(&self) -> Result<Row, OutOfRange> {
        self.0.to_row()
    }

    fn from_row(row: Row) -> Result<Self, OutOfRange> {
        Columns::from_row(row).map(Self)
    }
}

impl<const VERSION: u32> Trail<VERSION> {
    pub(crate) fn columns(&self) -> (i64, i64) {
        (self.0.events, self.0.digest)
    }
}

/// The keys of an account's events: its own, and one that it shares with others.
fn keys(account: &str) -> [String; 2] {
    let shared = account.bytes().last().unwrap_or_default() % 3;
    [account.to_owned(), format!("all-{shared}")]
}

/// A step over an event: each version makes something else of it.
fn step(version: u32, digest: i64, position: Position) -> i64 {
    let position = i64::try_from(position.get()).unwrap();
    digest
        .wrapping_mul(31 + i64::from(version))
        .wrapping_add(position)
}

impl<const VERSION: u32> Fold<AccountEvent> for Trail<VERSION> {
    fn keys(event: &Recorded<AccountEvent>) -> impl IntoIterator<Item = String> {
        keys(event.id())
    }

    fn fold(row: Option<Self>, event: &Recorded<AccountEvent>) -> Option<Self> {
        pass(VERSION, event.id());
        if row.is_some() && event.data == (AccountEvent::Closed {}) {
            return None;
        }
        let (events, digest) = row.map_or((0, 0), |Self(row)| (row.events, row.digest));
        Some(Self(Columns {
            events: events + 1,
            digest: step(VERSION, digest, event.position),
        }))
    }
}

/// What a version's rows are, made from the log alone.
pub(crate) fn model(version: u32, log: &[StoredEvent]) -> BTreeMap<String, (i64, i64)> {
    let mut rows = BTreeMap::new();
    for event in log {
        for key in keys(event.stream.id()) {
            let row: Option<(i64, i64)> = rows.remove(&key);
            if row.is_some() && event.event_type == "account.closed" {
                continue;
            }
            let (events, digest) = row.unwrap_or_default();
            rows.insert(key, (events + 1, step(version, digest, event.position)));
        }
    }
    rows
}

pub(crate) fn trail(version: u32) -> ProjectionId {
    ProjectionId {
        kind: ProjectionKind::ReadModel,
        name: "trail".to_owned(),
        version,
    }
}

/// A bank that runs these versions.
pub(crate) fn bank(store: &Store, versions: &[u32]) -> Builder {
    let bank = Service::builder("bank").store(store.clone());
    versions.iter().fold(bank, |bank, version| match version {
        1 => bank.project::<AccountEvent, Trail<1>>(),
        2 => bank.project::<AccountEvent, Trail<2>>(),
        3 => bank.project::<AccountEvent, Trail<3>>(),
        4 => bank.project::<AccountEvent, Trail<4>>(),
        5 => bank.project::<AccountEvent, Trail<5>>(),
        _ => panic!("there is no version {version}"),
    })
}

/// Appends so many bookings to an account, and a closing if `closes`.
pub(crate) async fn happens(store: &Store, account: &str, bookings: usize, closes: bool) {
    let event = |event_type, payload: &str| NewEvent {
        event_type,
        schema_version: 1,
        min_reader: 1,
        payload: payload.to_owned(),
    };
    let mut events = vec![event("account.booked", r#"{"amount":1}"#); bookings];
    if closes {
        events.push(event("account.closed", "{}"));
    }
    let mut append = Append {
        stream: StreamId::new("account", account).unwrap(),
        expected: 0,
        command_id: CommandId::random(),
        repeatable: true,
        events,
        metadata: None,
        correlation: None,
        time: Timestamp::from_micros(1),
        known_instances: None,
    };
    while let Appended::Conflict { found } = store.append(append.clone()).await.unwrap() {
        append.expected = found;
    }
}

/// Where the next fold over an account's event stops, as a process does that is suspended.
pub(crate) struct Gate {
    entered: oneshot::Receiver<()>,
    open: std::sync::mpsc::Sender<()>,
}

struct Guard {
    entered: oneshot::Sender<()>,
    opened: std::sync::mpsc::Receiver<()>,
}

static GUARDS: Mutex<BTreeMap<(u32, String), Guard>> = Mutex::new(BTreeMap::new());

impl Gate {
    /// Before the first fold of a version over an event of `account`, which no other test has.
    pub(crate) fn before(version: u32, account: &str) -> Self {
        let (told, entered) = oneshot::channel();
        let (open, opened) = std::sync::mpsc::channel();
        let guard = Guard {
            entered: told,
            opened,
        };
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            guards
                .insert((version, account.to_owned()), guard)
                .is_none()
        );
        Self { entered, open }
    }

    /// Waits until somebody stands there.
    pub(crate) async fn entered(&mut self) {
        (&mut self.entered).await.unwrap();
    }

    pub(crate) fn opens(self) {
        self.open.send(()).unwrap();
    }
}

/// Stops at the account's gate, if there is one that nobody stopped at.
fn pass(version: u32, account: &str) {
    let guard = GUARDS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&(version, account.to_owned()));
    if let Some(Guard { entered, opened }) = guard {
        entered.send(()).ok();
        // A test that failed opens no gate: its end does.
        tokio::task::block_in_place(|| opened.recv()).ok();
    }
}
