//! Reads of a version that somebody begins anew, or ends, meanwhile: each answers what the whole
//! log makes, or says why it cannot.

use std::collections::BTreeMap;

use es_runtime::error::Result;
use es_runtime::store::{Change, EventStore};

use crate::bank::{Trail, bank, happens, model, trail};
use crate::check::log;
use crate::place::Place;
use crate::until::until;

/// The version that is begun anew, beside the live one.
const ANEW: u32 = 2;

type Rows = BTreeMap<String, (i64, i64)>;

/// An answer is right, or there is a reason that people can read.
fn right(answer: Result<Rows>, expected: &Rows, what: &str) -> bool {
    match answer {
        Ok(rows) => {
            assert_eq!(rows, *expected, "{what}");
            true
        }
        Err(error) => {
            assert!(error.is_building() || error.is_refused(), "{what}: {error}");
            false
        }
    }
}

fn of(rows: impl IntoIterator<Item = (String, Trail<ANEW>)>) -> Rows {
    rows.into_iter()
        .map(|(key, row)| (key, row.columns()))
        .collect()
}

async fn read_while_it_begins_anew(place: &Place) {
    let store = place.connect().await;
    for n in 0..40 {
        happens(&store, &format!("account {n}"), 40, false).await;
    }
    let start = || async {
        let store = place.connect().await;
        bank(&store, &[1, ANEW]).start().await.unwrap()
    };
    let (worker, reader) = (start().await, start().await);
    worker.caught_up().await.unwrap();
    reader.caught_up().await.unwrap();
    let expected = model(ANEW, &log(&store).await);
    let keys: Vec<_> = expected.keys().cloned().collect();
    // The last of them ends it.
    for again in 0..4 {
        let complete = || async {
            let all = reader.view::<Trail<ANEW>>().get_many(keys.clone()).await;
            right(all.map(of), &expected, "many").then_some(())
        };
        until("it is complete", complete).await;
        let reason = "for the test".to_owned();
        let change = match again {
            3 => Change::Retire {
                quiet: std::time::Duration::ZERO,
                forced: Some(reason),
            },
            _ => Change::Rebuild { reason },
        };
        store.change(&trail(ANEW), &change, "test").await.unwrap();
        if again == 3 {
            store.remove_rows(&trail(ANEW)).await.unwrap();
        }
        let view = || reader.view::<Trail<ANEW>>();
        let mut over = false;
        while !over {
            let state = store.projection(&trail(ANEW)).await.unwrap().unwrap();
            let all = view().get_many(keys.clone()).await.map(of);
            over = !right(all, &expected, "many") || state.phase.is_complete();
            let page = view().page(None, keys.len()).await.map(of);
            right(page, &expected, "a page");
            let counted = view().count().await;
            let counted = counted.map(|rows| usize::try_from(rows).unwrap());
            if let Ok(rows) = counted {
                assert_eq!(rows, expected.len());
            }
        }
    }
    worker.shutdown().await.unwrap();
    reader.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_begins_anew_in_memory() {
    read_while_it_begins_anew(&Place::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_begins_anew_on_a_file() {
    read_while_it_begins_anew(&Place::file()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_begins_anew_on_a_server() {
    read_while_it_begins_anew(&Place::server()).await;
}
