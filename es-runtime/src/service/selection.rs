//! Some rows of a read model, page by page.

use super::page_token::PageToken;
use super::view::{View, typed};
use crate::error::{Error, Result};
use crate::projection::Projection;
use crate::store::{EventStore, IndexDef, RowQuery, Select};

/// Rows of a read model that hold the same, or all of them, in the keys' order.
#[must_use = "say how many: `.page(None, 100)`, or `.count()`"]
pub struct Selection<'s, P> {
    view: View<'s, P>,
    /// Or why there is none.
    select: Result<Select>,
}

impl<'s, P: Projection> Selection<'s, P> {
    pub(super) fn new(view: View<'s, P>, select: Result<Select>) -> Self {
        Self { view, select }
    }

    /// Those after the key `after`, with their keys, at most `limit`.
    ///
    /// # Errors
    /// As [`View::get`], and when a column cannot hold what was asked for.
    pub async fn page(self, after: Option<&str>, limit: usize) -> Result<Vec<(String, P)>> {
        let query = RowQuery {
            select: self.select?,
            after: None,
            limit,
        };
        let query = match after {
            Some(key) => query.after(key),
            None => query,
        };
        let rows = self.view.query(&query).await?;
        rows.into_iter().map(typed).collect()
    }

    /// How many there are. The database counts them one by one.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn count(self) -> Result<u64> {
        let select = self.select?;
        let view = &self.view;
        let store = view.store();
        let count = || async {
            let rows = store.count_rows(&P::TABLE, &select).await?;
            Ok((rows, view.epoch().await?))
        };
        view.read(count).await
    }
}

/// Rows of a read model between two values of an index, in its order.
#[must_use = "say how many: `.page(None, 100)`, or `.count()`"]
pub struct RowRange<'s, P> {
    rows: Selection<'s, P>,
    index: IndexDef,
}

/// Rows in the order of an index, and where to read on.
#[derive(Clone, Debug, PartialEq)]
pub struct RangePage<P> {
    /// The rows with their keys.
    pub rows: Vec<(String, P)>,
    /// What the next page begins with; nothing where this one is the last.
    pub next: Option<PageToken>,
}

impl<'s, P: Projection> RowRange<'s, P> {
    pub(super) fn new(rows: Selection<'s, P>, index: IndexDef) -> Self {
        Self { rows, index }
    }

    /// The rows behind the page that came with `after`, at most `limit`.
    ///
    /// The law: what is there the whole time comes once, whatever else comes and goes between two
    /// pages; a row whose value changes meanwhile may come twice, or not at all.
    ///
    /// # Errors
    /// As [`View::get`]; when a column cannot hold what was asked for, or the token is another
    /// query's.
    pub async fn page(self, after: Option<&PageToken>, limit: usize) -> Result<RangePage<P>> {
        let Selection { view, select } = self.rows;
        let place = after.map(|token| token.place(&P::TABLE, &self.index));
        let query = RowQuery {
            select: select?,
            after: place.transpose()?,
            // One more tells whether there are more.
            limit: limit.saturating_add(1),
        };
        let mut rows = view.query(&query).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last
            .map(|(key, row)| PageToken::new(&P::TABLE, &self.index, query.select.place(key, row)));
        let rows = rows.into_iter().map(typed).collect::<Result<_, Error>>()?;
        Ok(RangePage { rows, next })
    }

    /// How many there are. The database counts them one by one.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn count(self) -> Result<u64> {
        self.rows.count().await
    }
}
