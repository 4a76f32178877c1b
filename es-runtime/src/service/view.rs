//! Reading a version of a read model.

use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use tokio::time::Instant;

use super::Service;
use super::current::Current;
use super::selection::{RowRange, Selection};
use crate::error::{Error, Kind, Result};
use crate::event::Position;
use crate::projection::{Index, Indexed, Ordered, OutOfRange, Projection, Unique};
use crate::runtime::without;
use crate::store::life::refused;
use crate::store::{
    EventStore, ParkedKey, Phase, ProjectionId, Row, RowQuery, RowsAt, Select, Store, Value,
};

/// How soon it is looked again whether a version that another process keeps up to date has moved
/// on, and how often at the least.
const SOON: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_millis(20);

/// One version of a read model, to read.
///
/// A version that is still being built answers with an error that tells its progress.
#[must_use = "say which rows: `.get(key)`, `.by(…)`, `.range(…)` or `.page(…)`"]
pub struct View<'s, P> {
    service: &'s Service,
    after: Position,
    within: Duration,
    row: PhantomData<fn() -> P>,
}

impl<'s, P: Projection> View<'s, P> {
    pub(super) fn new(service: &'s Service) -> Self {
        let (after, within) = (Position::START, Duration::from_secs(5));
        Self {
            service,
            after,
            within,
            row: PhantomData,
        }
    }

    /// Reads only what reflects the log up to `position`, and waits for it: read your own writes
    /// by handing over the receipt of a command.
    pub fn after(mut self, position: impl Into<Position>) -> Self {
        self.after = position.into();
        self
    }

    /// How long [`after`](Self::after) waits; five seconds unless something is said.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = deadline;
        self
    }

    /// The row of `key`.
    ///
    /// # Errors
    /// [`is_building`](Error::is_building) while the version is not complete;
    /// [`is_deadline`](Error::is_deadline) when it did not come far enough in time;
    /// [`is_stopped`](Error::is_stopped) when it will not; [`is_parked`](Error::is_parked) when the
    /// key is set aside at an event that [`after`](Self::after) asks for.
    pub async fn get(self, key: impl Into<String>) -> Result<Option<P>> {
        let key = key.into();
        let mut rows = self.get_many([&*key]).await?;
        Ok(rows.remove(&key))
    }

    /// The rows of these keys, in one query; a key without a row is left out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_many<K: Into<String>>(
        self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<BTreeMap<String, P>> {
        let keys: Vec<_> = keys.into_iter().map(Into::into).collect();
        let rows = || async {
            self.none_parked(&keys).await?;
            let at = self.store().read_rows_at(&P::TABLE, keys.clone()).await?;
            Ok((at.rows, at.epoch))
        };
        let rows = self.read(rows).await?;
        rows.into_iter().map(typed).collect()
    }

    /// The rows after the key `after`, in the keys' order, at most `limit`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn page(self, after: Option<&str>, limit: usize) -> Result<Vec<(String, P)>> {
        self.all().page(after, limit).await
    }

    /// How many rows there are. The database counts them one by one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn count(self) -> Result<u64> {
        self.all().count().await
    }

    fn all(self) -> Selection<'s, P> {
        Selection::new(self, Ok(Select::All))
    }

    /// The rows that hold `value` in an index, in the keys' order.
    ///
    /// ```
    /// # use es_runtime::prelude::*;
    /// # #[derive(Clone, Debug, PartialEq, Projection)]
    /// # #[projection(name = "balances", version = 1)]
    /// # struct Balance { #[projection(index)] currency: String }
    /// # async fn example(bank: es_runtime::Service) -> es_runtime::Result<()> {
    /// let kroner = "DKK".to_owned();
    /// let first = bank.view::<Balance>().by(Balance::BY_CURRENCY, &kroner).page(None, 100).await?;
    /// # Ok(()) }
    /// ```
    pub fn by<C: Indexed>(self, index: Index<P, C>, value: &C) -> Selection<'s, P> {
        let equal = |values| Select::Equal(index.def(), values);
        let select = value.to_values().map(equal);
        Selection::new(self, select.map_err(misfit::<P>))
    }

    /// The row that holds `value` in an index on what one row holds at most, with its key. Who holds
    /// nothing is not found.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when a column cannot hold the value.
    pub async fn unique<C: Indexed>(
        self,
        index: Unique<P, C>,
        value: &C,
    ) -> Result<Option<(String, P)>> {
        let values = value.to_values().map_err(misfit::<P>)?;
        if values.contains(&Value::Null) {
            return Ok(None);
        }
        let select = Ok(Select::Equal(index.def(), values));
        let rows = Selection::new(self, select).page(None, 1).await?;
        Ok(rows.into_iter().next())
    }

    /// The rows whose values in an index lie within `bounds`, in the order of the values, those
    /// with the same ones by key.
    ///
    /// ```
    /// # use es_runtime::prelude::*;
    /// # #[derive(Clone, Debug, PartialEq, Projection)]
    /// # #[projection(name = "balances", version = 1)]
    /// # struct Balance { #[projection(index)] amount: i64 }
    /// # async fn example(bank: es_runtime::Service) -> es_runtime::Result<()> {
    /// let rich = || bank.view::<Balance>().range(Balance::BY_AMOUNT, 1_000_000..);
    /// let mut page = rich().page(None, 100).await?;
    /// while let Some(next) = &page.next {
    ///     page = rich().page(Some(next), 100).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn range<C: Ordered, K>(
        self,
        index: Index<P, C, K>,
        bounds: impl RangeBounds<C>,
    ) -> RowRange<'s, P> {
        let values = |bound: Bound<&C>| match bound {
            Bound::Unbounded => Ok(Bound::Unbounded),
            Bound::Included(value) => value.to_values().map(Bound::Included),
            Bound::Excluded(value) => value.to_values().map(Bound::Excluded),
        };
        let index = index.def();
        let select = values(bounds.start_bound()).and_then(|from| {
            let to = values(bounds.end_bound())?;
            Ok(Select::Range(index, from, to))
        });
        RowRange::new(Selection::new(self, select.map_err(misfit::<P>)), index)
    }

    /// Reads rows that reflect the whole log: what a row is behind is folded on top of it.
    pub fn current(self) -> Current<'s, P> {
        Current::new(self)
    }

    pub(super) fn service(&self) -> &'s Service {
        self.service
    }

    pub(super) fn store(&self) -> &'s Store {
        &self.service.inner.store
    }

    /// Fails if an event that was asked for waits for one of the keys: its row does not reflect it.
    async fn none_parked(&self, keys: &[String]) -> Result<()> {
        let id = ProjectionId::from(&P::TABLE);
        let workers = &self.service.inner.workers;
        // What is known here must be as far as what was asked for.
        let none = workers.reflects(&id, self.after).is_some() && workers.none_parked(&id);
        if self.after == Position::START || none {
            return Ok(());
        }
        let parked = self.store().parked(&id, None, usize::MAX).await?;
        let asked =
            |parked: &ParkedKey| parked.position <= self.after && keys.contains(&parked.key);
        match parked.into_iter().find(asked) {
            Some(parked) => Err(parked.error(&id)),
            None => Ok(()),
        }
    }

    /// The rows that the query asks for.
    pub(super) async fn query(&self, query: &RowQuery) -> Result<Vec<(String, Row)>> {
        let rows = || async {
            let rows = self.store().query_rows(&P::TABLE, query).await?;
            Ok((rows, self.epoch().await?))
        };
        self.read(rows).await
    }

    /// The epoch of the version now.
    pub(super) async fn epoch(&self) -> Result<u64> {
        let at = self.store().read_rows_at(&P::TABLE, Vec::new()).await?;
        Ok(at.epoch)
    }

    /// Reads rows of a version that is complete and has come far enough. What was read counts in
    /// the epoch for which that is known: in another one, somebody may have begun it anew meanwhile.
    pub(super) async fn read<T, F>(&self, read: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<(T, u64)>>,
    {
        let deadline = Instant::now() + self.within;
        let id = ProjectionId::from(&P::TABLE);
        self.service.inner.reads.add(&id);
        let mut known = self.service.inner.workers.reflects(&id, self.after);
        loop {
            let epoch = match known.take() {
                Some(epoch) => epoch,
                None => self.ready(&id, deadline).await?,
            };
            match read().await {
                Ok((read, then)) if then == epoch || without(RowsAt::SAME_EPOCH) => {
                    return Ok(read);
                }
                Err(error) if self.epoch().await.ok() == Some(epoch) => return Err(error),
                _ => {}
            }
        }
    }

    /// Waits until the version is complete and has come far enough, and answers its epoch.
    async fn ready(&self, id: &ProjectionId, deadline: Instant) -> Result<u64> {
        let (store, service) = (self.store(), &self.service.inner);
        loop {
            let Some(state) = store.projection(id).await? else {
                let what = format!("the read model `{id}`");
                return Err(Error::new(Kind::Unregistered { what }));
            };
            if state.phase == Phase::Retired {
                let why = "it is retired, and its rows are gone; read a newer version".to_owned();
                return Err(refused(id, "read", why));
            }
            if state.phase == Phase::Building && self.after == Position::START {
                let (projection, cursor) = (id.to_string(), state.cursor);
                let head = store.head().await?;
                return Err(Error::new(Kind::Building {
                    projection,
                    cursor,
                    head,
                }));
            }
            let enough = |cursor| cursor >= self.after && state.phase.is_complete();
            let (mut cursor, mut pause) = (state.cursor, SOON);
            while !enough(cursor) {
                let moved = service.workers.moved(id, cursor, pause);
                if tokio::time::timeout_at(deadline, moved).await.is_err() {
                    return Err(Error::new(Kind::Deadline {
                        projection: id.to_string(),
                        wanted: self.after,
                        cursor,
                    }));
                }
                service.workers.working(id)?;
                pause = (pause * 2).min(POLL);
                match service.looks.look(store, &P::TABLE).await {
                    Ok(look) if look.epoch == state.epoch => cursor = look.cursor,
                    // Somebody changed something; or there is nothing any more, and it is asked why.
                    _ => break,
                }
            }
            if enough(cursor) {
                return Ok(state.epoch);
            }
        }
    }
}

/// The row with its key.
pub(super) fn typed<P: Projection>((key, row): (String, Row)) -> Result<(String, P)> {
    let misfit = |error: OutOfRange| {
        let what = format!("the row `{key}` of `{}`", P::TABLE);
        Error::caused_by(Kind::OutOfRange { what }, error)
    };
    let row = P::from_row(row).map_err(misfit)?;
    Ok((key, row))
}

/// Says that no row can hold what was asked for.
fn misfit<P: Projection>(error: OutOfRange) -> Error {
    let what = format!("what is looked for in `{}`", P::TABLE);
    Error::caused_by(Kind::OutOfRange { what }, error)
}
