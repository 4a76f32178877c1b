//! The tables of read models, as every store sees them.

use std::fmt;

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
    /// Whether the database keeps an index on it.
    pub index: bool,
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

    /// The columns and their types as one line: what the store compares to notice that a version's
    /// columns changed without a new version.
    pub fn fingerprint(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(ToString::to_string).collect();
        columns.join(", ")
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
