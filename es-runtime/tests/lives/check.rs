//! What holds at every moment: each version's rows are what the model makes of the log up to its
//! cursor.

use std::collections::BTreeMap;

use es_runtime::Store;
use es_runtime::event::{Position, StoredEvent};
use es_runtime::store::sqlite::sqlx;
use es_runtime::store::{
    EventStore, LogQuery, Phase, ProjectionState, Row, RowQuery, Select, SliceState, Table, Value,
};
use sha2::{Digest, Sha256};

use crate::bank::{Trail, model, slices, trail};

/// The slice of a key, as the documents say: the first ten bits of its SHA-256.
fn slice_of(key: &str) -> u16 {
    let digest = Sha256::digest(key);
    u16::from_be_bytes([digest[0], digest[1]]) >> 6
}

pub(crate) fn table(version: u32) -> Table {
    use es_runtime::projection::Projection;
    Table {
        version,
        slices: slices(version),
        ..Trail::<1>::TABLE
    }
}

pub(crate) async fn log(store: &Store) -> Vec<StoredEvent> {
    let query = LogQuery::after(Position::START).limit(usize::MAX);
    let page = store.read_log(&query).await.unwrap();
    page.events.to_vec().unwrap()
}

pub(crate) async fn state(store: &Store, version: u32) -> ProjectionState {
    let state = store.projection(&trail(version)).await.unwrap();
    state.unwrap_or_else(|| panic!("nobody has heard of version {version}"))
}

/// Where every part stands, and what they know.
fn stands(state: &ProjectionState) -> (Phase, u64, Vec<(u16, Position)>) {
    let cursor = |slice: &SliceState| (slice.slices.start, slice.cursor);
    let cursors = state.slices.iter().map(cursor).collect();
    (state.phase, state.epoch, cursors)
}

/// A version and its rows at one moment, though others work on it.
async fn moment(store: &Store, version: u32) -> (ProjectionState, Vec<(String, Row)>) {
    loop {
        let before = state(store, version).await;
        if before.phase == Phase::Retired {
            return (before, Vec::new());
        }
        let all = RowQuery {
            select: Select::All,
            after: None,
            limit: 1_000_000,
        };
        let rows = store.query_rows(&table(version), &all).await;
        let after = state(store, version).await;
        if stands(&before) == stands(&after) {
            return (after, rows.unwrap());
        }
    }
}

/// Checks every row of one version, and answers where it stands.
pub(crate) async fn rows(store: &Store, version: u32) -> ProjectionState {
    let (state, rows) = moment(store, version).await;
    let log = log(store).await;
    let mut found: BTreeMap<String, (i64, i64)> = rows
        .into_iter()
        .map(|(key, row)| match row[..] {
            [Value::Integer(events), Value::Integer(digest)] => (key, (events, digest)),
            _ => panic!("{key}: {row:?}"),
        })
        .collect();
    for slice in &state.slices {
        let seen = usize::try_from(slice.cursor.get()).unwrap();
        for (key, row) in model(version, &log[..seen]) {
            if slice.slices.contains(&slice_of(&key)) {
                let found = found.remove(&key);
                assert_eq!(
                    found,
                    Some(row),
                    "version {version}, {key}, at {}",
                    slice.cursor
                );
            }
        }
    }
    assert!(
        found.is_empty(),
        "version {version}: rows that nothing made: {found:?}"
    );
    state
}

/// The version that the name without one stands for. In memory, there is no such view.
pub(crate) async fn view(store: &Store) -> Option<Option<u32>> {
    view_of(store, "trail").await
}

/// As [`view`], of any read model with the same columns.
pub(crate) async fn view_of(store: &Store, name: &str) -> Option<Option<u32>> {
    let text: Option<String> = match store {
        Store::Sqlite(store) => {
            let mut tx = store.begin().await.unwrap();
            let query = "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = $1";
            let query = sqlx::query_scalar(query).bind(name);
            query.fetch_optional(tx.sqlite().unwrap()).await.unwrap()
        }
        Store::Postgres(store) => {
            let mut tx = store.begin().await.unwrap();
            let query = "SELECT definition FROM pg_views WHERE viewname = $1";
            let query = sqlx::query_scalar(query).bind(name);
            query.fetch_optional(tx.postgres().unwrap()).await.unwrap()
        }
        _ => return None,
    };
    let version = |text: String| {
        let (_, version) = text.rsplit_once(&format!("{name}_v")).unwrap();
        let version = version.trim_matches(['"', ';', ' ']);
        version.parse().unwrap()
    };
    Some(text.map(version))
}
