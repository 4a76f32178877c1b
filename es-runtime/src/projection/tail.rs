//! What a row is behind, folded on top of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Projection;
use super::kept::misfit;
use super::read_model::{Decoded, ReadModel};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::store::{EventStore, LogPage, LogQuery, ProjectionId};

/// Events that are folded for one read, at most.
const MOST: usize = 10_000;

/// Rows with what they reflect.
type Standing<P> = BTreeMap<String, (Position, Option<P>)>;

impl<P: Projection> ReadModel<P> {
    /// The rows of these keys as they are after all that the log holds now. Nothing is written.
    ///
    /// # Errors
    /// [`is_far_behind`](Error::is_far_behind) when more events are missing than one read may fold.
    pub(crate) async fn current<S: EventStore>(
        &self,
        store: &S,
        keys: Vec<String>,
    ) -> Result<BTreeMap<String, P>> {
        none_parked::<P, S>(store, &keys).await?;
        let head = store.head().await?;
        let found = store.read_rows_at(&P::TABLE, keys.clone()).await?;
        // Where each of them stands: what is behind that is not in it yet.
        let stands = |key: String| {
            let cursor = found.cursor(&key);
            (key, (cursor, None))
        };
        let mut rows: Standing<P> = keys.into_iter().map(stands).collect();
        for (key, row) in found.rows {
            let typed = P::from_row(row).map_err(misfit::<P>(&key))?;
            if let Some((_, row)) = rows.get_mut(&key) {
                *row = Some(typed);
            }
        }
        let cursor = rows.values().map(|(cursor, _)| *cursor).min();
        let cursor = cursor.unwrap_or(head);
        let (mut at, mut behind) = (cursor, 0);
        while at < head {
            let page = self.missing(store, at).await?;
            behind += page.events.len();
            if behind > MOST {
                return Err(Error::new(Kind::FarBehind {
                    projection: P::TABLE.to_string(),
                    cursor,
                    head,
                    most: MOST,
                }));
            }
            self.fold_onto(&mut rows, &page)?;
            at = page.seen;
        }
        none_parked::<P, S>(store, rows.keys()).await?;
        let there = |(key, (_, row)): (String, (Position, Option<P>))| Some((key, row?));
        Ok(rows.into_iter().filter_map(there).collect())
    }

    /// Events of the read model's families behind a position.
    async fn missing<S: EventStore>(&self, store: &S, after: Position) -> Result<LogPage> {
        let query = LogQuery::after(after).aggregates(self.aggregates());
        store.read_log(&query.limit(MOST + 1)).await
    }

    /// Folds what the page holds of these rows into them.
    fn fold_onto(&self, rows: &mut Standing<P>, page: &LogPage) -> Result<()> {
        let mut decoded = Decoded::new();
        for event in page.events.iter() {
            let position = event.position;
            self.decode_one(event, &mut decoded)?;
            for (keys, event) in decoded.drain(..) {
                for key in keys {
                    if let Some((cursor, row)) = rows.get_mut(&key)
                        && *cursor < position
                    {
                        *row = event.fold(row.take());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Fails if one of the keys is set aside: nothing can be folded on top of its row.
async fn none_parked<'k, P: Projection, S: EventStore>(
    store: &S,
    keys: impl IntoIterator<Item = &'k String>,
) -> Result<()> {
    let id = ProjectionId::from(&P::TABLE);
    let mut parked = store.parked(&id, None, usize::MAX).await?;
    parked.retain({
        let keys: BTreeSet<_> = keys.into_iter().collect();
        move |parked| keys.contains(&parked.key)
    });
    match parked.into_iter().next() {
        Some(parked) => Err(parked.error(&id)),
        None => Ok(()),
    }
}
