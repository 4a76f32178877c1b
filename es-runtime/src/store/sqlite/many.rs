//! Statements that take many rows at once, each value as what it is. What JSON brings is written as
//! text, looked through once for each column, and turned back into what it was.

use std::sync::OnceLock;

use sqlx::Arguments;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use super::rows::Value;
use crate::error::{Error, Result};

/// The longest statement takes two to this power of rows; a longer one gains nothing.
const LONGEST: usize = 6;

/// A statement for any number of rows.
pub(super) struct Many {
    before: &'static str,
    /// The parameters of a row.
    row: &'static str,
    after: &'static str,
    /// For one row, two, four and so on: SQLite prepares each of them once.
    texts: [OnceLock<String>; LONGEST + 1],
}

impl Many {
    pub(super) const fn new(before: &'static str, row: &'static str, after: &'static str) -> Self {
        Self {
            before,
            row,
            after,
            texts: [const { OnceLock::new() }; LONGEST + 1],
        }
    }

    /// The statement for so many rows.
    pub(super) fn text(&'static self, power: usize) -> &'static str {
        self.texts[power].get_or_init(|| {
            let rows = vec![self.row; 1 << power].join(", ");
            format!("{}{rows}{}", self.before, self.after)
        })
    }

    /// The statements for these rows, in order, one after the other as they are run: as few as may be.
    pub(super) fn each<'s, R, const N: usize>(
        &'static self,
        doing: &'static str,
        mut rows: &'s [R],
        mut values_of: impl FnMut(&'s R) -> Result<[Value<'s>; N]>,
    ) -> impl Iterator<Item = Result<SqliteQuery>> {
        std::iter::from_fn(move || {
            let power = (rows.len().checked_ilog2()? as usize).min(LONGEST);
            let (these, others) = rows.split_at(1 << power);
            rows = others;
            let mut values = Values::new(doing);
            let added = these.iter().try_for_each(|row| values.row(values_of(row)?));
            Some(added.map(|()| values.of(self.text(power))))
        })
    }
}

type SqliteQuery = Query<'static, Sqlite, SqliteArguments>;

/// The values of a statement, row by row.
pub(super) struct Values {
    doing: &'static str,
    values: SqliteArguments,
}

impl Values {
    pub(super) fn new(doing: &'static str) -> Self {
        let values = SqliteArguments::default();
        Self { doing, values }
    }

    pub(super) fn row<const N: usize>(&mut self, row: [Value<'_>; N]) -> Result<()> {
        row.into_iter().try_for_each(|value| {
            let added = match value {
                Value::Null => self.values.add(None::<i64>),
                Value::Integer(number) => self.values.add(number),
                Value::Text(text) => self.values.add(text),
                Value::Id(bytes) => self.values.add(&bytes[..]),
            };
            added.map_err(|error| Error::database(self.doing, error))
        })
    }

    /// The statement with them.
    pub(super) fn of(self, statement: &'static str) -> SqliteQuery {
        sqlx::query_with(statement, self.values)
    }
}
