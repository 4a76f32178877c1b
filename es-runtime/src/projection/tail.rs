//! What a row is behind, folded on top of it.

use std::collections::BTreeMap;

use super::Projection;
use super::read_model::{Decoded, ReadModel, misfit};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::store::{EventStore, LogPage, LogQuery};

/// Events that are folded for one read, at most.
const MOST: usize = 10_000;

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
        let head = store.head().await?;
        let mut rows: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), None)).collect();
        let (found, cursor) = store.read_rows_at(&P::TABLE, keys).await?;
        for (key, row) in found {
            let row = P::from_row(row).map_err(misfit::<P>(&key))?;
            rows.insert(key, Some(row));
        }
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
        let there = |(key, row): (String, Option<P>)| Some((key, row?));
        Ok(rows.into_iter().filter_map(there).collect())
    }

    /// Events of the read model's families behind a position.
    async fn missing<S: EventStore>(&self, store: &S, after: Position) -> Result<LogPage> {
        let query = LogQuery::after(after).aggregates(self.aggregates());
        store.read_log(&query.limit(MOST + 1)).await
    }

    /// Folds what the page holds of these rows into them.
    fn fold_onto(&self, rows: &mut BTreeMap<String, Option<P>>, page: &LogPage) -> Result<()> {
        let mut decoded = Decoded::new();
        for event in page.events.iter() {
            self.decode_one(event, &mut decoded)?;
            for event in decoded.drain(..) {
                for key in event.keys() {
                    if let Some(row) = rows.get_mut(&key) {
                        *row = event.fold(row.take());
                    }
                }
            }
        }
        Ok(())
    }
}
