//! Reading rows that reflect the whole log.

use std::collections::BTreeMap;

use super::typed;
use super::view::View;
use crate::error::{Error, Kind, Result};
use crate::projection::{Projection, ReadModel};

/// Rows that reflect the whole log, also where the read model is behind it: what is missing is read
/// and folded on top of the row, for this one read. Nothing is written.
///
/// That is for the few reads that may not be a moment late, whoever wrote; they ask the log each
/// time. Who wants to see their own writes waits for them more cheaply, with
/// [`after`](View::after).
#[must_use = "say which row: `.get(key)`"]
pub struct Current<'s, P> {
    view: View<'s, P>,
}

impl<'s, P: Projection> Current<'s, P> {
    pub(super) fn new(view: View<'s, P>) -> Self {
        Self { view }
    }

    /// The row of `key` after all that the log holds when it is asked for.
    ///
    /// # Errors
    /// As [`View::get`]; [`is_far_behind`](Error::is_far_behind) when more events are missing than
    /// one read may fold; [`is_unreadable`](Error::is_unreadable) when one of them cannot be decoded;
    /// and when this service does not project the read model.
    pub async fn get(self, key: impl Into<String>) -> Result<Option<P>> {
        let key = key.into();
        let mut rows = self.get_many([&*key]).await?;
        Ok(rows.remove(&key))
    }

    /// The rows of these keys, all of the same moment; a key without a row is left out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_many<K: Into<String>>(
        self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<BTreeMap<String, P>> {
        let keys: Vec<_> = keys.into_iter().map(Into::into).collect();
        let read_models = &self.view.service().inner.read_models;
        let Some(read_model) = typed::<P, ReadModel<P>>(read_models) else {
            let what = format!("the read model `{}`", P::TABLE);
            return Err(Error::new(Kind::Unregistered { what }));
        };
        let view = &self.view;
        let current = || async {
            let rows = read_model.current(view.store(), keys.clone()).await?;
            Ok((rows, view.epoch().await?))
        };
        view.read(current).await
    }
}
