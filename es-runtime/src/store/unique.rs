//! What only one row may hold, pure: the changes of a page, and who of them is refused.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::query::{held, order_of};
use super::{IndexDef, Row, RowChange, Table, Value};
use crate::error::{Error, Kind, Result};

/// The changes of a page, one for each key.
pub(crate) struct Changes {
    /// The new rows, in the order of the changes.
    pub(crate) rows: Vec<(String, Row)>,
    /// The keys that have no row any more.
    pub(crate) gone: Vec<String>,
}

impl Changes {
    /// Of several changes of one key the last one counts.
    pub(crate) fn new(changes: Vec<RowChange>) -> Self {
        // Keys in order, as a read model brings them, are there once.
        let in_order = changes.windows(2).all(|pair| pair[0].key < pair[1].key);
        let last = (!in_order).then(|| last_of_each(&changes));
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for (n, RowChange { key, row }) in changes.into_iter().enumerate() {
            match row {
                _ if last.as_ref().is_some_and(|last| !last.contains(&n)) => {}
                Some(row) => rows.push((key, row)),
                None => gone.push(key),
            }
        }
        Self { rows, gone }
    }
}

/// The places of the last change of each key.
fn last_of_each(changes: &[RowChange]) -> HashSet<usize> {
    let places = changes.iter().enumerate();
    let last: HashMap<_, _> = places.map(|(n, change)| (&change.key, n)).collect();
    last.into_values().collect()
}

/// What the new rows hold in the columns of unique indexes, and nothing elsewhere; no rows where
/// nothing is unique.
#[cfg(feature = "postgres")]
pub(crate) fn claims(table: &Table, rows: &[(String, Row)]) -> Vec<(String, Row)> {
    let claimed: HashSet<_> = table.unique().flat_map(|index| index.columns).collect();
    if claimed.is_empty() {
        return Vec::new();
    }
    let claim = |(n, value): (usize, &Value)| match claimed.contains(&n) {
        true => value.clone(),
        false => Value::Null,
    };
    let row = |row: &Row| row.iter().enumerate().map(claim).collect();
    rows.iter().map(|(key, r)| (key.clone(), row(r))).collect()
}

/// What the rows hold in a unique index; nothing of those that lack a value there.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn claimed(index: &IndexDef, rows: &[(String, Row)]) -> Vec<Row> {
    let claims = rows.iter().filter_map(|(_, row)| Held::by(index, row));
    claims.map(|Held(values)| values).collect()
}

/// Fails for the first of the `new` rows that holds what another one holds: one before it, or one
/// of the `others`, which are not among the new ones.
pub(crate) fn check<'a>(
    table: &Table,
    others: impl Iterator<Item = (&'a str, &'a Row)> + Clone,
    new: &'a [(String, Row)],
) -> Result<()> {
    let mut holders: Vec<_> = table
        .unique()
        .map(|index| (index, BTreeMap::new()))
        .collect();
    for (index, holders) in &mut holders {
        for (key, row) in others.clone() {
            holders.extend(Held::by(index, row).map(|held| (held, key)));
        }
    }
    for (key, row) in new {
        for (index, holders) in &mut holders {
            let Some(held) = Held::by(index, row) else {
                continue;
            };
            if let Some(holder) = holders.insert(held, key) {
                return Err(Error::new(Kind::NotUnique {
                    projection: table.to_string(),
                    key: key.clone(),
                    column: table.column_names(index),
                    holder: holder.to_owned(),
                }));
            }
        }
    }
    Ok(())
}

/// Values that only one row may hold.
#[derive(Debug)]
struct Held(Row);

impl Held {
    /// What the row holds in the index; nothing if it lacks a value.
    fn by(index: &IndexDef, row: &Row) -> Option<Self> {
        let held = held(index, row);
        (!held.contains(&Value::Null)).then_some(Self(held))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        order_of(&self.0, &other.0)
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}
