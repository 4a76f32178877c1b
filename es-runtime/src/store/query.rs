//! What is asked of the rows of a read model: which of them, in which order, from where on.

use std::cmp::Ordering;
use std::ops::{Bound, Range};

use super::{IndexDef, Row, Value};
use crate::event::{Position, slice_of};

/// Which rows of a read model are read, and from where on.
///
/// ```
/// use std::ops::Bound;
/// use es_runtime::store::{IndexDef, RowQuery, Value};
///
/// let first = RowQuery::all().limit(100);
/// let next = RowQuery::all().after("key 100").limit(100);
/// // An index on the table's second column.
/// let index = IndexDef { columns: &[1], unique: false };
/// let kroner = RowQuery::equal(index, vec![Value::Text("DKK".to_owned())]);
/// let rich = RowQuery::range(index, Bound::Excluded(vec![Value::Integer(1_000_000)]), Bound::Unbounded);
/// # let _ = (first, next, kroner, rich);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RowQuery {
    /// Which of them.
    pub select: Select,
    /// Only those behind this place.
    pub after: Option<RowPlace>,
    /// At most so many rows.
    pub limit: usize,
}

/// Rows of a read model, and the order in which they are read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Select {
    /// Every row, by key.
    All,
    /// The rows that hold these values in the columns of an index, by key. Nothing is a value, too.
    Equal(IndexDef, Row),
    /// The rows whose values in the columns of an index lie within these bounds, in the order of
    /// [`Value::order`], those with the same ones by key. A row that holds nothing in one of the
    /// columns is in no range, and no bound holds nothing.
    Range(IndexDef, Bound<Row>, Bound<Row>),
}

/// The place of a row in the order of a [`Select`].
#[derive(Clone, Debug, PartialEq)]
pub struct RowPlace {
    /// Its values in the columns of the index, in a range; otherwise none.
    pub values: Row,
    /// Its key.
    pub key: String,
}

/// Rows of a read model, and where the parts of its keys stood at that moment.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsAt {
    /// The rows with their keys.
    pub rows: Vec<(String, Row)>,
    /// The last position of the log that the rows of each part reflect.
    pub cursors: Vec<(Range<u16>, Position)>,
    /// The epoch of the version: another one than was known says that it may have been begun anew.
    pub epoch: u64,
}

impl RowsAt {
    /// The guard of every read of a view.
    #[cfg(feature = "runtime")]
    pub(crate) const SAME_EPOCH: &str = "rows are read in the epoch that is known";

    /// The last position of the log that the row of this key reflects, or that it has none.
    pub fn cursor(&self, key: &str) -> Position {
        let slice = slice_of(key);
        let mut cursors = self.cursors.iter();
        let part = cursors.find(|(slices, _)| slices.contains(&slice));
        part.map_or(Position::START, |(_, cursor)| *cursor)
    }

    /// The last position of the log that all rows reflect.
    pub fn reflected(&self) -> Position {
        let cursors = self.cursors.iter().map(|(_, cursor)| *cursor);
        cursors.min().unwrap_or(Position::START)
    }
}

impl RowQuery {
    fn new(select: Select) -> Self {
        Self {
            select,
            after: None,
            limit: usize::MAX,
        }
    }

    /// Every row, by key.
    pub fn all() -> Self {
        Self::new(Select::All)
    }

    /// The rows that hold these values in the columns of an index, by key.
    pub fn equal(index: IndexDef, values: Row) -> Self {
        Self::new(Select::Equal(index, values))
    }

    /// The rows whose values in the columns of an index lie within these bounds, by their values
    /// and by key.
    pub fn range(index: IndexDef, from: Bound<Row>, to: Bound<Row>) -> Self {
        Self::new(Select::Range(index, from, to))
    }

    /// Only those behind the row of this key; not for a range, whose places have values.
    #[must_use]
    pub fn after(self, key: impl Into<String>) -> Self {
        let (values, key) = (Row::new(), key.into());
        self.after_place(RowPlace { values, key })
    }

    /// Only those behind this place.
    #[must_use]
    pub fn after_place(self, place: RowPlace) -> Self {
        let after = Some(place);
        Self { after, ..self }
    }

    /// At most so many rows; all unless something is said.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// What the query picks of a table's rows, which come in any order: for stores that hold them
    /// in memory.
    pub fn pick<'a>(
        &self,
        rows: impl IntoIterator<Item = (&'a str, &'a Row)>,
    ) -> Vec<(&'a str, &'a Row)> {
        let beyond = |key: &str, row: &Row| {
            let after = self.after.as_ref();
            after.is_none_or(|after| self.select.order((key, row), after) == Ordering::Greater)
        };
        let picked = rows.into_iter();
        let mut picked: Vec<_> = picked
            .filter(|(key, row)| self.select.has(row) && beyond(key, row))
            .collect();
        picked.sort_by(|(key, row), other| {
            let place = self.select.place(other.0, other.1);
            self.select.order((key, row), &place)
        });
        picked.truncate(self.limit);
        picked
    }
}

impl Select {
    /// Whether the row is one of them.
    pub fn has(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Equal(index, values) => order_of(&held(index, row), values).is_eq(),
            Self::Range(index, from, to) => {
                let held = held(index, row);
                let beyond = |bound: &Bound<Row>, wanted: Ordering| match bound {
                    Bound::Unbounded => true,
                    Bound::Included(bound) => order_of(&held, bound) != wanted.reverse(),
                    Bound::Excluded(bound) => order_of(&held, bound) == wanted,
                };
                !held.contains(&Value::Null)
                    && beyond(from, Ordering::Greater)
                    && beyond(to, Ordering::Less)
            }
        }
    }

    /// The place of a row in their order.
    pub fn place(&self, key: &str, row: &Row) -> RowPlace {
        let values = match self {
            Self::All | Self::Equal(..) => Row::new(),
            Self::Range(index, ..) => held(index, row),
        };
        let key = key.to_owned();
        RowPlace { values, key }
    }

    fn order(&self, (key, row): (&str, &Row), other: &RowPlace) -> Ordering {
        let place = self.place(key, row);
        order_of(&place.values, &other.values).then_with(|| place.key.cmp(&other.key))
    }
}

/// What a row holds in the columns of an index.
pub(crate) fn held(index: &IndexDef, row: &Row) -> Row {
    index
        .columns
        .iter()
        .map(|place| row[*place].clone())
        .collect()
}

/// The order of what two rows hold in the same columns.
pub(crate) fn order_of(a: &[Value], b: &[Value]) -> Ordering {
    let unequal = a.iter().zip(b).map(|(a, b)| a.order(b));
    unequal
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
