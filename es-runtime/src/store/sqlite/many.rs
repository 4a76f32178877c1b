//! Statements that take many rows at once, each value as what it is. What JSON brings is written as
//! text, looked through once for each column, and turned back into what it was.

use std::sync::OnceLock;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Arguments, Encode, Type};

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
    pub(super) fn each<'s, R>(
        &'static self,
        doing: &'static str,
        mut rows: &'s [R],
        mut add: impl FnMut(&mut Values, &'s R) -> Result<()>,
    ) -> impl Iterator<Item = Result<Query<'static, Sqlite, SqliteArguments>>> {
        std::iter::from_fn(move || {
            let power = (rows.len().checked_ilog2()? as usize).min(LONGEST);
            let (these, others) = rows.split_at(1 << power);
            rows = others;
            let mut values = Values {
                doing,
                values: SqliteArguments::default(),
            };
            let added = these.iter().try_for_each(|row| add(&mut values, row));
            Some(added.map(|()| sqlx::query_with(self.text(power), values.values)))
        })
    }
}

/// The values of a statement, row by row.
pub(super) struct Values {
    doing: &'static str,
    values: SqliteArguments,
}

impl Values {
    pub(super) fn add<'t>(&mut self, value: impl Encode<'t, Sqlite> + Type<Sqlite>) -> Result<()> {
        let added = self.values.add(value);
        added.map_err(|error| Error::database(self.doing, error))
    }
}
