//! Laws of who works on which part of a version.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rows::table;
use super::{Check, law};
use crate::error::Result;
use crate::store::{Claim, EventStore, ProjectionId, Table};

/// Nobody is given up during the suite.
const LEASE: Duration = Duration::from_hours(1);

/// `who` asks for every part, and is told how many are theirs.
async fn ask<S: EventStore>(store: &S, table: &Table, who: &str, lease: Duration) -> Result<usize> {
    let projection = ProjectionId::from(table);
    let state = store.projection(&projection).await?;
    let mut owned = 0;
    for slice in state.into_iter().flat_map(|state| state.slices) {
        let claim = Claim {
            projection: projection.clone(),
            slices: slice.slices,
            owner: who.to_owned(),
            lease,
        };
        owned += usize::from(store.claim(&claim).await?.owned);
    }
    Ok(owned)
}

/// How many parts each has.
async fn shared<S: EventStore>(store: &S, table: &Table) -> Result<BTreeMap<String, usize>> {
    let state = store.projection(&table.into()).await?;
    let slices = state.into_iter().flat_map(|state| state.slices);
    let mut shared = BTreeMap::new();
    for slice in slices {
        *shared.entry(slice.owner.unwrap_or_default()).or_default() += 1;
    }
    Ok(shared)
}

pub(super) async fn they_are_shared<S: EventStore>(store: S) -> Check {
    const LAW: &str = "the parts of a version are shared";
    let table = Table {
        slices: 5,
        ..table(1)
    };
    store.prepare_table(&table).await?;
    let of = |parts: &[(&str, usize)]| {
        let named = |(who, parts): &(&str, usize)| ((*who).to_owned(), *parts);
        parts.iter().map(named).collect::<BTreeMap<_, _>>()
    };
    ask(&store, &table, "one", LEASE).await?;
    let alone = shared(&store, &table).await?;
    law!(LAW, alone == of(&[("one", 5)]), "one alone has {alone:?}");
    // One lets go what the other may have, and takes nothing back.
    for _ in 0..2 {
        ask(&store, &table, "two", LEASE).await?;
        ask(&store, &table, "one", LEASE).await?;
    }
    let two = shared(&store, &table).await?;
    law!(
        LAW,
        two == of(&[("one", 3), ("two", 2)]),
        "two have {two:?}"
    );
    let told = (
        ask(&store, &table, "one", LEASE).await?,
        ask(&store, &table, "two", LEASE).await?,
    );
    law!(LAW, told == (3, 2), "they are told that they have {told:?}");
    // Whoever is not heard of any more holds nobody up.
    ask(&store, &table, "gone", Duration::ZERO).await?;
    ask(&store, &table, "one", LEASE).await?;
    let still = shared(&store, &table).await?;
    law!(LAW, still == two, "after one that is gone: {still:?}");
    store.release("one").await?;
    ask(&store, &table, "two", LEASE).await?;
    let left = shared(&store, &table).await?;
    law!(LAW, left == of(&[("two", 5)]), "the one left has {left:?}");
    Ok(())
}
