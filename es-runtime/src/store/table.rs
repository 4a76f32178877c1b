//! The tables of read models, as every store sees them.

use std::cmp::Ordering;
use std::fmt;

#[cfg(feature = "runtime")]
use crate::error::{Error, Kind};

/// A read model's table: its name, its columns and their types. The key is a column of its own,
/// `key`, text and unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The read model's name, `balances`.
    pub name: &'static str,
    /// The projection's version.
    pub version: u32,
    /// The columns after `key`, in order.
    pub columns: &'static [ColumnDef],
    /// What else the rows are found by, and what only one of them may hold.
    pub indexes: &'static [IndexDef],
    /// The parts that the keys of a new version are divided in, each with a cursor of its own.
    pub slices: u16,
}

/// One column of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// The field's name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may hold nothing.
    pub nullable: bool,
}

/// One index of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexDef {
    /// The places of its columns among those of the table, in the order of the index.
    pub columns: &'static [usize],
    /// Whether no two rows may hold the same in its columns. A row that holds nothing in one of
    /// them holds what no other does.
    pub unique: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnKind {
    /// `i64`.
    Integer,
    /// `f64`.
    Real,
    /// `bool`.
    Boolean,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// The content of one field of one row.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing, in a column that may be empty.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Yes or no.
    Boolean(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// One row: a value per column of the table, without the key.
pub type Row = Vec<Value>;

impl Table {
    /// The table's name in the database, `balances_v2`.
    pub fn sql_name(&self) -> String {
        format!("{}_v{}", self.name, self.version)
    }

    /// The columns, their types and what is unique, as one line: what the store compares to notice
    /// that a version's table changed without a new version. Other indexes may come and go.
    pub fn fingerprint(&self) -> String {
        let columns = self.columns.iter().map(ToString::to_string);
        let unique = self.unique();
        let unique = unique.map(|index| format!("unique ({})", self.column_names(index)));
        columns.chain(unique).collect::<Vec<_>>().join(", ")
    }

    /// The indexes of what only one row may hold.
    pub fn unique(&self) -> impl Iterator<Item = &'static IndexDef> + use<> {
        self.indexes.iter().filter(|index| index.unique)
    }

    /// The columns of an index, `owner, currency`.
    pub fn column_names(&self, index: &IndexDef) -> String {
        self.names(index).collect::<Vec<_>>().join(", ")
    }

    /// The columns of an index.
    pub(crate) fn names(&self, index: &IndexDef) -> impl Iterator<Item = &'static str> + use<> {
        let columns = self.columns;
        index.columns.iter().map(|place| columns[*place].name)
    }
}

/// Nobody made the table, or it is gone.
#[cfg(feature = "runtime")]
pub(crate) fn not_prepared(table: &Table) -> Error {
    let what = format!("the read model `{table}`");
    Error::new(Kind::Unregistered { what })
}

impl Value {
    /// The order in which indexes keep values of one column: nothing first, texts and bytes by
    /// their bytes.
    pub fn order(&self, other: &Self) -> Ordering {
        use Value::{Boolean, Bytes, Integer, Null, Real, Text};
        match (self, other) {
            (Null, Null) => Ordering::Equal,
            (Null, _) => Ordering::Less,
            (_, Null) => Ordering::Greater,
            (Integer(a), Integer(b)) => a.cmp(b),
            (Real(a), Real(b)) => a.partial_cmp(b).unwrap_or_else(|| a.total_cmp(b)),
            (Boolean(a), Boolean(b)) => a.cmp(b),
            (Text(a), Text(b)) => a.cmp(b),
            (Bytes(a), Bytes(b)) => a.cmp(b),
            // No column holds both.
            (Integer(_) | Real(_) | Boolean(_) | Text(_) | Bytes(_), _) => Ordering::Equal,
        }
    }
}

/// `balances@2`.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// `owner text`, `nickname text?`.
impl fmt::Display for ColumnDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ColumnKind::Integer => "integer",
            ColumnKind::Real => "real",
            ColumnKind::Boolean => "boolean",
            ColumnKind::Text => "text",
            ColumnKind::Bytes => "bytes",
        };
        write!(
            f,
            "{} {kind}{}",
            self.name,
            if self.nullable { "?" } else { "" }
        )
    }
}
