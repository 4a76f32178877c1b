//! Whether two versions of a read model say the same: row by row, both at the same moment.

use std::cmp::Ordering;
use std::fmt::Write;
use std::sync::Arc;

use super::{OutOfRange, Projection};
use crate::error::{Error, Kind, Result};
use crate::store::{Difference, ProjectionId, ProjectionKind, Row, RowQuery, Still, Table, Value};

/// What a declared comparison says of the rows of one key.
///
/// ```
/// use es_runtime::projection::Compared;
///
/// struct Old { owner: String }
/// struct New { owner: String, bookings: i64 }
///
/// /// Version 2 trims names, and forgets accounts that were never used.
/// fn compare(_key: &str, old: Option<&Old>, new: Option<&New>) -> Compared {
///     match (old, new) {
///         (Some(old), Some(new)) if old.owner == new.owner => Compared::Same,
///         (Some(old), Some(new)) if old.owner.trim() == new.owner => Compared::Expected,
///         (Some(_), None) => Compared::Expected,
///         _ => Compared::Different,
///     }
/// }
/// # let (old, new) = (Old { owner: " A".into() }, New { owner: "A".into(), bookings: 1 });
/// # assert_eq!(compare("a", Some(&old), Some(&new)), Compared::Expected);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// They say the same.
    Same,
    /// They differ as they should: counted, and no reason against a promotion.
    Expected,
    /// They differ and should not: no promotion while there is one.
    Different,
}

/// How two versions of one read model are compared.
pub(crate) struct Comparer {
    /// The older one, by its declaration.
    pub old: Table,
    /// The newer one.
    pub new: Table,
    judge: Judge,
}

type Judge = Box<dyn Fn(&str, Option<&Row>, Option<&Row>) -> Result<Compared> + Send + Sync>;

impl Comparer {
    /// Makes each new row an old one, and compares what both would store.
    pub(crate) fn by_conversion<Old: Projection + From<New>, New: Projection>() -> Self {
        Self::declared(|_, old: Option<&Old>, new: Option<New>| {
            let (Some(old), Some(new)) = (old, new) else {
                return Ok(Compared::Different);
            };
            let same = alike(&old.to_row()?, &Old::from(new).to_row()?);
            Ok(if same {
                Compared::Same
            } else {
                Compared::Different
            })
        })
    }

    /// Asks somebody who knows both.
    pub(crate) fn by<Old: Projection, New: Projection>(
        compare: impl Fn(&str, Option<&Old>, Option<&New>) -> Compared + Send + Sync + 'static,
    ) -> Self {
        Self::declared(move |key, old, new: Option<New>| Ok(compare(key, old, new.as_ref())))
    }

    fn declared<Old: Projection, New: Projection>(
        judge: impl Fn(&str, Option<&Old>, Option<New>) -> std::result::Result<Compared, OutOfRange>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let judge = move |key: &str, old: Option<&Row>, new: Option<&Row>| {
            let misfit = |error| {
                let what = format!("the row `{key}` of `{}` or `{}`", Old::TABLE, New::TABLE);
                Error::caused_by(Kind::OutOfRange { what }, error)
            };
            let old = old
                .cloned()
                .map(Old::from_row)
                .transpose()
                .map_err(misfit)?;
            let new = new
                .cloned()
                .map(New::from_row)
                .transpose()
                .map_err(misfit)?;
            judge(key, old.as_ref(), new).map_err(misfit)
        };
        Self {
            old: Old::TABLE,
            new: New::TABLE,
            judge: Box::new(judge),
        }
    }

    /// Whether they are two versions of one read model.
    pub(crate) fn makes_sense(&self) -> bool {
        self.old.name == self.new.name && self.old.version != self.new.version
    }

    /// Whether both compare the same two versions.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let versions = |comparer: &Self| {
            let (old, new) = (comparer.old.version, comparer.new.version);
            (comparer.old.name, old.min(new), old.max(new))
        };
        versions(self) == versions(other)
    }

    pub(crate) fn id(&self, version: u32) -> ProjectionId {
        ProjectionId {
            kind: ProjectionKind::ReadModel,
            name: self.old.name.to_owned(),
            version,
        }
    }

    /// Compares what `still` shows of both, with `live` as the one that the other is to be like.
    pub(crate) fn compare(self: Arc<Self>, still: Still, live: u32) -> Comparing {
        Comparing {
            old_is_live: self.old.version == live,
            old: Rows::new(self.old),
            new: Rows::new(self.new),
            comparer: self,
            still,
            found: Found::default(),
        }
    }
}

/// Whether they would be stored alike. A number that is none is like itself here.
fn alike(one: &Row, other: &Row) -> bool {
    let same = |(one, other): (&Value, &Value)| match (one, other) {
        (Value::Real(one), Value::Real(other)) => one == other || one.is_nan() && other.is_nan(),
        _ => one == other,
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// Rows that were read at once.
const PAGE: usize = 500;
/// Differing keys that are kept for people to look at.
const SAMPLE: usize = 20;

/// The rows of one table, page by page, by their key.
struct Rows {
    table: Table,
    page: std::vec::IntoIter<(String, Row)>,
    next: Option<(String, Row)>,
    last: Option<String>,
    ended: bool,
}

impl Rows {
    fn new(table: Table) -> Self {
        Self {
            table,
            page: Vec::new().into_iter(),
            next: None,
            last: None,
            ended: false,
        }
    }

    /// Sees to it that the next row is there, if there is one.
    async fn fill(&mut self, still: &mut Still) -> Result<()> {
        if self.next.is_none() {
            self.next = self.page.next();
        }
        if self.next.is_none() && !self.ended {
            let query = RowQuery::all().limit(PAGE);
            let query = match self.last.take() {
                Some(last) => query.after(last),
                None => query,
            };
            let page = still.query_rows(&self.table, &query).await?;
            self.ended = page.is_empty();
            self.last = page.last().map(|(key, _)| key.clone());
            self.page = page.into_iter();
            self.next = self.page.next();
        }
        Ok(())
    }

    /// Whether the next row can be told without the database.
    fn is_ready(&self) -> bool {
        self.next.is_some() || self.page.len() > 0 || self.ended
    }
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub keys: u64,
    pub expected: u64,
    pub differing: u64,
    pub sample: Vec<Difference>,
}

/// A comparison under way: two tables, read side by side in the order of their keys.
pub(crate) struct Comparing {
    comparer: Arc<Comparer>,
    still: Still,
    old_is_live: bool,
    old: Rows,
    new: Rows,
    found: Found,
}

impl Comparing {
    /// Compares the next page of rows. Answers whether there are more.
    ///
    /// # Errors
    /// When the rows cannot be read, or one of them is not what its type writes.
    pub(crate) async fn go_on(&mut self) -> Result<bool> {
        self.old.fill(&mut self.still).await?;
        self.new.fill(&mut self.still).await?;
        while self.old.is_ready() && self.new.is_ready() {
            // Nothing is read: both are at hand.
            self.old.fill(&mut self.still).await?;
            self.new.fill(&mut self.still).await?;
            let order = match (&self.old.next, &self.new.next) {
                (Some((old, _)), Some((new, _))) => old.cmp(new),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return Ok(false),
            };
            let old = self.old.next.take_if(|_| order.is_le());
            let new = self.new.next.take_if(|_| order.is_ge());
            self.judge(old, new)?;
        }
        Ok(true)
    }

    pub(crate) fn finish(self) -> Found {
        self.found
    }

    fn judge(&mut self, old: Option<(String, Row)>, new: Option<(String, Row)>) -> Result<()> {
        let (old_key, old) = old.unzip();
        let (new_key, new) = new.unzip();
        let key = old_key.or(new_key).unwrap_or_default();
        self.found.keys += 1;
        let verdict = (self.comparer.judge)(&key, old.as_ref(), new.as_ref())?;
        match verdict {
            Compared::Same => return Ok(()),
            Compared::Expected => self.found.expected += 1,
            Compared::Different => self.found.differing += 1,
        }
        if verdict == Compared::Different && self.found.sample.len() < SAMPLE {
            let old = old.map(|row| readable(&self.comparer.old, &row));
            let new = new.map(|row| readable(&self.comparer.new, &row));
            let (old, new) = if self.old_is_live {
                (old, new)
            } else {
                (new, old)
            };
            self.found.sample.push(Difference { key, old, new });
        }
        Ok(())
    }
}

/// The row as people read it: `amount 100, owner "Alice"`.
fn readable(table: &Table, row: &Row) -> String {
    let mut text = String::new();
    for (column, value) in table.columns.iter().zip(row) {
        let comma = if text.is_empty() { "" } else { ", " };
        let value = match value {
            Value::Null => "nothing".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Boolean(yes) => yes.to_string(),
            Value::Text(text) => shortened(&format!("{text:?}")),
            Value::Bytes(bytes) => shortened(&format!("0x{}", hex::encode(bytes))),
        };
        // Writing to a string cannot fail.
        write!(text, "{comma}{} {value}", column.name).ok();
    }
    text
}

/// At most 200 characters of it.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
